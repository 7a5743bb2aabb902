//! A journal of one thing's state: a line per record, appended and synced; the last good line is the state.
//!
//! A line is `<crc32c of the JSON, 8 hex digits> <JSON>`. A tail that a crash tore or garbled is dropped; what was synced never is.
//! Past [`JOURNAL_MAX_BYTES`] the file is written anew with its last record. `docs/protocols/update-journal.md` is the page.

use crate::{
    DiskError,
    disk::{Disk, durable_write_on, parent},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Length past which a journal is written anew, in bytes: some thousand records, which nobody needs but for looking back.
pub const JOURNAL_MAX_BYTES: u64 = 1024 * 1024;

/// Longest record, in bytes of JSON.
pub const RECORD_MAX_BYTES: usize = 64 * 1024;

/// Longest journal that is read, in bytes: none that was written here is as long.
const READ_MAX_BYTES: u64 = 2 * JOURNAL_MAX_BYTES;

/// Why a journal has no next record.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The record is longer than [`RECORD_MAX_BYTES`] or has a line break.
    #[error("the record is no line of at most {RECORD_MAX_BYTES} bytes")]
    Record,
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A journal that is written.
#[derive(Debug)]
pub struct Journal<D> {
    disk: D,
    path: PathBuf,
    /// Bytes of whole lines in the file.
    bytes: u64,
    /// The file ends with something that is no line: the next record must not be appended to it.
    torn: bool,
}

/// What a journal held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The JSON of the last good record.
    pub last: Option<String>,
    /// Lines that were no record: a torn tail, or damage.
    pub dropped: usize,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal at `path`, which need not be there; its directory is made when absent.
    ///
    /// # Errors
    /// [`DiskError`]: it cannot be read.
    pub fn open(mut disk: D, path: &Path) -> Result<(Self, Found), DiskError> {
        let dir = parent(path);
        if !dir.is_dir() {
            disk.make_dir(dir).map_err(DiskError::of("make", dir))?;
            disk.sync_dir(parent(dir)).map_err(DiskError::of("sync", parent(dir)))?;
        }
        let (bytes, found) = match read(path) {
            Ok(bytes) => (bytes.len() as u64, parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (0, Found::default()),
            // Nothing here wrote it.
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => (0, Found { last: None, dropped: 1 }),
            Err(error) => return Err(DiskError::of("read", path)(error)),
        };
        let torn = found.dropped > 0;
        Ok((Self { disk, path: path.to_owned(), bytes, torn }, found))
    }

    /// Adds a record, JSON on one line, and makes it durable.
    ///
    /// # Errors
    /// [`JournalError`]; the record before is still the last one, and the next may be tried.
    pub fn append(&mut self, record: &str) -> Result<(), JournalError> {
        if record.len() > RECORD_MAX_BYTES || record.contains('\n') {
            return Err(JournalError::Record);
        }
        let line = spell(record);
        let first = self.bytes == 0;
        if self.torn || first || self.bytes + line.len() as u64 > JOURNAL_MAX_BYTES {
            durable_write_on(&mut self.disk, &self.path, &line)?;
            (self.bytes, self.torn) = (line.len() as u64, false);
            return Ok(());
        }
        // Until the sync has answered nobody knows what the file ends with.
        self.torn = true;
        self.disk.append(&self.path, &line).map_err(DiskError::of("append to", &self.path))?;
        self.disk.sync_file(&self.path).map_err(DiskError::of("sync", &self.path))?;
        (self.bytes, self.torn) = (self.bytes + line.len() as u64, false);
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > READ_MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

fn spell(record: &str) -> Vec<u8> {
    format!("{:08x} {record}\n", crc32c::crc32c(record.as_bytes())).into_bytes()
}

fn parse(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match record(line) {
            Some(record) => found.last = Some(record.to_owned()),
            None => found.dropped += 1,
        }
    }
    found
}

/// The JSON of a whole line.
fn record(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (crc, record) = line.split_once(' ')?;
    let canonical = crc.len() == 8 && crc.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
    let crc = u32::from_str_radix(crc, 16).ok().filter(|_| canonical)?;
    (crc == crc32c::crc32c(record.as_bytes())).then_some(record)
}

#[cfg(test)]
mod tests;
