//! The pair: a snapshot, then the stream; writes that wait for the standby, and writes that do not.

use crate::{
    harness::{DEADLINE, Running, TestDevice, until},
    standby::Second,
};
use hyper::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;
use weir_database::dump;
use weir_device_api::{PairAnswer, PairHello, PairPoll, Verdict, paths};
use weir_model::Role;
use weir_net::tls::client_config;

/// Writes a location with the API token; what the answer says of the standby.
async fn written(running: &Running, name: &str) -> Option<bool> {
    let tls = client_config(&running.manager.ca_pem(), None).expect("client");
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().expect("client");
    let request = http.post(format!("https://{}/api/v1/locations", running.api)).bearer_auth(&running.token);
    let answer = request.json(&json!({ "name": name })).send().await.expect("answered");
    assert_eq!(answer.status().as_u16(), 201);
    answer.headers().get("weir-replicated").map(|value| value == "true")
}

async fn info(running: &Running) -> Value {
    running.local(Method::GET, "/cms/v1/info", None).await.expect(200)
}

/// The state of the pair as the primary sees it.
async fn condition(running: &Running) -> String {
    info(running).await["pair"]["condition"].as_str().unwrap_or("none").to_owned()
}

async fn alarms(running: &Running) -> Vec<String> {
    let alarms = running.get("/api/v1/alarms").await;
    alarms["items"].as_array().expect("items").iter().map(|alarm| alarm["reason"].as_str().expect("reason").to_owned()).collect()
}

fn dump_of(data: &Path) -> String {
    dump(&Connection::open(data.join("state/manager/config.db")).expect("opens")).expect("dumps")
}

#[tokio::test]
async fn the_standby_takes_a_snapshot_then_the_stream_and_both_hold_the_same() {
    let running = Running::start().await;
    assert_eq!(written(&running, "core").await, None, "there is no standby");
    let second = Second::start(&running).await;
    second.matched().await;
    until("the primary waits for the standby", || async { condition(&running).await == "matched" }).await;
    for number in 0..20 {
        assert_eq!(written(&running, &format!("site-{number}")).await, Some(true));
    }
    let answer = running.call(Method::POST, "/api/v1/changesets/2/undo", None).await;
    assert!(answer.status == 200 || answer.status == 409, "{}", answer.json);
    second.matched().await;
    until("both stand at the same place", || async {
        let (one, two) = (info(&running).await, second.info().await);
        one["rev"] == two["rev"] && one["digest"] == two["digest"] && two["pair"]["digest_equal"] == true
    })
    .await;
    assert!(running.manager.stop(DEADLINE).await && second.manager.stop(DEADLINE).await);
    let (one, two) = (dump_of(running.dir.path()), dump_of(second.dir.path()));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (line, other) in lines(&one).into_iter().zip(lines(&two)) {
        assert_eq!(line, other);
    }
    assert_eq!(one.lines().count(), two.lines().count());
}

#[tokio::test]
async fn a_standby_that_is_gone_holds_up_one_write_and_is_waited_for_again_when_it_is_back() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    until("matched", || async { condition(&running).await == "matched" }).await;
    assert_eq!(written(&running, "one").await, Some(true));
    second.local(Method::POST, "/cms/v1/disable", Some(json!({}))).await;
    until("it is disabled", || async { second.info().await["state"] == "disabled" }).await;
    let before = weir_clock::monotonic();
    assert_eq!(written(&running, "two").await, Some(false));
    assert!(before.elapsed() < DEADLINE / 2, "{:?}", before.elapsed());
    until("the alarm stands", || async { alarms(&running).await.contains(&"PAIR_LAGGING".to_owned()) }).await;
    let before = weir_clock::monotonic();
    for number in 0..5 {
        assert_eq!(written(&running, &format!("alone-{number}")).await, Some(false));
    }
    assert!(before.elapsed() < DEADLINE / 2, "nobody waits for one that does not follow: {:?}", before.elapsed());
    second.local(Method::POST, "/cms/v1/enable", None).await;
    second.matched().await;
    until("the primary waits again", || async { condition(&running).await == "matched" }).await;
    assert_eq!(written(&running, "three").await, Some(true));
    until("no alarm stands", || async { !alarms(&running).await.contains(&"PAIR_LAGGING".to_owned()) }).await;
    assert_eq!(info(&running).await["rev"], second.info().await["rev"]);
}

#[tokio::test]
async fn rows_that_something_else_changed_on_the_standby_are_found_and_taken_anew() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    until("matched", || async { condition(&running).await == "matched" }).await;
    second.local(Method::POST, "/cms/v1/disable", Some(json!({}))).await;
    until("it is disabled", || async { second.info().await["state"] == "disabled" }).await;
    let file = second.dir.path().join("state/manager/config.db");
    let changed = Connection::open(&file).expect("opens").execute("UPDATE location SET name = 'elsewhere' WHERE name = 'east'", []);
    assert_eq!(changed.expect("changed"), 1);
    second.local(Method::POST, "/cms/v1/enable", None).await;
    let names = || {
        let read = Connection::open(&file).and_then(|database| {
            let mut statement = database.prepare("SELECT name FROM location ORDER BY name")?;
            statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        });
        read.unwrap_or_default()
    };
    until("the row is as the primary has it", || async { names() == ["core", "east"] }).await;
    second.matched().await;
    until("matched again", || async { condition(&running).await == "matched" }).await;
    assert_eq!(written(&running, "west").await, Some(true));
}

/// A standby by hand: what the primary makes of one that stands elsewhere or runs another version.
#[tokio::test]
async fn another_version_is_told_why_and_gets_nothing_to_apply() {
    let running = Running::start().await;
    running.two_locations().await;
    let standby: TestDevice = running.device("manager-2", Role::Manager, Some("core")).await;
    let mut hello = PairHello {
        name: "manager-2".parse().expect("name"),
        version: "9.9.9-b1".into(),
        primary: false,
        term: 1,
        step: 7,
        rev: 0,
        hash: String::new(),
        digest: String::new(),
        journal: 0,
        journal_hash: String::new(),
        device: None,
        api: None,
    };
    let poll = async |hello: &PairHello| {
        let body = PairPoll { hello: hello.clone(), resync: None, wait_ms: 0, unreplicated: 3 };
        let answer = standby.call(&running, Method::POST, paths::PAIR_POLL, Some(serde_json::to_value(body).expect("JSON"))).await;
        serde_json::from_value::<PairAnswer>(answer.expect(200)).expect("an answer")
    };
    let answer = poll(&hello).await;
    let Verdict::VersionMismatch { next } = &answer.verdict else { panic!("{answer:?}") };
    assert!(next.contains("9.9.9-b1") && next.contains("manager-2"), "{next}");
    assert!(answer.changesets.is_empty() && answer.hello.primary);
    assert_eq!(condition(&running).await, "mismatch");
    let detail = info(&running).await["pair"]["detail"].as_str().expect("detail").to_owned();
    assert!(detail.contains("9.9.9-b1") && detail.contains(weir_model::version()), "{detail}");
    for reason in ["PAIR_MISMATCH", "UNREPLICATED_CHANGES"] {
        until(reason, || async { alarms(&running).await.contains(&reason.to_owned()) }).await;
    }
    assert_eq!(written(&running, "west").await, Some(false));
    // Of the same version, but at a place that is not ours.
    hello.version = weir_model::version().to_owned();
    hello.step = answer.hello.step;
    (hello.rev, hello.hash, hello.digest) = (1, "00".into(), "00".into());
    assert!(matches!(poll(&hello).await.verdict, Verdict::Resync { .. }));
    // Somebody who is no manager is refused, and so is one under another name.
    let engine = running.device("core-1", Role::Engine, Some("core")).await;
    assert_eq!(engine.call(&running, Method::GET, paths::PAIR_SNAPSHOT, None).await.refusal().0, "certificate_refused");
    hello.name = "core-1".parse().expect("name");
    let body = PairPoll { hello: hello.clone(), resync: None, wait_ms: 0, unreplicated: 0 };
    let body = serde_json::to_value(body).expect("JSON");
    assert_eq!(standby.call(&running, Method::POST, paths::PAIR_POLL, Some(body)).await.refusal().0, "certificate_refused");
    // A higher term makes this box stop being the primary.
    (hello.name, hello.term) = ("manager-2".parse().expect("name"), 7);
    assert_eq!(poll(&hello).await.verdict, Verdict::Fenced);
    until("it is the standby", || async { info(&running).await["state"] == "standby" }).await;
}
