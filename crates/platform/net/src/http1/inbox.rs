//! A connection's read buffer: the head being judged or served, then bytes received after it.

use super::Limits;
use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, ReadBuf};

/// What most heads fit in; the buffer grows to the head limit when one does not.
const FIRST_BYTES: usize = 2 * 1024;
/// Room made behind a head to watch its connection while the response is produced.
const ROOM_BYTES: usize = 1024;
/// Room made behind a head for each read of its body.
const BODY_ROOM_BYTES: usize = 16 * 1024;

/// `[0, head)` is the head in use, `[head, end)` what came after it. What is used is moved out of the way at once, so the
/// buffer stays within two heads and the room for a body, however many requests pass through it.
pub(crate) struct Inbox {
    buffer: Vec<u8>,
    head: usize,
    end: usize,
    head_limit: usize,
}

impl Inbox {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { buffer: vec![0; FIRST_BYTES.min(limits.header_bytes)], head: 0, end: 0, head_limit: limits.header_bytes }
    }

    /// Everything received and not yet used: the head, if one is taken, and what follows.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.end]
    }

    /// What follows the head taken.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer[self.head..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Keeps the first `length` bytes as the head until [`Inbox::release_head`].
    pub(crate) fn take_head(&mut self, length: usize, authority: Range<usize>) {
        self.head = length;
        self.buffer[authority].make_ascii_lowercase();
    }

    /// Drops the head. What follows it, as a rule nothing, moves to the front.
    pub(crate) fn release_head(&mut self) {
        self.buffer.copy_within(self.head..self.end, 0);
        self.end -= self.head;
        self.head = 0;
    }

    /// Removes the first `length` bytes after the head.
    pub(crate) fn use_rest(&mut self, length: usize) {
        self.buffer.copy_within(self.head + length..self.end, self.head);
        self.end -= length;
    }

    /// The bytes received, and the room behind them to read into meanwhile.
    pub(crate) fn split(&mut self) -> (&[u8], &mut [u8]) {
        let (used, room) = self.buffer.split_at_mut(self.end);
        (used, room)
    }

    /// `count` bytes were read into the room of [`Inbox::split`].
    pub(crate) fn grown(&mut self, count: usize) {
        self.end += count;
    }

    /// Makes room to watch the connection while a response is produced. The head stays where it is.
    pub(crate) fn make_room(&mut self) {
        if self.end == self.buffer.len() && self.end - self.head < self.head_limit {
            self.buffer.resize(self.end + ROOM_BYTES, 0);
        }
    }

    /// Forgets everything and lends the whole buffer, for reads nobody looks at.
    pub(crate) fn discard(&mut self) -> &mut [u8] {
        (self.head, self.end) = (0, 0);
        &mut self.buffer
    }

    /// Makes room for reads of a body behind the head.
    pub(crate) fn make_body_room(&mut self) {
        if self.buffer.len() - self.end < BODY_ROOM_BYTES {
            self.buffer.resize(self.end + BODY_ROOM_BYTES, 0);
        }
    }

    /// Bytes the buffer takes.
    #[cfg(test)]
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Reads once. `Ok(0)`: the client's end is closed.
    pub(crate) fn poll_read<T: AsyncRead + Unpin>(&mut self, stream: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.end == self.buffer.len() {
            self.widen();
        }
        let count = ready!(poll_read_into(stream, &mut self.buffer[self.end..], cx))?;
        self.end += count;
        Poll::Ready(Ok(count))
    }

    fn widen(&mut self) {
        // A head at its limit is refused by the scan before another read is asked for; behind a taken head is a body.
        let wanted = (self.buffer.len() * 2).min(self.head_limit).max(self.end + ROOM_BYTES);
        self.buffer.resize(wanted, 0);
    }
}

/// Reads once into `room`. A read that does not fill it spares tokio's next attempt the system call.
pub(crate) fn poll_read_into<T: AsyncRead + Unpin>(stream: &mut T, room: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(room);
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}
