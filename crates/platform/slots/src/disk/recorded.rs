//! A disk that does the work, records it, and can tell what a power cut at any moment may leave.

use super::{Disk, FileSystem, parent};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// One operation, as far as a power cut cares.
#[derive(Debug, Clone)]
enum Step {
    Dir(PathBuf),
    File(PathBuf, Vec<u8>),
    Append(PathBuf, Vec<u8>),
    SyncFile(PathBuf),
    SyncDir(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// What becomes of the operations that no sync had made durable when the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All of them had reached the disk.
    Nothing,
    /// None of them had.
    Unsynced,
    /// The names had, the bytes only by half.
    Torn,
    /// The names had, and the bytes are noise of the right length.
    Noise,
}

impl Loss {
    pub(crate) const ALL: [Loss; 4] = [Loss::Nothing, Loss::Unsynced, Loss::Torn, Loss::Noise];
}

/// Files and directories by path; `None` is a directory.
type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// The recording disk.
pub(crate) struct Recorded {
    before: Tree,
    steps: Vec<Step>,
}

impl Recorded {
    /// Records what happens below `root` from now on.
    pub(crate) fn below(root: &Path) -> Self {
        let mut before = Tree::new();
        snapshot(root, &mut before);
        Self { before, steps: Vec::new() }
    }

    /// How many cuts there are: before the first step up to after the last.
    pub(crate) fn cuts(&self) -> usize {
        self.steps.len() + 1
    }

    /// Rebuilds `root` as a power cut after `cut` steps may have left it.
    pub(crate) fn rebuild(&self, root: &Path, cut: usize, loss: Loss) {
        let steps = &self.steps[..cut];
        let mut tree = self.before.clone();
        for (at, step) in steps.iter().enumerate() {
            apply(&mut tree, step, &steps[at + 1..], loss);
        }
        FileSystem.remove_tree(root).expect("clear");
        for (path, content) in &tree {
            // A directory that was lost takes what is below it along.
            if path != root && !parent(path).is_dir() {
                continue;
            }
            match content {
                None => fs::create_dir_all(path).expect("directory"),
                Some(bytes) => fs::write(path, bytes).expect("file"),
            }
        }
    }
}

fn snapshot(dir: &Path, tree: &mut Tree) {
    tree.insert(dir.to_owned(), None);
    for entry in fs::read_dir(dir).expect("read").flatten() {
        if entry.file_type().expect("type").is_dir() {
            snapshot(&entry.path(), tree);
        } else {
            tree.insert(entry.path(), Some(fs::read(entry.path()).expect("bytes")));
        }
    }
}

fn apply(tree: &mut Tree, step: &Step, later: &[Step], loss: Loss) {
    let name_synced = |path: &Path| later.iter().any(|s| matches!(s, Step::SyncDir(dir) if dir == parent(path)));
    let bytes_synced = |path: &Path| later.iter().any(|s| matches!(s, Step::SyncFile(file) if file == path));
    match step {
        Step::Dir(path) if loss != Loss::Unsynced || name_synced(path) => {
            tree.insert(path.clone(), None);
        }
        Step::File(path, bytes) => {
            let known = tree.contains_key(path);
            if loss == Loss::Unsynced && !known && !name_synced(path) && !bytes_synced(path) {
                return;
            }
            let kept = if bytes_synced(path) { bytes.clone() } else { lost(bytes, tree.get(path), loss) };
            tree.insert(path.clone(), Some(kept));
        }
        Step::Append(path, bytes) => {
            let known = tree.get(path).cloned().flatten();
            if loss == Loss::Unsynced && known.is_none() && !name_synced(path) && !bytes_synced(path) {
                return;
            }
            let kept = if bytes_synced(path) { bytes.clone() } else { lost(bytes, None, loss) };
            tree.insert(path.clone(), Some([known.unwrap_or_default(), kept].concat()));
        }
        Step::Rename(from, to) if loss != Loss::Unsynced || name_synced(to) => {
            let moved: Vec<PathBuf> = tree.keys().filter(|path| path.starts_with(from)).cloned().collect();
            for path in moved {
                let content = tree.remove(&path).expect("listed");
                let rest = path.strip_prefix(from).expect("below");
                tree.insert(if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) }, content);
            }
        }
        Step::Remove(path) if loss != Loss::Unsynced || name_synced(path) => tree.retain(|p, _| !p.starts_with(path)),
        Step::Dir(_) | Step::Rename(..) | Step::Remove(_) | Step::SyncFile(_) | Step::SyncDir(_) => {}
    }
}

fn lost(bytes: &[u8], old: Option<&Option<Vec<u8>>>, loss: Loss) -> Vec<u8> {
    match loss {
        Loss::Nothing => bytes.to_vec(),
        Loss::Unsynced => old.cloned().flatten().unwrap_or_default(),
        Loss::Torn => bytes[..bytes.len() / 2].to_vec(),
        Loss::Noise => vec![0xA5; bytes.len()],
    }
}

impl Disk for Recorded {
    fn make_dir(&mut self, path: &Path) -> io::Result<()> {
        if !path.is_dir() {
            self.steps.push(Step::Dir(path.to_owned()));
        }
        FileSystem.make_dir(path)
    }
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.steps.push(Step::File(path.to_owned(), bytes.to_vec()));
        FileSystem.write(path, bytes)
    }
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.steps.push(Step::Append(path.to_owned(), bytes.to_vec()));
        FileSystem.append(path, bytes)
    }
    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.steps.push(Step::File(to.to_owned(), fs::read(from)?));
        FileSystem.copy(from, to)
    }
    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        // The bytes of the first name are durable already; as a file here they are until the sync that follows.
        self.steps.push(Step::File(to.to_owned(), fs::read(from)?));
        FileSystem.link(from, to)
    }
    fn set_mode(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        FileSystem.set_mode(path, mode)
    }
    fn sync_file(&mut self, path: &Path) -> io::Result<()> {
        self.steps.push(Step::SyncFile(path.to_owned()));
        FileSystem.sync_file(path)
    }
    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.steps.push(Step::SyncDir(path.to_owned()));
        FileSystem.sync_dir(path)
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.steps.push(Step::Rename(from.to_owned(), to.to_owned()));
        FileSystem.rename(from, to)
    }
    fn remove_tree(&mut self, path: &Path) -> io::Result<()> {
        self.steps.push(Step::Remove(path.to_owned()));
        FileSystem.remove_tree(path)
    }
}

#[test]
fn a_durable_write_leaves_the_old_bytes_or_the_new() {
    let home = tempfile::tempdir().expect("dir");
    let (root, again) = (home.path().join("d"), home.path().join("d"));
    fs::create_dir(&root).expect("root");
    let path = root.join("configuration");
    fs::write(&path, b"old bytes").expect("old");
    let mut disk = Recorded::below(&root);
    super::durable_write_on(&mut disk, &path, b"the new bytes").expect("write");
    let mut seen = std::collections::BTreeSet::new();
    for cut in 0..disk.cuts() {
        for loss in Loss::ALL {
            disk.rebuild(&again, cut, loss);
            let bytes = fs::read(&path).expect("one of them");
            assert!(bytes == b"old bytes" || bytes == b"the new bytes", "cut {cut} {loss:?}: {bytes:?}");
            seen.insert(bytes);
            if cut + 1 == disk.cuts() {
                assert_eq!(fs::read(&path).expect("new"), b"the new bytes", "an answered write is kept");
            }
        }
    }
    assert_eq!(seen.len(), 2, "the cuts reach both sides");
}
