//! Writes responses: one vectored write per hit, batches of ready pieces for streams, and a least rate for clients to read at.

use super::{
    BodyError, BodySource, Limits, SliceBody,
    framing::Delimiter,
    inbox::{Inbox, poll_read_into},
    lane::Lane,
    timer::Timer,
};
use bytes::Bytes;
use std::{
    future::poll_fn,
    io::{self, IoSlice, Write},
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Buffers of one vectored write; more go into the next one.
const WRITE_SLICES: usize = 64;
/// Pieces of a stream gathered for one write.
const BATCH_PIECES: usize = 32;
/// Bytes of a stream gathered for one write; the piece that crosses the line still goes with it.
const BATCH_BYTES: usize = 256 * 1024;

/// Why a response was not sent whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("client is gone")]
    Gone,
    #[error("write failed")]
    Write(#[source] io::Error),
    #[error("client does not read, or too slowly")]
    Stalled,
    #[error("body broke off")]
    Body(#[source] BodyError),
    #[error("body is not as long as announced: {announced} bytes announced, {given} given")]
    Length { announced: u64, given: u64 },
}

/// The sending side of a connection, for one response.
pub(crate) struct Sender<'a, T> {
    stream: &'a mut T,
    timer: &'a mut Timer,
    lane: &'a Lane,
    write_stall: Duration,
    send_bytes_min: u64,
    /// Bytes taken since the response began to wait for its client; absent while it waits for nobody, or for its source.
    window: Option<u64>,
}

impl<'a, T: AsyncRead + AsyncWrite + Unpin> Sender<'a, T> {
    pub(crate) fn new(stream: &'a mut T, timer: &'a mut Timer, lane: &'a Lane, limits: &Limits) -> Self {
        Self { stream, timer, lane, write_stall: limits.write_stall, send_bytes_min: limits.send_bytes_min.max(1), window: None }
    }

    /// Writes everything, together where it fits.
    pub(crate) async fn write(&mut self, mut prefix: &[u8], slices: &mut SliceBody, mut suffix: &[u8]) -> Result<(), SendError> {
        poll_fn(|cx| {
            while !(prefix.is_empty() && slices.is_empty() && suffix.is_empty()) {
                match poll_write(self.stream, cx, prefix, slices, suffix) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(SendError::Write(io::ErrorKind::WriteZero.into()))),
                    Poll::Ready(Ok(sent)) => {
                        self.lane.bytes_written.fetch_add(sent as u64, Relaxed);
                        advance(sent, &mut prefix, slices, &mut suffix);
                        if let Some(taken) = &mut self.window {
                            *taken += sent as u64;
                        }
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(SendError::Write(error))),
                    Poll::Pending => return self.poll_stalled(cx).map(Err),
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Ready when the client took too little in the time since the response began to wait for it.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<SendError> {
        loop {
            if self.window.is_none() {
                self.window = Some(0);
                self.timer.set(self.write_stall);
            }
            ready!(self.timer.poll_due(cx));
            if self.window.take() < Some(self.send_bytes_min) {
                return Poll::Ready(SendError::Stalled);
            }
        }
    }

    /// Writes `out` alone.
    pub(crate) async fn write_bytes(&mut self, out: &[u8]) -> Result<(), SendError> {
        self.write(out, &mut SliceBody::one(Bytes::new()), b"").await
    }

    /// Sends a head in `out` and a body from `source`: what is ready goes out together, the head at once.
    pub(crate) async fn stream(
        &mut self,
        out: &mut Vec<u8>,
        source: &mut dyn BodySource,
        delimiter: Delimiter,
        inbox: &mut Inbox,
    ) -> Result<(), SendError> {
        let mut batch = Vec::new();
        let mut given = 0;
        loop {
            let ended = self.gather(source, &mut batch, !out.is_empty(), inbox).await?;
            let mut slices = SliceBody::owned(batch);
            given += slices.len();
            let complete = match delimiter {
                Delimiter::Length(announced) if given > announced || (ended && given < announced) => {
                    return Err(SendError::Length { announced, given });
                }
                Delimiter::Length(announced) => given == announced,
                Delimiter::Chunked | Delimiter::Close => ended,
            };
            let suffix = if delimiter == Delimiter::Chunked { frame_chunk(out, slices.len(), ended) } else { b"" };
            self.write(out, &mut slices, suffix).await?;
            if complete {
                return Ok(());
            }
            out.clear();
            batch = slices.into_emptied();
        }
    }

    /// Collects pieces that are ready, waiting for one only if nothing is there to send. Returns whether the source ended.
    async fn gather(
        &mut self,
        source: &mut dyn BodySource,
        batch: &mut Vec<Bytes>,
        head_waits: bool,
        inbox: &mut Inbox,
    ) -> Result<bool, SendError> {
        let mut bytes = 0;
        poll_fn(|cx| {
            while batch.len() < BATCH_PIECES && bytes < BATCH_BYTES {
                match source.poll_next(cx) {
                    Poll::Ready(Ok(Some(piece))) if piece.is_empty() => {}
                    Poll::Ready(Ok(Some(piece))) => {
                        bytes += piece.len();
                        batch.push(piece);
                    }
                    Poll::Ready(Ok(None)) => return Poll::Ready(Ok(true)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(SendError::Body(error))),
                    Poll::Pending if head_waits || !batch.is_empty() => return Poll::Ready(Ok(false)),
                    Poll::Pending => {
                        self.window = None;
                        return poll_gone(self.stream, inbox, cx).map(|()| Err(SendError::Gone));
                    }
                }
            }
            Poll::Ready(Ok(false))
        })
        .await
    }
}

/// Frames what follows `out` as one chunk and, at the end, the last one (RFC 9112 7.1). Returns what goes behind the data.
fn frame_chunk(out: &mut Vec<u8>, length: u64, ended: bool) -> &'static [u8] {
    if length > 0 {
        write!(out, "{length:x}\r\n").expect("a vector takes every write");
    }
    match (length > 0, ended) {
        (true, false) => b"\r\n",
        (true, true) => b"\r\n0\r\n\r\n",
        (false, true) => b"0\r\n\r\n",
        (false, false) => b"",
    }
}

/// Ready when the client's end is closed; meanwhile receives what it pipelines, up to a bound.
fn poll_gone<T: AsyncRead + Unpin>(stream: &mut T, inbox: &mut Inbox, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        inbox.make_room();
        let (_, room) = inbox.split();
        if room.is_empty() {
            return Poll::Pending;
        }
        match poll_read_into(stream, room, cx) {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(count)) => inbox.grown(count),
            Poll::Pending => return Poll::Pending,
        }
    }
}

fn poll_write<T: AsyncWrite + Unpin>(
    stream: &mut T,
    cx: &mut Context<'_>,
    prefix: &[u8],
    body: &SliceBody,
    suffix: &[u8],
) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
    let mut used = 0;
    if !prefix.is_empty() {
        slices[0] = IoSlice::new(prefix);
        used = 1;
    }
    // One slot stays free for the suffix.
    let (filled, bytes) = body.fill(&mut slices[used..WRITE_SLICES - 1]);
    used += filled;
    if bytes == body.len() && !suffix.is_empty() {
        slices[used] = IoSlice::new(suffix);
        used += 1;
    }
    Pin::new(stream).poll_write_vectored(cx, &slices[..used])
}

fn advance(sent: usize, prefix: &mut &[u8], body: &mut SliceBody, suffix: &mut &[u8]) {
    let of_prefix = sent.min(prefix.len());
    *prefix = &prefix[of_prefix..];
    let left = (sent - of_prefix) as u64;
    let of_body = left.min(body.len());
    body.advance(of_body);
    // What is left went into the suffix, so it is no longer than that.
    *suffix = &suffix[(left - of_body) as usize..];
}
