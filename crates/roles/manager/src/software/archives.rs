//! The archives a manager holds: `<id>.weir`, written beside, synced and renamed; room for them is reserved first.
//!
//! ```text
//! <data>/state/manager/software/<id>.weir        0600, an archive that came whole
//! <data>/state/manager/software/<id>.weir.part   one that is coming
//! ```

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Bytes that stay free on the file system whatever is downloaded: config.db, its log and the copies that an update of the schema makes
/// lie on the same one, and a manager whose database is full changes nothing any more.
const FREE_MIN: u64 = 512 * 1024 * 1024;
/// Most bytes of all archives together, those that are coming included: sixty of the largest, and any number of usual ones.
const ALL_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Between two looks at the file system, in bytes.
const LOOK_EACH: u64 = 8 * 1024 * 1024;

/// The archive of a software file.
pub(crate) fn held(directory: &Path, id: i64) -> PathBuf {
    directory.join(format!("{id}.weir"))
}

/// An archive that is coming; dropped before [`Part::keep`], it leaves nothing.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// Bytes of it that the file system has set aside, those that came included.
    reserved: u64,
    looked_at: u64,
    kept: bool,
    /// What keeps another from beginning the same one.
    place: Option<Box<dyn Send>>,
}

impl Part {
    /// Begins the archive of `id`, replacing an unfinished one.
    pub(super) fn begin(directory: &Path, id: i64) -> io::Result<Self> {
        let path = directory.join(format!("{id}.weir.part"));
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, bytes: 0, reserved: 0, looked_at: 0, kept: false, place: None })
    }

    /// Holds `place` for as long as the part is there: whoever begins the archive once it is free finds no other one's file.
    pub(super) fn holding(mut self, place: impl Send + 'static) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// Makes sure that `bytes` have room; what they need is taken at once where the file system can.
    ///
    /// # Errors
    /// [`is_full`].
    pub(super) fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        self.look(bytes.max(self.bytes))?;
        if bytes <= self.reserved {
            return Ok(());
        }
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Ok(()) => {
                self.reserved = bytes;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it may grow to `bytes`.
    fn look(&self, bytes: u64) -> io::Result<()> {
        room_for(&self.path, self.lacking(bytes))?;
        if others(&self.path)?.saturating_add(bytes) > ALL_MAX { Err(io::Error::new(io::ErrorKind::StorageFull, AllFull)) } else { Ok(()) }
    }

    /// What it needs to grow to `bytes`: what came and what was set aside is not free any more.
    fn lacking(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(self.reserved.max(self.bytes))
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes >= self.looked_at {
            self.look(self.bytes + bytes.len() as u64)?;
            self.looked_at = self.bytes + LOOK_EACH;
        }
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that came is on the disk, and nothing that was reserved beyond it.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.set_len(self.bytes)?;
        self.file.sync_all()
    }

    /// Makes it the archive of its software file.
    pub(super) fn keep(mut self) -> io::Result<()> {
        fs::rename(&self.path, self.path.with_extension(""))?;
        self.kept = true;
        match self.path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            // It is swept at the next start if this fails.
            let _ = fs::remove_file(&self.path);
        }
        // The file goes first: it would be the next one's.
        drop(self.place.take());
    }
}

/// Whether the file system of `path` has room for `bytes` and what must stay free.
pub(crate) fn room_for(path: &Path, bytes: u64) -> io::Result<()> {
    let space = statvfs(path)?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < bytes.saturating_add(FREE_MIN) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

/// The bytes of all archives beside the one that is coming at `part`, and the one it would take the place of.
fn others(part: &Path) -> io::Result<u64> {
    let (Some(directory), own) = (part.parent(), part.with_extension("")) else { return Ok(0) };
    let mut bytes: u64 = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.path() == part || entry.path() == own {
            continue;
        }
        match entry.metadata() {
            // What is set aside for one that is coming is not in its length yet.
            Ok(file) => bytes = bytes.saturating_add(file.len().max(file.blocks().saturating_mul(512))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// The archives have all the room they may have together.
#[derive(Debug, thiserror::Error)]
#[error("the archives of software files may have {} GiB together, and have no room for another", ALL_MAX >> 30)]
struct AllFull;

/// Whether an error means that the archives have all the room they may have, whatever the disk has.
pub(super) fn is_over(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<AllFull>())
}

/// What [`is_full`] means, one sentence.
pub(super) fn no_room(error: &io::Error) -> String {
    if is_over(error) { AllFull.to_string() } else { format!("the manager's disk has no room for it: {} MiB stay free", FREE_MIN >> 20) }
}

/// Whether an error means that there is no room, on the disk or for archives.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The numbers of the archives that are held.
pub(crate) fn numbers(directory: &Path) -> io::Result<BTreeSet<i64>> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".weir")?.parse::<i64>().ok()));
    }
    Ok(numbers)
}

/// Removes the archive of a software file that is no more.
pub(crate) fn remove(directory: &Path, id: i64) -> io::Result<()> {
    match fs::remove_file(held(directory, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what an interrupted download or upload left, when none is under way.
pub(super) fn remove_parts(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "part") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_part_is_kept_whole_or_leaves_nothing() {
        let dir = tempfile::tempdir().expect("dir");
        let part = |content: &[u8]| {
            let mut part = Part::begin(dir.path(), 3).expect("part");
            part.reserve(1 << 20).expect("room");
            part.take(content).expect("taken");
            part.sync().expect("synced");
            part
        };
        drop(part(b"cut"));
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 0);
        part(b"whole").keep().expect("kept");
        let path = held(dir.path(), 3);
        assert_eq!(fs::read(&path).expect("archive"), b"whole");
        assert_eq!(fs::metadata(&path).expect("archive").permissions().mode() & 0o777, 0o600);
        assert_eq!(numbers(dir.path()).expect("numbers"), BTreeSet::from([3]));
        let unfinished = part(b"again");
        std::mem::forget(unfinished);
        remove_parts(dir.path()).expect("swept");
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 1);
        remove(dir.path(), 3).expect("removed");
        remove(dir.path(), 3).expect("removed already");
        assert!(numbers(dir.path()).expect("numbers").is_empty());
    }

    /// Notes whether the file was there when it was given up.
    struct Place(PathBuf, std::sync::mpsc::SyncSender<bool>);

    impl Drop for Place {
        fn drop(&mut self) {
            self.1.send(self.0.exists()).expect("heard");
        }
    }

    #[test]
    fn a_place_is_free_once_the_part_is_gone() {
        let dir = tempfile::tempdir().expect("dir");
        let (told, freed) = std::sync::mpsc::sync_channel(1);
        let part = || {
            let part = Part::begin(dir.path(), 3).expect("part");
            let place = Place(part.path().to_owned(), told.clone());
            part.holding(place)
        };
        let held = part();
        assert!(freed.try_recv().is_err(), "it is held");
        drop(held);
        assert_eq!(freed.try_recv(), Ok(false));
        part().keep().expect("kept");
        assert_eq!(freed.try_recv(), Ok(false));
    }

    #[test]
    fn room_is_asked_for_with_what_must_stay_free() {
        let dir = tempfile::tempdir().expect("dir");
        let space = statvfs(dir.path()).expect("space");
        let all = space.f_bavail * space.f_frsize;
        assert!(is_full(&room_for(dir.path(), all).expect_err("nothing would stay free")));
        let mut part = Part::begin(dir.path(), 1).expect("part");
        assert!(is_full(&part.reserve(u64::MAX / 2).expect_err("no disk has that")));
        room_for(dir.path(), 0).expect("a test's disk is not full");
    }

    #[test]
    fn what_must_stay_free_is_more_than_a_database_and_its_copies_take() {
        let dir = tempfile::tempdir().expect("dir");
        let space = statvfs(dir.path()).expect("space");
        let free = space.f_bavail * space.f_frsize;
        assert!(is_full(&room_for(dir.path(), free - 300 * 1024 * 1024).expect_err("300 MiB are not enough")));
    }

    #[test]
    fn room_is_set_aside_once() {
        let dir = tempfile::tempdir().expect("dir");
        let mut part = Part::begin(dir.path(), 1).expect("part");
        assert_eq!(part.lacking(1 << 20), 1 << 20);
        // As for a size that was stated, which the server announces then.
        part.reserve(1 << 20).expect("room");
        assert_eq!((part.lacking(1 << 20), part.lacking(3 << 20)), (0, 2 << 20));
        part.take(&[0; 1000]).expect("taken");
        assert_eq!(part.lacking(1 << 20), 0);
    }

    #[test]
    fn all_archives_together_have_a_limit() {
        let dir = tempfile::tempdir().expect("dir");
        let sized = |name: &str, bytes| File::create(dir.path().join(name)).expect("file").set_len(bytes).expect("sparse");
        sized("1.weir", ALL_MAX / 2);
        sized("2.weir.part", ALL_MAX / 2 - 10);
        let mut part = Part::begin(dir.path(), 3).expect("part");
        part.reserve(10).expect("room");
        let over = part.reserve(11).expect_err("over");
        assert!(is_over(&over) && is_full(&over) && no_room(&over).contains("16 GiB"), "{over}");
        part.take(b"0123456789").expect("room");
        part.looked_at = 0;
        assert!(is_over(&part.take(b"a").expect_err("over")));
        drop(part);
        // What it would take the place of does not count.
        let mut again = Part::begin(dir.path(), 1).expect("part");
        again.reserve(1 << 20).expect("room");
        assert!(!is_over(&io::ErrorKind::StorageFull.into()));
    }
}
