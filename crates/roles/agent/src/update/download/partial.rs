//! The file an archive is fetched into: what is there of it, and what it is in the end.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use weir_fetch::Sink;

/// A file that holds the beginning of an archive, or all of it.
pub(super) struct Partial {
    path: PathBuf,
    file: Arc<File>,
    /// Bytes of the archive that are there.
    length: u64,
    /// Bytes the archive has.
    whole: u64,
    /// Bytes that came since the file was opened, thrown away ones too.
    came: u64,
    /// Where the last source began.
    begins: u64,
}

impl Partial {
    /// The file at a path, made if there is none. One that is longer than the archive is not its beginning, and is emptied.
    pub(super) async fn open(path: &Path, whole: u64) -> io::Result<Self> {
        let (path, opened) = (path.to_owned(), path.to_owned());
        let open = move || {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(opened)?;
            let length = file.metadata()?.len();
            if length > whole {
                file.set_len(0)?;
            }
            Ok((file, if length > whole { 0 } else { length }))
        };
        let (file, length) = blocking(open).await?;
        Ok(Self { path, file: Arc::new(file), length, whole, came: 0, begins: length })
    }

    /// Bytes that are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that came since it was opened.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// The byte the last source began with.
    pub(super) fn begins(&self) -> u64 {
        self.begins
    }

    /// Whether as many bytes are there as the archive has.
    pub(super) fn is_full(&self) -> bool {
        self.length == self.whole
    }

    /// A source begins at byte `at`: what is there from it on is void. A file that ends there is left alone, since cutting it would
    /// give back the room that is reserved behind its end.
    pub(super) async fn cut(&mut self, at: u64) -> io::Result<()> {
        if at < self.length {
            let file = self.file.clone();
            blocking(move || file.set_len(at)).await?;
        }
        (self.length, self.begins) = (at, at);
        Ok(())
    }

    /// Throws everything away.
    pub(super) async fn clear(&mut self) -> io::Result<()> {
        self.cut(0).await
    }

    /// Appends.
    pub(super) async fn append(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let (file, at, count) = (self.file.clone(), self.length, bytes.len() as u64);
        blocking(move || file.write_all_at(&bytes, at)).await?;
        self.length += count;
        self.came += count;
        Ok(())
    }

    /// SHA-256 of what is there, in lower-case hexadecimal digits.
    pub(super) async fn sha256(&self) -> io::Result<String> {
        let path = self.path.clone();
        let (digest, _) = blocking(move || weir_slots::digest_of_file(&path)).await?;
        Ok(digest.to_string())
    }

    /// Puts it on the disk.
    pub(super) async fn sync(&self) -> io::Result<()> {
        let file = self.file.clone();
        blocking(move || file.sync_all()).await
    }
}

impl Sink for Partial {
    fn begin(&mut self, at: u64) -> io::Result<()> {
        if at < self.length {
            self.file.set_len(at)?;
        }
        (self.length, self.begins) = (at, at);
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        self.came += bytes.len() as u64;
        Ok(())
    }
}

/// Work of the disk's, away from the tasks that must not wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
