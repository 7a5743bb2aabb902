//! Where a delivery service's content comes from.

use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, net::Ipv4Addr, str::FromStr};

/// Longest origin URL, in bytes.
pub const ORIGIN_URL_BYTES: usize = 1024;

/// `http://host[:port][/prefix]`: the prefix is put before the request's path. Origins over TLS are not offered yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OriginUrl {
    host: String,
    port: u16,
    prefix: String,
}

/// Why a text is not an origin URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Longer than [`ORIGIN_URL_BYTES`].
    #[error("is longer than {ORIGIN_URL_BYTES} bytes")]
    TooLong,
    /// Not `http://`.
    #[error("must begin with http:// (origins over https are not offered yet)")]
    Scheme,
    /// No host, or a host that is neither a name nor an address.
    #[error("has no valid host")]
    Host,
    /// A port that is not 1 to 65535.
    #[error("has a port that is not 1 to 65535")]
    Port,
    /// User information, a query or a fragment.
    #[error("may not have a user, a query or a fragment")]
    Extra,
    /// A character that may not stand in a path.
    #[error("has a character in its path that must be percent-encoded")]
    Path,
    /// An address no origin may have.
    #[error("names a link-local or unspecified address")]
    ForbiddenAddress,
}

fn valid_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// Whether an origin may have this address: private ones may, link-local and unspecified may not.
pub fn address_allowed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast() && v4 != Ipv4Addr::BROADCAST,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => address_allowed(IpAddr::V4(v4)),
            None => !v6.is_unicast_link_local() && !v6.is_unspecified() && !v6.is_multicast(),
        },
    }
}

impl OriginUrl {
    /// Host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }
    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
    /// Path prefix without a trailing slash; empty for none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
    /// `host[:port]` as the Host field carries it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

impl FromStr for OriginUrl {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text.len() > ORIGIN_URL_BYTES {
            return Err(OriginError::TooLong);
        }
        let rest = text.strip_prefix("http://").ok_or(OriginError::Scheme)?;
        if rest.contains(['?', '#', '@']) {
            return Err(OriginError::Extra);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path_byte = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:%".contains(&b);
        if !path.bytes().all(path_byte) || path.split('/').any(|s| s == "..") {
            return Err(OriginError::Path);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or(OriginError::Host)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| OriginError::Host)?;
                if !port.is_empty() && !port.starts_with(':') {
                    return Err(OriginError::Host);
                }
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let address = host.parse::<IpAddr>().ok();
        if address.is_none() && !valid_host(host) {
            return Err(OriginError::Host);
        }
        if address.is_some_and(|a| !address_allowed(a)) {
            return Err(OriginError::ForbiddenAddress);
        }
        let port = match port {
            None => 80,
            Some(text) => {
                text.parse::<u16>().ok().filter(|p| *p != 0 && text.bytes().all(|b| b.is_ascii_digit())).ok_or(OriginError::Port)?
            }
        };
        Ok(Self { host: host.to_ascii_lowercase(), port, prefix: path.trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for OriginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.prefix)
    }
}
impl TryFrom<String> for OriginUrl {
    type Error = OriginError;
    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}
impl From<OriginUrl> for String {
    fn from(origin: OriginUrl) -> String {
        origin.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepted() {
        for (text, shown) in [
            ("http://origin.example.com", "http://origin.example.com"),
            ("http://Origin.example.com:8080/", "http://origin.example.com:8080"),
            ("http://127.0.0.1:9000/media/", "http://127.0.0.1:9000/media"),
            ("http://[::1]:81", "http://[::1]:81"),
            ("http://origin:80/a", "http://origin/a"),
        ] {
            assert_eq!(text.parse::<OriginUrl>().map(|o| o.to_string()), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn refused() {
        for (text, error) in [
            ("https://a.example", OriginError::Scheme),
            ("ftp://a.example", OriginError::Scheme),
            ("", OriginError::Scheme),
            ("http://", OriginError::Host),
            ("http:///x", OriginError::Host),
            ("http://a b/", OriginError::Host),
            ("http://a:0", OriginError::Port),
            ("http://a:+1", OriginError::Port),
            ("http://a:70000", OriginError::Port),
            ("http://user@a", OriginError::Extra),
            ("http://a/?q", OriginError::Extra),
            ("http://a/../b", OriginError::Path),
            ("http://a/é", OriginError::Path),
            ("http://169.254.1.1", OriginError::ForbiddenAddress),
            ("http://[fe80::1]", OriginError::ForbiddenAddress),
            ("http://0.0.0.0", OriginError::ForbiddenAddress),
            ("http://[::ffff:169.254.1.1]/", OriginError::ForbiddenAddress),
        ] {
            assert_eq!(text.parse::<OriginUrl>(), Err(error), "{text}");
        }
        assert_eq!(format!("http://a/{}", "x".repeat(2000)).parse::<OriginUrl>(), Err(OriginError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(text in "http://[a-z0-9.:\\[\\]/-]{0,40}") {
            if let Ok(origin) = text.parse::<OriginUrl>() {
                prop_assert_eq!(origin.to_string().parse::<OriginUrl>(), Ok(origin));
            }
        }
    }
}
