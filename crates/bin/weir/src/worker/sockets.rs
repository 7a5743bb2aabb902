//! The listening sockets a keeper passed, by the name of their listener.

use super::Start;
use std::net::{TcpListener, UdpSocket};
use weir_sockets::{Adopted, AdoptedSockets};

/// The listening sockets of one device, by name.
pub(super) struct Sockets(Vec<Adopted>);

impl Sockets {
    /// Takes them out of a start.
    pub(super) fn of(start: &mut Start) -> Self {
        Self(std::mem::take(&mut start.control.adopted))
    }

    fn take(&mut self, name: &str) -> Option<AdoptedSockets> {
        let at = self.0.iter().position(|a| a.listener.name.as_str() == name)?;
        Some(self.0.swap_remove(at).sockets)
    }

    /// Every TCP socket of a listener; none when device.toml has no such listener.
    pub(super) fn tcp(&mut self, name: &str) -> Vec<TcpListener> {
        match self.take(name) {
            Some(AdoptedSockets::Tcp(sockets)) => sockets,
            _ => Vec::new(),
        }
    }

    /// Every UDP socket of a listener.
    pub(super) fn udp(&mut self, name: &str) -> Vec<UdpSocket> {
        match self.take(name) {
            Some(AdoptedSockets::Udp(sockets)) => sockets,
            _ => Vec::new(),
        }
    }
}
