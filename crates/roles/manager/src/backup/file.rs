//! The file of a backup: `manifest.json`, then `config.db`, in the container of release archives.
//!
//! Nothing in it is compressed and nothing is trusted before its digest is known. Format: `docs/protocols/backup.md`.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use weir_operator_api::BackupManifest;
use weir_release::{TarError, TarReader, TarWriter};

/// The format this build writes and reads.
pub(crate) const FORMAT: u32 = 1;
/// Largest database in a backup, in bytes: the log of writes has at most 1 GiB, the audit and the rest as much again.
pub(crate) const DATABASE_BYTES_MAX: u64 = 4 << 30;
/// Largest backup, in bytes.
pub(crate) const BACKUP_BYTES_MAX: u64 = DATABASE_BYTES_MAX + MANIFEST_BYTES_MAX + 8 * 1024;
/// Largest manifest, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;
/// Bytes read or written at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// Longest text of a manifest, in bytes.
const TEXT_BYTES_MAX: usize = 200;

const MANIFEST: &str = "manifest.json";
const DATABASE: &str = "config.db";

/// Why a file is not a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupFileError {
    /// It cannot be read or written.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The container.
    #[error("the backup is not whole")]
    Container(#[from] TarError),
    /// The manifest does not come first, or the database second, or there is more.
    #[error("the backup has no {0} where it has to be")]
    Missing(&'static str),
    /// Something after the database.
    #[error("the backup has `{0}` after its database")]
    After(String),
    /// The manifest is not one.
    #[error("the manifest of the backup cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// A format of another line.
    #[error("the backup has format {0}, and this build reads {FORMAT}")]
    Format(u32),
    /// A field of the manifest.
    #[error("the manifest of the backup has no usable {0}")]
    Field(&'static str),
    /// Over a limit.
    #[error("the backup is over its limit")]
    TooLarge,
    /// The database is not the one the manifest names.
    #[error("the database in the backup is not the one its manifest names")]
    OtherDatabase,
    /// Its bytes cannot be kept.
    #[error("the database of the backup cannot be kept")]
    Kept(#[source] io::Error),
}

impl BackupFileError {
    /// Whether the machine is at fault and not the backup.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, BackupFileError::File { .. } | BackupFileError::Kept(_) | BackupFileError::Container(TarError::Io(_)))
    }
}

fn at<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> BackupFileError + 'a {
    move |source| BackupFileError::File { what, path: path.to_owned(), source }
}

/// Reads a backup from its first byte to its last; its database goes to `to`. What `to` took counts only when this is `Ok`.
///
/// # Errors
/// [`BackupFileError`].
pub fn read(from: impl Read, to: &mut impl Write) -> Result<BackupManifest, BackupFileError> {
    let mut reader = TarReader::new(from);
    match reader.next_entry()? {
        Some(head) if head.path == MANIFEST => {}
        _ => return Err(BackupFileError::Missing(MANIFEST)),
    }
    let text = reader.body(MANIFEST_BYTES_MAX)?.ok_or(BackupFileError::TooLarge)?;
    let manifest = manifest(&text)?;
    match reader.next_entry()? {
        Some(head) if head.path == DATABASE && head.bytes == manifest.database_bytes => {}
        Some(head) if head.path == DATABASE => return Err(BackupFileError::OtherDatabase),
        _ => return Err(BackupFileError::Missing(DATABASE)),
    }
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        match reader.read(&mut chunk).map_err(TarError::of_body)? {
            0 => break,
            read => {
                hash.update(&chunk[..read]);
                to.write_all(&chunk[..read]).map_err(BackupFileError::Kept)?;
            }
        }
    }
    if hex::encode(hash.finalize()) != manifest.database_sha256 {
        return Err(BackupFileError::OtherDatabase);
    }
    match reader.next_entry()? {
        Some(after) => Err(BackupFileError::After(after.path)),
        None => Ok(manifest),
    }
}

/// What every format says of itself.
#[derive(Deserialize)]
struct Formatted {
    format: u32,
}

fn manifest(text: &[u8]) -> Result<BackupManifest, BackupFileError> {
    let format = serde_json::from_slice::<Formatted>(text).map_err(BackupFileError::Manifest)?.format;
    if format != FORMAT {
        return Err(BackupFileError::Format(format));
    }
    let manifest: BackupManifest = serde_json::from_slice(text).map_err(BackupFileError::Manifest)?;
    let is_hex = |text: &str, digits| text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_text = |text: &str| !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control);
    let fields = [
        ("network", is_text(&manifest.network)),
        ("network_id", is_hex(&manifest.network_id, 64)),
        ("version", manifest.version.parse::<weir_model::Version>().is_ok()),
        ("digest", is_hex(&manifest.digest, 64)),
        ("database_sha256", is_hex(&manifest.database_sha256, 64)),
        ("key_fingerprint", is_hex(&manifest.key_fingerprint, 16)),
    ];
    if let Some((field, _)) = fields.into_iter().find(|(_, usable)| !usable) {
        return Err(BackupFileError::Field(field));
    }
    if manifest.database_bytes > DATABASE_BYTES_MAX { Err(BackupFileError::TooLarge) } else { Ok(manifest) }
}

/// Takes the database out of the backup at `path` into a new file `to`, durably.
pub(crate) fn unpack(path: &Path, to: &Path) -> Result<BackupManifest, BackupFileError> {
    let file = File::open(path).map_err(at("open", path))?;
    let mut out = BufWriter::with_capacity(CHUNK_BYTES, created(to)?);
    let manifest = read(BufReader::with_capacity(CHUNK_BYTES, file), &mut out)?;
    let out = out.into_inner().map_err(|error| BackupFileError::Kept(error.into_error()))?;
    out.sync_all().map_err(BackupFileError::Kept)?;
    Ok(manifest)
}

/// The manifest of the backup at `path`, its length and its SHA-256 (hex), after all of it was read once.
pub(crate) fn inspect(path: &Path) -> Result<(BackupManifest, u64, String), BackupFileError> {
    let file = File::open(path).map_err(at("open", path))?;
    let mut hashed = HashedRead { from: BufReader::with_capacity(CHUNK_BYTES, file), hash: Sha256::new(), bytes: 0 };
    // A container that is whole was read to the end of its file.
    let manifest = read(&mut hashed, &mut io::sink())?;
    Ok((manifest, hashed.bytes, hex::encode(hashed.hash.finalize())))
}

/// Counts and hashes what is read.
struct HashedRead<R> {
    from: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Read for HashedRead<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.hash.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

fn created(path: &Path) -> Result<File, BackupFileError> {
    File::options().write(true).create_new(true).mode(0o600).open(path).map_err(at("create", path))
}

/// Counts and hashes what goes through.
struct Hashing<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Length and SHA-256 (hex) of a file.
pub(crate) fn measure(path: &Path) -> Result<(u64, String), BackupFileError> {
    let mut file = File::open(path).map_err(at("open", path))?;
    let mut hashing = Hashing { to: io::sink(), hash: Sha256::new(), bytes: 0 };
    io::copy(&mut file, &mut hashing).map_err(at("read", path))?;
    Ok((hashing.bytes, hex::encode(hashing.hash.finalize())))
}

/// Writes a backup of the database file to a new file `to`, durably; returns its length and its SHA-256.
pub(crate) fn write(to: &Path, manifest: &BackupManifest, database: &Path) -> Result<(u64, String), BackupFileError> {
    let text = serde_json::to_vec_pretty(manifest).expect("our own types are JSON");
    let from = File::open(database).map_err(at("open", database))?;
    let hashing = Hashing { to: BufWriter::with_capacity(CHUNK_BYTES, created(to)?), hash: Sha256::new(), bytes: 0 };
    let mut writer = TarWriter::new(hashing);
    writer.add(MANIFEST, text.len() as u64, text.as_slice())?;
    writer.add(DATABASE, manifest.database_bytes, BufReader::with_capacity(CHUNK_BYTES, from))?;
    let Hashing { to: mut out, hash, bytes } = writer.finish()?;
    out.flush().map_err(at("write", to))?;
    out.get_ref().sync_all().map_err(at("sync", to))?;
    Ok((bytes, hex::encode(hash.finalize())))
}

#[cfg(test)]
pub(crate) mod tests;
