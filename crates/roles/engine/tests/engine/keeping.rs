//! What is kept, what is handed on, and when a fill ends.

use crate::{
    client::{Incoming, ask, get},
    network::{one, two_cores},
    origin::{Origin, Then},
    until,
};
use std::time::Duration;

#[tokio::test]
async fn fields_that_may_not_be_kept_reach_the_one_who_asked() {
    for directive in ["private", "no-cache"] {
        let origin = Origin::start(move |seen, mut out| async move {
            let user = seen.field("x-name").unwrap_or("nobody");
            let fields = format!(
                "ETag: \"a\"\r\nCache-Control: max-age=60, {directive}=\"x-user, set-cookie\"\r\nX-User: {user}\r\nSet-Cookie: a={user}\r\n"
            );
            out.answer(200, &fields, "x").await;
            (out, Then::Keep)
        })
        .await;
        let node = one(&origin);
        let first = ask(node.address, "GET", "/a", "X-Name: ann\r\n").await;
        assert_eq!((first.field("x-user"), first.field("set-cookie")), (Some("ann"), Some("a=ann")), "{directive}");
        let hit = ask(node.address, "GET", "/a", "X-Name: bob\r\n").await;
        assert_eq!((hit.field("x-user"), hit.field("set-cookie"), origin.seen().len()), (None, None, 1), "{directive}");
    }
}

#[tokio::test]
async fn fields_of_a_304_that_may_not_be_kept_reach_the_one_who_asked() {
    let origin = Origin::start(|seen, mut out| async move {
        let fields = "ETag: \"a\"\r\nCache-Control: max-age=0, private=\"x-user\"\r\nX-User: ann\r\n";
        match seen.field("if-none-match") {
            Some(_) => out.send(format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n")).await,
            None => out.answer(200, fields, "x").await,
        }
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    for turn in 1..3 {
        let reply = get(node.address, "/a").await;
        assert_eq!((reply.text(), reply.field("x-user"), origin.seen().len()), ("x", Some("ann"), turn));
    }
}

/// Longer than a fill is let go on without a reader, much shorter than what the origin below would send.
const PIECES: usize = 2_000;

#[tokio::test]
async fn a_fill_of_unknown_length_ends_with_its_readers() {
    let origin = Origin::start(|_, mut out| async move {
        out.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for _ in 0..PIECES {
            out.send("4\r\nabcd\r\n").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        (out, Then::Close)
    })
    .await;
    let node = one(&origin);
    let incoming = Incoming::ask(node.address, "GET", "demo.weir.test", "/live", "").await.expect("head");
    assert_eq!(node.metric("engine_fills_active"), 1);
    drop(incoming);
    until("the fill ends", || node.metric("engine_fills_active") == 0).await;
}

#[tokio::test]
async fn a_fill_that_trickles_ends_with_its_readers() {
    let origin = Origin::start(|_, mut out| async move {
        out.send(format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {PIECES}\r\n\r\n")).await;
        for _ in 0..PIECES {
            out.send("a").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        (out, Then::Close)
    })
    .await;
    let node = one(&origin);
    drop(Incoming::ask(node.address, "GET", "demo.weir.test", "/slow", "").await.expect("head"));
    until("the fill ends", || node.metric("engine_fills_active") == 0).await;
}

#[tokio::test]
async fn a_drain_cuts_no_body_that_another_core_fetches() {
    let origin = Origin::start(|_, mut out| async move {
        out.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 84\r\n\r\nabcd").await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            out.send("abcd").await;
        }
        (out, Then::Close)
    })
    .await;
    let (node, second) = two_cores(&origin);
    let mut leader = Incoming::ask(node.address, "GET", "demo.weir.test", "/a", "").await.expect("head");
    leader.some(4).await.expect("the first piece");
    let follower = Incoming::ask(second, "GET", "demo.weir.test", "/a", "").await.expect("head");
    node.drain();
    drop(leader);
    until("the leader has left", || node.connections() <= 1).await;
    assert_eq!(follower.rest().await.expect("whole").text(), "abcd".repeat(21));
    assert_eq!(origin.seen().len(), 1);
}
