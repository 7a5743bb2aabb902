//! Many clients and one key, when the answer is an error, somebody's own, stale, or one of several variants.

use crate::{
    client::{PATIENCE, ask, get},
    network::{Node, one, two_levels},
    origin::{Origin, Then},
    until,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use weir_telemetry::Tasks;

/// Clients of one wave.
const CLIENTS: usize = 40;

/// An origin that answers with these bytes once its gate is open, and answers requests with credentials at once.
async fn gated(answer: impl Into<String>) -> (Origin, Arc<Semaphore>) {
    let (gate, answer) = (Arc::new(Semaphore::new(0)), Arc::new(answer.into()));
    let opened = gate.clone();
    let origin = Origin::start(move |seen, mut out| {
        let (gate, answer) = (opened.clone(), answer.clone());
        async move {
            if seen.field("authorization").is_none() {
                drop(gate.acquire().await.expect("open"));
            }
            let language = seen.field("accept-language").unwrap_or("none");
            out.send(answer.replace("LANGUAGE", language)).await;
            (out, Then::Keep)
        }
    })
    .await;
    (origin, gate)
}

/// Sends a wave, opens the gate once all wait, and returns the statuses and texts they got.
async fn wave(node: &Node, gate: &Semaphore, target: &str, fields: impl Fn(usize) -> String) -> Vec<(u16, String)> {
    let (tasks, got) = (Tasks::new(), Arc::new(std::sync::Mutex::new(Vec::new())));
    for index in 0..CLIENTS {
        let (at, fields, target, got) = (node.address, fields(index), target.to_owned(), got.clone());
        tasks.spawn("client", async move {
            let reply = ask(at, "GET", &target, &fields).await;
            got.lock().expect("unpoisoned").push((reply.status, reply.text().to_owned()));
        });
    }
    until("all wait", || node.engine.load().active_requests >= u32::try_from(CLIENTS).expect("few")).await;
    gate.add_permits(1000);
    assert!(tasks.join(PATIENCE).await);
    let got = got.lock().expect("unpoisoned").clone();
    assert_eq!(got.len(), CLIENTS);
    got
}

#[tokio::test]
async fn an_error_is_the_answer_of_all_who_wait_for_it() {
    for (status, answer) in [
        (503, "HTTP/1.1 503 X\r\nRetry-After: 1\r\nCache-Control: no-store\r\nContent-Length: 4\r\n\r\noops"),
        (503, "HTTP/1.1 503 X\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n4\r\noops\r\n0\r\n\r\n"),
        (500, "HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops"),
        (404, "HTTP/1.1 404 X\r\nCache-Control: no-store\r\nContent-Length: 4\r\n\r\noops"),
    ] {
        let (origin, gate) = gated(answer).await;
        let node = one(&origin);
        let got = wave(&node, &gate, "/a", |_| String::new()).await;
        assert!(got.iter().all(|(s, text)| (*s, text.as_str()) == (status, "oops")), "{got:?}");
        assert_eq!(origin.seen().len(), 1, "{answer}");
    }
}

#[tokio::test]
async fn an_error_that_is_somebodys_own_is_not_shared() {
    let (origin, gate) = gated("HTTP/1.1 404 X\r\nSet-Cookie: a=1\r\nContent-Length: 4\r\n\r\noops").await;
    let node = one(&origin);
    wave(&node, &gate, "/a", |_| String::new()).await;
    assert_eq!(origin.seen().len(), CLIENTS);
}

#[tokio::test]
async fn a_large_error_is_whole_for_everyone() {
    let body = "e".repeat(300_000);
    let (origin, gate) = gated(format!(
        "HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len(),
        body.len()
    ))
    .await;
    let node = one(&origin);
    let got = wave(&node, &gate, "/a", |_| String::new()).await;
    assert!(got.iter().all(|(status, text)| *status == 500 && text.len() == 2 * body.len()));
}

#[tokio::test]
async fn credentials_of_one_do_not_undo_collapsing_for_all() {
    let (origin, gate) = gated("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx").await;
    let node = one(&origin);
    ask(node.address, "GET", "/a", "Authorization: Basic eDp5\r\n").await;
    wave(&node, &gate, "/a", |_| String::new()).await;
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn what_arrives_stale_is_the_answer_of_all_who_waited() {
    let (origin, gate) =
        gated("HTTP/1.1 200 OK\r\nETag: \"a\"\r\nAge: 100\r\nCache-Control: max-age=10\r\nContent-Length: 1\r\n\r\nx").await;
    let node = one(&origin);
    for fetched in 1..3 {
        wave(&node, &gate, "/a", |_| String::new()).await;
        assert_eq!(origin.seen().len(), fetched);
        gate.forget_permits(1000);
    }
}

#[tokio::test]
async fn a_304_that_forbids_keeping_is_the_answer_of_one() {
    let (turn, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let opened = gate.clone();
    let origin = Origin::start(move |seen, mut out| {
        let (turn, gate) = (turn.fetch_add(1, Ordering::SeqCst), opened.clone());
        async move {
            match (turn, seen.field("if-none-match")) {
                (0, _) => out.answer(200, "ETag: \"a\"\r\nAge: 100\r\nCache-Control: max-age=10\r\n", "x").await,
                (_, Some(_)) => {
                    drop(gate.acquire().await.expect("open"));
                    out.send("HTTP/1.1 304 X\r\nETag: \"a\"\r\nCache-Control: private\r\n\r\n").await;
                }
                (_, None) => out.answer(200, "Cache-Control: private\r\n", "y").await,
            }
            (out, Then::Keep)
        }
    })
    .await;
    let node = one(&origin);
    get(node.address, "/a").await;
    let got = wave(&node, &gate, "/a", |_| String::new()).await;
    assert_eq!((got.iter().filter(|(_, text)| text == "x").count(), origin.seen().len()), (1, 1 + CLIENTS));
}

#[tokio::test]
async fn variants_of_a_cold_key_are_fetched_once_each() {
    const LANGUAGES: [&str; 5] = ["de", "fr", "it", "en", "pl"];
    let (origin, gate) =
        gated("HTTP/1.1 200 OK\r\nVary: Accept-Language\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nLANGUAGE").await;
    let node = one(&origin);
    let mut got = wave(&node, &gate, "/a", |index| format!("Accept-Language: {}\r\n", LANGUAGES[index % LANGUAGES.len()])).await;
    assert_eq!(origin.seen().len(), LANGUAGES.len());
    got.sort();
    got.dedup();
    assert_eq!(got.len(), LANGUAGES.len());
}

#[tokio::test]
async fn a_failing_origin_is_not_waited_for_where_what_is_held_may_stand_in() {
    let (mode, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (theirs, opened) = (mode.clone(), gate.clone());
    let origin = Origin::start(move |_, mut out| {
        let (mode, gate) = (theirs.load(Ordering::SeqCst), opened.clone());
        async move {
            match mode {
                0 => out.answer(200, "ETag: \"a\"\r\nCache-Control: max-age=0\r\n", "held").await,
                1 => return (out, Then::Close),
                _ => {
                    drop(gate.acquire().await.expect("open"));
                    out.answer(200, "Cache-Control: max-age=60\r\n", "new").await;
                }
            }
            (out, Then::Keep)
        }
    })
    .await;
    for nodes in [vec![one(&origin)], two_levels(&format!("http://{}", origin.address))] {
        let at = nodes[0].address;
        mode.store(0, Ordering::SeqCst);
        get(at, "/a").await;
        get(at, "/b").await;
        mode.store(1, Ordering::SeqCst);
        for target in ["/1", "/2", "/3"] {
            assert_eq!(get(at, target).await.status, 502);
        }
        mode.store(2, Ordering::SeqCst);
        let before = origin.seen().len();
        for target in ["/a", "/b", "/a", "/b"] {
            let reply = tokio::time::timeout(Duration::from_secs(5), get(at, target)).await.expect("at once");
            assert_eq!(reply.text(), "held");
            assert!(reply.list("cache-status").contains("stale-on-error"), "{}", reply.list("cache-status"));
        }
        until("one probe", || origin.seen().len() > before).await;
        assert_eq!(origin.seen().len(), before + 1, "one probe at a time");
        gate.add_permits(1000);
        until("the probe ends", || nodes[0].metric("engine_fills_active") == 0).await;
        until("fetched again", || nodes[0].engine.conditions().is_empty()).await;
        // A parent's own probe may end a moment after the edge's.
        let fresh = async { while get(at, "/a").await.text() != "new" {} };
        tokio::time::timeout(Duration::from_secs(5), fresh).await.expect("the origin is asked again");
        gate.forget_permits(1000);
    }
}
