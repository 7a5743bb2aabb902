//! Content on disk: what another worker on the same directory finds of it, and what it does not.

use crate::{
    client::{PATIENCE, ask, get},
    network::{MIB, Node, Plan, configuration, on},
    origin::{Origin, Then},
    pattern, until,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tempfile::TempDir;
use weir_model::{AlarmReason, service::CachePolicy};
use weir_telemetry::Tasks;

fn plan() -> Plan<'static> {
    Plan { disk_bytes: Some(256 * MIB), ..Plan::default() }
}

fn directory() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().expect("directory"))
}

fn url(origin: &Origin) -> String {
    format!("http://{}", origin.address)
}

/// An engine before an origin, on a directory of its own.
async fn first(origin: &Origin) -> Node {
    on(&directory(), &plan(), &url(origin)).await
}

/// The engine ends, and another takes its place.
async fn next(node: Node, origin: &Origin) -> Node {
    next_under(node, origin, &plan()).await
}

async fn next_under(node: Node, origin: &Origin, plan: &Plan<'_>) -> Node {
    node.kill();
    node.engine.stop().await;
    on(&node.directory, plan, &url(origin)).await
}

async fn status(node: &Node, target: &str) -> String {
    get(node.address, target).await.list("cache-status")
}

#[tokio::test]
async fn what_was_stored_is_a_hit_after_a_restart_and_from_memory_then() {
    let body = pattern(3 * 1024 * 1024 + 17);
    let origin = Origin::fixed(200, "Cache-Control: max-age=1000\r\nAge: 100\r\nX-Kept: a\r\n", body.clone()).await;
    let node = first(&origin).await;
    assert_eq!(get(node.address, "/a?x=1").await.body, body);
    let node = next(node, &origin).await;
    for (turn, detail) in [(1, true), (2, false)] {
        let reply = get(node.address, "/a?x=1").await;
        let status = reply.list("cache-status");
        assert!(status.starts_with("core-1; hit") && status.ends_with("; detail=disk") == detail, "{turn}: {status}");
        assert_eq!((reply.status, reply.field("x-kept"), &reply.body), (200, Some("a"), &body), "{turn}");
        let age: u32 = reply.field("age").and_then(|age| age.parse().ok()).expect("an age");
        assert!((100..130).contains(&age), "{turn}: {age}");
    }
    assert_eq!((origin.seen().len(), node.metric("engine_disk_hits_total")), (1, 1));
    assert!(node.metric("engine_disk_objects") >= 1 && node.metric("engine_disk_bytes") as usize >= body.len());
    node.engine.stop().await;
    let records = std::fs::read_to_string(node.directory.path().join("access.log")).expect("records");
    assert_eq!(records.lines().filter(|line| line.contains("\"outcome\":\"hit\",\"detail\":\"disk\"")).count(), 1, "{records}");
}

#[tokio::test]
async fn parts_heads_and_who_wants_no_fetch_are_answered_from_disk() {
    let body = pattern(2 * 1024 * 1024);
    let origin = Origin::fixed(200, "Cache-Control: max-age=1000\r\nETag: \"a\"\r\n", body.clone()).await;
    let mut node = first(&origin).await;
    get(node.address, "/a").await;
    for (method, fields, status, length) in [
        ("HEAD", "", 200, 0),
        ("GET", "Range: bytes=1048570-1048589\r\n", 206, 20),
        ("GET", "Cache-Control: only-if-cached\r\n", 200, body.len()),
        ("GET", "If-None-Match: \"a\"\r\n", 304, 0),
    ] {
        node = next(node, &origin).await;
        let reply = ask(node.address, method, "/a", fields).await;
        assert_eq!((reply.status, reply.body.len()), (status, length), "{method} {fields}");
        if status == 206 {
            assert_eq!(reply.body, body[1_048_570..1_048_590]);
        }
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_viewers_of_one_cold_key_cause_one_read() {
    const VIEWERS: usize = 40;
    let body = pattern(3 * 1024 * 1024);
    let origin = Origin::fixed(200, "Cache-Control: max-age=1000\r\n", body.clone()).await;
    let node = first(&origin).await;
    get(node.address, "/a").await;
    let node = next(node, &origin).await;
    let tasks = Tasks::new();
    let whole = Arc::new(AtomicUsize::new(0));
    for _ in 0..VIEWERS {
        let (address, body, whole) = (node.address, body.clone(), whole.clone());
        tasks.spawn("viewer", async move {
            let reply = get(address, "/a").await;
            whole.fetch_add(usize::from(reply.body == body && reply.list("cache-status").contains("; hit")), Ordering::Relaxed);
        });
    }
    assert!(tasks.join(PATIENCE).await);
    assert_eq!((whole.load(Ordering::Relaxed), origin.seen().len()), (VIEWERS, 1));
    assert_eq!(node.metric("engine_disk_loads_total"), 1);
}

#[tokio::test]
async fn what_is_stale_on_disk_is_validated() {
    let origin = Origin::start(|seen, mut out| async move {
        let fields = "ETag: \"a\"\r\nCache-Control: max-age=60\r\nAge: 61\r\n";
        match seen.field("if-none-match") {
            Some(_) => out.send(format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n")).await,
            None => out.answer(200, fields, "x").await,
        }
        (out, Then::Keep)
    })
    .await;
    let node = first(&origin).await;
    get(node.address, "/a").await;
    let node = next(node, &origin).await;
    let reply = get(node.address, "/a").await;
    assert_eq!((reply.text(), origin.seen().len()), ("x", 2));
    assert_eq!(origin.seen()[1].field("if-none-match"), Some("\"a\""));
    assert!(reply.list("cache-status").contains("fwd=stale; fwd-status=304"), "{}", reply.list("cache-status"));
}

#[tokio::test]
async fn each_variant_is_found_by_who_selects_it() {
    let origin = Origin::start(|seen, mut out| async move {
        let language = seen.field("accept-language").unwrap_or("none").to_owned();
        out.answer(200, "Cache-Control: max-age=1000\r\nVary: Accept-Language\r\n", language).await;
        (out, Then::Keep)
    })
    .await;
    let node = first(&origin).await;
    for language in ["sv", "fi"] {
        ask(node.address, "GET", "/a", &format!("Accept-Language: {language}\r\n")).await;
    }
    let node = next(node, &origin).await;
    for (language, fetches) in [("sv", 2), ("fi", 2), ("da", 3)] {
        let reply = ask(node.address, "GET", "/a", &format!("Accept-Language: {language}\r\n")).await;
        assert_eq!((reply.text(), origin.seen().len()), (language, fetches));
    }
}

#[tokio::test]
async fn what_an_unsafe_request_made_unusable_does_not_come_back() {
    let origin = Origin::fixed(200, "Cache-Control: max-age=1000\r\n", "x").await;
    let node = first(&origin).await;
    for target in ["/a", "/b"] {
        get(node.address, target).await;
    }
    let node = next(node, &origin).await;
    ask(node.address, "POST", "/a", "Content-Length: 0\r\n").await;
    let node = next(node, &origin).await;
    assert!(status(&node, "/a").await.contains("fwd=uri-miss"));
    assert!(status(&node, "/b").await.contains("; hit"));
}

#[tokio::test]
async fn another_origin_or_other_rules_begin_with_nothing() {
    let (origin, other) = (
        Origin::fixed(200, "Cache-Control: max-age=1000\r\n", "old").await,
        Origin::fixed(200, "Cache-Control: max-age=1000\r\n", "new").await,
    );
    let node = first(&origin).await;
    get(node.address, "/a").await;
    let node = next(node, &other).await;
    assert_eq!(get(node.address, "/a").await.text(), "new");
    let rules = Plan { caching: CachePolicy { max_ttl_seconds: Some(500), ..CachePolicy::default() }, ..plan() };
    let node = next_under(node, &origin, &rules).await;
    assert!(status(&node, "/a").await.contains("fwd=uri-miss"));
    let node = next(node, &origin).await;
    assert!(status(&node, "/a").await.contains("; hit"), "the first service finds its own again");
    // The same in one worker: its service is taken from it and comes back with another origin.
    let mut document = configuration(&plan(), "core-1", &url(&origin), &[node.address]);
    document.services[0].origin = url(&other).parse().expect("a URL");
    node.engine.apply(document.into()).expect("applies");
    assert_eq!(get(node.address, "/a").await.text(), "new");
}

#[tokio::test]
async fn live_playlists_and_cookies_are_not_on_disk() {
    let origin = Origin::start(|seen, mut out| async move {
        let fields = match seen.target.as_str() {
            "/short" => "Cache-Control: max-age=20\r\n",
            "/playlist" => "Cache-Control: max-age=1000\r\nContent-Type: application/vnd.apple.mpegurl\r\n",
            "/cookie" => "Cache-Control: max-age=1000\r\nSet-Cookie: a=b\r\n",
            _ => "Cache-Control: max-age=1000\r\n",
        };
        out.answer(200, fields, "x").await;
        (out, Then::Keep)
    })
    .await;
    let caching = CachePolicy { store_set_cookie: true, ..CachePolicy::default() };
    let plan = Plan { caching, ..plan() };
    let node = on(&directory(), &plan, &url(&origin)).await;
    let targets = ["/short", "/playlist", "/cookie", "/segment"];
    for target in targets {
        get(node.address, target).await;
        assert!(status(&node, target).await.contains("; hit"), "{target} is in memory");
    }
    let node = next_under(node, &origin, &plan).await;
    let mut hits = Vec::new();
    for target in targets {
        if status(&node, target).await.contains("; hit") {
            hits.push(target);
        }
    }
    assert_eq!(hits, ["/segment"]);
}

#[tokio::test]
async fn two_workers_hand_the_disk_over_and_back() {
    let origin = Origin::fixed(200, "Cache-Control: max-age=1000\r\n", "x").await;
    let old = first(&origin).await;
    get(old.address, "/a").await;
    // The new one starts beside it and waits for the disk.
    let new = on(&old.directory, &plan(), &url(&origin)).await;
    old.engine.give_up_disk().await;
    until("the new worker sees what the old one wrote", || new.metric("engine_disk_objects") == 1).await;
    assert!(status(&new, "/a").await.contains("; hit"));
    get(new.address, "/b").await;
    new.kill();
    new.engine.stop().await;
    old.engine.take_disk().await;
    until("the old one sees what the new one wrote", || old.metric("engine_disk_objects") == 2).await;
    assert!(status(&old, "/b").await.contains("; hit"));
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn an_engine_whose_disk_cannot_be_used_serves_from_memory_and_says_so() {
    let origin = Origin::fixed(200, "Cache-Control: max-age=1000\r\n", "x").await;
    let directory = directory();
    std::fs::write(directory.path().join("store"), "in the way").expect("writes");
    let node = on(&directory, &plan(), &url(&origin)).await;
    assert!(node.engine.self_test().await.is_ok(), "it serves");
    for outcome in ["fwd=uri-miss", "; hit"] {
        assert!(status(&node, "/a").await.contains(outcome));
    }
    let conditions = node.engine.conditions();
    assert_eq!(conditions.iter().map(|c| (c.reason, c.object.as_str())).collect::<Vec<_>>(), [(AlarmReason::DiskFull, "store")]);
    assert_eq!(node.engine.make_space(1), 0);
}

#[tokio::test]
async fn the_self_test_reads_what_is_there_and_leaves_nothing() {
    let origin = Origin::fixed(200, "Cache-Control: max-age=1000\r\n", "x").await;
    let node = first(&origin).await;
    for target in 0..20 {
        get(node.address, &format!("/{target}")).await;
    }
    let node = next(node, &origin).await;
    let files = |node: &Node| {
        let entries = std::fs::read_dir(node.directory.path()).expect("directory");
        entries.map(|entry| entry.expect("entry").file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let before = files(&node);
    node.engine.self_test().await.expect("passes");
    assert_eq!(files(&node), before);
    let segments = node.directory.path().join("store");
    for entry in std::fs::read_dir(segments).expect("directory").map(|entry| entry.expect("entry").path()) {
        if entry.extension().is_some_and(|extension| extension == "seg") {
            overwrite_records(&entry);
        }
    }
    for is_on_trial in [true, false] {
        node.engine.set_on_trial(is_on_trial);
        node.engine.self_test().await.expect("a damaged disk is no reason not to serve");
    }
    let conditions = node.engine.conditions();
    assert_eq!(conditions.iter().map(|c| (c.reason, c.object.as_str())).collect::<Vec<_>>(), [(AlarmReason::DiskFull, "store")]);
    assert!(conditions[0].text.contains("none of 8 objects"), "{}", conditions[0].text);
    for target in 0..20 {
        assert!(status(&node, &format!("/{target}")).await.contains("fwd=uri-miss"), "{target} is fetched again");
        assert!(status(&node, &format!("/{target}")).await.contains("; hit"), "{target} is kept again");
    }
    let node = next(node, &origin).await;
    assert!(status(&node, "/0").await.ends_with("; detail=disk"), "and is on disk again");
    assert!(node.engine.conditions().is_empty());
}

/// Overwrites all of a segment but its header.
fn overwrite_records(segment: &std::path::Path) {
    let mut bytes = std::fs::read(segment).expect("reads");
    let records = &mut bytes[64..];
    records.fill(b'x');
    use std::os::unix::fs::FileExt;
    std::fs::OpenOptions::new().write(true).open(segment).expect("opens").write_all_at(records, 64).expect("writes");
}

#[tokio::test]
async fn room_for_an_image_is_made_of_content() {
    let origin = Origin::fixed(200, "Cache-Control: max-age=1000\r\n", pattern(MIB as usize)).await;
    let node = first(&origin).await;
    for target in 0..4 {
        get(node.address, &format!("/{target}")).await;
    }
    let node = next(node, &origin).await;
    let before = node.metric("engine_disk_bytes");
    assert!(before >= 4 * MIB);
    let freed = node.engine.make_space(MIB);
    assert!(freed >= MIB && node.metric("engine_disk_bytes") <= before - freed, "{freed} of {before}");
    assert!(get(node.address, "/0").await.status == 200);
}
