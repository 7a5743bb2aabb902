//! What a listener is: a name, a protocol, an address and how many sockets share it.

use std::{fmt, net::SocketAddr, str::FromStr};

/// Longest listener name, in bytes.
pub const NAME_MAX_BYTES: usize = 32;

/// Most sockets one listener may have: one per runtime, and no machine runs more runtimes than this on one address.
pub const COUNT_MAX: u16 = 64;

/// Most listeners one device may have, those of `device.toml` and those bound later together.
pub const LISTENERS_MAX: usize = 64;

/// The name of a listener, such as `http`: lower-case letters, digits and inner hyphens, at most 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerName(String);

/// The text is not a listener name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a listener name: 1 to 32 lower-case letters, digits and inner hyphens")]
pub struct NameError;

impl ListenerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ListenerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let edges = text.starts_with('-') || text.ends_with('-');
        if text.is_empty() || text.len() > NAME_MAX_BYTES || !letters || edges { Err(NameError) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The transport of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proto {
    /// A listening stream socket.
    Tcp,
    /// A bound datagram socket.
    Udp,
}

/// The text is not a listener's transport.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a transport: `tcp` or `udp`")]
pub struct ProtoError;

impl Proto {
    /// The word used on the wire and in `device.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
        }
    }
}

impl FromStr for Proto {
    type Err = ProtoError;

    fn from_str(text: &str) -> Result<Self, ProtoError> {
        match text {
            "tcp" => Ok(Proto::Tcp),
            "udp" => Ok(Proto::Udp),
            _ => Err(ProtoError),
        }
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One listener: `count` sockets that share one address by `SO_REUSEPORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// How the worker knows it, such as `http`.
    pub name: ListenerName,
    /// Stream or datagram.
    pub proto: Proto,
    /// Where it is bound.
    pub address: SocketAddr,
    /// How many sockets share the address, 1 to [`COUNT_MAX`].
    pub count: u16,
}

impl fmt::Display for ListenerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{} x{}", self.name, self.proto, self.address, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["http", "dns", "a", "http-2", "0", &"a".repeat(NAME_MAX_BYTES)] {
            assert_eq!(good.parse::<ListenerName>().expect(good).as_str(), good);
        }
        for bad in ["", "-http", "http-", "HTTP", "a b", "a=b", "a.b", "é", &"a".repeat(NAME_MAX_BYTES + 1)] {
            assert_eq!(bad.parse::<ListenerName>(), Err(NameError), "{bad:?}");
        }
    }
}
