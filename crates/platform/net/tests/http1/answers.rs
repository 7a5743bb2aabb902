//! Answers: keep-alive, pipelining, versions, bodies of every kind, and clients that go away.

use crate::server::{ALPHABET, Server, eventually, field, status};
use std::sync::atomic::Ordering;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn get_and_close(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

/// The body behind the first head.
fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").expect("a head").1
}

/// Undoes chunked framing; panics when it is not exactly that.
fn dechunk(mut text: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, rest) = text.split_once("\r\n").expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("hexadecimal");
        body.push_str(&rest[..size]);
        text = rest[size..].strip_prefix("\r\n").expect("a chunk end");
        if size == 0 {
            assert!(text.is_empty(), "{text:?} behind the last chunk");
            return body;
        }
    }
}

#[test]
fn one_connection_answers_one_request_after_the_other() {
    let server = Server::start();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(get("/hello"));
        let (head, body) = client.response();
        assert_eq!((status(&head), body.as_str()), ("200", "hello"));
        assert_eq!(field(&head, "connection"), None);
        assert!(field(&head, "date").is_some_and(|date| date.ends_with(" GMT")), "{head}");
    }
    let counters = server.gate.counters();
    assert_eq!((counters.accepted, counters.requests), (1, 3));
}

#[test]
fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let server = Server::start();
    let requests =
        [get("/alphabet?0-3"), post("/echo", "body"), get("/hello"), get("/stream/known"), get_and_close("/alphabet?3-5")].concat();
    for step in [1, 7, 64, requests.len()] {
        let mut client = server.connect();
        for part in requests.as_bytes().chunks(step) {
            client.send(part);
        }
        let bodies = [(); 5].map(|()| client.response().1);
        assert_eq!(bodies[0], "abc");
        assert!(bodies[1].ends_with("body=body"), "{}", bodies[1]);
        assert_eq!(bodies[2..], ["hello", ALPHABET, "de"]);
        assert_eq!(client.rest(), "");
    }
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn more_pipelined_requests_than_a_buffer_holds() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(get("/hello").repeat(2000));
    for _ in 0..2000 {
        assert_eq!(client.response().1, "hello");
    }
}

#[test]
fn http_1_0_closes_unless_asked_and_is_never_answered_in_chunks() {
    let server = Server::start();
    let text = server.exchange("GET /hello HTTP/1.0\r\n\r\n");
    assert_eq!((field(&text, "connection"), body(&text)), (Some("close"), "hello"));
    let text = server.exchange("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!((field(&text, "transfer-encoding"), field(&text, "content-length"), body(&text)), (None, None, ALPHABET));
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(field(&client.response().0, "connection"), Some("keep-alive"));
    }
}

#[test]
fn ranges_of_shared_pieces_come_out_exact() {
    let server = Server::start();
    let mut client = server.connect();
    for start in 0..=26 {
        for end in start..=26 {
            client.send(get(&format!("/alphabet?{start}-{end}")));
            assert_eq!(client.response().1, ALPHABET[start..end]);
        }
    }
}

#[test]
fn streams_are_framed_by_what_is_known() {
    let server = Server::start();
    let text = server.exchange(get_and_close("/stream"));
    assert_eq!(field(&text, "transfer-encoding"), Some("chunked"));
    assert_eq!(dechunk(body(&text)), ALPHABET);
    let text = server.exchange(get_and_close("/stream/known"));
    assert_eq!((field(&text, "content-length"), body(&text)), (Some("26"), ALPHABET));
    let text = server.exchange(get_and_close("/channel"));
    assert_eq!(dechunk(body(&text)), "one two");
}

#[test]
fn a_broken_stream_ends_in_a_reset() {
    let server = Server::start();
    for path in ["/stream/fail", "/stream/short", "/stream/long"] {
        let mut client = server.connect();
        client.send(get(path));
        let (text, reset) = client.until_gone();
        assert!(reset, "{path}: {text:?}");
        assert!(!text.ends_with("0\r\n\r\n"), "{path}: {text:?}");
    }
    assert_eq!(server.gate.counters().resets, 3);
}

#[test]
fn head_204_and_an_own_date() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(get("/empty") + &get("/dated") + &get_and_close("/nothing"));
    let text = client.rest();
    let heads: Vec<&str> = text.split_terminator("\r\n\r\n").collect();
    assert_eq!(heads.iter().map(|head| status(head)).collect::<Vec<_>>(), ["200", "200", "204", "200", "404"]);
    assert_eq!(heads.iter().map(|head| field(head, "content-length")).collect::<Vec<_>>(), [Some("5"), None, None, Some("0"), Some("0")]);
    assert_eq!(heads[3].matches("date: ").count() + heads[3].matches("Date: ").count(), 1, "{}", heads[3]);
}

#[test]
fn a_large_body_goes_out_whole_to_a_slow_reader() {
    let server = Server::start();
    let text = server.exchange(get_and_close("/big"));
    assert_eq!(body(&text).len(), 320 * 64 * 1024);
    assert_eq!(server.gate.counters().bytes_written, text.len() as u64);
}

#[test]
fn bodies_are_asked_for_and_received() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.response().0, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body");
    assert!(client.response().1.ends_with("body=body"));
    let long = "x".repeat(1024 * 1024);
    client.send(post("/echo", &long));
    assert!(client.response().1.ends_with(&long));
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for byte in "3\r\nbod\r\n1;x\r\ny\r\n0\r\nX: y\r\n\r\n".bytes() {
        client.send([byte]);
    }
    assert!(client.response().1.ends_with("body=body"));
    client.send(post("/echo", "last") + &get("/hello"));
    assert!(client.response().1.ends_with("body=last"));
    assert_eq!(client.response().1, "hello");
}

#[test]
fn a_client_that_leaves_is_noticed_while_a_stream_or_a_service_waits() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(get("/stream/hang"));
    client.read_until(ALPHABET.as_bytes());
    drop(client);
    eventually("the stream is dropped", || server.probe.abandoned.load(Ordering::SeqCst) == 1);
    let mut client = server.connect();
    client.send(get("/wait"));
    eventually("the service waits", || server.probe.waiting.load(Ordering::SeqCst) == 1);
    drop(client);
    eventually("the request is dropped", || server.probe.abandoned.load(Ordering::SeqCst) == 2);
    eventually("nothing is open", || server.gate.open_connections() == 0 && server.gate.active_requests() == 0);
}

#[test]
fn requests_received_while_one_waits_are_answered_after_it() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(get("/wait"));
    eventually("the service waits", || server.probe.waiting.load(Ordering::SeqCst) == 1);
    client.send(get("/hello") + &get_and_close("/alphabet?0-1"));
    server.probe.permits.add();
    assert_eq!([(); 3].map(|()| client.response().1), ["waited", "hello", "a"]);
}
