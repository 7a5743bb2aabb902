//! Many clients and one key.

use crate::{
    client::{Incoming, PATIENCE, ask, get},
    network::{MIB, Plan, one, start},
    origin::{Origin, Then},
    pattern, until,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Semaphore;
use weir_telemetry::Tasks;

const CLIENTS: usize = 500;

fn many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("the hard limit may always be taken");
}

#[tokio::test]
async fn five_hundred_on_a_cold_key_are_one_fetch_streamed_to_all_from_its_first_byte() {
    many_files();
    let (body, gate) = (Arc::new(pattern(300_000)), Arc::new(Semaphore::new(0)));
    let (theirs, opened) = (body.clone(), gate.clone());
    let origin = Origin::start(move |_, mut out| {
        let (body, gate) = (theirs.clone(), opened.clone());
        async move {
            out.send(format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n", body.len())).await;
            out.send(&body[..100_000]).await;
            drop(gate.acquire().await.expect("open"));
            out.send(&body[100_000..]).await;
            (out, Then::Keep)
        }
    })
    .await;
    let node = one(&origin);
    let (tasks, have_first, done) = (Tasks::new(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for _ in 0..CLIENTS {
        let (at, body, have_first, done) = (node.address, body.clone(), have_first.clone(), done.clone());
        tasks.spawn("client", async move {
            let mut incoming = Incoming::ask(at, "GET", "demo.weir.test", "/cold", "").await.expect("head");
            incoming.some(100_000).await.expect("the first piece");
            have_first.fetch_add(1, Ordering::SeqCst);
            assert!(incoming.rest().await.expect("whole").body == *body);
            done.fetch_add(1, Ordering::SeqCst);
        });
    }
    until("every client has the first piece while the origin holds the rest", || have_first.load(Ordering::SeqCst) == CLIENTS).await;
    assert_eq!(done.load(Ordering::SeqCst), 0);
    gate.add_permits(1);
    assert!(tasks.join(PATIENCE).await);
    assert_eq!((done.load(Ordering::SeqCst), origin.seen().len()), (CLIENTS, 1));
}

#[tokio::test]
async fn five_hundred_on_an_uncacheable_key_do_not_wait_for_one_another() {
    many_files();
    let (now, peak, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (counted, highest, opened) = (now.clone(), peak.clone(), gate.clone());
    let origin = Origin::start(move |_, mut out| {
        let (now, peak, gate) = (counted.clone(), highest.clone(), opened.clone());
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            out.send("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 4\r\n\r\nab").await;
            drop(gate.acquire().await.expect("open"));
            out.send("cd").await;
            now.fetch_sub(1, Ordering::SeqCst);
            (out, Then::Keep)
        }
    })
    .await;
    let node = one(&origin);
    let tasks = Tasks::new();
    for _ in 0..CLIENTS {
        let at = node.address;
        tasks.spawn("client", async move { assert_eq!(get(at, "/live").await.text(), "abcd") });
    }
    until("the origin holds every request at once", || peak.load(Ordering::SeqCst) == CLIENTS).await;
    gate.add_permits(CLIENTS);
    assert!(tasks.join(PATIENCE).await);
    assert_eq!(origin.seen().len(), CLIENTS);
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_nobody() {
    let body = Arc::new(pattern(8 * 1024 * 1024));
    let origin = Origin::fixed(200, "Cache-Control: max-age=60\r\n", body.as_slice()).await;
    let node = one(&origin);
    let stuck = Incoming::ask(node.address, "GET", "demo.weir.test", "/big", "").await.expect("head");
    assert!(get(node.address, "/big").await.body == *body);
    until("the fill ends", || node.metric("engine_fills_active") == 0).await;
    assert!(stuck.rest().await.expect("whole").body == *body);
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn what_is_too_large_passes_through_within_bounded_memory() {
    let body = Arc::new(pattern(12 * 1024 * 1024));
    for announced in [true, false] {
        let theirs = body.clone();
        let origin = Origin::start(move |seen, mut out| {
            let body = theirs.clone();
            async move {
                match (announced, seen.field("range")) {
                    (_, Some("bytes=5-9")) => out.answer(206, "Content-Range: bytes 5-9/12582912\r\n", &body[5..10]).await,
                    (true, _) => out.answer(200, "Cache-Control: max-age=60\r\n", body.as_slice()).await,
                    (false, _) => {
                        out.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nConnection: close\r\n\r\n").await;
                        out.send(body.as_slice()).await;
                    }
                }
                (out, if announced { Then::Keep } else { Then::Close })
            }
        })
        .await;
        let node = start(&Plan { store_bytes: 8 * MIB, ..Plan::default() }, &format!("http://{}", origin.address)).remove(0);
        let mut incoming = Incoming::ask(node.address, "GET", "demo.weir.test", "/huge", "").await.expect("head");
        if announced {
            incoming.some(1024).await.expect("some");
        }
        assert!(node.engine.load().store_bytes <= 8 * MIB, "{}", node.engine.load().store_bytes);
        assert!(incoming.rest().await.expect("whole").body == *body);
        assert_eq!((node.metric("engine_store_objects"), origin.seen().len()), (0, 1));
        if announced {
            let reply = ask(node.address, "GET", "/huge2", "Range: bytes=5-9\r\n").await;
            assert_eq!((reply.status, reply.body.as_slice()), (206, &body[5..10]));
        }
    }
}

#[tokio::test]
async fn an_error_is_not_remembered_as_uncacheable() {
    let gate = Arc::new(Semaphore::new(0));
    let (opened, turn) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let origin = Origin::start(move |_, mut out| {
        let (gate, turn) = (opened.clone(), turn.fetch_add(1, Ordering::SeqCst));
        async move {
            if turn == 0 {
                out.answer(404, "Cache-Control: no-store\r\n", "not yet").await;
            } else {
                drop(gate.acquire().await.expect("open"));
                out.answer(200, "Cache-Control: max-age=60\r\n", "segment").await;
            }
            (out, Then::Keep)
        }
    })
    .await;
    let node = one(&origin);
    assert_eq!(get(node.address, "/live-9.ts").await.status, 404);
    let tasks = Tasks::new();
    for _ in 0..20 {
        let at = node.address;
        tasks.spawn("client", async move { assert_eq!(get(at, "/live-9.ts").await.text(), "segment") });
    }
    until("all wait", || node.engine.load().active_requests == 20).await;
    gate.add_permits(20);
    assert!(tasks.join(PATIENCE).await);
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn of_an_uncacheable_key_a_range_is_asked_for_as_it_is() {
    let origin = Origin::start(|seen, mut out| async move {
        match seen.field("range") {
            Some("bytes=1-2") => out.answer(206, "Cache-Control: no-store\r\nContent-Range: bytes 1-2/4\r\n", "bc").await,
            _ => out.answer(200, "Cache-Control: no-store\r\n", "abcd").await,
        }
        (out, Then::Keep)
    })
    .await;
    let node = one(&origin);
    let range = "Range: bytes=1-2\r\n";
    assert_eq!(ask(node.address, "GET", "/u", range).await.text(), "abcd", "not yet known: the whole was asked for");
    let reply = ask(node.address, "GET", "/u", range).await;
    assert_eq!((reply.status, reply.text(), reply.field("content-range")), (206, "bc", Some("bytes 1-2/4")));
}
