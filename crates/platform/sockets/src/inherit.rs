//! Sockets that outlive a program: kept open over `exec`, and taken over by the program that follows in the same process.

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// Keeps a socket open in the program this process turns into; the number it will have there.
///
/// # Errors
/// The system's.
pub fn keep_over_exec(socket: &OwnedFd) -> io::Result<RawFd> {
    fcntl_setfd(socket, FdFlags::empty())?;
    Ok(socket.as_raw_fd())
}

/// Undoes [`keep_over_exec`]: the process stayed what it was.
///
/// # Errors
/// The system's.
pub fn close_over_exec(socket: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfd(socket, FdFlags::CLOEXEC)?)
}

/// Takes over a socket that the program before kept open under this number. It must have been bound to `address`, and nobody else
/// in this process may own the number: the program before said so, and this one has opened nothing that could have it.
///
/// # Errors
/// There is no such socket, or it has another address; whatever has the number stays as it is.
pub fn take_inherited(number: RawFd, address: SocketAddr) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: a number that is not open only fails the calls made with it below; it is not kept beyond them.
    #[allow(unsafe_code, reason = "a number from the program before can only be looked at as a borrowed descriptor")]
    let there = unsafe { BorrowedFd::borrow_raw(number) };
    // What this program opened itself closes over exec; what was kept for it does not.
    if fcntl_getfd(there)?.contains(FdFlags::CLOEXEC) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if socket2::SockRef::from(&there).local_addr()?.as_socket() != Some(address) {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    // SAFETY: it is open, was kept open by the program before for this one, and close-on-exec is set at once, so that nobody can take
    // it a second time.
    #[allow(unsafe_code, reason = "the descriptor has had no owner since the program before")]
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(socket.as_fd(), FdFlags::CLOEXEC)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn only_what_was_kept_for_the_next_program_and_has_the_address_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let socket = OwnedFd::from(listener);
        let number = socket.as_raw_fd();
        assert!(take_inherited(number, address).is_err(), "it is this program's own");
        assert_eq!(keep_over_exec(&socket).expect("kept"), number);
        assert!(take_inherited(number, "127.0.0.1:1".parse().expect("address")).is_err(), "another address");
        // As if another program had kept it.
        std::mem::forget(socket);
        let taken = TcpListener::from(take_inherited(number, address).expect("taken"));
        assert_eq!(taken.local_addr().expect("address"), address);
        assert!(take_inherited(number, address).is_err(), "a second time");
        assert!(take_inherited(-1, address).is_err() && take_inherited(i32::MAX, address).is_err());
    }
}
