//! Every shape requests are smuggled with, through a real socket: the status, the word, and a closed connection.

use crate::server::{Server, field, status};
use weir_net::http1::Refusal;

const GET: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n";
const POST: &str = "POST /echo HTTP/1.1\r\nHost: a\r\n";

fn shapes() -> Vec<(String, Refusal)> {
    use Refusal::*;
    let mut shapes = vec![
        // Request line and version.
        ("GET /hello\r\nHost: a\r\n\r\n".into(), BadRequestLine),
        ("GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadRequestLine),
        ("GET /hello  HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadRequestLine),
        ("GET /hel lo HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadRequestLine),
        ("GET\t/hello HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadRequestLine),
        ("G(T /hello HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadRequestLine),
        (" GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadRequestLine),
        ("GET /hello HTTP/1.1 \r\nHost: a\r\n\r\n".into(), BadRequestLine),
        ("GET /hello HTTP/1.1x\r\nHost: a\r\n\r\n".into(), BadVersion),
        ("GET /hello http/1.1\r\nHost: a\r\n\r\n".into(), BadVersion),
        ("GET /hello HTTPS/1.1\r\nHost: a\r\n\r\n".into(), BadVersion),
        ("GET /hello HTTP/1\r\nHost: a\r\n\r\n".into(), BadVersion),
        ("GET /hello HTTP/01.1\r\nHost: a\r\n\r\n".into(), BadVersion),
        ("GET /hello HTTP/1.2\r\nHost: a\r\n\r\n".into(), UnsupportedVersion),
        ("GET /hello HTTP/0.9\r\nHost: a\r\n\r\n".into(), UnsupportedVersion),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), UnsupportedVersion),
        ("\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n".into(), EmptyLine),
        // Line structure.
        ("GET /hello HTTP/1.1\nHost: a\n\n".into(), BareLf),
        ("GET /hello HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".into(), BareLf),
        ("GET /hello HTTP/1.1\r\nHost: a\r\n\n".into(), BareLf),
        ("GET /hello HTTP/1.1\r\nHost: a\rX: y\r\n\r\n".into(), BareCr),
        ("GET /hello HTTP/1.1\r\r\nHost: a\r\n\r\n".into(), BareCr),
        ("GET /hel\0lo HTTP/1.1\r\nHost: a\r\n\r\n".into(), Nul),
        (format!("{GET}X: a\0b\r\n\r\n"), Nul),
        (format!("{GET}X: a\r\n b\r\n\r\n"), ObsoleteFold),
        (format!("{GET}X: a\r\n\tb\r\n\r\n"), ObsoleteFold),
        ("GET /hello HTTP/1.1\r\n Host: a\r\n\r\n".into(), ObsoleteFold),
        // Fields.
        (format!("{GET}X : y\r\n\r\n"), BadFieldName),
        (format!("{GET}X\t: y\r\n\r\n"), BadFieldName),
        (format!("{GET}: y\r\n\r\n"), BadFieldName),
        (format!("{GET}X y\r\n\r\n"), BadFieldName),
        (format!("{GET}Xy\r\n\r\n"), BadFieldName),
        (format!("{GET}X(: y\r\n\r\n"), BadFieldName),
        (format!("{GET}X: \x01\r\n\r\n"), BadFieldValue),
        (format!("{GET}X: \x7f\r\n\r\n"), BadFieldValue),
        // Targets and hosts.
        ("GET hello HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadTarget),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadTarget),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadTarget),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadTarget),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadTarget),
        ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadTarget),
        ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), BadTarget),
        ("GET http://b/hello HTTP/1.1\r\nHost: a\r\n\r\n".into(), HostMismatch),
        ("GET http://a:81/hello HTTP/1.1\r\nHost: a\r\n\r\n".into(), HostMismatch),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".into(), Connect),
        ("GET /hello HTTP/1.1\r\n\r\n".into(), MissingHost),
        ("GET http://a/hello HTTP/1.1\r\n\r\n".into(), MissingHost),
        ("GET /hello HTTP/1.1\r\nHost:\r\n\r\n".into(), BadHost),
        ("GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n".into(), BadHost),
        ("GET /hello HTTP/1.1\r\nHost: a,b\r\n\r\n".into(), BadHost),
        ("GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), BadHost),
        ("GET /hello HTTP/1.1\r\nHost: u@a\r\n\r\n".into(), BadHost),
        ("GET /hello HTTP/1.1\r\nHost: a:x\r\n\r\n".into(), BadHost),
        (format!("{GET}Host: a\r\n\r\n"), RepeatedHost),
        (format!("{GET}hOST: b\r\n\r\n"), RepeatedHost),
        ("GET /hello HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n".into(), RepeatedHost),
        (format!("{POST}Expect: magic\r\nContent-Length: 1\r\n\r\nx"), UnknownExpectation),
    ];
    for (fields, refusal) in framings() {
        shapes.push((format!("{POST}{fields}"), refusal));
    }
    shapes.push(("POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), BadTransferEncoding));
    for (body, refusal) in chunks() {
        shapes.push((format!("{POST}Transfer-Encoding: chunked\r\n\r\n{body}"), refusal));
    }
    shapes
}

fn framings() -> Vec<(&'static str, Refusal)> {
    use Refusal::*;
    vec![
        ("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", RepeatedContentLength),
        ("Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", RepeatedContentLength),
        ("Content-Length: 3, 3\r\n\r\nabc", BadContentLength),
        ("Content-Length: 3,4\r\n\r\nabcd", BadContentLength),
        ("Content-Length: +3\r\n\r\nabc", BadContentLength),
        ("Content-Length: -3\r\n\r\nabc", BadContentLength),
        ("Content-Length: 0x3\r\n\r\nabc", BadContentLength),
        ("Content-Length: 3 3\r\n\r\nabc", BadContentLength),
        ("Content-Length:\r\n\r\nabc", BadContentLength),
        ("Content-Length: 3a\r\n\r\nabc", BadContentLength),
        ("Content-Length: 18446744073709551616\r\n\r\nabc", BadContentLength),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", TwoFramings),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", TwoFramings),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", TwoFramings),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BadTransferEncoding),
        ("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", BadTransferEncoding),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", BadTransferEncoding),
        ("Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", BadTransferEncoding),
        ("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", BadTransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", BadTransferEncoding),
        ("Transfer-Encoding:\r\n\r\n0\r\n\r\n", BadTransferEncoding),
        ("Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", BadTransferEncoding),
        ("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", BadFieldName),
        ("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", BadFieldValue),
    ]
}

fn chunks() -> Vec<(&'static str, Refusal)> {
    use Refusal::*;
    vec![
        ("0x5\r\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("+5\r\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("-5\r\nhello\r\n0\r\n\r\n", BadChunkSize),
        (" 5\r\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("5 \r\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("5\t;a\r\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("5;a\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("5;a\rb\r\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("5\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("g\r\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("10000000000000005\r\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("\r\nhello\r\n0\r\n\r\n", BadChunkSize),
        ("4\r\nhello\r\n0\r\n\r\n", BadChunkEnd),
        ("5\r\nhello0\r\n\r\n", BadChunkEnd),
        ("5\r\nhello\n0\r\n\r\n", BadChunkEnd),
        ("0\r\nX: y\n\r\n", BadTrailer),
        ("0\r\n X: y\r\n\r\n", BadTrailer),
        ("0\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", BadTrailer),
        ("ffffffffffffffff\r\n", BodyTooLarge),
    ]
}

#[test]
fn malformed_shapes_are_answered_and_closed() {
    let server = Server::start();
    let shapes = shapes();
    for (request, refusal) in &shapes {
        // A second request behind it must never be answered.
        let text = server.exchange(format!("{request}GET /hello HTTP/1.1\r\nHost: smuggled\r\n\r\n"));
        assert_eq!(status(&text), refusal.status().to_string(), "{request:?}\n{text}");
        assert_eq!(field(&text, "connection"), Some("close"), "{request:?}");
        assert!(text.ends_with(&format!("\r\n\r\n{}", refusal.as_str())), "{request:?} expected {refusal:?}\n{text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{request:?}");
    }
    let counters = server.gate.counters();
    let refused: u64 = Refusal::ALL.iter().map(|refusal| counters.refused(*refusal)).sum();
    assert_eq!(refused, shapes.len() as u64);
    assert_eq!(counters.requests, 0, "no service saw any of them");
}

#[test]
fn the_answer_arrives_over_an_unread_body() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(format!("{POST}Content-Length: 1048577\r\n\r\n"));
    // The server may close before all of it is sent; the answer must be readable all the same.
    let _ = client.try_send(vec![b'x'; 300 * 1024]);
    let (text, _) = client.until_gone();
    assert_eq!(status(&text), "413", "{text}");
}

#[test]
fn well_formed_oddities_are_accepted() {
    let server = Server::start();
    let close = "Connection: close\r\n";
    let cases = [
        (format!("\r\nGET /echo HTTP/1.1\r\nHost: a\r\n{close}\r\n"), "GET /echo None authority=a host=a port=None"),
        (
            format!("GET /echo?a?b HTTP/1.1\r\nHost: Live.Example:8080\r\n{close}\r\n"),
            "GET /echo Some(\"a?b\") authority=live.example:8080 host=live.example port=Some(8080)",
        ),
        (format!("GET http://A.b/echo HTTP/1.1\r\nHost: a.B:80\r\n{close}\r\n"), "GET /echo None authority=a.b host=a.b port=None"),
        (format!("GET /echo HTTP/1.1\r\nHost:   [::1]:80  \r\n{close}\r\n"), "authority=[::1]:80 host=::1 port=Some(80)"),
        (format!("GET /echo HTTP/1.1\r\nHost: a\r\nX-Test:\r\nx-test: \tb c \r\n{close}\r\n"), "x-test=[\"\", \"b c\"]"),
        (format!("M-SEARCH! /echo HTTP/1.1\r\nHost: a\r\n{close}\r\n"), "M-SEARCH! /echo"),
        ("GET /echo HTTP/1.0\r\n\r\n".into(), "GET /echo None authority= host= port=None"),
        (
            format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n{close}\r\n4;x=\"y\"\r\nbody\r\n0\r\nX: y\r\n\r\n"),
            "body=body",
        ),
        (format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 004\r\n{close}\r\nbody"), "body=body"),
    ];
    for (request, expected) in cases {
        let text = server.exchange(&request);
        assert_eq!(status(&text), "200", "{request:?}\n{text}");
        assert!(text.contains(expected), "{request:?}\n{text}");
    }
    let text = server.exchange(format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{close}\r\n"));
    assert_eq!(status(&text), "404", "`*` reaches the service for OPTIONS: {text}");
}
