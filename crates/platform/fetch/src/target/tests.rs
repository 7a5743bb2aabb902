//! URLs and redirects, as tables.

use super::*;
use http::Response;
use proptest::prelude::*;

fn target(text: &str) -> Target {
    Target::parse(text).unwrap_or_else(|failure| panic!("{text}: {}", failure.detail))
}

fn redirect(from: &str, locations: &[&[u8]]) -> Result<Target, Failure> {
    let mut answer = Response::builder().status(302);
    for location in locations {
        answer = answer.header(LOCATION, HeaderValue::from_bytes(location).expect("a value"));
    }
    target(from).redirect(&answer.body(()).expect("a response").into_parts().0)
}

#[test]
fn urls_that_are_asked() {
    for (text, authority, path, port) in [
        ("http://files.example/weir.weir", "files.example", "/weir.weir", 80),
        ("HTTPS://Files.Example:8443/a/../b%20c?d=e#f", "files.example:8443", "/b%20c?d=e", 8443),
        ("https://[2001:DB8::1]:444", "[2001:db8::1]:444", "/", 444),
        ("http://b\u{fc}cher.example:80/", "xn--bcher-kva.example", "/", 80),
    ] {
        let target = target(text);
        assert_eq!((target.authority(), target.path_and_query(), target.port()), (authority, path, port), "{text}");
    }
}

#[test]
fn numbers_are_addresses_however_they_are_written() {
    for text in ["http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://%31%32%37.0.0.1/"] {
        assert!(matches!(target(text).peer(), Peer::Address(address) if address.is_loopback()), "{text}");
    }
    assert!(matches!(target("http://[::ffff:127.0.0.1]/").peer(), Peer::Address(IpAddr::V6(_))));
    assert!(matches!(target("http://127.0.0.1.example/").peer(), Peer::Name("127.0.0.1.example")));
}

#[test]
fn urls_that_are_not() {
    for (text, reason) in [
        ("", FetchReason::BadUrl),
        ("files.example/a", FetchReason::BadUrl),
        ("http://", FetchReason::BadUrl),
        ("http://a:99999/", FetchReason::BadUrl),
        ("http://a:0/", FetchReason::BadUrl),
        ("http://ann@files.example/", FetchReason::BadUrl),
        ("http://:hunter2@files.example/", FetchReason::BadUrl),
        ("file:///etc/passwd", FetchReason::SchemeNotAllowed),
        ("ftp://files.example/a", FetchReason::SchemeNotAllowed),
        ("data:text/plain,a", FetchReason::SchemeNotAllowed),
        ("files.example:80/a", FetchReason::SchemeNotAllowed),
    ] {
        let Err(failure) = Target::parse(text) else { panic!("{text} was taken") };
        assert_eq!(failure.reason, reason, "{text}: {}", failure.detail);
        assert!(!failure.detail.contains("hunter2"), "{}", failure.detail);
    }
    let long = format!("http://a/{}", "b".repeat(URL_BYTES_MAX));
    assert!(Target::parse(&long).is_err_and(|failure| failure.reason == FetchReason::BadUrl));
}

#[test]
fn where_redirects_lead() {
    for (from, location, shown) in [
        ("http://a/b/c?d", "e", "http://a/b/e"),
        ("http://a/b/c?d", "/e?f", "http://a/e?..."),
        ("http://a/b", "?x=secret", "http://a/b?..."),
        ("http://a/b", "//c:81/d", "http://c:81/d"),
        ("http://a/b", "https://c/d#e", "https://c/d"),
        ("https://a/b", "https://[::1]/", "https://[::1]/"),
    ] {
        let next = redirect(from, &[location.as_bytes()]).unwrap_or_else(|failure| panic!("{location}: {}", failure.detail));
        assert_eq!(next.shown(), shown, "{from} to {location}");
    }
}

#[test]
fn redirects_that_are_not_followed() {
    let long = format!("/{}", "b".repeat(URL_BYTES_MAX));
    let refused: [(&str, &[&[u8]], FetchReason); 9] = [
        ("http://a/b", &[], FetchReason::RedirectRefused),
        ("http://a/b", &[b"/c", b"/d"], FetchReason::RedirectRefused),
        ("http://a/b", &[b"http://"], FetchReason::RedirectRefused),
        ("http://a/b", &[b"/\xff"], FetchReason::RedirectRefused),
        ("http://a/b", &[long.as_bytes()], FetchReason::RedirectRefused),
        ("http://a/b", &[b"http://ann:hunter2@c/"], FetchReason::RedirectRefused),
        ("https://a/b", &[b"http://a/b"], FetchReason::RedirectRefused),
        ("http://a/b", &[b"file:///etc/passwd"], FetchReason::SchemeNotAllowed),
        ("https://a/b", &[b"ftp://a/b"], FetchReason::SchemeNotAllowed),
    ];
    for (from, locations, reason) in refused {
        let Err(failure) = redirect(from, locations) else { panic!("{locations:?} was followed") };
        assert_eq!(failure.reason, reason, "{}", failure.detail);
        assert!(!failure.detail.contains("hunter2"), "{}", failure.detail);
    }
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let here = target("http://a.example:8080/b");
    assert!(target("http://A.example:8080/c?d").is_same_origin(&here));
    for other in ["https://a.example:8080/b", "http://b.example:8080/b", "http://a.example/b", "http://a.example.:8080/b"] {
        assert!(!target(other).is_same_origin(&here), "{other}");
    }
    assert!(target("http://a.example/").is_same_origin(&target("http://a.example:80/")));
}

proptest! {
    #[test]
    fn no_location_leads_out_of_http(from in "https?://a/[a-z]{0,4}", location in "\\PC{0,40}") {
        if let Ok(next) = redirect(&from, &[location.as_bytes()]) {
            prop_assert!(["http", "https"].contains(&next.url.scheme()));
            prop_assert!(next.is_tls() || !from.starts_with("https"));
            prop_assert!(!has_credentials(&next.url));
        }
    }

    #[test]
    fn what_is_shown_holds_no_query(query in "[a-z0-9=&]{4,20}", path in "[A-Z]{0,8}") {
        let shown = target(&format!("https://files.EXAMPLE/{path}?{query}")).shown();
        prop_assert_eq!(shown, format!("https://files.example/{path}?..."));
    }
}

#[test]
fn a_url_is_shown_without_what_may_be_a_secret() {
    for (url, expected) in [
        ("https://files.example/a.weir", "https://files.example/a.weir"),
        ("https://files.example:8443/a.weir?X-Signature=hush", "https://files.example:8443/a.weir?..."),
        ("https://files.example/a.weir?", "https://files.example/a.weir?..."),
        ("https://files.example/a.weir?a=b#hush", "https://files.example/a.weir?..."),
        ("https://files.example/a.weir#hush?b", "https://files.example/a.weir"),
        ("http://ann:hush@files.example/a.weir?hush", "http://files.example/a.weir?..."),
        ("http://ann@[::1]:80/", "http://[::1]/"),
        ("no URL?hush", "no URL?..."),
        ("no URL#hush", "no URL"),
        ("//ann:hush@files.example/a?b", "files.example/a?..."),
        ("", ""),
    ] {
        assert_eq!(crate::shown(url), expected, "{url}");
        assert!(!crate::shown(url).contains("hush"));
    }
}

proptest! {
    #[test]
    fn what_is_shown_is_what_a_chain_shows(path in "[a-z/]{0,8}", query in proptest::option::of("[a-z0-9=&]{0,12}")) {
        let url = match &query {
            Some(query) => format!("https://files.example/{path}?{query}"),
            None => format!("https://files.example/{path}"),
        };
        prop_assert_eq!(crate::shown(&url), target(&url).shown());
    }
}
