//! The end of a connection whose request was answered before all of it was read.
//!
//! Whoever closes with bytes unread may destroy the answer on its way (RFC 9112 section 9.6): the sender would hear of a reset instead
//! of the reason of a refusal. So what it still sends is taken and thrown away for a while.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Longest time a sender has to hear the answer and close.
const LINGER_TIME: Duration = Duration::from_secs(2);
/// Most bytes thrown away: more than the buffers of both sides and a fast line hold while the answer is on its way.
const LINGER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes thrown away at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Whether a request of the connection was answered before its body was read to the end.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    /// A body was given up.
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn was_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that lingers at its end when something is unread.
pub(super) struct Lingering<S> {
    stream: S,
    unread: Unread,
    end: End,
}

/// How far the end has come.
enum End {
    /// Nobody has ended it.
    Open,
    /// The other side knows that nothing more comes, and is heard out.
    Heard { timer: Pin<Box<Sleep>>, bytes: u64 },
    /// It may be closed.
    Over,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S, unread: Unread) -> Self {
        Self { stream, unread, end: End::Open }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.end {
                End::Open => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    let heard = || End::Heard { timer: Box::pin(sleep(LINGER_TIME)), bytes: 0 };
                    this.end = if this.unread.was_told() { heard() } else { End::Over };
                }
                End::Heard { timer, bytes } => {
                    if timer.as_mut().poll(cx).is_ready() || *bytes >= LINGER_BYTES_MAX {
                        this.end = End::Over;
                        continue;
                    }
                    let mut piece = [0; PIECE_BYTES];
                    let mut piece = ReadBuf::new(&mut piece);
                    let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece));
                    *bytes += piece.filled().len() as u64;
                    if read.is_err() || piece.filled().is_empty() {
                        this.end = End::Over;
                    }
                }
                End::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// A side that is at its end, and the other one.
    fn ending(unread: bool) -> (impl Future<Output = io::Result<()>>, tokio::io::DuplexStream) {
        let (here, there) = duplex(64 * 1024);
        let told = Unread::default();
        if unread {
            told.tell();
        }
        let mut here = Lingering::new(here, told);
        (async move { here.shutdown().await }, there)
    }

    #[tokio::test]
    async fn nothing_unread_is_nothing_waited_for() {
        let (end, _there) = ending(false);
        tokio::time::timeout(LINGER_TIME / 2, end).await.expect("at once").expect("ended");
    }

    #[tokio::test]
    async fn a_sender_is_heard_out_and_learns_of_the_end() {
        let (end, mut there) = ending(true);
        let sender = async move {
            let mut rest = Vec::new();
            there.read_to_end(&mut rest).await.expect("the end of what comes");
            for _ in 0..64 {
                there.write_all(&[7; 16 * 1024]).await.expect("taken");
            }
        };
        let (ended, ()) = tokio::time::timeout(LINGER_TIME / 2, async { tokio::join!(end, sender) }).await.expect("until it closes");
        ended.expect("ended");
    }

    #[tokio::test]
    async fn a_sender_without_end_is_left() {
        let (end, mut there) = ending(true);
        let sender = async move {
            let mut taken: u64 = 0;
            while there.write_all(&[7; PIECE_BYTES]).await.is_ok() {
                taken += PIECE_BYTES as u64;
            }
            taken
        };
        let (ended, taken) = tokio::join!(end, sender);
        ended.expect("ended");
        assert!(taken <= LINGER_BYTES_MAX + 64 * 1024 + PIECE_BYTES as u64, "{taken}");
    }

    #[tokio::test]
    async fn a_sender_that_stands_still_is_left() {
        let (end, _there) = ending(true);
        tokio::time::timeout(LINGER_TIME * 4, end).await.expect("not for ever").expect("ended");
    }
}
