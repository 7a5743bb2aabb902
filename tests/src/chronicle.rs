//! What an operator could have seen of a network while it changed: who ran what, in which order, asked of each device itself.

use crate::{Api, Network, Seat};
use anyhow::Context;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinSet;

/// Between two looks: a device is at a version for longer.
const PACE: Duration = Duration::from_millis(100);

/// A device was seen to be something else than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    /// Which.
    pub device: String,
    /// The version it says.
    pub version: String,
    /// A manager's CMS state; a device's stage, as the rollout has it.
    pub state: String,
    /// A manager's pair condition.
    pub condition: String,
    /// The newest changeset a manager has.
    pub rev: u64,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Chronicle {
    /// In the order in which it was seen.
    pub changes: Vec<Change>,
    /// Longest time in which the rollout could not be asked for.
    pub gap: Duration,
    /// Longest time the configuration was frozen without a break.
    pub frozen: Duration,
}

impl Chronicle {
    /// Where a device was first seen to run a version, from `from` on.
    pub fn first(&self, device: &str, version: &str, from: usize) -> Option<usize> {
        self.changes.iter().skip(from).position(|change| change.device == device && change.version == version).map(|at| at + from)
    }

    /// What was seen of a device.
    pub fn of<'a>(&'a self, device: &'a str) -> impl Iterator<Item = &'a Change> {
        self.changes.iter().filter(move |change| change.device == device)
    }
}

/// Somebody who looks all the while.
pub struct Observer {
    seen: Arc<Mutex<Chronicle>>,
    /// Ends with this.
    _looking: JoinSet<()>,
}

impl Observer {
    /// Begins to look.
    ///
    /// # Errors
    /// The network has no pair or a device without an admin listener.
    pub fn begin(network: &Network) -> anyhow::Result<Self> {
        let file = network.file();
        let admin = |device: &crate::contract::Device| Ok((device.name.clone(), device.admin.context("an admin listener")?));
        let devices: Vec<(String, SocketAddr)> = file.engines.iter().chain(&file.routers).map(admin).collect::<anyhow::Result<_>>()?;
        let boxes: Vec<(String, Api)> =
            Seat::ALL.into_iter().map(|seat| Ok((network.seat(seat).to_owned(), network.api_of(seat)?))).collect::<anyhow::Result<_>>()?;
        let (seen, api) = (Arc::new(Mutex::new(Chronicle::default())), Api::new(file)?);
        let (of_task, mut looking) = (Arc::clone(&seen), JoinSet::new());
        looking.spawn(async move {
            let mut eye = Eye { last: BTreeMap::new(), answered: weir_clock::monotonic(), frozen: None };
            let mut ticks = tokio::time::interval(PACE);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                eye.look(&of_task, &api, &devices, &boxes).await;
            }
        });
        Ok(Self { seen, _looking: looking })
    }

    /// What was seen so far.
    pub fn so_far(&self) -> Chronicle {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Eye {
    last: BTreeMap<String, Change>,
    answered: std::time::Instant,
    frozen: Option<std::time::Instant>,
}

impl Eye {
    async fn look(&mut self, seen: &Mutex<Chronicle>, api: &Api, devices: &[(String, SocketAddr)], boxes: &[(String, Api)]) {
        let mut stages: BTreeMap<String, String> = BTreeMap::new();
        if let Ok(rollout) = api.rollout().await {
            let now = weir_clock::monotonic();
            let gap = now - std::mem::replace(&mut self.answered, now);
            self.frozen = if rollout["frozen"] == true { self.frozen.or(Some(now)) } else { None };
            let frozen = self.frozen.map_or(Duration::ZERO, |since| now - since);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            (seen.gap, seen.frozen) = (seen.gap.max(gap), seen.frozen.max(frozen));
            for lane in rollout["lanes"].as_array().into_iter().flatten() {
                stages.insert(text(&lane["device"]), text(&lane["stage"]));
            }
        }
        for (name, admin) in devices {
            let Ok(answer) = crate::Client::east().get(*admin, "/health").await else { continue };
            let Ok(health) = serde_json::from_slice::<Value>(&answer.body) else { continue };
            let before = self.last.get(name).map(|last| last.state.clone()).unwrap_or_default();
            let state = stages.get(name).cloned().unwrap_or(before);
            self.note(seen, Change { version: text(&health["version"]), state, ..Change::of(name) });
        }
        for (name, api) in boxes {
            let Ok(info) = api.get("/pair").await else { continue };
            let condition = text(&info["pair"]["condition"]);
            let rev = info["rev"].as_u64().unwrap_or_default();
            self.note(seen, Change { version: text(&info["version"]), state: text(&info["state"]), condition, rev, ..Change::of(name) });
        }
    }

    fn note(&mut self, seen: &Mutex<Chronicle>, change: Change) {
        let last = self.last.get(&change.device);
        if last.is_some_and(|last| Change { at_ms: last.at_ms, ..change.clone() } == *last) {
            return;
        }
        self.last.insert(change.device.clone(), change.clone());
        seen.lock().unwrap_or_else(PoisonError::into_inner).changes.push(change);
    }
}

impl Change {
    fn of(device: &str) -> Self {
        let (version, state, condition) = (String::new(), String::new(), String::new());
        Self { at_ms: weir_clock::wall_ms(), device: device.to_owned(), version, state, condition, rev: 0 }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
