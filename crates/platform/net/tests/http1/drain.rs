//! The gate: hold, accept, stop and resume, release, close.

use crate::server::{Client, DEADLINE, Server, eventually, field, status};
use std::{net::TcpListener, sync::atomic::Ordering};
use weir_net::{
    cores,
    http1::{Limits, Phase},
};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Waits for the gate to be drained, with a deadline.
fn drained(server: &Server) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(DEADLINE, server.gate.drained()).await.is_ok() })
}

#[test]
fn a_held_socket_queues_and_then_serves() {
    let server = Server::held(Limits::default());
    let mut client = server.connect();
    client.send(get("/hello"));
    assert_eq!(server.gate.counters().accepted, 0);
    assert!(server.gate.accept());
    assert_eq!(client.response().1, "hello");
}

#[test]
fn stop_ends_idle_connections_and_finishes_requests_under_way() {
    let server = Server::start();
    let mut idle = server.connect();
    idle.send(get("/hello"));
    idle.response();
    let mut busy = server.connect();
    busy.send(get("/wait"));
    eventually("the service waits", || server.probe.waiting.load(Ordering::SeqCst) == 1);
    assert_eq!((server.gate.open_connections(), server.gate.active_requests()), (2, 1));
    server.gate.stop();
    assert_eq!(idle.rest(), "");
    server.probe.permits.add();
    let (head, body) = busy.response();
    assert_eq!((body.as_str(), field(&head, "connection")), ("waited", Some("close")));
    assert_eq!(busy.rest(), "");
    drop(busy);
    assert!(drained(&server));
}

#[test]
fn a_request_that_arrived_unseen_is_answered_after_stop() {
    let server = Server::start();
    let (mut first, mut second) = (server.connect(), server.connect());
    second.send(get("/hello"));
    second.response();
    let held = server.probe.turnstile.lock().expect("not poisoned");
    first.send(get("/block"));
    eventually("the data thread is busy", || server.probe.waiting.load(Ordering::SeqCst) == 1);
    second.send(get("/hello"));
    server.gate.stop();
    drop(held);
    assert_eq!(field(&second.response().0, "connection"), Some("close"));
    assert_eq!(field(&first.response().0, "connection"), Some("close"));
}

#[test]
fn a_connection_never_answered_gets_its_answer_after_stop() {
    let server = Server::start();
    let mut client = server.connect();
    eventually("accepted", || server.gate.open_connections() == 1);
    server.gate.stop();
    client.send(get("/hello"));
    let (head, _) = client.response();
    assert_eq!((status(&head), field(&head, "connection")), ("200", Some("close")));
}

#[test]
fn stop_keeps_the_socket_and_accept_resumes() {
    let server = Server::start();
    server.gate.stop();
    let mut queued = server.connect();
    queued.send(get("/hello"));
    assert!(drained(&server));
    for _ in 0..3 {
        assert!(server.gate.accept());
        assert_eq!(queued.response().1, "hello");
        server.gate.stop();
        assert_eq!(queued.rest(), "", "a connection registers again after each change");
        queued = server.connect();
        queued.send(get("/hello"));
    }
}

#[test]
fn released_listeners_are_gone_and_the_threads_end() {
    let server = Server::start();
    let mut busy = server.connect();
    busy.send(get("/wait"));
    eventually("the service waits", || server.probe.waiting.load(Ordering::SeqCst) == 1);
    server.gate.close_listeners();
    eventually("the port is free", || TcpListener::bind(server.address).is_ok());
    server.probe.permits.add();
    assert_eq!(busy.response().1, "waited");
    drop(busy);
    server.join();
}

#[test]
fn close_cuts_what_is_open() {
    let server = Server::start();
    let mut busy = server.connect();
    busy.send(get("/wait"));
    eventually("the service waits", || server.probe.waiting.load(Ordering::SeqCst) == 1);
    server.gate.close();
    assert_eq!(server.gate.phase(), Phase::Closed);
    assert_eq!(busy.until_gone().0, "");
    assert!(drained(&server));
    assert_eq!(server.probe.abandoned.load(Ordering::SeqCst), 1);
    server.join();
}

#[test]
fn threads_share_a_gate() {
    let first = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let more = cores::spawn("more", vec![listener], &first.probe, &Limits::default(), &first.gate).expect("threads start");
    assert_eq!(more.len(), 1);
    for address in [first.address, address] {
        let mut client = Client::connect(address);
        client.send(get("/hello"));
        assert_eq!(client.response().1, "hello");
    }
    assert_eq!(first.gate.counters().requests, 2);
    first.gate.close();
    more.join().expect("served to the end");
}
