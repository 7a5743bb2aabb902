//! Which addresses software may be fetched from, and why a fetch fails.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Most networks in the list.
pub const ALLOW_MAX: usize = 64;

/// Networks that software may be fetched from although they are not public: the setting `software_sources.allow`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceAllow(pub Vec<IpNet>);

impl SourceAllow {
    /// Whether a connection to `address` may be made: it is public, or inside an allowed network.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.refusal(address).is_none()
    }

    /// Why no connection to `address` may be made: what it is instead of public. An IPv4-mapped address is refused as such, and allowed
    /// by a network that contains it or the IPv4 address in it.
    pub fn refusal(&self, address: IpAddr) -> Option<&'static str> {
        let plain = address.to_canonical();
        if self.0.iter().any(|network| network.contains(&address) || network.contains(&plain)) { None } else { special_use(address) }
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
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), "IPv4-mapped (RFC 4291)"),
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(allow: &str, address: &str) -> Option<&'static str> {
        let allow = SourceAllow(allow.split_whitespace().map(|network| network.parse().unwrap()).collect());
        let address = address.parse().unwrap();
        assert_eq!(allow.admits(address), allow.refusal(address).is_none());
        allow.refusal(address)
    }

    #[test]
    fn only_public_addresses_are_admitted() {
        let public = "1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 \
            172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 \
            198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 \
            2000:: 2001:200:: 2001:db7:ffff:: 2001:db9:: 2003:: 2606:4700::1111 2a00:1450::1 3ffe:ffff:: 3fff:1000:: 64:ff9b::808:808";
        for address in public.split_whitespace() {
            assert_eq!(refusal("", address), None, "{address}");
        }
        let table = [
            ("this network", "0.0.0.0 0.255.255.255 64:ff9b:: 64:ff9b::0.1.2.3"),
            ("private", "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 64:ff9b::10.1.2.3"),
            ("carrier", "100.64.0.0 100.127.255.255"),
            ("loopback", "127.0.0.0 127.0.0.1 127.255.255.255 ::1 64:ff9b::7f00:1"),
            ("link-local", "169.254.0.0 169.254.169.254 169.254.255.255 fe80:: fe80::1 febf:ffff:: 64:ff9b::169.254.169.254"),
            ("protocols", "192.0.0.0 192.0.0.255 2001:1::1 2001:2::1 2001:20::1 2001:1ff:ffff::"),
            ("documentation", "192.0.2.1 198.51.100.1 203.0.113.255 2001:db8:: 2001:db8:ffff:: 3fff:: 3fff:fff:ffff::"),
            ("6to4", "192.88.99.1 2002:: 2002:808:808::1 2002:ffff:ffff::"),
            ("benchmarks", "198.18.0.0 198.19.255.255"),
            ("multicast", "224.0.0.0 239.255.255.255 ff00:: ff02::1 ffff:ffff::"),
            ("reserved or broadcast", "240.0.0.0 255.255.255.254 255.255.255.255"),
            ("unspecified", "::"),
            ("IPv4-mapped", "::ffff:0:0 ::ffff:127.0.0.1 ::ffff:8.8.8.8"),
            ("IPv4-compatible", "::2 ::127.0.0.1 ::8.8.8.8"),
            ("local translation", "64:ff9b:1::1 64:ff9b:1:ffff::10.0.0.1"),
            ("discarded", "100:: 100::1"),
            ("Teredo", "2001:: 2001:0:1::1"),
            ("segment routing", "5f00::1"),
            ("unique local", "fc00:: fd00::1 fdff:ffff::"),
            ("site-local", "fec0:: feff:ffff::"),
            ("not allocated", "::ffff:0:0:1 64:ff9a:: 64:ff9b:0:1:: 100:0:0:1:: 1fff:ffff:: 4000:: fe00:: fbff::"),
        ];
        for (word, addresses) in table {
            for address in addresses.split_whitespace() {
                let found = refusal("", address);
                assert!(found.is_some_and(|found| found.contains(word)), "{address}: {found:?}, not {word}");
            }
        }
    }

    #[test]
    fn an_allowed_network_admits_its_addresses_and_no_others() {
        assert_eq!(refusal("127.0.0.0/8", "127.0.0.1"), None);
        assert_eq!(refusal("127.0.0.0/8", "::ffff:127.0.0.1"), None);
        assert_eq!(refusal("::ffff:7f00:0/104", "::ffff:127.0.0.1"), None);
        assert_eq!(refusal("10.0.0.0/24 fd00::/64", "fd00::7"), None);
        for address in ["::1", "127.0.0.2", "10.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "::ffff:8.8.8.8"] {
            assert!(refusal("127.0.0.1/32", address).is_some(), "{address}");
        }
        assert!(refusal("::ffff:7f00:0/104", "127.0.0.1").is_some(), "the mapped form does not allow the plain one");
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_public_to_nobody(bits: u32) {
            let address = IpAddr::V6(Ipv4Addr::from_bits(bits).to_ipv6_mapped());
            prop_assert_eq!(SourceAllow::default().refusal(address), Some("IPv4-mapped (RFC 4291)"));
        }

        #[test]
        fn a_translated_address_is_judged_as_what_it_reaches(bits: u32) {
            let plain = Ipv4Addr::from_bits(bits);
            let translated = Ipv6Addr::from_bits((0x64_ff9b_u128 << 96) | u128::from(bits));
            let allow = SourceAllow::default();
            prop_assert_eq!(allow.refusal(IpAddr::V6(translated)), allow.refusal(IpAddr::V4(plain)));
        }

        #[test]
        fn what_the_standard_library_calls_special_is_refused(bits: u32, wide: u128) {
            let (four, six) = (Ipv4Addr::from_bits(bits), Ipv6Addr::from_bits(wide));
            let allow = SourceAllow::default();
            if four.is_private() || four.is_loopback() || four.is_link_local() || four.is_multicast() || four.is_broadcast()
                || four.is_documentation() || four.is_unspecified()
            {
                prop_assert!(!allow.admits(IpAddr::V4(four)));
            }
            if six.is_multicast() || six.is_unique_local() || six.is_unicast_link_local() {
                prop_assert!(!allow.admits(IpAddr::V6(six)));
            }
        }

        #[test]
        fn a_single_address_can_be_allowed(bits: u32, other: u32) {
            let allow = SourceAllow(vec![IpNet::from(IpAddr::V4(Ipv4Addr::from_bits(bits)))]);
            prop_assert!(allow.admits(IpAddr::V4(Ipv4Addr::from_bits(bits))));
            let other = Ipv4Addr::from_bits(other);
            prop_assume!(other.to_bits() != bits);
            prop_assert_eq!(allow.admits(IpAddr::V4(other)), special_use_v4(other).is_none());
        }
    }
}
