//! What clients get of what is held: bytes, ranges, preconditions, HEAD, records, sessions.

use crate::{
    client::{ask, get},
    network::one,
    origin::Origin,
    pattern, until,
};

const FRESH: &str =
    "Cache-Control: max-age=60\r\nETag: \"v1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: video/mp2t\r\n";

#[tokio::test]
async fn bytes_are_the_origins_first_and_again() {
    for length in [0, 1, 1000, 1024 * 1024, 8 * 1024 * 1024 + 3] {
        let body = pattern(length);
        let origin = Origin::fixed(200, FRESH, body.clone()).await;
        let node = one(&origin);
        for turn in 0..3 {
            let reply = get(node.address, "/a/file.ts").await;
            assert_eq!(reply.status, 200);
            assert!(reply.body == body, "{length} bytes, turn {turn}");
            assert_eq!(reply.field("content-type"), Some("video/mp2t"));
        }
        assert_eq!(origin.seen().len(), 1, "{length} bytes");
    }
}

#[tokio::test]
async fn ranges_of_what_is_held() {
    let body = pattern(3 * 1024 * 1024 + 10);
    let origin = Origin::fixed(200, FRESH, body.clone()).await;
    let node = one(&origin);
    let length = body.len();
    get(node.address, "/r").await;
    for (range, from, until) in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, length),
        ("bytes=-7", length - 7, length),
        ("bytes=1048570-1048585", 1_048_570, 1_048_586),
        ("bytes=100-99999999999", 100, length),
    ] {
        let reply = ask(node.address, "GET", "/r", &format!("Range: {range}\r\n")).await;
        assert_eq!(reply.status, 206, "{range}");
        assert!(reply.body == body[from..until], "{range}");
        assert_eq!(reply.field("content-range"), Some(format!("bytes {from}-{}/{length}", until - 1).as_str()));
    }
    let reply = ask(node.address, "GET", "/r", "Range: bytes=99999999-\r\n").await;
    assert_eq!((reply.status, reply.field("content-range")), (416, Some(format!("bytes */{length}").as_str())));
    let reply = ask(node.address, "GET", "/r", "Range: bytes=0-3, 10-11\r\n").await;
    assert_eq!(reply.status, 206);
    let kind = reply.field("content-type").expect("a type");
    assert!(kind.starts_with("multipart/byteranges; boundary="), "{kind}");
    let inside = |part: &[u8]| reply.body.windows(part.len()).any(|w| w == part);
    assert!(inside(&[b"\r\n\r\n", &body[0..4], b"\r\n--"].concat()) && inside(&[b"\r\n\r\n", &body[10..12], b"\r\n--"].concat()));
    for (fields, status) in [
        ("Range: bytes=0-1\r\nIf-Range: \"v1\"\r\n", 206),
        ("Range: bytes=0-1\r\nIf-Range: \"v0\"\r\n", 200),
        ("Range: lines=0-1\r\n", 200),
        ("Range: bytes=5-3\r\n", 200),
    ] {
        assert_eq!(ask(node.address, "GET", "/r", fields).await.status, status, "{fields}");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn a_range_of_what_is_not_held_fetches_the_whole_once() {
    let body = pattern(100_000);
    let origin = Origin::fixed(200, FRESH, body.clone()).await;
    let node = one(&origin);
    let reply = ask(node.address, "GET", "/r", "Range: bytes=50000-50009\r\n").await;
    assert_eq!(reply.status, 206);
    assert_eq!(reply.body, &body[50_000..50_010]);
    assert!(get(node.address, "/r").await.body == body);
    let seen = origin.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].field("range"), None);
}

#[tokio::test]
async fn preconditions_are_answered_from_what_is_held() {
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let node = one(&origin);
    get(node.address, "/c").await;
    for (fields, status) in [
        ("If-None-Match: \"v1\"\r\n", 304),
        ("If-None-Match: W/\"v1\", \"x\"\r\n", 304),
        ("If-None-Match: \"v2\"\r\n", 200),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200),
        ("If-None-Match: \"v2\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200),
        ("If-Match: \"v2\"\r\n", 412),
        ("If-Match: \"v1\"\r\n", 200),
    ] {
        let reply = ask(node.address, "GET", "/c", fields).await;
        assert_eq!(reply.status, status, "{fields}");
        if status == 304 {
            assert_eq!((reply.field("etag"), reply.field("content-type"), reply.body.len()), (Some("\"v1\""), None, 0));
        }
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn head_is_answered_from_what_is_held_and_else_goes_up_as_head() {
    let origin = Origin::start(|seen, mut out| async move {
        let body = if seen.method == "HEAD" { String::new() } else { "hello".into() };
        out.send(format!("HTTP/1.1 200 OK\r\n{FRESH}Content-Length: 5\r\n\r\n{body}")).await;
        (out, crate::origin::Then::Keep)
    })
    .await;
    let node = one(&origin);
    for (method, fetched) in [("HEAD", 1), ("HEAD", 2), ("GET", 3), ("HEAD", 3)] {
        let reply = ask(node.address, method, "/h", "").await;
        assert_eq!((reply.status, reply.field("content-length")), (200, Some("5")));
        assert_eq!(origin.seen().len(), fetched);
    }
    assert_eq!(origin.seen().iter().map(|s| s.method.as_str()).collect::<Vec<_>>(), ["HEAD", "HEAD", "GET"]);
}

#[tokio::test]
async fn url_forms_and_refusals() {
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let node = one(&origin);
    let at = node.address;
    for (host, target, status, word) in [
        ("demo.weir.test", "/x", 200, None),
        ("core-1.se.demo.weir.test:8080", "/x", 200, None),
        (at.to_string().as_str(), "/demo.weir.test/x", 200, None),
        ("other.weir.test", "/x", 404, Some("unknown_domain")),
        (at.to_string().as_str(), "/x", 404, Some("no_domain_in_path")),
        ("demo.weir.test", "/a/../../x", 400, Some("dot_segments")),
        ("demo.weir.test", "/a/%2e%2E/x", 400, Some("dot_segments")),
    ] {
        let reply = crate::client::Incoming::ask(at, "GET", host, target, "").await.expect("answers").rest().await.expect("whole");
        assert_eq!((reply.status, reply.field("weir-reason")), (status, word), "{host} {target}");
    }
    assert_eq!(origin.seen().len(), 1, "every form has one key");
    assert_eq!(origin.seen()[0].target, "/x");
    assert_eq!(origin.seen()[0].field("host"), Some(origin.address.to_string().as_str()));
}

#[tokio::test]
async fn every_request_leaves_a_record_and_viewers_are_sessions() {
    let origin = Origin::fixed(200, FRESH, "hello").await;
    let node = one(&origin);
    for (target, fields) in [
        ("/s/1.ts", "User-Agent: a\r\n"),
        ("/s/2.ts", "User-Agent: a\r\n"),
        ("/s/1.ts", "User-Agent: b\r\n"),
        ("/s/1.ts", "User-Agent: c\r\nWeir-Hops: 1\r\n"),
        ("/s/1.ts?q=1", "User-Agent: a\r\nRange: bytes=1-2\r\n"),
    ] {
        ask(node.address, "GET", target, fields).await;
    }
    // A streamed answer is accounted for when the connection lets go of it.
    until("all requests ended", || node.engine.load().active_requests == 0).await;
    let load = node.engine.load();
    assert_eq!((load.requests, load.sessions, load.client_bytes, load.origin_bytes), (5, 2, 17, 15));
    assert_eq!(
        [node.metric("engine_client_bytes_total"), node.metric("engine_peer_bytes_total")],
        [17, 5],
        "the other engine is no viewer"
    );
    assert!(load.store_bytes > 15);
    assert_eq!(node.metric(r#"engine_requests_total{outcome="hit"}"#), 2);
    assert_eq!(node.metric(r#"engine_upstream_bytes_total{from="origin"}"#), 15);
    assert_eq!(node.metric("engine_request_duration_seconds_count"), 5);
    node.engine.stop().await;
    let text = std::fs::read_to_string(node.directory.path().join("access.log")).expect("records");
    let records: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).expect("json")).collect();
    assert_eq!(records.len(), 5);
    let last = records.iter().find(|r| r["query"] == "q=1").expect("recorded");
    assert_eq!((last["status"].as_u64(), last["bytes"].as_u64()), (Some(206), Some(2)));
    assert_eq!((last["service"].as_str(), last["range"].as_str()), (Some("demo"), Some("bytes=1-2")));
    assert!(records.iter().all(|r| r["complete"] == true && r["host"] == "demo.weir.test"), "{text}");
    assert_eq!(records.iter().filter(|r| r["session"].is_null()).count(), 1, "the other engine's request");
    assert!(node.engine.self_test().await.is_ok());
}
