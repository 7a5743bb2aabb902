//! Updates of single devices: from the assignment to its end, as a device that obeys its word lives through it.

mod alarms;
mod archives;
mod guard;
mod keepers;
mod lane;
mod refusals;
mod restarts;
mod secrets;

use crate::{
    fleet::{Fleet, Member},
    harness::{Answer, Running},
    software::{pinned, publisher::Publisher},
};
use hyper::Method;
use serde_json::{Value, json};
use weir_device_api::{KeeperReport, SlotsReport, UpdateReport};
use weir_rollout::update::{Proof, Stage, UpdateState};

/// The image every device of these tests begins with.
const OLD_MANIFEST: &str = "00aa";

/// A network whose manager holds a newer release, with its software file.
struct Lane {
    publisher: Publisher,
    running: Running,
    fleet: Fleet,
    file: i64,
    archive: Vec<u8>,
}

impl Lane {
    /// A network of these devices, which may be updated to 1.1.0-b1.
    async fn start(names: &[&str]) -> Self {
        Self::start_as(names, true).await
    }

    async fn start_as(names: &[&str], may_judge: bool) -> Self {
        let publisher = Publisher::new();
        let archive = publisher.build("1.1.0-b1");
        let running = pinned(&publisher).await;
        let mut fleet = if may_judge { Fleet::start(&running, names).await } else { Fleet::enrolled(&running, names).await };
        for name in names {
            fleet.member(name).at(Stage::Idle { reason: None });
        }
        fleet.beat(&running).await;
        let file = running.upload(Some("1.1.0-b1"), archive.clone()).await;
        assert_eq!(file["state"], "ready", "{file:#}");
        let file = file["id"].as_i64().expect("number");
        Self { publisher, running, fleet, file, archive }
    }

    async fn try_assign(&self, device: &str, body: Value) -> Answer {
        self.running.call(Method::POST, &format!("/api/v1/devices/{device}/update"), Some(body)).await
    }

    /// Assigns 1.1.0-b1; the device has the word afterwards.
    async fn assign(&mut self, device: &str, body: Value) -> Value {
        let shown = self.try_assign(device, body).await.expect(200);
        self.fleet.beat(&self.running).await;
        shown
    }

    async fn verb(&self, device: &str, verb: &str) -> Answer {
        self.running.call(Method::POST, &format!("/api/v1/devices/{device}/update/{verb}"), None).await
    }

    async fn shown(&self, device: &str) -> Value {
        self.running.get(&format!("/api/v1/devices/{device}/update")).await
    }

    /// The device reports that it is at a stage.
    async fn at(&mut self, device: &str, stage: Stage) -> Value {
        self.fleet.member(device).at(stage);
        self.fleet.beat(&self.running).await;
        self.shown(device).await
    }

    /// Lives until the update of a device is as `wanted`; returns it.
    async fn until(&mut self, device: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.fleet.until_of(&self.running, what, &format!("/api/v1/devices/{device}/update"), wanted).await
    }

    /// Lives until the device obeys a word that is as `wanted`.
    async fn until_told(&mut self, device: &str, what: &str, wanted: impl Fn(&Value) -> bool) {
        let deadline = weir_clock::monotonic() + crate::harness::DEADLINE;
        loop {
            self.fleet.beat(&self.running).await;
            let word = serde_json::to_value(&self.fleet.member(device).word).expect("JSON");
            if wanted(&word) {
                return;
            }
            assert!(weir_clock::monotonic() < deadline, "{what}: {word:#}");
            tokio::time::interval(std::time::Duration::from_millis(50)).tick().await;
        }
    }

    /// From the assignment to where the device asks for its offload.
    async fn asks_to_leave(&mut self, device: &str, body: Value) {
        self.assign(device, body).await;
        self.at(device, Stage::OffloadRequested).await;
    }

    /// The manager ends unprepared and starts again.
    async fn crash_and_restart(self) -> Self {
        let Self { publisher, running, fleet, file, archive } = self;
        Self { publisher, running: running.crash_and_restart().await, fleet, file, archive }
    }

    /// What `config.db` is made to say; the manager is started anew with it.
    async fn rewrite(self, sql: &str) -> Self {
        let config = rusqlite::Connection::open(self.running.dir.path().join("state/manager/config.db")).expect("config.db");
        config.busy_timeout(crate::harness::DEADLINE).expect("patience");
        config.execute_batch(sql).expect(sql);
        drop(config);
        self.crash_and_restart().await
    }

    /// The owners of a device's leases.
    async fn leases(&self, device: &str) -> Vec<String> {
        let offload = self.running.get(&format!("/api/v1/devices/{device}/offload")).await;
        offload["leases"].as_array().expect("list").iter().map(|lease| lease["owner"].as_str().expect("word").to_owned()).collect()
    }

    /// What the audit has of a device since it was enrolled: by whom and what.
    async fn audited(&self, device: &str) -> Vec<String> {
        let entries = self.running.get("/api/v1/audit").await["items"].as_array().expect("items").clone();
        let text = |entry: &Value, field: &str| entry[field].as_str().expect("text").to_owned();
        let about = entries.iter().filter(|entry| entry["object"] == format!("device {device}"));
        let ours = about.filter(|entry| !["activate", "enrol", "change addresses"].iter().any(|verb| entry["verb"] == *verb));
        ours.map(|entry| format!("{} {}", text(entry, "actor"), text(entry, "verb"))).collect()
    }

    async fn alarms(&self) -> Vec<(String, String)> {
        let alarms = self.running.get("/api/v1/alarms").await["items"].as_array().expect("items").clone();
        let text = |alarm: &Value, field: &str| alarm[field].as_str().expect("text").to_owned();
        alarms.iter().map(|alarm| (text(alarm, "reason"), text(alarm, "device"))).collect()
    }
}

impl Member {
    /// At this stage of the assignment of its word; of none while it has no word.
    fn at(&mut self, stage: Stage) {
        let assignment = self.word.as_ref().and_then(|word| word.order.as_ref()).map(|order| order.assignment.clone());
        let (before, burned) = match self.update.take() {
            Some(before) => (Some(before.clone()), before.state.burned),
            None => (None, Vec::new()),
        };
        let state = UpdateState { stage, assignment, since_ms: 0, proof: Proof::default(), burned };
        let slots = SlotsReport { active: "slot".to_owned(), manifest: OLD_MANIFEST.to_owned(), ..SlotsReport::default() };
        let keeper = KeeperReport { version: "1.0.0-b1".to_owned(), current: true };
        self.update = Some(UpdateReport {
            lease: state.lease_wish(),
            state,
            for_ms: 5,
            detail: String::new(),
            fetched_bytes: None,
            archive_bytes: None,
            from: None,
            parked: false,
            slots: before.as_ref().map_or(slots, |before| before.slots.clone()),
            keeper: before.map_or(Some(keeper), |before| before.keeper),
        });
    }

    fn says(&mut self) -> &mut UpdateReport {
        self.update.as_mut().expect("it says something of updates")
    }

    /// It runs what it was assigned.
    fn runs_new(&mut self) {
        let assignment = self.word.as_ref().and_then(|word| word.order.as_ref()).expect("assigned").assignment.clone();
        self.version = assignment.version.to_string();
        let before = std::mem::replace(&mut self.says().slots.manifest, assignment.manifest);
        self.says().slots.previous = Some(before);
    }

    fn revision(&self) -> u64 {
        self.word.as_ref().map_or(0, |word| word.revision)
    }
}

/// To the newer version, whichever way the device leaves service.
fn newer() -> Value {
    json!({"version": "1.1.0-b1"})
}

/// Without leaving service.
fn handed_over() -> Value {
    json!({"version": "1.1.0-b1", "hand_over": true})
}
