//! From registration to a choice, and what happens to it later.

use super::{FILES, Publisher, SourceServer, pinned, publisher::ARCH, publisher::version, row, standing};
use crate::harness::{Running, until};
use hyper::Method;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const AWAY: &[u8] = b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

async fn alarms(running: &Running) -> Vec<Value> {
    let alarms = running.get("/api/v1/alarms").await["items"].as_array().expect("items").clone();
    alarms.into_iter().filter(|alarm| alarm["reason"] == "IMAGE_QUARANTINED").collect()
}

async fn choice(running: &Running, id: i64) -> Value {
    let choices = running.get("/api/v1/software-choices").await;
    choices["choices"].as_array().expect("rows").iter().find(|row| row["id"] == id).expect("a row").clone()
}

async fn audit_verbs(running: &Running, object: &str) -> Vec<String> {
    let audit = running.get("/api/v1/audit").await;
    let rows = audit["items"].as_array().expect("items").iter().filter(|entry| entry["object"] == object);
    rows.map(|entry| format!("{} by {}", entry["verb"].as_str().expect("verb"), entry["actor"].as_str().expect("actor"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_behind_a_url_becomes_a_choice() {
    // The choice is told from line 1.0.
    if cfg!(feature = "synthetic-next") {
        return;
    }
    let publisher = Publisher::new();
    publisher.build("1.0.0-b1");
    let archive = publisher.build("1.1.0-b1");
    let source = SourceServer::of_file(&archive).await;
    let running = pinned(&publisher).await;
    let generation = running.generation().await;
    let body = json!({"url": source.url(), "version": "1.1.0.b.1", "bytes": archive.len(), "comment": "first"});
    let id = running.register(body.clone()).await;
    let file = running.checked(id).await;
    assert_eq!(standing(&file), ("ready", None), "{file:#}");
    let rows = file["checks"].as_array().expect("rows");
    assert_eq!(rows.len(), 14);
    assert!(rows.iter().all(|row| row["verdict"] == "passed" && !row["detail"].as_str().expect("text").is_empty()), "{rows:#?}");
    assert_eq!(file["release"]["version"], "1.1.0-b1");
    assert_eq!(file["release"]["notes"], "notes of 1.1.0-b1");
    assert_eq!(file["release"]["archive_bytes"], archive.len());
    assert_eq!(file["progress"], Value::Null);
    assert_eq!(running.generation().await, generation, "it is no configuration");
    let held = std::fs::metadata(running.held(id)).expect("held");
    assert_eq!((held.len(), held.permissions().mode() & 0o777), (archive.len() as u64, 0o600));
    assert!(running.left_over().is_empty());
    let row = choice(&running, id).await;
    assert_eq!((&row["selectable"], &row["direction"], &row["path"]), (&json!(true), &json!("upgrade"), &json!(["1.0", "1.1"])));
    assert_eq!(audit_verbs(&running, "software file 1").await, ["register by token:tests", "check by manager"]);

    let twice = running.call(Method::POST, FILES, Some(body)).await;
    assert!(twice.json["detail"].as_str().expect("detail").contains("software file 1"));
    assert_eq!(twice.refusal(), ("name_taken".into(), Some("url".into())));

    let running = running.restart().await;
    assert_eq!(running.file(id).await, file, "all of it is kept");
    let row = choice(&running, id).await;
    assert_eq!((&row["selectable"], &row["path"]), (&json!(true), &json!(["1.0", "1.1"])), "and the lineage");
    running.call(Method::DELETE, &format!("{FILES}/{id}"), None).await.expect(204);
    until("the archive is removed", || async { !running.held(id).exists() }).await;
    assert_eq!(running.call(Method::GET, &format!("{FILES}/{id}"), None).await.refusal().0, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_archive_is_a_choice_after_a_newer_one_was_seen() {
    let publisher = Publisher::new();
    let old = publisher.build("1.0.0-b1");
    let new = publisher.build("1.1.0-b1");
    let running = pinned(&publisher).await;
    for bytes in [new, old] {
        let file = running.upload(None, bytes).await;
        assert_eq!(standing(&file), ("ready", None), "{file:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_changes_is_quarantined_until_it_is_back() {
    // The choice is told from line 1.0.
    if cfg!(feature = "synthetic-next") {
        return;
    }
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let source = SourceServer::of_file(&archive).await;
    let running = pinned(&publisher).await;
    let id = running.register(json!({"url": source.url(), "version": "1.1.0-b1"})).await;
    let before = running.checked(id).await;
    let other = publisher.build("1.1.0-b2");
    for swapped in [other, b"nothing of the kind".to_vec()] {
        source.put(&swapped);
        let file = running.validate(id).await;
        assert_eq!(standing(&file), ("quarantined", Some("content_changed")), "{file:#}");
        assert_eq!(file["release"], before["release"], "what was verified is kept");
        assert_eq!(std::fs::read(running.held(id)).expect("held"), archive);
        until("the alarm stands", || async { alarms(&running).await.len() == 1 }).await;
        assert_eq!(alarms(&running).await[0]["object"], "software file 1");
    }
    // The server being away ends nothing.
    source.answer_raw(AWAY.to_vec());
    let away = running.validate(id).await;
    assert_eq!((standing(&away), &away["release"]), (("quarantined", Some("content_changed")), &before["release"]));
    assert_eq!(row(&away, "download"), ("failed", Some("http_status")));
    source.set_open(false);
    running.call(Method::POST, &format!("{FILES}/{id}/validate"), None).await.expect(200);
    assert_eq!(standing(&running.file(id).await), ("validating", Some("content_changed")));
    assert_eq!(alarms(&running).await.len(), 1, "and neither does being checked");
    source.set_open(true);
    assert_eq!(standing(&running.checked(id).await), ("quarantined", Some("content_changed")));
    source.put(&archive);
    assert_eq!(standing(&running.validate(id).await), ("ready", None));
    until("the alarm is cleared", || async { alarms(&running).await.is_empty() }).await;
    source.put(b"again");
    running.validate(id).await;
    until("the alarm stands", || async { alarms(&running).await.len() == 1 }).await;
    running.call(Method::DELETE, &format!("{FILES}/{id}"), None).await.expect(204);
    until("the alarm is cleared", || async { alarms(&running).await.is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_newer_metadata_does_not_list_is_withdrawn() {
    let publisher = Publisher::new();
    let bad = publisher.build("1.1.0-b1");
    let running = pinned(&publisher).await;
    let withdrawn = running.upload(None, bad.clone()).await["id"].as_i64().expect("number");
    let good = publisher.build("1.1.0-b2");
    let kept = running.upload(None, good).await["id"].as_i64().expect("number");
    assert_eq!(standing(&running.file(withdrawn).await), ("ready", None));
    publisher.directory.delist(version("1.1.0-b1"), ARCH, weir_clock::wall_seconds()).expect("delisted");
    // Any archive brings the newer metadata, even one that is not what was expected.
    let newer = publisher.archive(version("1.1.0-b2"), ARCH);
    let other = running.upload(Some("1.1.0-b9"), newer).await;
    assert_eq!(standing(&other), ("invalid", Some("wrong_version")));
    assert_eq!(standing(&running.file(withdrawn).await), ("withdrawn", Some("delisted")));
    assert_eq!(standing(&running.file(kept).await), ("ready", None));
    assert_eq!(audit_verbs(&running, "software file 1").await.last().map(String::as_str), Some("withdraw by manager"));
    assert_eq!(standing(&running.validate(withdrawn).await), ("withdrawn", Some("delisted")));
    let again = running.upload(None, bad).await;
    assert_eq!((standing(&again), row(&again, "listed")), (("invalid", Some("delisted")), ("failed", Some("delisted"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_is_found_although_its_size_is_not_the_stated_one() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let source = SourceServer::of_file(&archive).await;
    let running = pinned(&publisher).await;
    let body = json!({"url": source.url(), "version": "1.1.0-b1", "bytes": archive.len()});
    let id = running.register(body).await;
    let free = running.register(json!({"url": format!("{}?free", source.url()), "version": "1.1.0-b1"})).await;
    for id in [id, free] {
        assert_eq!(standing(&running.checked(id).await), ("ready", None));
    }
    // The same image, packed again with the metadata of more releases.
    let other = publisher.build("1.1.0-b2");
    let again = publisher.archive(version("1.1.0-b1"), ARCH);
    assert!(again.len() != archive.len() && other.len() != archive.len());
    source.put(&again);
    let file = running.validate(id).await;
    assert_eq!(standing(&file), ("invalid", Some("file_size_differs")));
    assert!(file["reason"]["detail"].as_str().expect("detail").contains("its image is the one that was verified before"), "{file:#}");
    assert_eq!(standing(&running.validate(free).await), ("ready", None), "no size was stated");
    source.put(&other);
    assert_eq!(standing(&running.validate(id).await), ("quarantined", Some("content_changed")));
    until("the alarm stands", || async { alarms(&running).await.len() == 1 }).await;
}

/// Has the manager's trust store know what the publisher says now, as a validation does that ends before its outcome is kept.
fn tell(running: &Running, publisher: &Publisher, known: &str) {
    let archive = publisher.archive(version(known), ARCH);
    let content = weir_release::ArchiveContent::read(archive.as_slice()).expect("an archive");
    let store = weir_release::TrustStore::open(&running.dir.path().join("state/manager/trust")).expect("pinned");
    store.load(content.metadata(), weir_clock::wall_seconds()).expect("loaded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delisted_is_withdrawn_however_the_validation_ended_that_learnt_it() {
    let publisher = Publisher::new();
    let bad: Vec<_> = ["1.1.0-b1", "1.1.0-b2"].map(|text| publisher.build(text)).into();
    publisher.build("1.1.0-b3");
    let running = pinned(&publisher).await;
    for bytes in bad {
        assert_eq!(standing(&running.upload(None, bytes).await), ("ready", None));
    }
    let source = SourceServer::of_file(b"").await;
    source.answer_raw(AWAY.to_vec());
    publisher.directory.delist(version("1.1.0-b1"), ARCH, weir_clock::wall_seconds()).expect("delisted");
    tell(&running, &publisher, "1.1.0-b3");
    let failed = running.register(json!({"url": source.url(), "version": "1.1.0-b3"})).await;
    assert_eq!(standing(&running.checked(failed).await), ("invalid", Some("http_status")));
    assert_eq!(standing(&running.file(1).await), ("withdrawn", Some("delisted")));
    // One that is deleted meanwhile keeps no outcome of its own.
    source.set_open(false);
    let gone = running.register(json!({"url": format!("{}?gone", source.url()), "version": "1.1.0-b3"})).await;
    until("it is asked for", || async { source.heads().len() == 2 }).await;
    publisher.directory.delist(version("1.1.0-b2"), ARCH, weir_clock::wall_seconds()).expect("delisted");
    tell(&running, &publisher, "1.1.0-b3");
    assert_eq!(standing(&running.file(2).await), ("ready", None));
    running.call(Method::DELETE, &format!("{FILES}/{gone}"), None).await.expect(204);
    until("it is withdrawn", || async { standing(&running.file(2).await) == ("withdrawn", Some("delisted")) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_file_stays_withdrawn_whatever_its_server_does() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let source = SourceServer::of_file(&archive).await;
    let running = pinned(&publisher).await;
    let id = running.register(json!({"url": source.url(), "version": "1.1.0-b1"})).await;
    assert_eq!(standing(&running.checked(id).await), ("ready", None));
    publisher.build("1.1.0-b2");
    publisher.directory.delist(version("1.1.0-b1"), ARCH, weir_clock::wall_seconds()).expect("delisted");
    running.upload(None, publisher.archive(version("1.1.0-b2"), ARCH)).await;
    assert_eq!(standing(&running.file(id).await), ("withdrawn", Some("delisted")));
    source.answer_raw(AWAY.to_vec());
    let away = running.validate(id).await;
    assert_eq!((standing(&away), row(&away, "download")), (("withdrawn", Some("delisted")), ("failed", Some("http_status"))));
    // Its name is another image's now.
    let mut plan = publisher.plan("1.1.0-b1");
    plan.notes = "built again".to_owned();
    publisher.build_plan(&plan);
    running.upload(None, publisher.archive(version("1.1.0-b2"), ARCH)).await;
    source.put(&archive);
    assert_eq!(standing(&running.validate(id).await), ("withdrawn", Some("delisted")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_that_are_cut_off_are_made_by_the_next_manager() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let source = SourceServer::of_file(&archive).await;
    source.set_open(false);
    let mut running = pinned(&publisher).await;
    let id = running.register(json!({"url": source.url(), "version": "1.1.0-b1"})).await;
    let draft = running.register(json!({"file_name": "later.weir"})).await;
    until("it is asked for", || async { source.heads().len() == 1 }).await;
    assert_eq!(standing(&running.file(id).await), ("validating", Some("validating")));
    running = running.restart().await;
    until("it is asked for again", || async { source.heads().len() == 2 }).await;
    running = running.crash_and_restart().await;
    source.set_open(true);
    assert_eq!(standing(&running.checked(id).await), ("ready", None));
    assert_eq!(standing(&running.file(draft).await), ("draft", Some("awaiting_upload")));
    assert!(running.left_over().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_are_checked_at_a_time_and_a_deleted_one_makes_room() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let slow = SourceServer::of_file(&archive).await;
    slow.set_open(false);
    let running = pinned(&publisher).await;
    let mut ids = Vec::new();
    for file in ["a", "b", "c"] {
        ids.push(running.register(json!({"url": format!("{}?{file}", slow.url()), "version": "1.1.0-b1"})).await);
    }
    until("two are asked for", || async { slow.heads().len() == 2 }).await;
    let busy = running.call(Method::POST, &format!("{FILES}/{}/validate", ids[0]), None).await;
    assert_eq!(busy.refusal().0, "software_state");
    assert!(running.file(ids[2]).await["checks"].as_array().expect("rows").iter().all(|row| row["verdict"] == "pending"));
    running.call(Method::DELETE, &format!("{FILES}/{}", ids[0]), None).await.expect(204);
    until("the third is asked for", || async { slow.heads().iter().any(|head| head.contains("?c")) }).await;
    slow.set_open(true);
    for id in &ids[1..] {
        assert_eq!(standing(&running.checked(*id).await), ("ready", None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_way_back_is_not_deleted() {
    let publisher = Publisher::new();
    let archive = publisher.build(weir_model::version());
    let running = pinned(&publisher).await;
    let first = running.upload(None, archive.clone()).await["id"].as_i64().expect("number");
    let row = choice(&running, first).await;
    assert_eq!((&row["direction"], &row["reason"]["reason"]), (&json!("same"), &json!("same_version")));
    let path = format!("{FILES}/{first}");
    assert_eq!(running.call(Method::DELETE, &path, None).await.refusal().0, "software_in_use");
    let second = running.upload(None, archive).await["id"].as_i64().expect("number");
    running.call(Method::DELETE, &path, None).await.expect(204);
    let path = format!("{FILES}/{second}");
    assert_eq!(running.call(Method::DELETE, &path, None).await.refusal().0, "software_in_use");
    running.call(Method::DELETE, &format!("{path}?override=true"), None).await.expect(204);
}
