//! Origins that fail.

use crate::{
    client::{Incoming, get},
    network::{Plan, one, start},
    origin::{Origin, Then},
    until,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use weir_engine::{Engine, EngineError, EngineSettings, Rejection};
use weir_model::AlarmReason;

/// An address where nobody listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    format!("http://{}", listener.local_addr().expect("address"))
}

#[tokio::test]
async fn a_dead_origin_is_502_and_a_condition_until_it_answers() {
    let node = start(&Plan::default(), &nowhere()).remove(0);
    for turn in 1..4 {
        assert_eq!(node.engine.conditions().len(), 0, "before failure {turn}");
        let reply = get(node.address, &format!("/{turn}")).await;
        assert_eq!((reply.status, reply.field("weir-reason")), (502, Some("upstream_refused")));
        assert_eq!(reply.list("cache-status"), "core-1; fwd=uri-miss; detail=upstream_refused");
    }
    let conditions = node.engine.conditions();
    assert_eq!((conditions[0].reason, conditions[0].object.as_str()), (AlarmReason::OriginUnreachable, "demo"));
}

#[tokio::test]
async fn a_truncated_body_is_a_broken_one_and_nothing_stays() {
    for chunked in [true, false] {
        let origin = Origin::start(move |_, mut out| async move {
            let framing = if chunked { "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n" } else { "Content-Length: 10\r\n\r\nabcd" };
            out.send(format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{framing}")).await;
            (out, Then::Close)
        })
        .await;
        let node = one(&origin);
        for turn in 1..3 {
            let whole = async { Incoming::ask(node.address, "GET", "demo.weir.test", "/t", "").await?.rest().await };
            assert!(whole.await.is_err(), "chunked {chunked}: a short body may not look whole");
            assert_eq!(origin.seen().len(), turn);
        }
        until("nothing stored", || node.metric("engine_store_objects") == 0).await;
    }
}

#[tokio::test]
async fn an_origin_is_asked_once() {
    let origin = Origin::start(|_, out| async move { (out, Then::Close) }).await;
    let node = one(&origin);
    let reply = get(node.address, "/a").await;
    assert_eq!((reply.status, reply.field("weir-reason")), (502, Some("upstream_broken")));
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn what_is_not_http_is_502() {
    let origin = Origin::start(|_, mut out| async move {
        out.send("nonsense\r\n\r\n").await;
        (out, Then::Close)
    })
    .await;
    let reply = get(one(&origin).address, "/a").await;
    assert_eq!((reply.status, reply.field("weir-reason")), (502, Some("upstream_malformed")));
}

#[tokio::test]
async fn stale_stands_in_for_an_error_where_the_origin_allows_it() {
    let turn = Arc::new(AtomicUsize::new(0));
    let counted = turn.clone();
    let origin = Origin::start(move |seen, mut out| {
        let turn = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let grants = if seen.target == "/granted" { ", stale-if-error=60" } else { ", must-revalidate" };
            match turn % 2 {
                0 => out.answer(200, &format!("ETag: \"a\"\r\nCache-Control: max-age=0{grants}\r\n"), "held").await,
                _ => out.answer(500, "", "broken").await,
            }
            (out, Then::Keep)
        }
    })
    .await;
    let node = one(&origin);
    for (target, status, text) in [("/granted", 200, "held"), ("/strict", 500, "broken")] {
        assert_eq!(get(node.address, target).await.text(), "held");
        let reply = get(node.address, target).await;
        assert_eq!((reply.status, reply.text()), (status, text), "{target}");
    }
    assert_eq!(node.metric(r#"engine_requests_total{outcome="stale-on-error"}"#), 1);
}

#[tokio::test]
async fn an_engine_without_configuration_says_so_and_another_devices_is_refused() {
    use crate::network::bare;
    let node = bare("core-1");
    let reply = get(node.address, "/a").await;
    assert_eq!((reply.status, reply.field("weir-reason"), reply.field("retry-after")), (503, Some("no_configuration"), Some("1")));
    let other = bare("core-2");
    let configuration =
        std::sync::Arc::new(crate::network::configuration(&Plan::default(), "core-1", "http://127.0.0.1:9", &[node.address]));
    assert!(matches!(other.engine.apply(configuration.clone()), Err(Rejection::OtherDevice(_))));
    assert_eq!(get(other.address, "/a").await.status, 503);
    node.engine.apply(configuration).expect("its own");
    assert_eq!(get(node.address, "/a").await.status, 502);
}

#[test]
fn a_store_of_one_byte_is_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let settings =
        EngineSettings { name: "core-1".parse().expect("a name"), store_bytes: 1, disk_bytes: None, state: directory.path().to_owned() };
    let metrics = weir_telemetry::Metrics::new("1", "engine", "core-1");
    assert!(matches!(Engine::new(settings, &metrics), Err(EngineError::StoreTooSmall(1))));
}

#[tokio::test]
async fn an_error_is_the_engines_own_unless_a_client_or_an_origin_caused_it() {
    let origin = Origin::start(|_, mut out| async move {
        out.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        (out, Then::Close)
    })
    .await;
    let (failing, dead) = (one(&origin), start(&Plan::default(), &nowhere()).remove(0));
    for (node, path, status, excused) in [(&failing, "/a", 503, 1), (&dead, "/a", 502, 1), (&dead, "/b", 502, 2)] {
        assert_eq!((get(node.address, path).await.status, node.engine.excused_errors()), (status, excused), "{path}");
    }
    let reply = Incoming::ask(dead.address, "GET", "demo.weir.test", "/c", "Cache-Control: only-if-cached\r\n").await.expect("asked");
    assert_eq!((reply.rest().await.expect("whole").status, dead.engine.excused_errors()), (504, 3));
}
