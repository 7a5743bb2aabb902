//! A file as the body of a request: read piece by piece while it is sent, so that no archive is ever whole in memory.

use anyhow::Context;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};
use tokio::{
    fs::File,
    io::{AsyncRead, ReadBuf},
};

/// Most bytes of the file in one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// The body. Its length is the file's when it was opened; a file that shrinks meanwhile fails the request.
pub(super) struct FileBody<F> {
    file: File,
    length: u64,
    sent: u64,
    watch: F,
}

impl<F: Fn(u64) + Unpin> FileBody<F> {
    /// Opens a regular file; `watch` is told how many bytes went so far.
    pub(super) async fn open(path: &Path, watch: F) -> anyhow::Result<Self> {
        let file = File::open(path).await.with_context(|| format!("open {}", path.display()))?;
        let about = file.metadata().await.with_context(|| format!("look at {}", path.display()))?;
        anyhow::ensure!(about.is_file(), "{} is not a file", path.display());
        Ok(Self { file, length: about.len(), sent: 0, watch })
    }

    /// Bytes that will be sent.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    fn left(&self) -> u64 {
        self.length - self.sent
    }
}

impl<F: Fn(u64) + Unpin> Body for FileBody<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let wanted = usize::try_from(this.left()).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        if wanted == 0 {
            return Poll::Ready(None);
        }
        let mut piece = vec![0; wanted];
        let mut into = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut this.file).poll_read(context, &mut into))?;
        let got = into.filled().len();
        if got == 0 {
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent"))));
        }
        piece.truncate(got);
        this.sent += got as u64;
        (this.watch)(this.sent);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    async fn read(mut body: FileBody<impl Fn(u64) + Unpin>) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            all.extend_from_slice(&frame?.into_data().map_err(|_| io::ErrorKind::InvalidData)?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn the_whole_file_goes_piece_by_piece_and_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        for length in [0, 1, PIECE_BYTES, PIECE_BYTES * 3 + 7] {
            let path = dir.path().join("archive");
            let content: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            std::fs::write(&path, &content).unwrap();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let note = seen.clone();
            let body = FileBody::open(&path, move |sent| note.lock().unwrap().push(sent)).await.unwrap();
            assert_eq!(body.size_hint().exact(), Some(length as u64));
            assert_eq!(read(body).await.unwrap(), content);
            let seen = seen.lock().unwrap();
            assert!(seen.is_sorted() && seen.len() >= length.div_ceil(PIECE_BYTES), "{seen:?}");
            assert_eq!(seen.last().copied().unwrap_or(0), length as u64);
        }
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_no_whole_upload_and_one_that_grows_is_sent_as_announced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("archive");
        std::fs::write(&path, vec![1; 1000]).unwrap();
        let body = FileBody::open(&path, |_| ()).await.unwrap();
        std::fs::write(&path, vec![1; 10]).unwrap();
        assert_eq!(read(body).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let body = FileBody::open(&path, |_| ()).await.unwrap();
        std::fs::write(&path, vec![2; 1000]).unwrap();
        assert_eq!(read(body).await.unwrap().len(), 10);
        assert!(FileBody::open(dir.path(), |_| ()).await.is_err(), "a directory");
    }
}
