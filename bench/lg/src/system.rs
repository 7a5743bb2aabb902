//! The two system calls that the standard library does not offer: epoll, and dropping received bytes inside the kernel.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Readiness of many sockets at once.
pub struct Epoll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// Events taken from the kernel per call.
const EVENTS: usize = 1024;
/// Milliseconds that one wait lasts at most, so that the end of the run is noticed.
const WAIT_MS: i32 = 100;

impl Epoll {
    pub fn new() -> Result<Self> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let raw = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `raw` was just created and has no other owner.
        let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Self { descriptor, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS] })
    }

    /// Reports `socket` as `token` whenever it can be read.
    pub fn add(&self, socket: &impl AsRawFd, token: usize) -> Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token as u64 };
        // SAFETY: `event` lives across the call, which copies it.
        check(unsafe { libc::epoll_ctl(self.descriptor.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &mut event) })?;
        Ok(())
    }

    /// Tokens of the sockets that can be read now.
    pub fn wait(&mut self) -> Result<impl Iterator<Item = usize> + '_> {
        let room = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
        // SAFETY: the buffer holds `room` events and lives across the call.
        let count = unsafe { libc::epoll_wait(self.descriptor.as_raw_fd(), self.events.as_mut_ptr(), room, WAIT_MS) };
        let count = check(count)? as usize;
        Ok(self.events[..count].iter().map(|event| event.u64 as usize))
    }
}

/// Drops up to `bytes` received bytes without copying them; 0 is the end of the stream.
pub fn discard(socket: &impl AsRawFd, bytes: usize) -> Result<usize> {
    // SAFETY: with MSG_TRUNC TCP discards and never writes through the pointer (tcp(7)).
    let count = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), bytes, libc::MSG_TRUNC | libc::MSG_DONTWAIT) };
    usize::try_from(count).map_err(|_| Error::last_os_error())
}

fn check(result: i32) -> Result<i32> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}
