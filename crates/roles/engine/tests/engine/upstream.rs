//! Upstreams that break, hang or come back.

use crate::{
    client::{Incoming, get},
    network::{Plan, bare, configuration, start},
    origin::{Origin, Then},
    until,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

#[tokio::test]
async fn a_body_that_breaks_off_does_not_cost_what_was_held() {
    let turn = Arc::new(AtomicUsize::new(0));
    let origin = Origin::start(move |_, mut out| {
        let turn = turn.fetch_add(1, Ordering::SeqCst);
        async move {
            match turn {
                0 => out.answer(200, "ETag: \"a\"\r\nCache-Control: max-age=0, stale-if-error=86400\r\n", "held").await,
                1 => out.send("HTTP/1.1 200 OK\r\nETag: \"b\"\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nnew").await,
                _ => {}
            }
            (out, if turn == 0 { Then::Keep } else { Then::Close })
        }
    })
    .await;
    let node = start(&Plan::default(), &format!("http://{}", origin.address)).remove(0);
    assert_eq!(get(node.address, "/a").await.text(), "held");
    let broken = async { Incoming::ask(node.address, "GET", "demo.weir.test", "/a", "").await?.rest().await };
    assert!(broken.await.is_err(), "the new one breaks");
    until("the fill is over", || node.metric("engine_fills_active") == 0).await;
    let reply = get(node.address, "/a").await;
    assert_eq!((reply.status, reply.text()), (200, "held"), "the origin is dead, and what was held stands in");
    assert_eq!(node.metric(r#"engine_requests_total{outcome="stale-on-error"}"#), 1);
}

/// The configuration of `east-1` at `edge` below `core-1` at `core`.
fn below(core: SocketAddr, edge: SocketAddr, origin: &str) -> Arc<weir_model::DeviceConfiguration> {
    let plan = Plan { engines: &[("east-1", "east"), ("core-1", "core")], ..Plan::default() };
    Arc::new(configuration(&plan, "east-1", origin, &[edge, core]))
}

#[tokio::test]
async fn an_origin_that_a_parent_reaches_is_not_unreachable() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
    let (edge, dead) = (bare("east-1"), format!("http://{nowhere}"));
    edge.engine.apply(below(nowhere, edge.address, &dead)).expect("applies");
    for turn in 0..3 {
        assert_eq!(get(edge.address, &format!("/{turn}")).await.status, 502);
    }
    assert_eq!(edge.engine.conditions().len(), 1);
    let parent = Origin::fixed(200, "Cache-Control: max-age=60\r\n", "x").await;
    edge.engine.apply(below(parent.address, edge.address, &dead)).expect("applies");
    assert_eq!(get(edge.address, "/a").await.text(), "x");
    assert_eq!(edge.engine.conditions().len(), 0);
}

#[tokio::test]
async fn a_slow_reader_of_what_passes_through_stops_the_others_for_a_time_only() {
    const BODY_BYTES: usize = 40 * 1024 * 1024;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let opened = gate.clone();
    let origin = Origin::start(move |_, mut out| {
        let gate = opened.clone();
        async move {
            out.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            drop(gate.acquire().await.expect("open"));
            let chunk = [format!("{:x}\r\n", 64 * 1024).as_bytes(), &vec![b'x'; 64 * 1024], b"\r\n"].concat();
            for _ in 0..BODY_BYTES / (64 * 1024) {
                out.send(&chunk).await;
            }
            out.send("0\r\n\r\n").await;
            (out, Then::Keep)
        }
    })
    .await;
    // Larger than a quarter of the store: it passes through.
    let node = start(&Plan { store_bytes: 4 * crate::network::MIB, ..Plan::default() }, &format!("http://{}", origin.address)).remove(0);
    let ask = || Incoming::ask(node.address, "GET", "demo.weir.test", "/large", "");
    let (stuck, fast) = (ask().await.expect("head"), ask().await.expect("head"));
    gate.add_permits(1);
    let whole = tokio::time::timeout(crate::client::PATIENCE, fast.rest()).await.expect("in time").expect("whole");
    assert_eq!((whole.body.len(), origin.seen().len()), (BODY_BYTES, 1));
    assert!(stuck.rest().await.is_err(), "the one that did not read is cut off");
}
