//! Downloads that go on where one before broke off.

use crate::{
    run::Run,
    server::{Server, ok, send},
};
use std::time::Duration;
use weir_model::{FetchReason, SoftwareCheck};

const WHOLE: &[u8] = b"0123456789";

fn part(first: usize, range: &str) -> Vec<u8> {
    let body = &WHOLE[first..];
    let head = format!("HTTP/1.1 206 Partial Content\r\nContent-Range: {range}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn missing(server: &Server, held: &[u8]) -> Run {
    Run { held: held.to_vec(), expected: Some(10), ..Run::of(server.url("/a")) }
}

#[tokio::test]
async fn only_what_is_missing_is_asked_for() {
    let server = Server::fixed(part(4, "bytes 4-9/10"));
    let ran = missing(&server, b"0123").go().await;
    assert_eq!(ran.bytes, WHOLE);
    assert_eq!(ran.result.expect("whole").bytes, 10);
    assert!(server.requests()[0].to_lowercase().contains("\r\nrange: bytes=4-\r\n"), "{}", server.requests()[0]);
    assert_eq!((ran.progress[0], ran.progress.last()), ((4, Some(10)), Some(&(10, Some(10)))));
}

#[tokio::test]
async fn a_whole_download_asks_for_no_range() {
    let server = Server::fixed(ok(WHOLE));
    assert_eq!(Run { expected: Some(10), ..Run::of(server.url("/a")) }.go().await.bytes, WHOLE);
    assert!(!server.requests()[0].to_lowercase().contains("range"));
}

#[tokio::test]
async fn a_server_without_ranges_sends_the_whole() {
    let ran = missing(&Server::fixed(ok(WHOLE)), b"xxxx").go().await;
    assert_eq!(ran.bytes, WHOLE);
    assert_eq!(ran.progress[0], (0, Some(10)));
}

#[tokio::test]
async fn another_part_than_the_one_asked_for_is_none() {
    for range in ["bytes 3-9/10", "bytes 5-9/10", "items 4-9/10", "bytes */10", ""] {
        let ran = missing(&Server::fixed(part(4, range)), b"0123").go().await;
        ran.failed(SoftwareCheck::Download, FetchReason::BadResponse);
        assert_eq!(ran.bytes, b"0123", "{range:?}");
    }
    let unasked = Server::fixed(part(0, "bytes 0-9/10"));
    Run::of(unasked.url("/a")).fails(SoftwareCheck::Download, FetchReason::HttpStatus).await;
}

#[tokio::test]
async fn the_two_parts_are_as_long_as_was_stated() {
    let ran = missing(&Server::fixed(part(3, "bytes 4-9/10")), b"0123").go().await;
    ran.failed(SoftwareCheck::Size, FetchReason::FileSizeDiffers);
    let ran = missing(&Server::fixed(part(5, "bytes 4-9/10")), b"0123").go().await;
    ran.failed(SoftwareCheck::Size, FetchReason::FileSizeDiffers);
}

#[tokio::test]
async fn what_came_before_a_break_is_kept() {
    let server = Server::http(|_, stream| send(stream, b"HTTP/1.1 206 X\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456"));
    let ran = missing(&server, b"0123").go().await;
    ran.failed(SoftwareCheck::Download, FetchReason::CutShort);
    assert_eq!(ran.bytes, b"0123456");
}

#[tokio::test]
async fn a_caller_that_waits_between_pieces_is_waited_for_and_not_for_ever() {
    let server = Server::fixed(ok(WHOLE));
    let begun = weir_clock::monotonic();
    let slow = Run { pause: Duration::from_millis(300), ..Run::of(server.url("/a")) };
    assert_eq!(slow.go().await.bytes, WHOLE);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let mut slower = Run { pause: Duration::from_secs(60), ..Run::of(server.url("/a")) };
    slower.limits.total = Duration::from_millis(300);
    slower.fails(SoftwareCheck::Download, FetchReason::Timeout).await;
}
