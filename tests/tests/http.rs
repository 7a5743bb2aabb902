//! Requests that two parsers could read differently, or that are too large, are refused by every listener, which serves on.

use anyhow::Context;
use std::{io::ErrorKind, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use weir_tests::{Client, Network};

/// Patience for an answer and the end of its connection.
const DEADLINE: Duration = Duration::from_secs(15);

/// A request that must be refused, with the status it gets.
struct Shape {
    name: &'static str,
    bytes: Vec<u8>,
    status: u16,
}

fn shape(name: &'static str, status: u16, text: impl Into<Vec<u8>>) -> Shape {
    Shape { name, bytes: text.into(), status }
}

/// A GET with these fields after Host.
fn with(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// A POST with these framing fields and this body.
fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

fn framing() -> Vec<Shape> {
    let second = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    vec![
        shape("length and chunked", 400, post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        shape("chunked and length", 400, post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &format!("0\r\n\r\n{second}"))),
        shape("two lengths", 400, post("Content-Length: 0\r\nContent-Length: 38\r\n", second)),
        shape("two equal lengths", 400, post("Content-Length: 1\r\nContent-Length: 1\r\n", "a")),
        shape("a list of lengths", 400, post("Content-Length: 1, 1\r\n", "a")),
        shape("a signed length", 400, post("Content-Length: +1\r\n", "a")),
        shape("a hexadecimal length", 400, post("Content-Length: 0x1\r\n", "a")),
        shape("an overflowing length", 400, post("Content-Length: 99999999999999999999\r\n", "")),
        shape("another coding before chunked", 400, post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
        shape("chunked twice", 400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        shape("an unknown coding", 400, post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
        shape("chunked in HTTP/1.0", 400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        shape("a space before the colon", 400, with("Transfer-Encoding : chunked\r\n")),
        shape("a chunk size that is none", 400, post("Transfer-Encoding: chunked\r\n", "zz\r\n")),
        shape("a chunk size with a sign", 400, post("Transfer-Encoding: chunked\r\n", "+1\r\na\r\n0\r\n\r\n")),
        shape("a chunk longer than it says", 400, post("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n")),
        shape("a bare LF after a chunk size", 400, post("Transfer-Encoding: chunked\r\n", "1\na\r\n0\r\n\r\n")),
        shape("a chunk size that overflows", 400, post("Transfer-Encoding: chunked\r\n", "ffffffffffffffff1\r\na\r\n")),
    ]
}

fn lines() -> Vec<Shape> {
    vec![
        shape("bare LF after the request line", 400, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        shape("bare LF after a field", 400, "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        shape("bare LF as the empty line", 400, "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        shape("bare CR in a value", 400, with("X: a\rb\r\n")),
        shape("NUL in a value", 400, with("X: a\0b\r\n")),
        shape("a folded field", 400, with("X: a\r\n b\r\n")),
        shape("a space before the first field", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        shape("two spaces in the request line", 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        shape("a tab in the request line", 400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        shape("no version", 400, "GET /\r\nHost: a\r\n\r\n"),
        shape("a version that is none", 400, "GET / HTTP/1.x\r\nHost: a\r\n\r\n"),
        shape("no Host", 400, "GET / HTTP/1.1\r\n\r\n"),
        shape("two Hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        shape("a Host with a path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        shape("a target of another host", 400, "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        shape("a fragment in the target", 400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        shape("a byte above ASCII in the target", 400, b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        shape("a field name with a space", 400, with("X Y: z\r\n")),
        shape("an empty field name", 400, with(": z\r\n")),
    ]
}

fn sizes() -> Vec<Shape> {
    vec![
        shape("a target of 9 KiB", 414, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9 * 1024))),
        shape("a target of 1 MiB", 414, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1024 * 1024))),
        shape("a field of 20 KiB", 431, with(&format!("X: {}\r\n", "a".repeat(20 * 1024)))),
        shape("fields of 1 MiB", 431, with(&format!("X: {}\r\n", "a".repeat(1000)).repeat(1048))),
        shape("101 fields", 431, with(&"X: y\r\n".repeat(101))),
        shape("a body of 2 MiB", 413, post("Content-Length: 2097152\r\n", "")),
    ]
}

/// Sends `bytes` and reads until the connection is closed: the whole answer.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let stream = Client::east().connect(address).await.context("connect")?;
    let (mut reading, mut writing) = stream.into_split();
    let send = async {
        // The server may refuse, and close, before it has read everything.
        let _ = writing.write_all(bytes).await;
        writing
    };
    let receive = async {
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match reading.read(&mut piece).await {
                Ok(0) => return Ok(answer),
                Ok(count) => answer.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset && !answer.is_empty() => return Ok(answer),
                Err(error) => return Err(error),
            }
        }
    };
    let (_writing, answer) = timeout(DEADLINE, async { tokio::join!(send, receive) }).await.context("the connection is not closed")?;
    answer.context("read the answer")
}

async fn refused(who: &str, bodies: Bodies, address: SocketAddr, shape: &Shape) -> Result<(), String> {
    let answer = exchange(address, &shape.bytes).await.map_err(|error| format!("{who}, {}: {error:#}", shape.name))?;
    let text = String::from_utf8_lossy(&answer);
    let head = text.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
    let status_is =
        head.starts_with(&format!("http/1.1 {} ", shape.status)) || (bodies == Bodies::None && head.starts_with("http/1.1 413 "));
    let closes = head.contains("\r\nconnection: close");
    // A second status line would be the answer to a smuggled request.
    let answers = text.matches("HTTP/1.1 ").count();
    if status_is && closes && answers == 1 { Ok(()) } else { Err(format!("{who}, {}: wanted {}, got {text:?}", shape.name, shape.status)) }
}

/// Whether a listener takes request bodies; one that does not refuses them by their announcement (413), well formed or not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bodies {
    Taken,
    None,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_refused_with_a_closed_connection_and_the_network_serves_on() -> anyhow::Result<()> {
    let network = Network::builder().engines(3).start().await?;
    let file = network.file();
    let engine = &file.engines[0];
    let router = &file.routers[0];
    let listeners = [
        ("engine", Bodies::Taken, engine.http),
        ("router", Bodies::Taken, router.http),
        ("engine's admin listener", Bodies::None, engine.admin),
        ("router's admin listener", Bodies::None, router.admin),
        ("manager's admin listener", Bodies::None, file.manager.admin),
    ];
    let mut wrong = Vec::new();
    for (who, bodies, address) in listeners {
        let address = address.with_context(|| format!("{who} has an address"))?;
        for shape in framing().iter().chain(&lines()).chain(&sizes()) {
            wrong.extend(refused(who, bodies, address, shape).await.err());
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    let sample = file.services[0].sample.clone();
    for address in [engine.http.context("http")?, router.http.context("http")?] {
        let (_, _, answer) = Client::east().follow(address, &weir_tests::Ask::get(&sample)).await?;
        assert_eq!(answer.status(), 200, "through {address}");
    }
    for device in ["core-1", "router-1", "manager-1"] {
        let shown = network.weir_json(&["device", "show", device]).await?;
        assert_eq!((shown["status"].as_str(), shown["last_report"]["worker_crashes"].as_u64()), (Some("online"), Some(0)), "{device}");
    }
    Ok(())
}
