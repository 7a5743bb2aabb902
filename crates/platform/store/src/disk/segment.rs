//! A segment file: opened once, read at places, closed when nobody needs it any more.

use super::{
    format::{HEADER_BYTES, Header, Opening, Place, TRAILER_BYTES, footer_offset},
    record::{Entry, Kind, PRELUDE_BYTES, Prelude, RECORD_BYTES_MAX, read_footer},
};
use std::{
    fs::{self, File, OpenOptions},
    hash::BuildHasher,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use weir_model::Line;

/// Bytes of a full segment.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// A small tier has smaller segments: this fraction of its limit (1/8).
pub(crate) const SEGMENT_SHARE: u64 = 8;
/// Smallest segment, whatever the limit: 64 KiB.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
/// Bytes read at once when a segment is scanned: the largest record.
const SCAN_BYTES: usize = RECORD_BYTES_MAX;

/// A record could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The file could not be read.
    #[error("the segment cannot be read")]
    Io(#[from] io::Error),
    /// Its segment was removed.
    #[error("the segment is gone")]
    Gone,
    /// What is there is damaged or is not what was looked for.
    #[error("the record is damaged")]
    Damaged,
}

/// What is at a place: an undamaged record.
pub(crate) struct Record {
    pub(crate) prelude: Prelude,
    pub(crate) bytes: Vec<u8>,
}

/// One segment. Removing its file leaves it readable to those who hold it.
pub(crate) struct Segment {
    pub(crate) number: u32,
    file: File,
    path: PathBuf,
    /// `None`: another line's, or torn at its very beginning; nothing in it is read.
    stamp: Option<u64>,
    foreign: bool,
    bytes: AtomicU64,
    sealed: AtomicBool,
}

/// What a segment holds, as far as the index is concerned.
pub(crate) struct Contents {
    pub(crate) entries: Vec<Entry>,
    /// Where the last whole record ends.
    pub(crate) end: u64,
    /// It ends before the file does: what follows is torn or damaged.
    pub(crate) cut: bool,
}

pub(crate) fn file_name(number: u32) -> String {
    format!("{number:010}.seg")
}

/// The numbers of the segments in a directory, ascending.
pub(crate) fn numbers(directory: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".seg")).filter(|digits| digits.len() == 10);
        numbers.extend(number.and_then(|digits| digits.parse::<u32>().ok()).filter(|number| *number > 0));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl Segment {
    /// Begins a segment.
    pub(crate) fn create(directory: &Path, number: u32) -> io::Result<Self> {
        let path = directory.join(file_name(number));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let stamp = std::hash::RandomState::new().hash_one(number);
        file.write_all_at(&Header { number, stamp }.to_bytes(), 0)?;
        File::open(directory)?.sync_all()?;
        let bytes = AtomicU64::new(HEADER_BYTES as u64);
        Ok(Self { number, file, path, stamp: Some(stamp), foreign: false, bytes, sealed: AtomicBool::new(false) })
    }

    /// Opens a segment that is there, for a reader of line `reader`.
    pub(crate) fn open(directory: &Path, number: u32, reader: Line) -> io::Result<Self> {
        let path = directory.join(file_name(number));
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let bytes = file.metadata()?.len();
        let mut header = [0; HEADER_BYTES];
        let there = HEADER_BYTES.min(usize::try_from(bytes).unwrap_or(HEADER_BYTES));
        file.read_exact_at(&mut header[..there], 0)?;
        let (stamp, foreign) = match Header::read(&header[..there], reader) {
            Opening::Ours(header) if header.number == number => (Some(header.stamp), false),
            Opening::Ours(_) | Opening::Torn => (None, false),
            Opening::Foreign => (None, true),
        };
        Ok(Self { number, file, path, stamp, foreign, bytes: AtomicU64::new(bytes), sealed: AtomicBool::new(false) })
    }

    /// Whether another handle is of the same file, and not of one that came in its place.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.number == other.number && self.stamp == other.stamp
    }

    /// Whether it is of a format this build does not know.
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Whether its records can be read at all.
    pub(crate) fn is_readable(&self) -> bool {
        self.stamp.is_some()
    }

    /// Whether nothing will be added to it.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Relaxed)
    }

    /// Bytes of the file, as far as this store knows.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Reads the record at an offset; `length` when it is known.
    pub(crate) fn record(&self, offset: u32, length: Option<u32>) -> Result<Record, ReadError> {
        let length = match length {
            Some(length) => length as usize,
            None => {
                let mut prelude = [0; PRELUDE_BYTES];
                self.exactly(&mut prelude, offset.into())?;
                Prelude::read(&prelude).ok_or(ReadError::Damaged)?.length as usize
            }
        };
        if length < PRELUDE_BYTES || length as u64 > self.bytes() {
            return Err(ReadError::Damaged);
        }
        let mut bytes = vec![0; length];
        self.exactly(&mut bytes, offset.into())?;
        let prelude = Prelude::read(&bytes).filter(|prelude| prelude.covers(&bytes)).ok_or(ReadError::Damaged)?;
        Ok(Record { prelude, bytes })
    }

    fn exactly(&self, bytes: &mut [u8], offset: u64) -> Result<(), ReadError> {
        self.file.read_exact_at(bytes, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Damaged,
            _ => ReadError::Io(error),
        })
    }

    /// What it holds, from its footer when it has one.
    pub(crate) fn contents(&self, reader: Line) -> io::Result<Contents> {
        let bytes = self.file.metadata()?.len();
        self.bytes.store(bytes, Ordering::Relaxed);
        if !self.is_readable() {
            return Ok(Contents { entries: Vec::new(), end: 0, cut: true });
        }
        match self.footer(bytes, reader) {
            Some(entries) => {
                self.sealed.store(true, Ordering::Relaxed);
                Ok(Contents { entries, end: bytes, cut: false })
            }
            None => self.scan(bytes),
        }
    }

    fn footer(&self, bytes: u64, reader: Line) -> Option<Vec<Entry>> {
        let end = bytes.checked_sub(TRAILER_BYTES as u64)?;
        let mut trailer = [0; TRAILER_BYTES];
        self.file.read_exact_at(&mut trailer, end).ok()?;
        let offset = footer_offset(&trailer).filter(|offset| u64::from(*offset) < end)?;
        let length = u32::try_from(end - u64::from(offset)).ok()?;
        let record = self.record(offset, Some(length)).ok()?;
        read_footer(&record.prelude, &record.bytes, reader)
    }

    /// Reads record after record up to the first that is not whole.
    fn scan(&self, bytes: u64) -> io::Result<Contents> {
        let mut contents = Contents { entries: Vec::new(), end: HEADER_BYTES as u64, cut: false };
        let mut window = Vec::new();
        while contents.end < bytes {
            let left = usize::try_from(bytes - contents.end).unwrap_or(usize::MAX).min(SCAN_BYTES);
            window.resize(left, 0);
            self.file.read_exact_at(&mut window, contents.end)?;
            match take_records(&window, self.number, &mut contents) {
                Taken::Some => {}
                Taken::Footer => break,
                Taken::None => {
                    contents.cut = true;
                    break;
                }
            }
        }
        Ok(contents)
    }

    /// Writes at the end.
    pub(crate) fn append(&self, parts: &[&[u8]]) -> io::Result<()> {
        let mut at = self.bytes();
        for part in parts {
            self.file.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        self.bytes.store(at, Ordering::Relaxed);
        Ok(())
    }

    /// Cuts what is behind `end` off.
    pub(crate) fn cut(&self, end: u64) -> io::Result<()> {
        self.file.set_len(end)?;
        self.bytes.store(end, Ordering::Relaxed);
        Ok(())
    }

    /// From now on it is as it is.
    pub(crate) fn seal(&self) {
        self.sealed.store(true, Ordering::Relaxed);
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Removes the file; one that is gone is fine.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// What a window began with.
enum Taken {
    /// Records; there may be more behind the window.
    Some,
    /// Records and then a footer whose trailer is missing, or it would have been read from there: nothing follows.
    Footer,
    /// No whole record.
    None,
}

/// Takes the whole records at the beginning of a window.
fn take_records(window: &[u8], segment: u32, contents: &mut Contents) -> Taken {
    let mut at = 0;
    while at < window.len() {
        let whole = Prelude::read(&window[at..]).and_then(|prelude| {
            let record = window.get(at..at + prelude.length as usize)?;
            prelude.covers(record).then_some((prelude, record))
        });
        let Some((prelude, record)) = whole else { break };
        if prelude.kind == Some(Kind::Footer) {
            return Taken::Footer;
        }
        let place = Place { segment, offset: u32::try_from(contents.end).expect("a segment is far smaller than 4 GiB") };
        contents.entries.extend(Entry::of(place, &prelude, record));
        at += record.len();
        contents.end += record.len() as u64;
    }
    if at == 0 { Taken::None } else { Taken::Some }
}
