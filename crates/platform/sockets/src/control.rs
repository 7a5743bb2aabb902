//! One end of the control socket: datagrams with sockets beside them, each wait with a deadline.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};
use weir_keeper_api::{DecodeError, MESSAGE_MAX_BYTES, Message, SOCKETS_PER_MESSAGE_MAX, encode};

/// How long a send waits for the other end to make room. A peer that has not read for this long is not alive.
pub const SEND_PATIENCE: Duration = Duration::from_secs(5);

/// Why the control socket could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The other process is gone.
    #[error("the other end of the control socket is closed")]
    Closed,
    /// The other process did not read or answer in time.
    #[error("nothing came over the control socket within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// Longer than [`MESSAGE_MAX_BYTES`], or with more sockets than the protocol allows.
    #[error("a message or the sockets beside it exceed the limits of the control socket")]
    TooMuch,
    /// Not a message of version 1.
    #[error("not a message of control socket version 1")]
    Malformed(#[from] DecodeError),
    /// A message that is not legal now.
    #[error("`{found}` came while waiting for {expected}")]
    OutOfOrder {
        /// The verb that came.
        found: String,
        /// What was waited for.
        expected: &'static str,
    },
    /// A socket was announced and none came, or the other way round.
    #[error("the sockets beside `{verb}` are not those it announces")]
    Sockets {
        /// The verb.
        verb: String,
    },
    /// The operating system refused.
    #[error("control socket")]
    Io(#[from] io::Error),
}

impl From<Errno> for ControlError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => ControlError::Closed,
            errno => ControlError::Io(errno.into()),
        }
    }
}

/// One datagram and the sockets that came beside it.
#[derive(Debug)]
pub struct Received {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// The sockets, close-on-exec.
    pub sockets: Vec<OwnedFd>,
}

/// One end of a `SOCK_SEQPACKET` pair.
#[derive(Debug)]
pub struct ControlSocket {
    fd: OwnedFd,
}

impl ControlSocket {
    /// A pair: the keeper's end, and the end the worker inherits as its standard input.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (mine, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { fd: mine }, theirs))
    }

    /// Takes an inherited end.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Sends a message with the sockets that ride beside it.
    ///
    /// # Errors
    /// [`ControlError::Closed`], [`ControlError::TimedOut`] after [`SEND_PATIENCE`], [`ControlError::TooMuch`], or the system's.
    pub fn tell(&self, message: &Message, sockets: &[BorrowedFd<'_>]) -> Result<(), ControlError> {
        self.send(&encode(message), sockets)
    }

    /// Sends one datagram with the sockets that ride beside it.
    ///
    /// # Errors
    /// As [`ControlSocket::tell`].
    pub fn send(&self, bytes: &[u8], sockets: &[BorrowedFd<'_>]) -> Result<(), ControlError> {
        if bytes.len() > MESSAGE_MAX_BYTES || sockets.len() > SOCKETS_PER_MESSAGE_MAX {
            return Err(ControlError::TooMuch);
        }
        let deadline = weir_clock::monotonic() + SEND_PATIENCE;
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_PER_MESSAGE_MAX))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            if !sockets.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(sockets)) {
                return Err(ControlError::TooMuch);
            }
            match sendmsg(&self.fd, &[IoSlice::new(bytes)], &mut beside, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if !self.wait(PollFlags::OUT, Some(deadline))? => return Err(ControlError::TimedOut(SEND_PATIENCE)),
                Err(Errno::AGAIN) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The next datagram; waits at most `patience`, for ever without one.
    ///
    /// # Errors
    /// [`ControlError::Closed`] when the other end is gone and everything it sent has been read, [`ControlError::TimedOut`],
    /// [`ControlError::TooMuch`] for a datagram over the limits, or the system's.
    pub fn recv(&self, patience: Option<Duration>) -> Result<Received, ControlError> {
        let deadline = patience.map(|patience| weir_clock::monotonic() + patience);
        loop {
            if !self.wait(PollFlags::IN, deadline)? {
                return Err(ControlError::TimedOut(patience.unwrap_or_default()));
            }
            match self.take() {
                Err(ControlError::Io(error)) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                result => return result,
            }
        }
    }

    fn take(&self) -> Result<Received, ControlError> {
        let mut bytes = vec![0; MESSAGE_MAX_BYTES + 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_PER_MESSAGE_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let message = recvmsg(&self.fd, &mut [IoSliceMut::new(&mut bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)?;
        let sockets = beside.drain().flat_map(|item| match item {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
            _ => Vec::new(),
        });
        let sockets: Vec<OwnedFd> = sockets.collect();
        if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) || message.bytes > MESSAGE_MAX_BYTES {
            return Err(ControlError::TooMuch);
        }
        // No message is empty, so an empty datagram can only be the end of the stream.
        if message.bytes == 0 {
            return Err(ControlError::Closed);
        }
        bytes.truncate(message.bytes);
        Ok(Received { bytes, sockets })
    }

    /// Whether the socket became usable before the deadline.
    fn wait(&self, flags: PollFlags, deadline: Option<Instant>) -> Result<bool, ControlError> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(weir_clock::monotonic()));
            let timeout = left.map(|left| Timespec::try_from(left).expect("a wait of the control socket fits a timespec"));
            match poll(&mut [PollFd::new(&self.fd, flags)], timeout.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (ControlSocket, ControlSocket) {
        let (mine, theirs) = ControlSocket::pair().expect("socketpair");
        (mine, ControlSocket::from_fd(theirs))
    }

    #[test]
    fn a_socket_rides_beside_its_message() {
        let (keeper, worker) = pair();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        keeper.send(b"BIND", &[listener.as_fd()]).expect("send");
        let mut received = worker.recv(Some(Duration::from_secs(5))).expect("recv");
        assert_eq!(received.bytes, b"BIND");
        let adopted = std::net::TcpListener::from(received.sockets.pop().expect("one socket"));
        assert_eq!(adopted.local_addr().expect("address"), listener.local_addr().expect("address"));
        assert!(received.sockets.is_empty());
    }

    #[test]
    fn waits_end_and_a_closed_end_is_told_after_what_it_sent() {
        let (keeper, worker) = pair();
        assert!(matches!(worker.recv(Some(Duration::from_millis(1))), Err(ControlError::TimedOut(_))));
        keeper.send(b"STOP", &[]).expect("send");
        drop(keeper);
        assert_eq!(worker.recv(None).expect("the last message").bytes, b"STOP");
        assert!(matches!(worker.recv(None), Err(ControlError::Closed)));
        assert!(matches!(worker.send(b"READY", &[]), Err(ControlError::Closed)));
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let (keeper, worker) = pair();
        assert!(matches!(keeper.send(&[b'A'; MESSAGE_MAX_BYTES + 1], &[]), Err(ControlError::TooMuch)));
        rustix::net::send(&keeper.fd, &[b'A'; MESSAGE_MAX_BYTES + 100], SendFlags::empty()).expect("raw send");
        assert!(matches!(worker.recv(Some(Duration::from_secs(5))), Err(ControlError::TooMuch)));
        keeper.send(&[b'A'; MESSAGE_MAX_BYTES], &[]).expect("at the limit");
        assert_eq!(worker.recv(Some(Duration::from_secs(5))).expect("recv").bytes.len(), MESSAGE_MAX_BYTES);
    }
}
