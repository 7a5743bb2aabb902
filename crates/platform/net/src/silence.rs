//! Ends TCP connections whose other end has fallen silent, though nothing need be sent on them.
//!
//! A connection that a firewall has forgotten, or whose machine lost its power, stays open for ever otherwise.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};
use tokio::net::TcpStream;

/// Silence after which the kernel asks the other end, and the time from one question to the next.
const PROBE_TIME: Duration = Duration::from_secs(1);
/// Questions without an answer that end the connection, where the kernel does not know [`SILENCE_MAX`].
const PROBES: u32 = 3;
/// How long questions and bytes may go unanswered before the connection ends.
pub const SILENCE_MAX: Duration = Duration::from_secs(4);

/// Makes reads of `stream` fail once its other end has been silent for [`SILENCE_MAX`]; [`is_silence`] knows the error.
///
/// # Errors
/// Those of the system.
pub fn end_when_silent(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE_TIME).with_interval(PROBE_TIME).with_retries(PROBES))?;
    socket.set_tcp_user_timeout(Some(SILENCE_MAX))
}

/// Whether a connection ended because nothing came back, rather than because the other end closed or reset it.
pub fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
    matches!(error.kind(), TimedOut | HostUnreachable | NetworkUnreachable | NetworkDown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[tokio::test]
    async fn the_kernel_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connect");
        end_when_silent(&stream).expect("taken");
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("readable"));
        assert_eq!(socket.tcp_keepalive_time().expect("readable"), PROBE_TIME);
        assert_eq!(socket.tcp_keepalive_interval().expect("readable"), PROBE_TIME);
        assert_eq!(socket.tcp_keepalive_retries().expect("readable"), PROBES);
        assert_eq!(socket.tcp_user_timeout().expect("readable"), Some(SILENCE_MAX));
    }

    #[test]
    fn silence_is_not_an_end_the_other_side_made() {
        for errno in [Errno::TIMEDOUT, Errno::HOSTUNREACH, Errno::NETUNREACH] {
            assert!(is_silence(&errno.into()), "{errno}");
        }
        for errno in [Errno::CONNRESET, Errno::PIPE, Errno::CONNREFUSED] {
            assert!(!is_silence(&errno.into()), "{errno}");
        }
    }
}
