//! The pair: a snapshot, then the stream; writes that wait for the standby, and writes that do not.

mod refused;

use crate::{
    harness::{Answer, DEADLINE, Running, TestDevice, until},
    standby::Second,
};
use hyper::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use weir_database::dump;
use weir_device_api::{PairAnswer, PairHello, PairPoll, Verdict, YieldRequest, pair::Overwrite, paths};
use weir_model::Role;
use weir_net::tls::client_config;

/// Writes a location with the API token; what the answer says of the standby.
async fn written(running: &Running, name: &str) -> Option<bool> {
    posted(running, "/api/v1/locations", json!({ "name": name }), 201).await
}

async fn posted(running: &Running, path: &str, body: Value, status: u16) -> Option<bool> {
    let tls = client_config(&running.manager.ca_pem(), None).expect("client");
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().expect("client");
    let request = http.post(format!("https://{}{path}", running.api)).bearer_auth(&running.token);
    let answer = request.json(&body).send().await.expect("answered");
    assert_eq!(answer.status().as_u16(), status);
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
    let newest = info(&running).await["rev"].as_u64().expect("rev");
    assert_eq!(posted(&running, &format!("/api/v1/changesets/{newest}/undo"), json!({}), 200).await, Some(true));
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

/// A standby by hand.
struct ByHand {
    device: TestDevice,
    hello: PairHello,
}

impl ByHand {
    async fn enrol(running: &Running, name: &str) -> Self {
        let device = running.device(name, Role::Manager, Some("core")).await;
        let hello = PairHello {
            name: name.parse().expect("name"),
            version: weir_model::version().into(),
            primary: false,
            term: 1,
            heard: 1,
            step: 7,
            rev: 0,
            hash: String::new(),
            digest: String::new(),
            journal: 0,
            journal_hash: String::new(),
            device: None,
            api: None,
            cms: String::new(),
            switch: None,
        };
        Self { device, hello }
    }

    fn says(&self) -> PairPoll {
        PairPoll {
            hello: self.hello.clone(),
            resync: None,
            wait_ms: 0,
            unreplicated: 0,
            unreplicated_open: false,
            trouble: None,
            overwrite: None,
            skip_journal: true,
        }
    }

    async fn send(&self, running: &Running, poll: PairPoll) -> Answer {
        self.device.call(running, Method::POST, paths::PAIR_POLL, Some(serde_json::to_value(poll).expect("JSON"))).await
    }

    async fn poll(&self, running: &Running) -> PairAnswer {
        self.polls(running, self.says()).await
    }

    async fn polls(&self, running: &Running, poll: PairPoll) -> PairAnswer {
        serde_json::from_value(self.send(running, poll).await.expect(200)).expect("an answer")
    }

    /// Stands where the primary does, as if it had applied everything.
    async fn follow(&mut self, running: &Running) {
        let PairHello { term, step, rev, hash, digest, .. } = self.poll(running).await.hello;
        self.hello = PairHello { term, heard: term, step, rev, hash, digest, ..self.hello.clone() };
    }

    async fn ask_yield(&self, running: &Running, term: u64, resume: bool) -> Answer {
        let request = YieldRequest { hello: self.hello.clone(), term, resume };
        self.device.call(running, Method::POST, paths::PAIR_YIELD, Some(serde_json::to_value(request).expect("JSON"))).await
    }
}

async fn can_write(running: &Running, name: &str) -> bool {
    running.call(Method::POST, "/api/v1/locations", Some(json!({ "name": name }))).await.status == 201
}

#[tokio::test]
async fn another_version_is_told_why_and_gets_nothing_to_apply() {
    let running = Running::start().await;
    running.two_locations().await;
    let mut standby = ByHand::enrol(&running, "manager-2").await;
    standby.hello.version = "9.9.9-b1".into();
    let answer = standby.polls(&running, PairPoll { unreplicated: 3, unreplicated_open: true, ..standby.says() }).await;
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
    // Of the same version, but without a place of ours.
    standby.hello.version = weir_model::version().to_owned();
    standby.hello.step = answer.hello.step;
    (standby.hello.rev, standby.hello.digest) = (1, "00".into());
    assert!(matches!(standby.poll(&running).await.verdict, Verdict::Resync { .. }));
    // Another history of the same term is an operator's to decide.
    standby.hello.hash = "00".into();
    let answer = standby.poll(&running).await;
    assert!(matches!(&answer.verdict, Verdict::Diverged { detail } if detail.contains("`weir cms resync` on manager-2")), "{answer:?}");
    assert_eq!(condition(&running).await, "lagging");
    let PairHello { name, term, rev, .. } = answer.hello;
    let asked = PairPoll { overwrite: Some(Overwrite { name, term, rev }), ..standby.says() };
    assert!(matches!(standby.polls(&running, asked).await.verdict, Verdict::Resync { .. }));
    // Somebody who is no manager is refused, and so is one under another name.
    let engine = running.device("core-1", Role::Engine, Some("core")).await;
    assert_eq!(engine.call(&running, Method::GET, paths::PAIR_SNAPSHOT, None).await.refusal().0, "certificate_refused");
    standby.hello.name = "core-1".parse().expect("name");
    assert_eq!(standby.send(&running, standby.says()).await.refusal().0, "certificate_refused");
    // A term it only heard of fences nobody; that of its configuration makes this box stop being the primary.
    (standby.hello.name, standby.hello.heard) = ("manager-2".parse().expect("name"), 7);
    assert!(matches!(standby.poll(&running).await.verdict, Verdict::Diverged { .. }));
    assert_eq!(info(&running).await["state"], "primary");
    standby.hello.term = 7;
    assert_eq!(standby.poll(&running).await.verdict, Verdict::Fenced);
    until("it is the standby", || async { info(&running).await["state"] == "standby" }).await;
}

#[tokio::test]
async fn a_standby_that_cannot_apply_says_why_and_is_not_called_matched() {
    let running = Running::start().await;
    running.two_locations().await;
    let mut standby = ByHand::enrol(&running, "manager-2").await;
    standby.follow(&running).await;
    assert_eq!(standby.poll(&running).await.verdict, Verdict::Matched);
    assert_eq!(condition(&running).await, "matched");
    let cannot = PairPoll { trouble: Some("the disk is full".into()), ..standby.says() };
    let polls = async {
        loop {
            standby.polls(&running, cannot.clone()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let writes = async {
        assert_eq!(written(&running, "one").await, Some(false), "it does not acknowledge");
        let before = weir_clock::monotonic();
        assert_eq!(written(&running, "two").await, Some(false));
        assert!(before.elapsed() < Duration::from_secs(1), "it polls, and is waited for no more: {:?}", before.elapsed());
        let pair = info(&running).await["pair"].clone();
        assert_eq!(pair["condition"], "lagging");
        assert!(pair["detail"].as_str().expect("detail").contains("the disk is full"), "{pair}");
    };
    tokio::select! {
        () = polls => {}
        () = writes => {}
    }
    standby.follow(&running).await;
    standby.poll(&running).await;
    assert_eq!(condition(&running).await, "matched");
}

#[tokio::test]
async fn whoever_asks_for_a_yield_may_go_away_and_writes_go_on() {
    let running = Running::start().await;
    running.two_locations().await;
    let standby = ByHand::enrol(&running, "manager-2").await;
    // It does not stand where the primary does, so that this is refused after a while.
    tokio::select! {
        answer = standby.ask_yield(&running, 2, false) => panic!("{answer:?}"),
        () = until("no writes are taken", || async { !can_write(&running, "west").await && !can_write(&running, "south").await }) => {}
    }
    until("writes are taken again", || async { can_write(&running, "north").await }).await;
    // Who only wants to know whether way was made holds up nobody.
    let refused = standby.ask_yield(&running, 2, true).await;
    assert_eq!(refused.refusal().0, "cms_state");
    assert!(can_write(&running, "far").await);
}

#[tokio::test]
async fn the_standby_is_told_to_take_over_until_it_does() {
    let running = Running::start().await;
    running.two_locations().await;
    let mut standby = ByHand::enrol(&running, "manager-2").await;
    standby.follow(&running).await;
    standby.poll(&running).await;
    let turn = running.local(Method::POST, "/cms/v1/role", Some(json!({"role": "standby"})));
    let taken = async {
        until("it is told", || async { standby.poll(&running).await.take_over }).await;
        let again = standby.poll(&running).await;
        assert!(again.take_over, "an answer may be lost");
        assert_eq!(again.take_over_by.expect("who").actor, "local");
        standby.ask_yield(&running, 2, false).await.expect(200);
        // The answer may be lost too, and whoever asks again gets it again.
        standby.ask_yield(&running, 2, true).await.expect(200);
    };
    tokio::join!(turn, taken);
    until("it has made way", || async { info(&running).await["state"] == "standby" }).await;
}

#[tokio::test]
async fn rows_changed_beside_the_primary_do_not_overwrite_the_standbys() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    let file = |dir: &Path| dir.join("state/manager/config.db");
    let changed =
        Connection::open(file(running.dir.path())).expect("opens").execute("UPDATE location SET name = 'x' WHERE name = 'east'", []);
    assert_eq!(changed.expect("changed"), 1);
    let running = running.restart().await;
    until("the alarm stands", || async { alarms(&running).await.contains(&"CHANGESETS_BROKEN".to_owned()) }).await;
    until("the pair matches", || async { condition(&running).await == "matched" }).await;
    assert_eq!(written(&running, "west").await, Some(true));
    // The standby has what was acknowledged, and takes over with it.
    second.local(Method::POST, "/cms/v1/role", Some(json!({"role": "primary"}))).await.expect(200);
    let names = |locations: &Value| -> Vec<String> {
        let all = locations["items"].as_array().expect("items").iter();
        all.map(|location| location["name"].as_str().expect("name").to_owned()).collect()
    };
    let locations = second.local(Method::GET, "/api/v1/locations", None).await.expect(200);
    assert_eq!(names(&locations), ["core", "east", "west"]);
    until("the first box has them again", || async {
        let read = Connection::open(file(running.dir.path())).and_then(|database| {
            database.query_row("SELECT count(*) FROM location WHERE name IN ('core', 'east', 'west')", [], |row| row.get::<_, u32>(0))
        });
        read.is_ok_and(|count| count == 3)
    })
    .await;
}

#[tokio::test]
async fn a_promotion_that_was_never_begun_over_there_is_given_up() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    let promoting =
        |data: &Path| std::fs::write(data.join("state/manager/box.json"), r#"{"enabled":true,"promoting":2}"#).expect("written");
    let second = second.restart(promoting).await;
    let box_json = second.dir.path().join("state/manager/box.json");
    until("it is given up", || async { !std::fs::read_to_string(&box_json).expect("read").contains("promoting\": 2") }).await;
    second.matched().await;
    assert_eq!(info(&running).await["state"], "primary");
    assert!(can_write(&running, "west").await);
    // With the primary gone, what was begun keeps no operator from accepting the loss.
    let second = second
        .restart(|data| {
            promoting(data);
        })
        .await;
    drop(running);
    until("the loss is accepted", || async {
        let body = json!({"role": "primary", "accept_loss": 9});
        second.local(Method::POST, "/cms/v1/role", Some(body)).await.status == 200
    })
    .await;
    assert_eq!(second.info().await["state"], "primary");
}

#[tokio::test]
async fn a_promotion_of_which_the_answer_was_lost_goes_on_by_itself() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    let Running { dir, manager, api, device, token, .. } = running;
    // The first box has made way, and the second one was never told.
    let device_of_second = second.device;
    assert!(manager.stop(DEADLINE).await);
    drop(manager);
    let fenced = json!({"enabled": true, "fenced": {"term": 2, "name": "manager-2", "address": device_of_second}});
    std::fs::write(dir.path().join("state/manager/box.json"), fenced.to_string()).expect("written");
    let promoting =
        |data: &Path| std::fs::write(data.join("state/manager/box.json"), r#"{"enabled":true,"promoting":2}"#).expect("written");
    let second = second.restart(promoting).await;
    let running = Running::start_in(dir, [&api.to_string(), &device.to_string()], Some(token)).await;
    until("it is the primary", || async { second.info().await["state"] == "primary" }).await;
    assert_eq!(second.info().await["term"], 2);
    until("the first box follows", || async { info(&running).await["pair"]["condition"] == "matched" }).await;
}
