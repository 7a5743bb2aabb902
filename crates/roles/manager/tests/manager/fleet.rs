//! Devices that live: they follow the configuration, report what a test says runs on them, fall silent, are cut off.

use crate::harness::{DEADLINE, Running, TestDevice};
use serde_json::{Value, json};
use std::time::Duration;
use weir_device_api::{Answer, Drain, Load, RouterContact, UpdateReport, UpdateWord};
use weir_model::{DeviceConfiguration, OffloadEpoch, Role, Stamp};

/// How often devices of a fleet report: several times per period of the rehearsal profile.
const BEAT: Duration = Duration::from_millis(200);

/// One device and what a test makes of it.
pub(crate) struct Member {
    pub(crate) device: TestDevice,
    configuration: Option<DeviceConfiguration>,
    /// It says nothing.
    pub(crate) silent: bool,
    /// It reports and does not take a newer configuration.
    pub(crate) stuck: bool,
    pub(crate) sessions: u32,
    pub(crate) requests: u32,
    pub(crate) fills: u32,
    pub(crate) client_bytes: u64,
    pub(crate) routers: Vec<RouterContact>,
    /// What it says it takes of its weight.
    pub(crate) share_permille: Option<u16>,
    /// The version it says it runs.
    pub(crate) version: String,
    /// How far it says its update is.
    pub(crate) update: Option<UpdateReport>,
    /// The word it obeys.
    pub(crate) word: Option<UpdateWord>,
}

impl Member {
    pub(crate) fn stamp(&self) -> Stamp {
        self.configuration.as_ref().map(|c| c.stamp).unwrap_or_default()
    }

    /// How far out its own configuration says it is.
    pub(crate) fn epoch(&self) -> Option<OffloadEpoch> {
        let document = self.configuration.as_ref()?;
        match self.device.role {
            Role::Engine => document.engines.iter().find(|e| e.name == document.device)?.offload,
            _ => document.routers.iter().find(|r| r.name == document.device)?.offloaded.then_some(OffloadEpoch::Clients),
        }
    }

    async fn beat(&mut self, running: &Running) {
        if self.silent {
            return;
        }
        if !self.stuck {
            let known = self.word.as_ref().map_or(0, |word| word.revision);
            let poll = self.device.poll_knowing(running, self.stamp(), known, 0).await;
            self.configuration = poll.configuration.or(self.configuration.take());
            self.word = poll.update.or(self.word.take());
        }
        let mut report = self.device.report_of(self.stamp());
        report.hello.version.clone_from(&self.version);
        report.update.clone_from(&self.update);
        report.load = Load { sessions: self.sessions, client_bytes: self.client_bytes, ..Load::default() };
        report.routers.clone_from(&self.routers);
        report.share_permille = self.share_permille;
        report.drain = self.epoch().map(|epoch| Drain {
            epoch,
            for_ms: 1,
            active_requests: self.requests,
            sessions: self.sessions,
            fills_for_others: self.fills,
            newest: Vec::new(),
            late_sessions: 0,
            late_requests: 0,
        });
        self.device.report(running, &report).await.expect(200);
    }
}

/// Devices by name.
pub(crate) struct Fleet {
    members: Vec<Member>,
}

impl Fleet {
    /// Locations core and east, engines by name in them, routers in core, a delivery service, coverage zones. Everybody has
    /// reported, and the manager has listened for long enough to judge.
    pub(crate) async fn start(running: &Running, names: &[&str]) -> Self {
        let mut fleet = Self::enrolled(running, names).await;
        // Two report periods of the rehearsal profile.
        let listened = |s: &Value| s["uptime_ms"].as_u64().expect("number") > 2_000;
        fleet.until_of(running, "the manager may judge", "/api/v1/status", listened).await;
        fleet
    }

    /// Like [`Fleet::start`], while the manager may not judge yet.
    pub(crate) async fn enrolled(running: &Running, names: &[&str]) -> Self {
        running.two_locations().await;
        let service = json!({"name": "demo", "domain": "demo.weir.test", "origin": "http://192.0.2.1"});
        running.post("/api/v1/delivery-services", service).await;
        let zones = json!({"zones": [{"network": "127.0.0.0/8", "locations": {"east": 1, "core": 2}}]});
        running.call(hyper::Method::PUT, "/api/v1/coverage-zones", Some(zones)).await.expect(200);
        let mut members = Vec::new();
        for name in names {
            let (role, at) = match name.split('-').next() {
                Some("router") => (Role::Router, "core"),
                Some(location) => (Role::Engine, location),
                None => unreachable!("a split has a first part"),
            };
            let device = running.device(name, role, Some(at)).await;
            members.push(Member {
                device,
                configuration: None,
                silent: false,
                stuck: false,
                sessions: 0,
                requests: 0,
                fills: 0,
                client_bytes: 0,
                routers: Vec::new(),
                share_permille: None,
                version: "1.0.0-b1".to_owned(),
                update: None,
                word: None,
            });
        }
        let mut fleet = Self { members };
        fleet.beat(running).await;
        fleet
    }

    pub(crate) fn member(&mut self, name: &str) -> &mut Member {
        self.members.iter_mut().find(|m| m.device.name == name).expect("a member")
    }

    /// A member that is only looked at.
    pub(crate) fn member_ref(&self, name: &str) -> &Member {
        self.members.iter().find(|m| m.device.name == name).expect("a member")
    }

    /// The document a device follows.
    pub(crate) fn document(&self, name: &str) -> Option<&DeviceConfiguration> {
        self.members.iter().find(|m| m.device.name == name)?.configuration.as_ref()
    }

    /// Waits for the next question to a device and answers it.
    pub(crate) async fn answer(&self, running: &Running, name: &str, answer: Answer) {
        let member = self.members.iter().find(|m| m.device.name == name).expect("a member");
        let deadline = weir_clock::monotonic() + DEADLINE;
        let id = loop {
            let asked = member.device.poll(running, member.stamp(), 1_000).await.questions;
            if let Some(question) = asked.first() {
                break question.id;
            }
            assert!(weir_clock::monotonic() < deadline, "nobody asks {name}");
        };
        let body = serde_json::to_value(answer).expect("JSON");
        let path = format!("{}/{id}", weir_device_api::paths::ANSWERS);
        member.device.call(running, hyper::Method::POST, &path, Some(body)).await.expect(204);
    }

    /// Everybody who is not silent reports once.
    pub(crate) async fn beat(&mut self, running: &Running) {
        for member in &mut self.members {
            member.beat(running).await;
        }
    }

    /// Lives until what GET `path` answers is `wanted`; returns it.
    pub(crate) async fn until_of(&mut self, running: &Running, what: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut beats = tokio::time::interval(BEAT);
        let deadline = weir_clock::monotonic() + DEADLINE;
        loop {
            self.beat(running).await;
            let found = running.get(path).await;
            if wanted(&found) {
                return found;
            }
            assert!(weir_clock::monotonic() < deadline, "{what}: not within {DEADLINE:?}; {found}");
            beats.tick().await;
        }
    }

    /// Lives until the offload of a device is as `wanted`; returns it.
    pub(crate) async fn until(&mut self, running: &Running, device: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until_of(running, what, &format!("/api/v1/devices/{device}/offload"), wanted).await
    }

    /// Lives for a time in which the offload of a device must stay as `wanted`.
    pub(crate) async fn meanwhile(&mut self, running: &Running, device: &str, time: Duration, wanted: impl Fn(&Value) -> bool) {
        let mut beats = tokio::time::interval(BEAT);
        let end = weir_clock::monotonic() + time;
        while weir_clock::monotonic() < end {
            self.beat(running).await;
            let found = running.get(&format!("/api/v1/devices/{device}/offload")).await;
            assert!(wanted(&found), "{found}");
            beats.tick().await;
        }
    }
}

/// The words of what a drain waits for.
pub(crate) fn waits(offload: &Value) -> Vec<&str> {
    let waits = offload["drain"]["waiting_for"].as_array().into_iter().flatten();
    waits.map(|w| w["kind"].as_str().expect("word")).collect()
}

/// The devices whose acknowledgement a drain waits for.
pub(crate) fn awaited(offload: &Value) -> Vec<&str> {
    let waits = offload["drain"]["waiting_for"].as_array().into_iter().flatten();
    let devices = waits.filter(|w| w["kind"] == "acknowledgement").flat_map(|w| w["devices"].as_array().expect("devices"));
    devices.map(|d| d.as_str().expect("name")).collect()
}
