//! The bytes of a file as they are taken; no thread waits for who takes them slowly.

use super::giving::Place;
use crate::app::App;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::{
    fs::File,
    future::Future,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::task::JoinHandle;

/// Bytes read from the disk at a time.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Who is told that something is taken.
pub(super) enum Watcher {
    /// The place of an archive, which may be lost meanwhile.
    Place(Place),
    /// The pair: it is a sign of life of the standby.
    Pair,
}

/// A part of a file, as the body of an answer.
pub(super) struct Giver {
    file: Arc<File>,
    /// What is still to be read.
    part: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    app: Arc<App>,
    watcher: Watcher,
}

impl Giver {
    pub(super) fn new(app: &Arc<App>, file: File, part: Range<u64>, watcher: Watcher) -> Self {
        Self { file: Arc::new(file), part, reading: None, app: Arc::clone(app), watcher }
    }

    fn read(&self) -> JoinHandle<io::Result<Bytes>> {
        let (file, at) = (Arc::clone(&self.file), self.part.start);
        let length = usize::try_from((self.part.end - at).min(CHUNK_BYTES)).expect("a chunk fits in memory");
        tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; length];
            file.read_exact_at(&mut chunk, at)?;
            Ok(chunk.into())
        })
    }

    /// Whether it goes on being given.
    fn is_wanted(&self) -> bool {
        if *self.app.stopping().borrow() {
            return false;
        }
        match &self.watcher {
            Watcher::Place(place) => place.taken(weir_clock::monotonic_ms()),
            Watcher::Pair => {
                self.app.pair.touch();
                true
            }
        }
    }
}

impl Body for Giver {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.part.is_empty() {
            return Poll::Ready(None);
        }
        if !self.is_wanted() {
            // The rest of an archive is asked for by range, when the manager is back or a place is free.
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.read(),
        };
        let Poll::Ready(read) = Pin::new(&mut reading).poll(cx) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let chunk = match read.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())) {
            Ok(chunk) => chunk,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        self.part.start += chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.part.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.part.end - self.part.start)
    }
}
