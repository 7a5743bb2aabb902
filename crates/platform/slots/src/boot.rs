//! The boot record: which slot a keeper starts, in two halves of which one is always whole.
//!
//! A half is a header line, `weir-boot 1 seq=<n> crc32c=<8 hex> bytes=<n>`, and that many bytes of JSON. A write goes to
//! the half that is not current, with the next sequence number; a reader takes the whole half with the higher one. So a
//! write that a crash cuts short costs only itself.

use crate::{DataDirectory, Digest, DiskError, disk::Disk};
use serde::{Deserialize, Serialize};
use std::{fs, io};

pub mod trial;

/// Largest half that is read, in bytes: a record is some hundred bytes, and each burned digest adds about seventy.
const RECORD_MAX_BYTES: u64 = 64 * 1024;

/// A slot and the digest of its MANIFEST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRef {
    /// The directory below `slots/`: `<version>-<first 12 digits of the digest>`.
    pub name: String,
    /// The version in it.
    pub version: String,
    /// SHA-256 of its MANIFEST.
    pub manifest: Digest,
}

impl SlotRef {
    /// The slot of the image whose MANIFEST has this digest.
    pub fn of(version: &str, manifest: Digest) -> Self {
        Self { name: format!("{version}-{}", manifest.short()), version: version.to_owned(), manifest }
    }
}

/// A slot that runs on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The slot.
    pub slot: SlotRef,
    /// Starts left before the keeper falls back.
    pub tries: u32,
    /// Milliseconds from its worker's ACCEPT until it must have been committed; then the keeper falls back.
    pub deadline_ms: u64,
}

/// A slot that was left again for the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FellBack {
    /// The slot that was left.
    pub slot: SlotRef,
    /// Why, in the words of the update machine's reasons.
    pub reason: String,
}

/// What a keeper starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootRecord {
    /// The slot to start when none is on trial. While one is, the slot to fall back to: it becomes `previous` at the commit.
    pub active: SlotRef,
    /// The slot that was active before the last commit; nothing once that commit was taken back.
    pub previous: Option<SlotRef>,
    /// The slot last committed.
    pub last_good: Option<SlotRef>,
    /// The slot on trial; never the active one.
    pub trial: Option<Trial>,
    /// The slot that was left last, until another trial begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fell_back: Option<FellBack>,
    /// Digests that fell back and are not started again.
    pub burned: Vec<Digest>,
    /// Term of the last plan obeyed.
    pub term: u64,
    /// Generation of the last plan obeyed.
    #[serde(rename = "gen")]
    pub generation: u64,
}

impl BootRecord {
    /// The record of a device whose first slot this is.
    pub fn first(slot: SlotRef) -> Self {
        Self {
            last_good: Some(slot.clone()),
            active: slot,
            previous: None,
            trial: None,
            fell_back: None,
            burned: Vec::new(),
            term: 0,
            generation: 0,
        }
    }
}

/// Why there is no boot record to start from.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// There is none: nothing was installed.
    #[error("no boot record in {0}: nothing is installed, install a release into this data directory first")]
    Absent(String),
    /// Both halves are damaged.
    #[error(
        "both halves of the boot record in {dir} are damaged ({zero}; {one}): restore the directory from a backup or install a release again"
    )]
    Damaged {
        /// The directory of the halves.
        dir: String,
        /// What is wrong with half 0.
        zero: HalfError,
        /// What is wrong with half 1.
        one: HalfError,
    },
    /// A half could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What is wrong with one half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HalfError {
    /// There is no such file.
    #[error("absent")]
    Absent,
    /// Larger than a record can be.
    #[error("too large")]
    TooLarge,
    /// The header line is not one.
    #[error("no header")]
    Header,
    /// A format this build does not read.
    #[error("another format")]
    Format,
    /// Cut short or followed by something.
    #[error("wrong length")]
    Length,
    /// The checksum differs.
    #[error("wrong checksum")]
    Checksum,
    /// The body is not a record.
    #[error("no record")]
    Body,
}

/// A record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The record.
    pub record: BootRecord,
    /// Its sequence number.
    pub seq: u64,
    /// The half that is not whole, and why; `Absent` after the very first write.
    pub damaged: Option<(usize, HalfError)>,
    half: usize,
}

/// The newest whole record.
///
/// # Errors
/// [`BootError`]; a damaged half beside a whole one is not an error.
pub fn read(data: &DataDirectory) -> Result<Found, BootError> {
    match (read_half(data, 0)?, read_half(data, 1)?) {
        (Ok((seq, record)), Ok((other, _))) if seq >= other => Ok(Found { record, seq, damaged: None, half: 0 }),
        (Ok(_), Ok((seq, record))) => Ok(Found { record, seq, damaged: None, half: 1 }),
        (Ok((seq, record)), Err(error)) => Ok(Found { record, seq, damaged: Some((1, error)), half: 0 }),
        (Err(error), Ok((seq, record))) => Ok(Found { record, seq, damaged: Some((0, error)), half: 1 }),
        (Err(HalfError::Absent), Err(HalfError::Absent)) => Err(BootError::Absent(data.boot().display().to_string())),
        (Err(zero), Err(one)) => Err(BootError::Damaged { dir: data.boot().display().to_string(), zero, one }),
    }
}

/// Writes a record over the half that is not current and makes it durable; its sequence number. The directory `boot/` must
/// be there.
///
/// # Errors
/// [`BootError::Disk`]; the record before is still current. Damage to both halves is an error of [`read`] and is
/// overwritten here only when `read` says `Absent`.
pub fn write(disk: &mut impl Disk, data: &DataDirectory, record: &BootRecord) -> Result<u64, BootError> {
    let (half, seq) = match read(data) {
        Ok(found) => (1 - found.half, found.seq + 1),
        Err(BootError::Absent(_)) => (0, 1),
        Err(error) => return Err(error),
    };
    write_half(disk, data, half, seq, record)
}

/// As [`write`], but never over the half with the sequence number `durable`: after a write that failed the other half may be
/// the current one and yet not be on the disk.
///
/// # Errors
/// As [`write`].
pub fn write_beside(disk: &mut impl Disk, data: &DataDirectory, durable: u64, record: &BootRecord) -> Result<u64, BootError> {
    let seqs = [0, 1].map(|half| read_half(data, half).ok().and_then(Result::ok).map(|(seq, _)| seq));
    match seqs.iter().position(|seq| *seq == Some(durable)) {
        Some(half) => write_half(disk, data, 1 - half, seqs.into_iter().flatten().fold(durable, u64::max) + 1, record),
        None => write(disk, data, record),
    }
}

fn write_half(disk: &mut impl Disk, data: &DataDirectory, half: usize, seq: u64, record: &BootRecord) -> Result<u64, BootError> {
    let path = data.boot_half(half);
    disk.write(&path, &spell(seq, record)).map_err(DiskError::of("write", &path))?;
    disk.sync_file(&path).map_err(DiskError::of("sync", &path))?;
    disk.sync_dir(&data.boot()).map_err(DiskError::of("sync", &data.boot()))?;
    Ok(seq)
}

fn spell(seq: u64, record: &BootRecord) -> Vec<u8> {
    let body = serde_json::to_vec(record).expect("a boot record is JSON");
    let mut bytes = format!("weir-boot 1 seq={seq} crc32c={:08x} bytes={}\n", checksum(seq, &body), body.len()).into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

/// The sequence number is covered too: a damaged one could make an old half the newer.
fn checksum(seq: u64, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&seq.to_be_bytes()), body)
}

type Half = Result<(u64, BootRecord), HalfError>;

fn read_half(data: &DataDirectory, half: usize) -> Result<Half, DiskError> {
    let path = data.boot_half(half);
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(HalfError::Absent)),
        Err(error) => return Err(DiskError::of("read", &path)(error)),
        Ok(file) if file.len() > RECORD_MAX_BYTES => return Ok(Err(HalfError::TooLarge)),
        Ok(_) => {}
    }
    Ok(parse(&fs::read(&path).map_err(DiskError::of("read", &path))?))
}

fn parse(bytes: &[u8]) -> Half {
    let end = bytes.iter().position(|b| *b == b'\n').ok_or(HalfError::Header)?;
    let header = std::str::from_utf8(&bytes[..end]).map_err(|_| HalfError::Header)?;
    let body = &bytes[end + 1..];
    let words: Vec<&str> = header.split(' ').collect();
    let [magic, format, seq, crc, length] = words[..] else { return Err(HalfError::Header) };
    if magic != "weir-boot" {
        return Err(HalfError::Header);
    }
    if format != "1" {
        return Err(HalfError::Format);
    }
    // The last number is never written: a writer could not go past it.
    let seq = seq.strip_prefix("seq=").filter(|n| n.bytes().all(|b| b.is_ascii_digit())).and_then(|n| n.parse().ok());
    let seq: u64 = seq.filter(|n| *n < u64::MAX).ok_or(HalfError::Header)?;
    let crc = crc.strip_prefix("crc32c=").and_then(|n| u32::from_str_radix(n, 16).ok()).ok_or(HalfError::Header)?;
    let length: usize = length.strip_prefix("bytes=").and_then(|n| n.parse().ok()).ok_or(HalfError::Header)?;
    if length != body.len() {
        return Err(HalfError::Length);
    }
    if crc != checksum(seq, body) {
        return Err(HalfError::Checksum);
    }
    serde_json::from_slice(body).map(|record| (seq, record)).map_err(|_| HalfError::Body)
}

#[cfg(test)]
mod tests;
