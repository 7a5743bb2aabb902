//! Every write of publishing goes through here, where a test cuts it short.

use super::{PublishError, failed};
use std::{fs, io, path::Path};
use weir_slots::durable_write;

/// Replaces a file durably.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    step(path)?;
    Ok(durable_write(path, bytes)?)
}

/// Moves a file over another.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), PublishError> {
    step(to)?;
    fs::rename(from, to).map_err(failed("rename to", to))
}

/// Removes a file; one that is absent is fine.
pub(super) fn remove(path: &Path) -> Result<(), PublishError> {
    step(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(not(test))]
fn step(_: &Path) -> Result<(), PublishError> {
    Ok(())
}

#[cfg(test)]
fn step(path: &Path) -> Result<(), PublishError> {
    cut::step().map_err(failed("write (the test cut it short)", path))
}

/// The end of a process in the middle of publishing: after so many writes nothing is written any more.
#[cfg(test)]
pub(super) mod cut {
    use std::{cell::Cell, io};

    thread_local!(static LEFT: Cell<Option<u32>> = const { Cell::new(None) });

    /// Runs `work`, of whose writes on this thread only the first `writes` happen; whether that cut it short.
    pub(in crate::publish) fn after<T>(writes: u32, work: impl FnOnce() -> T) -> (T, bool) {
        LEFT.set(Some(writes + 1));
        let done = work();
        (done, LEFT.take() == Some(0))
    }

    pub(super) fn step() -> io::Result<()> {
        match LEFT.get() {
            None => Ok(()),
            Some(left) => {
                LEFT.set(Some(left.saturating_sub(1)));
                if left > 1 { Ok(()) } else { Err(io::Error::other("cut")) }
            }
        }
    }
}
