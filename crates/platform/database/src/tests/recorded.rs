//! A disk that does the work, and keeps what a crash or a power cut before and after each operation would leave.

use crate::disk::{Disk, FileSystem};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What becomes of what no sync had made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It had reached the disk: the process alone died.
    Nothing,
    /// Names are as they were at the last sync of the directory; bytes of a file that was never synced are half there.
    Unsynced,
    /// Names had reached the disk, and the bytes of a file that was never synced had not.
    Bytes,
    /// New names had reached the disk, and that others were taken away had not.
    Removals,
}

impl Loss {
    pub(super) const ALL: [Loss; 4] = [Loss::Nothing, Loss::Unsynced, Loss::Bytes, Loss::Removals];
}

/// A file by its number, with its bytes; the number stays when the name changes.
type Tree = BTreeMap<PathBuf, (u64, Vec<u8>)>;

struct Cut {
    renamed: bool,
    live: Tree,
    names: Tree,
    synced: BTreeMap<u64, Vec<u8>>,
}

/// The recording disk.
pub(super) struct Recorded {
    root: PathBuf,
    /// Names as of the last sync of the directory.
    names: Tree,
    /// Bytes of files that were synced, or were there before; SQLite syncs those itself.
    synced: BTreeMap<u64, Vec<u8>>,
    /// Files that were there before.
    old: Vec<u64>,
    renamed: bool,
    statements: usize,
    cuts: Vec<Cut>,
}

impl Recorded {
    /// Records what happens in `root` from now on.
    pub(super) fn below(root: &Path) -> Self {
        let names = tree(root);
        let synced: BTreeMap<_, _> = names.values().cloned().collect();
        let old = synced.keys().copied().collect();
        Self { root: root.to_owned(), names, synced, old, renamed: false, statements: 0, cuts: Vec::new() }
    }

    pub(super) fn cuts(&self) -> usize {
        self.cuts.len()
    }

    /// How many statements of steps were run.
    pub(super) fn statements(&self) -> usize {
        self.statements
    }

    /// Whether the cut is after the rename.
    pub(super) fn has_renamed(&self, cut: usize) -> bool {
        self.cuts[cut].renamed
    }

    /// Rebuilds `root` as a cut may have left it.
    pub(super) fn rebuild(&self, root: &Path, cut: usize, loss: Loss) {
        let Cut { live, names, synced, .. } = &self.cuts[cut];
        fs::remove_dir_all(root).expect("cleared");
        fs::create_dir(root).expect("directory");
        let by_number: BTreeMap<u64, &Vec<u8>> = live.values().map(|(number, bytes)| (*number, bytes)).collect();
        let back = names.iter().filter(|(path, _)| loss == Loss::Removals && !live.contains_key(*path));
        let mut made = BTreeMap::new();
        for (path, (number, bytes_then)) in if loss == Loss::Unsynced { names } else { live }.iter().chain(back) {
            let bytes = by_number.get(number).map_or(bytes_then, |bytes| *bytes);
            let kept = match (loss, synced.get(number)) {
                (Loss::Nothing | Loss::Removals, _) => bytes,
                (_, Some(_)) if self.old.contains(number) => bytes,
                (_, Some(synced)) => synced,
                (_, None) => &bytes[..bytes.len() / 2].to_vec(),
            };
            // Two names of one file stay that.
            match made.insert(*number, path) {
                Some(other) => fs::hard_link(other, path).expect("linked"),
                None => fs::write(path, kept).expect("file"),
            }
        }
    }

    fn cut(&mut self) {
        let cut = Cut { renamed: self.renamed, live: tree(&self.root), names: self.names.clone(), synced: self.synced.clone() };
        self.cuts.push(cut);
    }

    fn around(&mut self, work: impl FnOnce(&mut FileSystem) -> io::Result<()>) -> io::Result<()> {
        self.cut();
        work(&mut FileSystem)?;
        self.cut();
        Ok(())
    }
}

fn tree(root: &Path) -> Tree {
    let entries = fs::read_dir(root).expect("read").map(|entry| entry.expect("entry").path());
    // SQLite makes the index of the log anew.
    let files = entries.filter(|path| !path.to_string_lossy().ends_with("-shm"));
    files.map(|path| (path.clone(), (fs::metadata(&path).expect("there").ino(), fs::read(&path).expect("bytes")))).collect()
}

impl Disk for Recorded {
    fn free_bytes(&mut self, dir: &Path) -> io::Result<u64> {
        FileSystem.free_bytes(dir)
    }
    fn create(&mut self, path: &Path) -> io::Result<()> {
        self.around(|disk| disk.create(path))
    }
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.around(|disk| disk.remove(path))
    }
    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.around(|disk| disk.link(from, to))
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.cut();
        FileSystem.rename(from, to)?;
        self.renamed = true;
        self.cut();
        Ok(())
    }
    fn sync_file(&mut self, path: &Path) -> io::Result<()> {
        self.cut();
        FileSystem.sync_file(path)?;
        let number = fs::metadata(path)?.ino();
        self.synced.insert(number, fs::read(path)?);
        self.cut();
        Ok(())
    }
    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.cut();
        FileSystem.sync_dir(path)?;
        self.names = tree(&self.root);
        self.cut();
        Ok(())
    }
    fn statement(&mut self) -> rusqlite::Result<()> {
        self.statements += 1;
        self.cut();
        Ok(())
    }
}
