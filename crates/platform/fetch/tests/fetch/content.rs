//! Heads, bodies, sizes and times.

use crate::{
    run::Run,
    server::{Server, ok, pause, send, wait_for_the_end},
};
use std::{net::TcpStream, time::Duration};
use weir_fetch::{Credentials, FetchError};
use weir_model::{FetchReason, SoftwareCheck};

const SHORT: Duration = Duration::from_millis(300);

fn body() -> Vec<u8> {
    (0..700_000_u32).map(|at| u8::try_from(at % 251).expect("small")).collect()
}

/// Sends pieces until the client is gone.
fn endless(stream: &mut TcpStream, head: &str, piece: &[u8]) {
    use std::io::Write;
    send(stream, head.as_bytes());
    while stream.write_all(piece).is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_whole() {
    let server = Server::fixed(ok(&body()));
    let ran = Run { expected: Some(700_000), ..Run::of(server.url("/weir.weir?sig=secret")) }.go().await;
    let fetched = ran.result.as_ref().expect("content");
    assert_eq!((fetched.bytes, ran.bytes == body()), (700_000, true));
    assert_eq!(fetched.chain, [server.url("/weir.weir?...")]);
    assert_eq!(ran.found(SoftwareCheck::Resolve), Some("127.0.0.1"));
    assert_eq!(ran.found(SoftwareCheck::Connect), Some(format!("{}, without TLS", server.address).as_str()));
    assert_eq!(ran.found(SoftwareCheck::Redirects), Some("no redirect"));
    assert!(ran.found(SoftwareCheck::Download).is_some_and(|found| found.starts_with("700000 bytes in ")));
    assert_eq!(ran.found(SoftwareCheck::Size), Some("700000 bytes, as stated"));
    assert_eq!(ran.progress.first(), Some(&(0, Some(700_000))));
    assert_eq!(ran.progress.last(), Some(&(700_000, Some(700_000))));
    let [request] = server.requests().try_into().expect("one request");
    assert!(request.starts_with("GET /weir.weir?sig=secret HTTP/1.1\r\n"), "{request}");
    for line in [format!("host: {}", server.address), "accept-encoding: identity".to_owned(), "connection: close".to_owned()] {
        assert!(request.to_lowercase().contains(&format!("\r\n{line}\r\n")), "{request}");
    }
    for word in ["authorization", "cookie", "referer"] {
        assert!(!request.to_lowercase().contains(word), "{request}");
    }
}

#[tokio::test]
async fn a_length_need_not_be_announced() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n";
    for answer in [chunked, "HTTP/1.1 200 OK\r\n\r\nabcdefg", "HTTP/1.0 200 OK\r\nContent-Encoding: identity\r\n\r\nabcdefg"] {
        let server = Server::fixed(answer);
        let ran = Run { expected: Some(7), ..Run::of(server.url("/")) }.go().await;
        assert_eq!(ran.result.expect("content").bytes, 7, "{answer}");
        assert_eq!((ran.bytes.as_slice(), ran.progress.last()), (b"abcdefg".as_slice(), Some(&(7, None))));
    }
}

#[tokio::test]
async fn answers_that_are_no_content() {
    for (status, reason) in [
        (401, FetchReason::Unauthorized),
        (403, FetchReason::Unauthorized),
        (407, FetchReason::Unauthorized),
        (404, FetchReason::FileNotFound),
        (410, FetchReason::FileNotFound),
        (500, FetchReason::HttpStatus),
        (503, FetchReason::HttpStatus),
        (304, FetchReason::HttpStatus),
        (206, FetchReason::HttpStatus),
        (204, FetchReason::HttpStatus),
        (201, FetchReason::HttpStatus),
    ] {
        let server = Server::fixed(format!("HTTP/1.1 {status} Word\r\nContent-Length: 0\r\n\r\n"));
        let ran = Run::of(server.url("/a?sig=hunter2")).go().await;
        let detail = ran.failed(SoftwareCheck::Download, reason);
        assert!(detail.contains(&format!("/a?... answered {status}")) && !detail.contains("hunter2"), "{detail}");
        assert!(ran.bytes.is_empty());
    }
}

#[tokio::test]
async fn a_wrong_password_is_not_told() {
    let server = Server::fixed("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
    let credentials = Credentials::Basic { username: "ann".to_owned(), password: "hunter2".to_owned().into() };
    let detail = Run { credentials, ..Run::of(server.url("/")) }.fails(SoftwareCheck::Download, FetchReason::Unauthorized).await;
    assert!(detail.ends_with("not the right ones"), "{detail}");
    assert!(server.requests()[0].contains("\r\nauthorization: Basic YW5uOmh1bnRlcjI=\r\n"), "{:?}", server.requests());
    let unsendable = Credentials::Header { name: "X-Token".to_owned(), value: "hunter2\r\nHost: b".to_owned().into() };
    let detail = Run { credentials: unsendable, ..Run::of(server.url("/")) }.fails(SoftwareCheck::Resolve, FetchReason::BadUrl).await;
    assert!(!detail.contains("hunter2"), "{detail}");
}

#[tokio::test]
async fn lengths_that_are_announced_end_a_download_before_it_begins() {
    let announce = |bytes: u64| {
        Server::http(move |_, stream| {
            send(stream, format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n").as_bytes());
            wait_for_the_end(stream);
        })
    };
    let server = announce((1 << 20) + 1);
    let ran = Run::of(server.url("/")).go().await;
    ran.failed(SoftwareCheck::Download, FetchReason::FileTooLarge);
    assert!(ran.progress.is_empty());
    let server = announce(u64::MAX - 2);
    Run::of(server.url("/")).fails(SoftwareCheck::Download, FetchReason::FileTooLarge).await;
    for expected in [11, 13] {
        let server = announce(12);
        let ran = Run { expected: Some(expected), ..Run::of(server.url("/")) }.go().await;
        let detail = ran.failed(SoftwareCheck::Size, FetchReason::FileSizeDiffers);
        assert!(detail.contains("12 bytes") && detail.contains(&expected.to_string()), "{detail}");
        assert!(ran.bytes.is_empty());
    }
}

#[tokio::test]
async fn lengths_that_show_on_the_way() {
    let server = Server::http(|_, stream| {
        endless(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10\r\n0123456789abcdef\r\n");
    });
    let ran = Run::of(server.url("/")).go().await;
    ran.failed(SoftwareCheck::Download, FetchReason::FileTooLarge);
    assert!(ran.bytes.len() <= 1 << 20, "{} bytes were kept", ran.bytes.len());
    let ran = Run { expected: Some(100), ..Run::of(server.url("/")) }.go().await;
    ran.failed(SoftwareCheck::Size, FetchReason::FileSizeDiffers);
    assert!(ran.bytes.is_empty());
    let server = Server::http(|_, stream| endless(stream, "HTTP/1.1 200 OK\r\n\r\n", &[0; 1000]));
    Run::of(server.url("/")).fails(SoftwareCheck::Download, FetchReason::FileTooLarge).await;
    let server = Server::fixed("HTTP/1.1 200 OK\r\n\r\nabcdefg");
    let ran = Run { expected: Some(8), ..Run::of(server.url("/")) }.go().await;
    ran.failed(SoftwareCheck::Size, FetchReason::FileSizeDiffers);
}

#[tokio::test]
async fn content_that_ends_early() {
    for (answer, check) in [
        ("", SoftwareCheck::Download),
        ("HTTP/1.1 200 OK\r\nContent-Le", SoftwareCheck::Download),
        ("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabcdefg", SoftwareCheck::Download),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nabcdefg", SoftwareCheck::Download),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nabcdefg\r\n", SoftwareCheck::Download),
    ] {
        let server = Server::fixed(answer);
        Run::of(server.url("/")).fails(check, FetchReason::CutShort).await;
    }
    // Its request unread, closing resets the connection.
    let server = Server::raw(drop);
    Run::of(server.url("/")).fails(SoftwareCheck::Download, FetchReason::CutShort).await;
}

#[tokio::test]
async fn what_is_not_http() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200));
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "<html>hello</html>\r\n\r\n",
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        &many,
        &long,
    ] {
        let server = Server::fixed(answer);
        let detail = Run::of(server.url("/")).fails(SoftwareCheck::Download, FetchReason::BadResponse).await;
        assert!(detail.len() < 400, "{detail}");
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_not_gathered() {
    let server = Server::http(|_, stream| endless(stream, "HTTP/1.1 200 OK\r\n", b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"));
    Run::of(server.url("/")).fails(SoftwareCheck::Download, FetchReason::BadResponse).await;
}

#[tokio::test]
async fn silence_ends_a_download() {
    for head in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Len",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    ] {
        let server = Server::http(move |_, stream| {
            send(stream, head.as_bytes());
            wait_for_the_end(stream);
        });
        let mut run = Run::of(server.url("/"));
        run.limits.idle = SHORT;
        run.fails(SoftwareCheck::Download, FetchReason::Timeout).await;
    }
}

#[tokio::test]
async fn informational_answers_do_not_hold_it_open() {
    let server = Server::http(|_, stream| endless(stream, "", b"HTTP/1.1 100 Continue\r\n\r\n"));
    let mut run = Run::of(server.url("/"));
    run.limits.idle = SHORT;
    run.fails(SoftwareCheck::Download, FetchReason::Timeout).await;
}

#[tokio::test]
async fn a_trickle_is_too_slow() {
    let server = Server::http(|_, stream| {
        send(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n");
        while pause(stream, Duration::from_millis(10)) {
            send(stream, b"a");
        }
    });
    let mut run = Run::of(server.url("/"));
    (run.limits.slow_window, run.limits.slowest) = (SHORT, 10_000);
    let detail = run.fails(SoftwareCheck::Download, FetchReason::TooSlow).await;
    assert!(detail.contains("10000 a second"), "{detail}");
}

#[tokio::test]
async fn everything_together_has_an_end() {
    let server = Server::http(|_, stream| endless(stream, "HTTP/1.1 200 OK\r\n\r\n", &[0; 1 << 16]));
    let mut run = Run::of(server.url("/"));
    (run.limits.total, run.limits.bytes_max) = (Duration::from_secs(1), 1 << 40);
    run.disk_bytes = usize::MAX;
    let detail = run.fails(SoftwareCheck::Download, FetchReason::Timeout).await;
    assert!(detail.contains("not complete after 1.0 s"), "{detail}");
}

#[tokio::test]
async fn a_full_disk_is_the_sinks() {
    let server = Server::fixed(ok(&body()));
    let ran = Run { disk_bytes: 300_000, ..Run::of(server.url("/")) }.go().await;
    let Err(FetchError::Sink(error)) = ran.result else { panic!("{:?}", ran.result) };
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

#[tokio::test]
async fn a_download_that_is_dropped_ends() {
    let (gone, seen) = std::sync::mpsc::sync_channel(1);
    let server = Server::http(move |_, stream| {
        send(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        wait_for_the_end(stream);
        gone.send(()).expect("a test that waits");
    });
    let download = Run::of(server.url("/")).go();
    assert!(tokio::time::timeout(SHORT, download).await.is_err(), "it waits for the rest");
    seen.recv_timeout(Duration::from_secs(10)).expect("the connection is closed");
}
