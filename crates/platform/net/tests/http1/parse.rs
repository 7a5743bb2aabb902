//! The head parser as a function: it never panics, and how the bytes are cut never changes the verdict.

use proptest::prelude::*;
use weir_net::http1::{Framing, Head, HeadScan, HttpVersion, Limits, Progress, Refusal, parse_head};

/// Small, so that generated heads reach them.
fn small() -> Limits {
    Limits { header_bytes: 120, target_bytes: 24, header_fields: 3, ..Limits::default() }
}

fn parse(bytes: &[u8], limits: &Limits) -> (Result<Progress, Refusal>, Head) {
    let mut head = Head::default();
    (parse_head(bytes, limits, &mut head), head)
}

/// Heads put together from pieces that are often right and sometimes not.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        4 => Just("GET / HTTP/1.1\r\n"), 1 => Just("GET /a?b HTTP/1.0\r\n"), 1 => Just("\r\n"), 1 => Just("GET http://a/ HTTP/1.1\r\n"),
        1 => Just("OPTIONS * HTTP/1.1\r\n"), 1 => Just("GET / HTTP/3.0\r\n"), 1 => Just("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n"),
    ];
    let line = prop_oneof![
        3 => Just("Host: a\r\n"), 1 => Just("Content-Length: 3\r\n"), 1 => Just("Transfer-Encoding: chunked\r\n"), 1 => Just("X: y\r\n"),
        1 => Just("Connection: close, x\r\n"), 1 => Just(" fold\r\n"), 1 => Just("X : y\r\n"), 1 => Just("bare\n"), 1 => Just("bare\r"),
        1 => Just("\0"), 3 => Just("\r\n"), 1 => Just("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
    ];
    (proptest::collection::vec(start, 1..3), proptest::collection::vec(line, 0..7))
        .prop_map(|(start, lines)| (start.concat() + &lines.concat()).into_bytes())
}

proptest! {
    #[test]
    fn a_prefix_is_incomplete_or_has_the_verdict_of_the_whole(bytes in wire()) {
        let whole = parse(&bytes, &small());
        for cut in 0..bytes.len() {
            let prefix = parse(&bytes[..cut], &small());
            prop_assert!(prefix.0 == Ok(Progress::Incomplete) || prefix == whole, "cut at {cut}: {prefix:?}, whole {whole:?}");
        }
    }

    #[test]
    fn a_resumed_scan_ends_where_a_fresh_one_does(bytes in wire(), step in 1usize..9) {
        let limits = small();
        let whole = HeadScan::default().advance(&bytes, &limits);
        let mut scan = HeadScan::default();
        let mut seen = Ok(None);
        let mut end = 0;
        while end < bytes.len() && seen == Ok(None) {
            end = (end + step).min(bytes.len());
            seen = scan.advance(&bytes[..end], &limits);
        }
        prop_assert_eq!(seen, whole);
    }

    #[test]
    fn bytes_behind_a_head_do_not_matter(bytes in wire(), more in proptest::collection::vec(any::<u8>(), 0..40)) {
        let limits = small();
        if let (Ok(Progress::Complete(end)), head) = parse(&bytes, &limits) {
            let longer = [&bytes[..end], &more].concat();
            prop_assert_eq!(parse(&longer, &limits), (Ok(Progress::Complete(end)), head));
        }
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes, &Limits::default());
    }

    #[test]
    fn never_panics_on_almost_heads(bytes in wire(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = bytes;
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let (verdict, head) = parse(&bytes, &Limits::default());
        if let Ok(Progress::Complete(end)) = verdict {
            let address = ([127, 0, 0, 1], 80).into();
            let request = head.request(&bytes[..end], address, address, Default::default());
            prop_assert!(request.target.path.starts_with('/') || request.target.path == "*");
            prop_assert!(!request.host.is_empty() || request.version == HttpVersion::Http10);
            prop_assert!(request.fields.iter().all(|(name, _)| !name.is_empty()));
        }
    }
}

#[test]
fn framing_and_persistence() {
    let cases = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing::None, true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, Close\r\n\r\n", Framing::None, false),
        ("GET / HTTP/1.0\r\n\r\n", Framing::None, false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Framing::None, true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", Framing::None, false),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", Framing::Length(u64::MAX), true),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Framing::None, true),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n", Framing::Chunked, true),
    ];
    for (text, framing, keep_alive) in cases {
        let (verdict, head) = parse(text.as_bytes(), &Limits::default());
        assert_eq!(verdict, Ok(Progress::Complete(text.len())), "{text:?}");
        assert_eq!((head.framing(), head.keep_alive()), (framing, keep_alive), "{text:?}");
    }
}
