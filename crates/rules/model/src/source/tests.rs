//! Addresses and lists of networks, as tables.

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
    assert_eq!(refusal("10.0.0.0/24 fd00::/64", "fd00::7"), None);
    for address in ["::1", "127.0.0.2", "10.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "::ffff:8.8.8.8"] {
        assert!(refusal("127.0.0.1/32", address).is_some(), "{address}");
    }
}

#[test]
fn an_ipv6_network_admits_no_ipv4_target() {
    for network in ["::/0", "::/64", "::/80", "::ffff:0:0/96", "::ffff:7f00:0/104", "::ffff:127.0.0.1/128"] {
        for address in ["::ffff:127.0.0.1", "127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"] {
            assert_eq!(refusal(network, address), refusal("", address), "{address} in {network}");
        }
    }
    for network in ["::/0", "64:ff9b::/96", "64:ff9b::/32", "64:ff9b::7f00:1/128"] {
        assert_eq!(refusal(network, "64:ff9b::127.0.0.1"), Some("loopback (RFC 1122)"), "in {network}");
    }
    assert_eq!(refusal("127.0.0.0/8 ::/0", "::ffff:127.0.0.1"), None, "the IPv4 network admits it");
}

#[test]
fn a_list_is_checked_as_a_whole() {
    let checked = |list: &str| SourceAllow::checked(list.split_whitespace().map(|network| network.parse().unwrap()).collect());
    let taken = |list: &str| checked(list).map(|allow| allow.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    for list in ["", "10.0.0.0/8 fd00::/8 fc00::/7 127.0.0.1/32 ::1/128 2001:db8::/32", "64:ff9b:1::/48 10.0.0.0/8 10.0.0.0/9"] {
        assert_eq!(taken(list), Ok(list.to_owned()));
    }
    assert_eq!(taken("10.1.2.3/8 fd12::1/8"), Ok("10.0.0.0/8 fd00::/8".to_owned()), "bits beyond the prefix go");
    for (list, refused) in [
        ("10.0.0.0/8 10.1.0.0/8", AllowError::Twice { index: 1, network: "10.0.0.0/8".parse().unwrap() }),
        ("10.0.0.0/8 ::ffff:7f00:0/104", AllowError::CarriesV4 { index: 1, network: "::ffff:7f00:0/104".parse().unwrap() }),
        ("::ffff:0:0/96", AllowError::CarriesV4 { index: 0, network: "::ffff:0:0/96".parse().unwrap() }),
        ("64:ff9b::/96", AllowError::CarriesV4 { index: 0, network: "64:ff9b::/96".parse().unwrap() }),
        ("0.0.0.0/0", AllowError::TooWide { index: 0, network: "0.0.0.0/0".parse().unwrap() }),
        ("10.0.0.0/8 ::/0", AllowError::TooWide { index: 1, network: "::/0".parse().unwrap() }),
        ("128.0.0.0/1", AllowError::TooWide { index: 0, network: "128.0.0.0/1".parse().unwrap() }),
        ("10.0.0.0/7", AllowError::TooWide { index: 0, network: "10.0.0.0/7".parse().unwrap() }),
        ("fc00::/6", AllowError::TooWide { index: 0, network: "fc00::/6".parse().unwrap() }),
    ] {
        assert_eq!(taken(list), Err(refused), "{list}");
    }
    let many = |count: usize| (0..count).map(|n| format!("10.{n}.0.0/16")).collect::<Vec<_>>().join(" ");
    assert!(checked(&many(ALLOW_MAX)).is_ok());
    assert_eq!(checked(&many(ALLOW_MAX + 1)), Err(AllowError::TooMany));
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
