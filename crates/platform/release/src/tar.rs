//! The container of archives, images and backups: ustar with one written form for each content.
//!
//! POSIX.1-2017, pax, "ustar Interchange Format". Only regular files, only plain relative paths, every other field of a header
//! fixed, so a header that is not exactly the one this module writes is refused: no links, devices, owners, times,
//! extensions or sparse files exist in what we read.

use std::io::{self, Read, Write};

/// The unit of the format, in bytes.
const BLOCK_BYTES: usize = 512;

/// Longest path of an entry, in bytes: the `name` field of a header.
pub(crate) const PATH_MAX_BYTES: usize = 100;

/// Largest entry, in bytes: 11 octal digits.
const ENTRY_MAX_BYTES: u64 = 0o77_777_777_777;

/// Why bytes are not a container of ours.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// Reading or writing failed.
    #[error("the container cannot be read or written")]
    Io(#[source] io::Error),
    /// It ends before its end marker.
    #[error("the container ends too early")]
    Truncated,
    /// No header where one must be.
    #[error("not a container: no header where one must be")]
    NoHeader,
    /// An entry that is no regular file.
    #[error("entry `{0}` is a link, a directory or a device")]
    NotAFile(String),
    /// A path that is not plain.
    #[error("entry `{0}` has a path that is not plain")]
    Path(String),
    /// A header with a field that is not as this module writes it.
    #[error("the header of `{0}` is not in the one form a container has")]
    Form(String),
    /// Bytes after the end marker.
    #[error("bytes after the end of the container")]
    Trailing,
}

/// The path and the length of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Plain, relative.
    pub path: String,
    /// Length of the body.
    pub bytes: u64,
}

/// Segments of letters, digits and `.-_+`, none of them hidden or empty.
fn plain(path: &str) -> bool {
    let segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b));
    path.len() <= PATH_MAX_BYTES && path.split('/').all(segment)
}

fn padding(bytes: u64) -> usize {
    let over = usize::try_from(bytes % BLOCK_BYTES as u64).expect("less than a block");
    if over == 0 { 0 } else { BLOCK_BYTES - over }
}

fn header(path: &str, bytes: u64) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, path.as_bytes());
    put(100, b"0000555\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{bytes:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Reads a header: any ustar header far enough to say what is wrong with it.
fn read_header(block: &[u8; BLOCK_BYTES]) -> Result<Head, TarError> {
    if &block[257..262] != b"ustar" {
        return Err(TarError::NoHeader);
    }
    let name = &block[..PATH_MAX_BYTES];
    let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
    let path = String::from_utf8_lossy(name).into_owned();
    if block[156] != b'0' {
        return Err(TarError::NotAFile(path));
    }
    if !plain(&path) {
        return Err(TarError::Path(path));
    }
    let size = std::str::from_utf8(&block[124..135]).ok().filter(|digits| digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)));
    match size.and_then(|digits| u64::from_str_radix(digits, 8).ok()) {
        Some(bytes) if header(&path, bytes) == *block => Ok(Head { path, bytes }),
        _ => Err(TarError::Form(path)),
    }
}

/// Writes entries one after the other.
pub struct TarWriter<W> {
    to: W,
}

impl<W: Write> TarWriter<W> {
    /// Writes to `to`.
    pub fn new(to: W) -> Self {
        Self { to }
    }

    /// Adds an entry of exactly `bytes` bytes of `from`.
    ///
    /// # Errors
    /// A path that is not plain, `from` that ends too early, the writer's.
    pub fn add(&mut self, path: &str, bytes: u64, from: impl Read) -> Result<(), TarError> {
        if !plain(path) {
            return Err(TarError::Path(path.to_owned()));
        }
        if bytes > ENTRY_MAX_BYTES {
            return Err(TarError::Form(path.to_owned()));
        }
        self.to.write_all(&header(path, bytes)).map_err(TarError::Io)?;
        let copied = io::copy(&mut from.take(bytes), &mut self.to).map_err(TarError::Io)?;
        if copied != bytes {
            return Err(TarError::Truncated);
        }
        self.to.write_all(&[0; BLOCK_BYTES][..padding(bytes)]).map_err(TarError::Io)
    }

    /// Writes the end marker.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> Result<W, TarError> {
        self.to.write_all(&[0; 2 * BLOCK_BYTES]).map_err(TarError::Io)?;
        Ok(self.to)
    }
}

/// Reads entries one after the other.
pub struct TarReader<R> {
    from: R,
    /// Bytes of the current entry's body that are unread.
    left: u64,
    /// Zeros between that body and the next header.
    padding: usize,
    /// Bytes read so far.
    position: u64,
}

impl<R: Read> TarReader<R> {
    /// Reads from `from`.
    pub fn new(from: R) -> Self {
        Self { from, left: 0, padding: 0, position: 0 }
    }

    /// The offset of the next unread byte.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next entry, whose body is then read from this reader; `None` after the end marker, which nothing follows.
    ///
    /// # Errors
    /// [`TarError`].
    pub fn next_entry(&mut self) -> Result<Option<Head>, TarError> {
        if self.left > 0 {
            io::copy(&mut *self, &mut io::sink()).map_err(TarError::of_body)?;
        }
        let mut zeros = [0; BLOCK_BYTES];
        let after_body = std::mem::take(&mut self.padding);
        self.fill(&mut zeros[..after_body])?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(TarError::NoHeader);
        }
        let mut block = [0; BLOCK_BYTES];
        self.fill(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            self.end()?;
            return Ok(None);
        }
        let head = read_header(&block)?;
        self.left = head.bytes;
        self.padding = padding(head.bytes);
        Ok(Some(head))
    }

    fn end(&mut self) -> Result<(), TarError> {
        let mut block = [0; BLOCK_BYTES];
        self.fill(&mut block)?;
        let more = self.from.read(&mut [0; 1]).map_err(TarError::Io)?;
        if more > 0 || block.iter().any(|byte| *byte != 0) { Err(TarError::Trailing) } else { Ok(()) }
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), TarError> {
        self.from.read_exact(into).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => TarError::Truncated,
            _ => TarError::Io(error),
        })?;
        self.position += into.len() as u64;
        Ok(())
    }

    /// The whole body of an entry of at most `limit` bytes; `None` when it is larger.
    ///
    /// # Errors
    /// [`TarError`].
    pub fn body(&mut self, limit: u64) -> Result<Option<Vec<u8>>, TarError> {
        if self.left > limit {
            return Ok(None);
        }
        let mut body = Vec::new();
        self.read_to_end(&mut body).map_err(TarError::of_body)?;
        Ok(Some(body))
    }
}

impl TarError {
    /// The error of reading a body: its end before its length is [`TarError::Truncated`].
    pub fn of_body(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}

impl<R: Read> Read for TarReader<R> {
    /// Bytes of the current entry's body.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.from.read(&mut into[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        self.position += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
