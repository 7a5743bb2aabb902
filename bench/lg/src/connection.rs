//! One keep-alive connection: a request out, a head in, a body dropped.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Instant;

use crate::system::discard;

/// Bytes of a response head that are read at most.
const HEAD_BYTES: usize = 16 * 1024;
/// Bytes of a body dropped per call.
const DISCARD_BYTES: u64 = 1 << 20;

/// A whole answer.
pub struct Answer {
    pub status: u16,
    pub asked: Instant,
}

pub struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    have: usize,
    /// Bytes of the body still to come and the status, once the head is read.
    body: Option<(u64, u16)>,
    asked: Instant,
    /// Bytes received since this was last taken.
    pub received: u64,
}

impl Connection {
    pub fn open(to: SocketAddrV4) -> Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, head: vec![0; HEAD_BYTES], have: 0, body: None, asked: Instant::now(), received: 0 })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends one request; it fits the socket buffer, so a short write is an error.
    pub fn ask(&mut self, request: &[u8]) -> Result<()> {
        (self.have, self.body, self.asked) = (0, None, Instant::now());
        if self.stream.write(request)? == request.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
    }

    /// Reads once; the answer when it is whole.
    pub fn read(&mut self) -> Result<Option<Answer>> {
        let (left, status) = match self.body {
            Some((left, status)) => {
                let count = discard(&self.stream, left.min(DISCARD_BYTES) as usize)? as u64;
                if count == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                self.received += count;
                (left - count, status)
            }
            None => match self.read_head()? {
                Some(begun) => begun,
                None => return Ok(None),
            },
        };
        self.body = Some((left, status));
        Ok((left == 0).then_some(Answer { status, asked: self.asked }))
    }

    fn read_head(&mut self) -> Result<Option<(u64, u16)>> {
        let count = self.stream.read(&mut self.head[self.have..])?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.have += count;
        self.received += count as u64;
        let Some(end) = self.head[..self.have].windows(4).position(|four| four == b"\r\n\r\n") else {
            return if self.have == self.head.len() { Err(Error::other("head too long")) } else { Ok(None) };
        };
        let head = std::str::from_utf8(&self.head[..end]).map_err(Error::other)?;
        let (status, length) = read_fields(head).ok_or_else(|| Error::other(format!("no status or length in {head:?}")))?;
        let begun = (self.have - end - 4) as u64;
        let left = length.checked_sub(begun).ok_or_else(|| Error::other("more bytes than the answer has"))?;
        Ok(Some((left, status)))
    }
}

/// Status and Content-Length of a head.
fn read_fields(head: &str) -> Option<(u16, u64)> {
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    match length {
        Some((_, value)) => Some((status, value.trim().parse().ok()?)),
        None => matches!(status, 204 | 304).then_some((status, 0)),
    }
}
