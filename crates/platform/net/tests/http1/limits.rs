//! Each limit, shortened, at its edge.

use crate::server::{Server, eventually, field, status};
use std::{sync::atomic::Ordering, time::Duration};
use weir_net::http1::{Limits, Refusal};

const SHORT: Duration = Duration::from_millis(400);

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_slow_head_is_answered_408_and_silence_is_closed_silently() {
    let server = Server::with(Limits { header_time: SHORT, ..Limits::default() });
    let text = server.exchange("GET /hello HTT");
    assert_eq!((status(&text), field(&text, "connection")), ("408", Some("close")));
    assert_eq!(server.exchange(""), "");
    assert_eq!(server.gate.counters().refused(Refusal::HeadTimeout), 1);
}

#[test]
fn a_slow_second_head_and_a_slow_body_are_answered_408() {
    let server = Server::with(Limits { header_time: SHORT, body_time: SHORT, ..Limits::default() });
    let mut client = server.connect();
    client.send(get("/hello"));
    assert_eq!(client.response().1, "hello");
    client.send("GET");
    assert_eq!(status(&client.rest()), "408");
    let text = server.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell");
    assert!(text.ends_with("body_timeout"), "{text}");
}

#[test]
fn an_idle_connection_is_closed_silently() {
    let server = Server::with(Limits { idle_time: SHORT, ..Limits::default() });
    let mut client = server.connect();
    client.send(get("/hello"));
    assert_eq!(client.response().1, "hello");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_client_that_does_not_read_is_reset() {
    let server = Server::with(Limits { write_stall: SHORT, ..Limits::default() });
    let mut client = server.connect();
    client.send(get("/big"));
    eventually("the connection is reset", || server.gate.counters().resets == 1);
    assert!(client.until_gone().1);
}

#[test]
fn sizes_hold_to_the_byte() {
    let server = Server::with(Limits { header_bytes: 1000, target_bytes: 300, header_fields: 4, body_bytes: 10, ..Limits::default() });
    let close = "Host: a\r\nConnection: close\r\n";
    let target = |length: usize| format!("GET /hello?{} HTTP/1.1\r\n{close}\r\n", "x".repeat(length - 7));
    let head = |length: usize| {
        let rest = format!("GET /hello HTTP/1.1\r\n{close}X: \r\n\r\n");
        format!("GET /hello HTTP/1.1\r\n{close}X: {}\r\n\r\n", "x".repeat(length - rest.len()))
    };
    let fields = |count: usize| format!("GET /hello HTTP/1.1\r\n{close}{}\r\n", "X: y\r\n".repeat(count - 2));
    let length = |bytes: usize| format!("POST /echo HTTP/1.1\r\n{close}Content-Length: {bytes}\r\n\r\n{}", "x".repeat(bytes));
    let chunked = |bytes: usize| {
        format!(
            "POST /echo HTTP/1.1\r\n{close}Transfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            bytes - 5,
            "x".repeat(bytes - 5)
        )
    };
    let cases = [
        (target(300), "200"),
        (target(301), "414"),
        (target(900), "414"),
        (head(1000), "200"),
        (head(1001), "431"),
        (fields(4), "200"),
        (fields(5), "431"),
        (length(10), "200"),
        (length(11), "413"),
        (chunked(10), "200"),
        (chunked(11), "413"),
    ];
    for (request, expected) in cases {
        assert_eq!(status(&server.exchange(&request)), expected, "{request:?}");
    }
}

#[test]
fn a_head_as_large_as_the_default_limit_fits() {
    let server = Server::start();
    let mut head = String::from("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    while head.len() < 15 * 1024 {
        head += &format!("X-{}: {}\r\n", head.len(), "y".repeat(400));
    }
    assert_eq!(status(&server.exchange(head + "\r\n")), "200");
}

#[test]
fn a_connection_has_so_many_requests() {
    let server = Server::with(Limits { requests_per_connection: 2, ..Limits::default() });
    let mut client = server.connect();
    client.send(get("/hello").repeat(3));
    assert_eq!(field(&client.response().0, "connection"), None);
    assert_eq!(field(&client.response().0, "connection"), Some("close"));
    assert_eq!(client.rest(), "");
}

#[test]
fn connections_over_the_limit_wait_their_turn() {
    let server = Server::with(Limits { connections: 1, ..Limits::default() });
    let mut first = server.connect();
    first.send(get("/hello"));
    first.response();
    let mut second = server.connect();
    second.send(get("/hello"));
    first.send(get("/hello"));
    first.response();
    assert_eq!(server.gate.counters().accepted, 1);
    drop(first);
    assert_eq!(second.response().1, "hello");
}

#[test]
fn an_address_over_its_share_is_turned_away() {
    let server = Server::with(Limits { connections_per_address: 1, ..Limits::default() });
    let mut first = server.connect();
    first.send(get("/hello"));
    first.response();
    assert_eq!(server.connect().until_gone().0, "");
    assert_eq!(server.gate.counters().turned_away, 1);
    drop(first);
    eventually("the place is free", || server.gate.open_connections() == 0);
    assert_eq!(status(&server.exchange("GET /hello HTTP/1.0\r\n\r\n")), "200");
}

#[test]
fn a_listener_without_bodies_refuses_them_with_their_head() {
    let server = Server::with(Limits::without_bodies());
    for framing in ["Content-Length: 1", "Transfer-Encoding: chunked", "Expect: 100-continue\r\nContent-Length: 1"] {
        let text = server.exchange(format!("POST /echo HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        assert!(text.starts_with("HTTP/1.1 413 ") && text.ends_with("body_too_large"), "{framing}: {text}");
    }
    let text = server.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(status(&text), "200");
}

#[test]
fn bodies_share_a_budget_from_their_first_byte_to_the_end_of_their_request() {
    let server = Server::with(Limits { bodies_bytes: 100 * 1024, ..Limits::default() });
    let post =
        |path: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 65536\r\n\r\n{}", "x".repeat(65536));
    let mut announced = server.connect();
    announced.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
    let mut first = server.connect();
    first.send(post("/wait"));
    eventually("the service holds a body", || server.probe.waiting.load(Ordering::SeqCst) == 1);
    let mut second = server.connect();
    second.try_send(post("/echo")).expect("taken by the kernel");
    let text = second.until_gone().0;
    assert!(text.starts_with("HTTP/1.1 503 ") && text.ends_with("bodies_too_large"), "{text}");
    assert_eq!(server.gate.counters().refused(Refusal::BodiesTooLarge), 1);
    server.probe.permits.add();
    assert_eq!(first.response().1, "waited");
    assert_eq!(first.rest(), "");
    assert_eq!(status(&server.exchange(post("/echo"))), "200");
}
