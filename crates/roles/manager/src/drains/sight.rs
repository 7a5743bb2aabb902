//! What one look sees: the network, the last reports, the time; and a drain as the rules judge it.

use super::{BASE_MS, Watch};
use crate::{
    app::App,
    reports::Heard,
    snapshot::{DeviceRecord, Outside, Snapshot},
};
use std::collections::BTreeMap;
use weir_device_api::{Drain, RouterContact};
use weir_model::{DeviceName, OffloadEpoch, Role, Stamp};
use weir_rollout::{
    DrainView,
    drain::{Acknowledgement, Reported, SessionFacts},
};

/// Reports a manager waits for before it judges anything, in periods.
const PERIODS_BEFORE_JUDGING: u64 = 2;

/// When a manager that began to listen at `started_ms` begins to judge; both on the same clock.
pub(crate) fn judge_from_ms(started_ms: u64, report_ms: u64) -> u64 {
    started_ms + PERIODS_BEFORE_JUDGING * report_ms
}

/// Whether a device acknowledges an epoch.
#[derive(Debug, Clone, Copy)]
enum Word {
    /// It does now; heard at that time.
    Runs { at_ms: u64 },
    /// It did when it was last heard, which is too long ago to withdraw anything.
    Ran { at_ms: u64 },
    /// It does not now.
    RunsNot,
    /// Nobody says anything.
    Nothing,
}

impl Word {
    /// This word, with another one on the same device. One that says now that it runs is enough, and what is said now counts
    /// more than what was said once.
    fn or(self, other: Self) -> Self {
        let rank = |word: &Word| match word {
            Word::Runs { .. } => 3,
            Word::RunsNot => 2,
            Word::Ran { .. } => 1,
            Word::Nothing => 0,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    fn note(self, acks: &mut BTreeMap<DeviceName, u64>, device: &DeviceRecord) {
        match self {
            Word::Runs { at_ms } | Word::Ran { at_ms } => {
                acks.entry(device.name.clone()).or_insert(at_ms);
            }
            Word::RunsNot => {
                acks.remove(&device.name);
            }
            Word::Nothing => {}
        }
    }
}

/// One look. Times are monotonic milliseconds, [`BASE_MS`] ahead.
pub(super) struct Sight<'a> {
    pub(super) network: &'a Snapshot,
    pub(super) heard: &'a BTreeMap<DeviceName, Heard>,
    pub(super) started_ms: u64,
    pub(super) now_ms: u64,
    pub(super) wall_ms: u64,
}

impl<'a> Sight<'a> {
    pub(super) fn now(app: &App, network: &'a Snapshot, heard: &'a BTreeMap<DeviceName, Heard>) -> Self {
        let now_ms = weir_clock::monotonic_ms() + BASE_MS;
        Self { network, heard, started_ms: app.started_ms + BASE_MS, now_ms, wall_ms: weir_clock::wall_ms() }
    }

    /// When the offload began.
    pub(super) fn since_ms(&self, outside: &Outside) -> u64 {
        self.now_ms.saturating_sub(self.wall_ms.saturating_sub(outside.since_ms))
    }

    /// The stamp of a generation. One of an earlier term counts as of this one: whoever runs that term must first learn of
    /// the new primary.
    pub(super) fn stamp(&self, generation: u64) -> Stamp {
        Stamp { term: self.network.stamp.term, generation }
    }

    /// When a report came; one kept from before this manager started counts from its start.
    pub(super) fn at_ms(&self, heard: &Heard) -> u64 {
        if heard.at_ms == 0 { self.started_ms } else { heard.at_ms + BASE_MS }
    }

    /// Whether the device itself was heard by this manager, and not too long ago.
    pub(super) fn is_fresh(&self, heard: &Heard) -> bool {
        heard.at_ms != 0 && self.silent_since_ms(Some(heard)).is_none()
    }

    /// When a device was last heard, if it has fallen silent since.
    fn silent_since_ms(&self, heard: Option<&Heard>) -> Option<u64> {
        let last_ms = heard.map_or(self.started_ms, |heard| self.at_ms(heard)).max(self.started_ms);
        (self.now_ms.saturating_sub(last_ms) > self.network.profile.report_patience_ms()).then_some(last_ms)
    }

    /// The routers the draining engine says it is in contact with, as long as it is heard.
    fn contacts(&self, record: &DeviceRecord) -> &'a [RouterContact] {
        let heard = self.heard.get(&record.name).filter(|heard| self.is_fresh(heard));
        heard.map_or(&[], |heard| &heard.report.routers)
    }

    /// Who routes to the device or fills from it: every active router and engine, and itself.
    fn listeners(&self) -> impl Iterator<Item = &'a DeviceRecord> {
        self.network.active(Role::Router).chain(self.network.active(Role::Engine))
    }

    /// Takes in who has acknowledged which epoch since the last look, and who has withdrawn it: a device that was started
    /// anew with an older configuration may send viewers here, or fill from here, again.
    pub(super) fn note_acknowledgements(
        &self,
        record: &DeviceRecord,
        outside: &Outside,
        clients: &mut BTreeMap<DeviceName, u64>,
        peers: &mut BTreeMap<DeviceName, u64>,
    ) {
        for listener in self.listeners() {
            let reported = self.reported_word(listener, outside.clients_generation);
            reported.or(self.lifeline_word(record, listener, outside.clients_generation)).note(clients, listener);
            if let Some(generation) = outside.peers_generation {
                self.reported_word(listener, generation).note(peers, listener);
            }
        }
    }

    /// What a device's own last report says of a generation.
    fn reported_word(&self, listener: &DeviceRecord, generation: u64) -> Word {
        let Some(heard) = self.heard.get(&listener.name) else { return Word::Nothing };
        let (runs, at_ms) = (heard.report.hello.stamp >= self.stamp(generation), self.at_ms(heard));
        match (self.is_fresh(heard), runs) {
            (true, true) => Word::Runs { at_ms },
            (true, false) => Word::RunsNot,
            (false, true) => Word::Ran { at_ms },
            (false, false) => Word::Nothing,
        }
    }

    /// What the draining engine says that a router told it on their lifeline.
    fn lifeline_word(&self, record: &DeviceRecord, router: &DeviceRecord, generation: u64) -> Word {
        let Some(contact) = self.contacts(record).iter().find(|contact| contact.router == router.name) else { return Word::Nothing };
        let obeys = contact.obeyed.is_some_and(|stamp| stamp >= self.stamp(generation));
        match self.heard.get(&record.name) {
            Some(engine) if obeys => Word::Runs { at_ms: self.at_ms(engine) },
            _ => Word::RunsNot,
        }
    }

    /// The drain as the rules judge it.
    pub(super) fn drain_view(&self, record: &DeviceRecord, outside: &Outside, watch: &Watch) -> DrainView<'a> {
        let contacts = self.contacts(record);
        let acknowledgements = |acks: &BTreeMap<DeviceName, u64>| {
            let one = |listener: &DeviceRecord| Acknowledgement {
                device: listener.name.clone(),
                acked_ms: acks.get(&listener.name).copied(),
                silent_since_ms: self.silent_since_ms(self.heard.get(&listener.name)),
                in_contact: contacts.iter().any(|contact| contact.router == listener.name),
            };
            self.listeners().map(one).collect()
        };
        DrainView {
            profile: &self.network.profile,
            // A router knows `clients` only.
            epoch: if record.role == Role::Router { OffloadEpoch::Clients } else { outside.epoch() },
            since_ms: watch.since_ms,
            judge_from_ms: judge_from_ms(self.started_ms, self.network.profile.report_ms),
            clients: acknowledgements(&watch.clients),
            peers: acknowledgements(&watch.peers),
            reported: self.heard.get(&record.name).and_then(|heard| self.reported(heard, outside)),
            idle_since_ms: watch.memory.idle_since_ms,
        }
    }

    /// What the device said runs on it, since it learnt of this offload and this manager listens.
    fn reported(&self, heard: &Heard, outside: &Outside) -> Option<Reported> {
        if heard.at_ms == 0 || heard.report.hello.stamp < self.stamp(outside.clients_generation) {
            return None;
        }
        let Drain { active_requests, sessions, fills_for_others, late_sessions, late_requests, ref newest, .. } =
            *heard.report.drain.as_ref()?;
        let session = |s: &weir_device_api::DrainSession| SessionFacts { age_ms: s.age_ms, active_requests: s.active_requests };
        let newest = newest.iter().map(session).collect();
        let at_ms = self.at_ms(heard);
        Some(Reported { at_ms, active_requests, sessions, fills_for_others, newest, late_sessions, late_requests })
    }
}
