//! The writer's lease: one store at a time appends to a directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// Held by `flock`: it ends with its holder, however that ends.
pub(crate) struct Lease {
    _file: File,
    /// The mark of the store that held it before, as far as it could be written.
    pub(crate) before: Option<u64>,
}

impl Lease {
    /// Takes the lease and leaves `mark` in it, a number of the store's own; `None` while another store holds it.
    pub(crate) fn take(directory: &Path, mark: u64) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(directory.join("lease"))?;
        match file.try_lock() {
            Ok(()) => {
                let mut bytes = [0; 8];
                let before = file.read_exact_at(&mut bytes, 0).is_ok().then(|| u64::from_le_bytes(bytes));
                // A mark that is missing is as good as another's; one that stays from before would not be.
                file.set_len(0)?;
                file.write_all_at(&mark.to_le_bytes(), 0).ok();
                Ok(Some(Self { _file: file, before }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
