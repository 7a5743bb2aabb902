//! Binding a listener's sockets.

use crate::holder::{Holder, holder};
use socket2::{Domain, Protocol, Socket, Type};
use std::{io, net::SocketAddr, os::fd::OwnedFd};
use weir_keeper_api::{ListenerSpec, Proto};

/// Connections the kernel queues per socket before a worker accepts them. `net.core.somaxconn` may lower it.
pub const BACKLOG: i32 = 4096;

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process holds the address.
    #[error("listener {listener}: the address is in use{}: stop what holds it or choose another", .holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default())]
    InUse {
        /// What was to be bound.
        listener: ListenerSpec,
        /// Who holds it, when `/proc` tells.
        holder: Option<Holder>,
    },
    /// The process may not bind the address.
    #[error("listener {listener}: permission denied, a port below 1024 needs root or CAP_NET_BIND_SERVICE")]
    Permission {
        /// What was to be bound.
        listener: ListenerSpec,
    },
    /// No interface of the machine has the address.
    #[error("listener {listener}: no interface of this machine has the address: add it or choose another")]
    NotAvailable {
        /// What was to be bound.
        listener: ListenerSpec,
    },
    /// The operating system refused for another reason.
    #[error("listener {listener}: cannot bind")]
    Io {
        /// What was to be bound.
        listener: ListenerSpec,
        /// The reason.
        source: io::Error,
    },
}

/// Binds every socket of a listener, non-blocking and close-on-exec, streams listening. The answer carries the address
/// they really have, which differs from the one asked for when its port was 0.
///
/// # Errors
/// [`BindError`]; nothing stays bound.
pub fn bind(listener: &ListenerSpec) -> Result<(ListenerSpec, Vec<OwnedFd>), BindError> {
    attempt(listener).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { listener: listener.clone(), holder: holder(listener.proto, listener.address) },
        io::ErrorKind::PermissionDenied => BindError::Permission { listener: listener.clone() },
        io::ErrorKind::AddrNotAvailable => BindError::NotAvailable { listener: listener.clone() },
        _ => BindError::Io { listener: listener.clone(), source },
    })
}

fn attempt(listener: &ListenerSpec) -> io::Result<(ListenerSpec, Vec<OwnedFd>)> {
    // A socket with SO_REUSEPORT joins any such group of the same user silently: another network's, or the sockets of a
    // worker whose keeper has died. One bind without it tells whether the address is free.
    let probe = open(listener.proto, listener.address)?;
    probe.bind(&listener.address.into())?;
    let address = probe.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    drop(probe);
    let sockets = (0..listener.count).map(|_| one(listener.proto, address)).collect::<io::Result<Vec<OwnedFd>>>()?;
    Ok((ListenerSpec { address, ..listener.clone() }, sockets))
}

fn open(proto: Proto, address: SocketAddr) -> io::Result<Socket> {
    let (kind, protocol) = match proto {
        Proto::Tcp => (Type::STREAM, Protocol::TCP),
        Proto::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if proto == Proto::Tcp {
        // Only past connections in TIME_WAIT are passed over by it; a listening holder is still refused.
        socket.set_reuse_address(true)?;
    }
    Ok(socket)
}

fn one(proto: Proto, address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = open(proto, address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if proto == Proto::Tcp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    fn spec(proto: Proto, address: &str, count: u16) -> ListenerSpec {
        ListenerSpec { name: "http".parse().expect("name"), proto, address: address.parse().expect("address"), count }
    }

    #[test]
    fn every_socket_of_a_listener_shares_one_address() {
        for proto in [Proto::Tcp, Proto::Udp] {
            let (bound, sockets) = bind(&spec(proto, "127.0.0.1:0", 3)).expect("bind");
            assert_eq!(sockets.len(), 3);
            assert_ne!(bound.address.port(), 0);
            for socket in sockets {
                let address = match proto {
                    Proto::Tcp => TcpListener::from(socket).local_addr(),
                    Proto::Udp => UdpSocket::from(socket).local_addr(),
                };
                assert_eq!(address.expect("address"), bound.address);
            }
        }
    }

    #[test]
    fn a_held_address_names_its_holder_even_when_the_holder_shares_ports() {
        for proto in [Proto::Tcp, Proto::Udp] {
            let (bound, _held) = bind(&spec(proto, "127.0.0.1:0", 2)).expect("bind");
            let error = bind(&bound).expect_err("held");
            let BindError::InUse { holder: Some(holder), .. } = &error else { panic!("{error}") };
            assert_eq!(holder.pid, std::process::id());
            assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        }
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        // RFC 5737 section 3: 192.0.2.0/24 is on no machine.
        assert!(matches!(bind(&spec(Proto::Tcp, "192.0.2.1:0", 1)), Err(BindError::NotAvailable { .. })));
    }

    #[test]
    fn an_address_with_past_connections_is_bound_again() {
        let (bound, sockets) = bind(&spec(Proto::Tcp, "127.0.0.1:0", 1)).expect("bind");
        let listener = TcpListener::from(sockets.into_iter().next().expect("one"));
        listener.set_nonblocking(false).expect("blocking");
        let client = TcpStream::connect(bound.address).expect("connect");
        let (served, _) = listener.accept().expect("accept");
        drop(listener);
        bind(&bound).expect("an established connection does not hold the address");
        drop((served, client));
        bind(&bound).expect("nor does one in TIME_WAIT");
    }
}
