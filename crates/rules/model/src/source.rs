//! Which addresses software may be fetched from, and why a fetch fails.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Most networks in the list.
pub const ALLOW_MAX: usize = 64;

/// Shortest prefix in the list: that of the widest network of private use, 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193). A wider
/// one names mostly public addresses, which need no listing, and every box of this network with them.
pub const PREFIX_MIN_V4: u8 = 8;
/// As [`PREFIX_MIN_V4`], for IPv6.
pub const PREFIX_MIN_V6: u8 = 7;

/// Networks that software may be fetched from although they are not public: the setting `software_sources.allow`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceAllow(pub Vec<IpNet>);

/// Why a list of networks is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// More than [`ALLOW_MAX`].
    #[error("at most {ALLOW_MAX} networks are allowed")]
    TooMany,
    /// The same network again.
    #[error("{network} is in the list twice")]
    Twice {
        /// Which, from 0.
        index: usize,
        /// Without the bits beyond its prefix.
        network: IpNet,
    },
    /// IPv4 addresses written as IPv6 ones, which no IPv6 network admits.
    #[error("{network} stands for IPv4 addresses")]
    CarriesV4 {
        /// Which, from 0.
        index: usize,
        /// Without the bits beyond its prefix.
        network: IpNet,
    },
    /// Wider than any private network.
    #[error("{network} is wider than any private network (/{} for IPv4, /{} for IPv6)", PREFIX_MIN_V4, PREFIX_MIN_V6)]
    TooWide {
        /// Which, from 0.
        index: usize,
        /// Without the bits beyond its prefix.
        network: IpNet,
    },
}

impl AllowError {
    /// The network it is about, from 0; none when it is about the list.
    pub fn index(&self) -> Option<usize> {
        match *self {
            Self::TooMany => None,
            Self::Twice { index, .. } | Self::CarriesV4 { index, .. } | Self::TooWide { index, .. } => Some(index),
        }
    }

    /// What to do instead, in the imperative.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::TooMany => "name the networks your servers are in by fewer prefixes",
            Self::Twice { .. } => "name each network once",
            Self::CarriesV4 { .. } => "name the IPv4 network itself",
            Self::TooWide { .. } => "name the networks your servers are in; public addresses need not be listed",
        }
    }
}

impl SourceAllow {
    /// A list as an operator gives it; the bits beyond each prefix go.
    ///
    /// # Errors
    /// The first network that may not be in it, unless there are too many.
    pub fn checked(networks: Vec<IpNet>) -> Result<Self, AllowError> {
        if networks.len() > ALLOW_MAX {
            return Err(AllowError::TooMany);
        }
        let mut allow = Self(Vec::with_capacity(networks.len()));
        for (index, network) in networks.iter().map(IpNet::trunc).enumerate() {
            let prefix_min = if network.addr().is_ipv4() { PREFIX_MIN_V4 } else { PREFIX_MIN_V6 };
            if network.prefix_len() < prefix_min {
                return Err(AllowError::TooWide { index, network });
            }
            if [MAPPED, NAT64].into_iter().any(|carrier| IpNet::V6(carrier).contains(&network)) {
                return Err(AllowError::CarriesV4 { index, network });
            }
            if allow.0.contains(&network) {
                return Err(AllowError::Twice { index, network });
            }
            allow.0.push(network);
        }
        Ok(allow)
    }

    /// Whether a connection to `address` may be made: it is public, or inside an allowed network.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.refusal(address).is_none()
    }

    /// Why no connection to `address` may be made: what it is instead of public. An IPv4-mapped address is refused as such, and allowed
    /// by a network that contains the IPv4 address in it; no IPv6 network allows an address that reaches an IPv4 one (RFC 6052 section
    /// 3.1: the well-known prefix stands for public addresses alone).
    pub fn refusal(&self, address: IpAddr) -> Option<&'static str> {
        let plain = address.to_canonical();
        let is_translated = IpNet::V6(NAT64).contains(&plain);
        let is_listed = !is_translated && self.0.iter().any(|network| network.contains(&plain));
        if is_listed { None } else { special_use(address) }
    }
}

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix)
}

const fn v6(head: [u16; 4], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(head[0], head[1], head[2], head[3], 0, 0, 0, 0), prefix)
}

/// IPv4 networks that are no part of the public Internet: the IANA IPv4 Special-Purpose Address Registry (RFC 6890) without the rows
/// that are globally reachable, and multicast (RFC 5771). The first network that contains an address names it.
const SPECIAL_V4: [(Ipv4Net, &str); 15] = [
    (v4(0, 0, 0, 8), "an address of \"this network\" (RFC 791)"),
    (v4(10, 0, 0, 8), "private (RFC 1918)"),
    (v4(100, 64, 0, 10), "behind a carrier's translator (RFC 6598)"),
    (v4(127, 0, 0, 8), "loopback (RFC 1122)"),
    (v4(169, 254, 0, 16), "link-local (RFC 3927)"),
    (v4(172, 16, 0, 12), "private (RFC 1918)"),
    (v4(192, 0, 0, 24), "reserved for protocols (RFC 6890)"),
    (v4(192, 0, 2, 24), "for documentation (RFC 5737)"),
    (v4(192, 88, 99, 24), "a 6to4 relay (RFC 7526)"),
    (v4(192, 168, 0, 16), "private (RFC 1918)"),
    (v4(198, 18, 0, 15), "for benchmarks (RFC 2544)"),
    (v4(198, 51, 100, 24), "for documentation (RFC 5737)"),
    (v4(203, 0, 113, 24), "for documentation (RFC 5737)"),
    (v4(224, 0, 0, 4), "multicast (RFC 5771)"),
    (v4(240, 0, 0, 4), "reserved or broadcast (RFC 1112)"),
];

/// IPv6 likewise: the IANA IPv6 Special-Purpose Address Registry, and the forms that carry an IPv4 address, which could name a private
/// one. Networks of `2001::/23` that are globally reachable (anycast, ORCHID) serve no files.
const SPECIAL_V6: [(Ipv6Net, &str); 16] = [
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "unspecified (RFC 4291)"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback (RFC 4291)"),
    (MAPPED, "IPv4-mapped (RFC 4291)"),
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96), "IPv4-compatible (RFC 4291)"),
    (v6([0x64, 0xff9b, 1, 0], 48), "for local translation (RFC 8215)"),
    (v6([0x100, 0, 0, 0], 64), "discarded (RFC 6666)"),
    (v6([0x2001, 0, 0, 0], 32), "Teredo (RFC 4380)"),
    (v6([0x2001, 0, 0, 0], 23), "reserved for protocols (RFC 2928)"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "for documentation (RFC 3849)"),
    (v6([0x2002, 0, 0, 0], 16), "6to4 (RFC 3056)"),
    (v6([0x3fff, 0, 0, 0], 20), "for documentation (RFC 9637)"),
    (v6([0x5f00, 0, 0, 0], 16), "for segment routing (RFC 9602)"),
    (v6([0xfc00, 0, 0, 0], 7), "unique local (RFC 4193)"),
    (v6([0xfe80, 0, 0, 0], 10), "link-local (RFC 4291)"),
    (v6([0xfec0, 0, 0, 0], 10), "site-local (RFC 3879)"),
    (v6([0xff00, 0, 0, 0], 8), "multicast (RFC 4291)"),
];

/// The only part of IPv6 that is allocated as global unicast (IANA IPv6 Address Space).
const GLOBAL_UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// RFC 4291 section 2.5.5.2: the last 32 bits are an IPv4 address.
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// RFC 6052 section 2.1: the well-known prefix, whose last 32 bits are the IPv4 address that is reached.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);

/// What `address` is when it is no part of the public Internet.
fn special_use(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_use_v4(address),
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            special_use_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(address) => match SPECIAL_V6.iter().find(|(network, _)| network.contains(&address)) {
            Some((_, name)) => Some(name),
            None if GLOBAL_UNICAST_V6.contains(&address) => None,
            None => Some("not allocated as global unicast"),
        },
    }
}

fn special_use_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, name)| *name)
}

/// Why software could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchReason {
    /// Not a URL.
    BadUrl,
    /// Neither http nor https.
    SchemeNotAllowed,
    /// The name has no address, or its resolver did not answer in time.
    Unresolvable,
    /// An address that is not public and not allowed.
    PrivateTarget,
    /// No connection.
    ConnectFailed,
    /// The server's certificate, or no TLS at all.
    TlsFailed,
    /// Nothing came for too long, or the whole took too long.
    Timeout,
    /// It came too slowly to be worth waiting for.
    TooSlow,
    /// The server wants other credentials (401, 403, 407).
    Unauthorized,
    /// The server has no such file (404, 410).
    FileNotFound,
    /// Any other status that is no success.
    HttpStatus,
    /// More redirects than are followed.
    TooManyRedirects,
    /// A redirect without a usable Location, or from https to http.
    RedirectRefused,
    /// Larger than an archive may be.
    FileTooLarge,
    /// Another length than the one that was stated.
    FileSizeDiffers,
    /// It ended early.
    CutShort,
    /// What came is not HTTP.
    BadResponse,
}

impl FetchReason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::BadUrl,
        Self::SchemeNotAllowed,
        Self::Unresolvable,
        Self::PrivateTarget,
        Self::ConnectFailed,
        Self::TlsFailed,
        Self::Timeout,
        Self::TooSlow,
        Self::Unauthorized,
        Self::FileNotFound,
        Self::HttpStatus,
        Self::TooManyRedirects,
        Self::RedirectRefused,
        Self::FileTooLarge,
        Self::FileSizeDiffers,
        Self::CutShort,
        Self::BadResponse,
    ];

    /// The word on pages and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::SchemeNotAllowed => "scheme_not_allowed",
            Self::Unresolvable => "unresolvable",
            Self::PrivateTarget => "private_target",
            Self::ConnectFailed => "connect_failed",
            Self::TlsFailed => "tls_failed",
            Self::Timeout => "timeout",
            Self::TooSlow => "too_slow",
            Self::Unauthorized => "unauthorized",
            Self::FileNotFound => "file_not_found",
            Self::HttpStatus => "http_status",
            Self::TooManyRedirects => "too_many_redirects",
            Self::RedirectRefused => "redirect_refused",
            Self::FileTooLarge => "file_too_large",
            Self::FileSizeDiffers => "file_size_differs",
            Self::CutShort => "cut_short",
            Self::BadResponse => "bad_response",
        }
    }
}

impl fmt::Display for FetchReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests;
