//! URLs, addresses, connections and redirects.

use crate::{
    run::Run,
    server::{Server, ok, redirect},
};
use std::{net::TcpListener, time::Duration};
use weir_fetch::Credentials;
use weir_model::{FetchReason, SoftwareCheck};

fn token() -> Credentials {
    Credentials::Header { name: "X-Token".to_owned(), value: "hunter2".to_owned().into() }
}

#[tokio::test]
async fn urls_that_are_not_asked() {
    for (url, reason) in [
        ("weir.weir", FetchReason::BadUrl),
        ("http://ann:hunter2@127.0.0.1/", FetchReason::BadUrl),
        ("file:///etc/passwd", FetchReason::SchemeNotAllowed),
        ("ftp://127.0.0.1/", FetchReason::SchemeNotAllowed),
    ] {
        let detail = Run::of(url).fails(SoftwareCheck::Resolve, reason).await;
        assert!(!detail.contains("hunter2"), "{detail}");
    }
}

#[tokio::test]
async fn addresses_that_are_not_allowed() {
    let server = Server::fixed(ok(b"abc"));
    let port = server.address.port();
    for (url, allow, word) in [
        (format!("http://127.0.0.1:{port}/"), "", "loopback"),
        (format!("http://2130706433:{port}/"), "10.0.0.0/8", "loopback"),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), "", "IPv4-mapped"),
        (format!("http://[::1]:{port}/"), "127.0.0.0/8", "loopback"),
        (format!("http://localhost:{port}/"), "10.0.0.0/8", "localhost"),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "127.0.0.0/8", "link-local"),
        (format!("http://0.0.0.0:{port}/"), "127.0.0.0/8", "this network"),
    ] {
        let detail = Run { allow, ..Run::of(url.clone()) }.fails(SoftwareCheck::Resolve, FetchReason::PrivateTarget).await;
        assert!(detail.contains(word), "{url}: {detail}");
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    let ran = Run::of(format!("http://[::ffff:127.0.0.1]:{port}/")).go().await;
    assert_eq!(ran.bytes, b"abc", "its IPv4 address is allowed");
}

#[tokio::test]
async fn a_name_is_its_addresses() {
    let server = Server::fixed(ok(b"abc"));
    let url = format!("http://localhost:{}/", server.address.port());
    let ran = Run { allow: "127.0.0.0/8 ::1/128", ..Run::of(url) }.go().await;
    assert_eq!(ran.bytes, b"abc", "{:?}", ran.result);
    assert!(ran.found(SoftwareCheck::Resolve).is_some_and(|found| found.starts_with("localhost is ") && found.contains("127.0.0.1")));
    assert!(server.requests()[0].contains("\r\nhost: localhost:"), "{:?}", server.requests());
}

#[tokio::test]
async fn names_without_addresses() {
    // RFC 6761 section 6.4: nothing has this name.
    Run::of("http://weir.invalid/").fails(SoftwareCheck::Resolve, FetchReason::Unresolvable).await;
}

#[test]
fn a_resolver_that_does_not_answer() {
    // The system's resolver is asked on the runtime's blocking threads; there is one, and it is held.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().expect("a runtime");
    let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
    drop(runtime.spawn_blocking(move || held.recv()));
    let mut run = Run::of("http://weir.invalid/");
    run.limits.resolve = Duration::from_millis(100);
    let detail = runtime.block_on(run.fails(SoftwareCheck::Resolve, FetchReason::Unresolvable));
    assert!(detail.contains("no answer about weir.invalid within 0.1 s"), "{detail}");
    drop(release);
}

#[tokio::test]
async fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let detail = Run::of(format!("http://127.0.0.1:{port}/")).fails(SoftwareCheck::Connect, FetchReason::ConnectFailed).await;
    assert!(detail.contains("connection refused"), "{detail}");
}

#[tokio::test]
async fn redirects_are_followed_and_told() {
    let last = Server::fixed(ok(b"abc"));
    let (host, there) = (last.address, last.url("/c?sig=hunter2"));
    for status in [301, 302, 303, 307, 308] {
        let there = there.clone();
        let first = Server::http(move |head, stream| {
            let answer = if head.starts_with("GET /a ") { redirect(status, "b?x") } else { redirect(status, &there) };
            crate::server::send(stream, &answer);
        });
        let ran = Run::of(first.url("/a")).go().await;
        assert_eq!(ran.bytes, b"abc", "{:?}", ran.result);
        let chain = [first.url("/a"), first.url("/b?..."), format!("http://{host}/c?...")];
        assert_eq!(ran.result.as_ref().expect("content").chain, chain);
        assert_eq!(ran.found(SoftwareCheck::Redirects), Some(chain.join(" -> ").as_str()));
        assert_eq!(ran.found(SoftwareCheck::Connect), Some(format!("{}, without TLS", first.address).as_str()));
    }
}

#[tokio::test]
async fn redirects_end_somewhere() {
    let server = Server::http(|head, stream| {
        let n: usize = head.split(['/', ' ']).nth(2).and_then(|n| n.parse().ok()).expect("a number");
        crate::server::send(stream, &if n == 0 { ok(b"abc") } else { redirect(302, &format!("/{}", n - 1)) });
    });
    assert_eq!(Run::of(server.url("/3")).go().await.bytes, b"abc");
    Run::of(server.url("/4")).fails(SoftwareCheck::Redirects, FetchReason::TooManyRedirects).await;
    let server = Server::fixed(redirect(302, "/"));
    Run::of(server.url("/")).fails(SoftwareCheck::Redirects, FetchReason::TooManyRedirects).await;
    assert_eq!(server.requests().len(), 4, "the first and three redirects");
}

#[tokio::test]
async fn redirects_are_checked_like_the_first() {
    for (location, reason) in [
        ("http://169.254.169.254/latest/meta-data/", FetchReason::PrivateTarget),
        ("http://[::1]/", FetchReason::PrivateTarget),
        ("http://127.0.0.2/", FetchReason::PrivateTarget),
        ("//127.0.0.2/", FetchReason::PrivateTarget),
        ("http://[::ffff:10.0.0.1]/", FetchReason::PrivateTarget),
        ("http://[64:ff9b::10.0.0.1]/", FetchReason::PrivateTarget),
        ("file:///etc/passwd", FetchReason::SchemeNotAllowed),
        ("gopher://127.0.0.1/", FetchReason::SchemeNotAllowed),
        ("http://weir.invalid/", FetchReason::Unresolvable),
        ("http://127.0.0.1:1/", FetchReason::ConnectFailed),
        ("http://ann:hunter2@127.0.0.1/", FetchReason::RedirectRefused),
        ("http://", FetchReason::RedirectRefused),
    ] {
        let server = Server::fixed(redirect(302, location));
        let run = Run { allow: "127.0.0.1/32", ..Run::of(server.url("/")) };
        let detail = run.fails(SoftwareCheck::Redirects, reason).await;
        assert!(!detail.contains("hunter2"), "{detail}");
    }
    let server = Server::fixed("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
    Run::of(server.url("/")).fails(SoftwareCheck::Redirects, FetchReason::RedirectRefused).await;
}

#[tokio::test]
async fn a_secret_stays_with_its_origin() {
    let other = Server::http(|_, stream| crate::server::send(stream, &ok(b"abc")));
    let there = other.url("/c");
    let first = Server::http(move |head, stream| {
        let answer = if head.starts_with("GET /a ") { redirect(302, "/b") } else { redirect(302, &there) };
        crate::server::send(stream, &answer);
    });
    let ran = Run { credentials: token(), ..Run::of(first.url("/a")) }.go().await;
    assert_eq!(ran.bytes, b"abc");
    assert_eq!(first.requests().iter().filter(|head| head.contains("\r\nx-token: hunter2\r\n")).count(), 2, "{:?}", first.requests());
    let heads = other.requests();
    assert!(heads.len() == 1 && !heads[0].to_lowercase().contains("x-token") && !heads[0].contains("hunter2"), "{heads:?}");
    assert!(!heads[0].to_lowercase().contains("referer"), "{heads:?}");
}

#[tokio::test]
async fn a_secret_does_not_come_back() {
    let back = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let here = std::sync::Arc::clone(&back);
    let other = Server::http(move |_, stream| crate::server::send(stream, &redirect(302, &here.lock().expect("whole"))));
    let there = other.url("/");
    let first = Server::http(move |head, stream| {
        let answer = if head.starts_with("GET /a ") { redirect(302, &there) } else { ok(b"abc") };
        crate::server::send(stream, &answer);
    });
    *back.lock().expect("whole") = first.url("/chosen-by-another");
    assert_eq!(Run { credentials: token(), ..Run::of(first.url("/a")) }.go().await.bytes, b"abc");
    let shown: Vec<_> = first.requests().iter().map(|head| head.contains("hunter2")).collect();
    assert_eq!(shown, [true, false], "another server may not say what is asked for with the secret");
}
