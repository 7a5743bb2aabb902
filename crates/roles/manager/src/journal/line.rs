//! One line of the journal: how it is written, what a reader takes for one, and how lines hang together.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, Read};

/// Bytes of one line, without its end.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 10;

/// One record. The order of the fields is the order in the line; a reader passes over fields it does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Its number; the first is 1.
    pub(crate) seq: u64,
    /// When, milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The term of the primary that wrote it.
    pub(crate) term: u64,
    /// What happened; a reader passes over kinds it does not know.
    pub(crate) kind: String,
    /// What belongs to it.
    pub(crate) body: serde_json::Value,
    /// SHA-256 of the bytes of the line before, without its end, hex; empty in the first.
    pub(crate) before: String,
}

impl Line {
    /// As it stands in the file, without its end.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers, strings and JSON are JSON")
    }
}

/// Why bytes are no line of a journal, or not the one that belongs there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// Longer than a line may be.
    #[error("it is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Not JSON with the fields of a record.
    #[error("it is no record")]
    NoRecord(#[source] serde_json::Error),
    /// Of another place.
    #[error("its number is {found}")]
    OtherNumber {
        /// The number it has.
        found: u64,
    },
    /// What comes before it is another line.
    #[error("it does not follow the line before it")]
    OtherBefore,
}

/// Reads a line, without its end.
pub(crate) fn parse(bytes: &[u8]) -> Result<Line, LineError> {
    if bytes.len() > LINE_BYTES_MAX {
        return Err(LineError::TooLong);
    }
    // A line break inside would make two of one.
    serde_json::from_slice(bytes).map_err(LineError::NoRecord)
}

/// The hash a line is named by.
pub(crate) fn hash(line: &[u8]) -> String {
    hex::encode(Sha256::digest(line))
}

fn follows(bytes: &[u8], seq: u64, before: &str) -> Result<Line, LineError> {
    let line = parse(bytes)?;
    if line.seq != seq {
        return Err(LineError::OtherNumber { found: line.seq });
    }
    if line.before != before { Err(LineError::OtherBefore) } else { Ok(line) }
}

/// Reads lines that follow one another, from any number on.
///
/// # Errors
/// The number the first bad one should have had, and what is wrong with it.
pub(crate) fn chained(lines: &[String]) -> Result<Vec<Line>, (u64, LineError)> {
    let mut read: Vec<Line> = Vec::with_capacity(lines.len());
    let mut before: Option<String> = None;
    for text in lines {
        let seq = read.last().map(|line| line.seq + 1);
        let wrong = |error| (seq.unwrap_or(0), error);
        if text.contains('\n') {
            return Err(wrong(LineError::OtherBefore));
        }
        let line = match (seq, &before) {
            (Some(seq), Some(before)) => follows(text.as_bytes(), seq, before).map_err(wrong)?,
            _ => parse(text.as_bytes()).map_err(wrong)?,
        };
        if line.seq == 0 || (line.seq == 1) != line.before.is_empty() {
            return Err(wrong(LineError::OtherBefore));
        }
        before = Some(hash(text.as_bytes()));
        read.push(line);
    }
    Ok(read)
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Where each line begins.
    pub(crate) starts: Vec<u64>,
    /// Bytes of the lines that are what was written.
    pub(crate) length: u64,
    /// Hash of the last of them; empty when there is none.
    pub(crate) hash: String,
    /// What is wrong with the line there; `None` when nothing follows, or only one that was not finished.
    pub(crate) damage: Option<LineError>,
}

/// Reads a whole file, line by line, as far as it is what was written.
///
/// # Errors
/// Of the reader.
pub(crate) fn scan(mut reader: impl BufRead) -> io::Result<Scan> {
    let mut scan = Scan { starts: Vec::new(), length: 0, hash: String::new(), damage: None };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX as u64 + 2).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(scan);
        }
        let found = match bytes.split_last() {
            Some((b'\n', line)) => follows(line, scan.starts.len() as u64 + 1, &scan.hash).map(|_| hash(line)),
            // Not finished, unless its end comes later: then it is longer than any line.
            _ if read <= LINE_BYTES_MAX || !has_end(&mut reader)? => return Ok(scan),
            _ => Err(LineError::TooLong),
        };
        match found {
            Ok(hash) => {
                scan.starts.push(scan.length);
                scan.length += read as u64;
                scan.hash = hash;
            }
            Err(error) => {
                scan.damage = Some(error);
                return Ok(scan);
            }
        }
    }
}

fn has_end(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(false);
        }
        if buffer.contains(&b'\n') {
            return Ok(true);
        }
        let length = buffer.len();
        reader.consume(length);
    }
}
