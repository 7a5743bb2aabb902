//! The drain predicate: whether nothing runs on a device that Server Offload holds, and else what it waits for.
//!
//! An engine leaves in two epochs. `clients` is over when every router and engine has acknowledged it, one DNS TTL has
//! passed since the last of them did, and no session is left; then `peers` may be written. The engine is drained when that
//! is acknowledged too and no session, viewer's request or other engine's request has been there for the profile's stable
//! time. A router is handed over, not drained: resolvers never stop asking it, so only its HTTP requests count.
//!
//! A stray is a session begun when nobody should have been sent here any longer. A device lists only so many sessions; when
//! all it lists are strays, what it counts itself as late is taken for strays too, however many.
//!
//! A device that neither reports nor holds a lifeline to the engine is not waited for once it has been silent for the
//! profile's patience and one DNS TTL: what it could still cause has run out by then. A router that is cut off from the
//! manager but not from the engine acknowledges `clients` on its lifeline and is waited for; `peers` means nothing to it.

use crate::wait::Wait;
use std::collections::BTreeSet;
use weir_model::{DeviceName, OffloadEpoch, Profile};

/// What the caller knows of one device that must acknowledge an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The router or engine; the draining device itself is one of them.
    pub device: DeviceName,
    /// When the caller learnt that it runs the epoch: from its report, or, for `clients`, from a router's word on its
    /// lifeline to the engine.
    pub acked_ms: Option<u64>,
    /// When it was last heard, if it has fallen silent since; absent: it reports.
    pub silent_since_ms: Option<u64>,
    /// A router to which the engine holds a lifeline now.
    pub in_contact: bool,
}

/// A session as the device reports it; times in milliseconds before the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionFacts {
    /// Since it began.
    pub age_ms: u64,
    /// Its requests being answered.
    pub active_requests: u32,
}

/// What the device last said runs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// When the report arrived.
    pub at_ms: u64,
    /// Viewers' requests being answered.
    pub active_requests: u32,
    /// Viewer sessions.
    pub sessions: u32,
    /// Other engines' requests being answered.
    pub fills_for_others: u32,
    /// The sessions begun last, as many as the device lists.
    pub newest: Vec<SessionFacts>,
    /// Of `sessions`: those begun when, by the device's own clock, nobody sent viewers to it any longer.
    pub late_sessions: u32,
    /// Of `active_requests`: those of the late sessions.
    pub late_requests: u32,
}

/// Everything a drain is judged from.
#[derive(Debug, Clone)]
pub struct DrainView<'p> {
    /// Timers.
    pub profile: &'p Profile,
    /// How far out the configuration says it is.
    pub epoch: OffloadEpoch,
    /// When the offload began.
    pub since_ms: u64,
    /// Until when the manager judges nothing: two report periods after it began to listen.
    pub judge_from_ms: u64,
    /// Who must run `clients`.
    pub clients: Vec<Acknowledgement>,
    /// Who must run `peers`; not looked at before that epoch.
    pub peers: Vec<Acknowledgement>,
    /// The device's last report that said what runs on it. One from before its offload says nothing: leave it out.
    pub reported: Option<Reported>,
    /// Since when it has been idle: [`DrainMemory::idle_since_ms`].
    pub idle_since_ms: Option<u64>,
}

/// How a drain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainVerdict {
    /// Nothing runs on it: `offloaded`.
    pub drained: bool,
    /// `peers` may be written now.
    pub next_epoch: bool,
    /// What it waits for, most important first; empty exactly when it is drained.
    pub waits: Vec<Wait>,
    /// Viewer sessions left, strays not counted.
    pub sessions: u32,
    /// Viewers' requests being answered; strays' not counted after the soft limit.
    pub active_requests: u32,
    /// Other engines' requests being answered.
    pub fills_for_others: u32,
    /// Which of the reported newest sessions are strays: begun when nobody should have been sent here any longer. When all of
    /// them are, there may be more that are not listed.
    pub strays: Vec<usize>,
    /// When the report shows that nothing is left to wait for but time: when it arrived. Feeds [`DrainMemory`].
    pub idle_at_ms: Option<u64>,
    /// When viewers are steered elsewhere and strays no longer count.
    pub soft_limit_ms: u64,
    /// When DRAIN_TIMEOUT is raised.
    pub hard_limit_ms: u64,
}

/// Since when a device has been idle. It belongs to one offload: begin with a new one when the device returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrainMemory {
    /// Arrival of the first of the reports, none between, that left nothing to wait for but time.
    pub idle_since_ms: Option<u64>,
}

impl DrainMemory {
    /// Takes a verdict in; call it for each, at the least for each report.
    pub fn observe(&mut self, verdict: &DrainVerdict) {
        self.idle_since_ms = verdict.idle_at_ms.map(|at_ms| self.idle_since_ms.unwrap_or(at_ms));
    }
}

/// Judges an engine's drain.
pub fn judge(view: &DrainView<'_>, now_ms: u64) -> DrainVerdict {
    let clients = acknowledged(view, OffloadEpoch::Clients, now_ms);
    let work = Work::of(view, clients.quiet_from_ms, now_ms);
    let mut waits = standing_waits(view, &clients, now_ms);
    let mut settled_ms = clients.quiet_from_ms.unwrap_or(now_ms);
    let sessions_over = view.epoch == OffloadEpoch::Clients && waits.is_empty() && work.sessions_blocking() == 0;
    // One that came earlier cannot tell of the viewer who was sent here last.
    let said_since = |reported: &Reported| clients.quiet_from_ms.is_some_and(|quiet_ms| reported.at_ms >= quiet_ms);
    let next_epoch = sessions_over && view.reported.as_ref().is_some_and(said_since);
    match view.epoch {
        OffloadEpoch::Clients if sessions_over => {
            waits.push(Wait::Acknowledgement { epoch: OffloadEpoch::Peers, devices: BTreeSet::new() });
        }
        OffloadEpoch::Clients => {}
        OffloadEpoch::Peers => {
            let peers = acknowledged(view, OffloadEpoch::Peers, now_ms);
            waits.extend(peers.wait(OffloadEpoch::Peers));
            settled_ms = settled_ms.max(peers.settled_ms);
        }
    }
    waits.extend(work.waits());
    finish(view, work, waits, settled_ms, next_epoch)
}

/// Judges a router's hand-over: acknowledged `clients`, one DNS TTL since, and no HTTP request being answered.
pub fn judge_router(view: &DrainView<'_>, now_ms: u64) -> DrainVerdict {
    let clients = acknowledged(view, OffloadEpoch::Clients, now_ms);
    let mut waits = standing_waits(view, &clients, now_ms);
    let active_requests = view.reported.as_ref().map_or(0, |reported| reported.active_requests);
    let work = Work { active_requests, ..Work::default() };
    waits.extend(work.waits());
    finish(view, work, waits, clients.quiet_from_ms.unwrap_or(now_ms), false)
}

/// What is waited for whatever runs on the device.
fn standing_waits(view: &DrainView<'_>, clients: &Acknowledged, now_ms: u64) -> Vec<Wait> {
    let mut waits = Vec::new();
    let age_ms = view.reported.as_ref().map(|reported| now_ms.saturating_sub(reported.at_ms));
    if age_ms.is_none_or(|age_ms| age_ms > view.profile.report_patience_ms()) {
        waits.push(Wait::NotReporting { age_ms });
    }
    if now_ms < view.judge_from_ms {
        waits.push(Wait::ManagerStart { left_ms: view.judge_from_ms - now_ms });
    }
    waits.extend(clients.wait(OffloadEpoch::Clients));
    let left_ms = clients.quiet_from_ms.map_or(0, |quiet_ms| quiet_ms.saturating_sub(now_ms));
    if left_ms > 0 {
        waits.push(Wait::DnsTtl { left_ms });
    }
    waits
}

/// `settled_ms`: from when on a report of nothing means that nothing more can come.
fn finish(view: &DrainView<'_>, work: Work, mut waits: Vec<Wait>, settled_ms: u64, next_epoch: bool) -> DrainVerdict {
    let reported_ms = view.reported.as_ref().map(|reported| reported.at_ms);
    let idle_at_ms = reported_ms.filter(|at_ms| waits.is_empty() && *at_ms >= settled_ms);
    if waits.is_empty() {
        // From the first to the last report that said so, not until now: what no report covers is not known.
        let idle_ms = idle_at_ms.map_or(0, |at_ms| at_ms.saturating_sub(view.idle_since_ms.unwrap_or(at_ms)));
        let left_ms = view.profile.drain_stable_ms.saturating_sub(idle_ms);
        if left_ms > 0 || idle_at_ms.is_none() {
            waits.push(Wait::Stable { left_ms });
        }
    }
    DrainVerdict {
        drained: waits.is_empty(),
        next_epoch,
        waits,
        sessions: work.sessions,
        active_requests: work.active_requests,
        fills_for_others: work.fills_for_others,
        strays: work.strays,
        idle_at_ms,
        soft_limit_ms: soft_limit_ms(view),
        hard_limit_ms: view.since_ms.saturating_add(view.profile.drain_hard_ms),
    }
}

fn soft_limit_ms(view: &DrainView<'_>) -> u64 {
    view.since_ms.saturating_add(view.profile.drain_soft_ms)
}

fn dns_ttl_ms(profile: &Profile) -> u64 {
    u64::from(profile.dns_ttl_seconds) * 1000
}

/// How far an epoch is acknowledged.
struct Acknowledged {
    missing: BTreeSet<DeviceName>,
    /// When the last of the others acknowledged it or was given up.
    settled_ms: u64,
    /// From when on nobody should be sent here; absent while somebody is missing.
    quiet_from_ms: Option<u64>,
}

impl Acknowledged {
    fn wait(&self, epoch: OffloadEpoch) -> Option<Wait> {
        (!self.missing.is_empty()).then(|| Wait::Acknowledgement { epoch, devices: self.missing.clone() })
    }
}

fn acknowledged(view: &DrainView<'_>, epoch: OffloadEpoch, now_ms: u64) -> Acknowledged {
    let ttl_ms = dns_ttl_ms(view.profile);
    let patience_ms = view.profile.acknowledge_silence_ms + ttl_ms;
    let devices = if epoch == OffloadEpoch::Clients { &view.clients } else { &view.peers };
    let (mut missing, mut settled_ms, mut quiet_from_ms) = (BTreeSet::new(), view.since_ms, view.since_ms);
    for Acknowledgement { device, acked_ms, silent_since_ms, in_contact } in devices {
        // Only `clients` can be acknowledged on a lifeline, so only there one is waited for because of it.
        let contact = *in_contact && epoch == OffloadEpoch::Clients;
        let given_up_ms = silent_since_ms.filter(|_| !contact).map(|since_ms| since_ms.saturating_add(patience_ms));
        // The patience with a silent device has one TTL in it already.
        let (at_ms, quiet_ms) = match (*acked_ms, given_up_ms) {
            (Some(acked_ms), _) => (acked_ms, acked_ms.saturating_add(ttl_ms)),
            (None, Some(given_up_ms)) if given_up_ms <= now_ms => (given_up_ms, given_up_ms),
            (None, _) => {
                missing.insert(device.clone());
                continue;
            }
        };
        settled_ms = settled_ms.max(at_ms);
        quiet_from_ms = quiet_from_ms.max(quiet_ms);
    }
    let quiet_from_ms = missing.is_empty().then_some(quiet_from_ms);
    Acknowledged { missing, settled_ms, quiet_from_ms }
}

/// What runs on the device.
#[derive(Debug, Default)]
struct Work {
    sessions: u32,
    active_requests: u32,
    fills_for_others: u32,
    /// Strays among the listed sessions, and how many there are in all.
    strays: Vec<usize>,
    stray_count: u32,
    strays_block: bool,
}

impl Work {
    fn of(view: &DrainView<'_>, quiet_from_ms: Option<u64>, now_ms: u64) -> Self {
        let Some(reported) = &view.reported else { return Self::default() };
        let stray = |session: &SessionFacts| quiet_from_ms.is_some_and(|quiet_ms| reported.at_ms.saturating_sub(session.age_ms) > quiet_ms);
        let strays: Vec<usize> = (0..reported.newest.len()).filter(|number| stray(&reported.newest[*number])).collect();
        let strays_block = now_ms < soft_limit_ms(view);
        let mut stray_requests = strays.iter().fold(0u32, |sum, number| sum.saturating_add(reported.newest[*number].active_requests));
        let mut stray_count = u32::try_from(strays.len()).unwrap_or(u32::MAX);
        // Where every listed one is a stray the list may have ended too early: for those beyond it the device's count stands.
        if quiet_from_ms.is_some_and(|quiet_ms| reported.at_ms >= quiet_ms) && strays.len() == reported.newest.len() {
            stray_count = stray_count.max(reported.late_sessions).min(reported.sessions);
            stray_requests = stray_requests.max(reported.late_requests);
        }
        Self {
            sessions: reported.sessions.saturating_sub(stray_count),
            active_requests: reported.active_requests.saturating_sub(if strays_block { 0 } else { stray_requests }),
            fills_for_others: reported.fills_for_others,
            strays,
            stray_count,
            strays_block,
        }
    }

    fn strays_blocking(&self) -> u32 {
        if self.strays_block { self.stray_count } else { 0 }
    }

    fn sessions_blocking(&self) -> u32 {
        self.sessions.saturating_add(self.strays_blocking())
    }

    fn waits(&self) -> impl Iterator<Item = Wait> {
        let (sessions, strays) = (self.sessions, self.strays_blocking());
        let sessions = (self.sessions_blocking() > 0).then_some(Wait::Sessions { sessions, strays });
        let requests = (self.active_requests > 0).then_some(Wait::Requests { requests: self.active_requests });
        let fills = (self.fills_for_others > 0).then_some(Wait::FillsForOthers { fills: self.fills_for_others });
        sessions.into_iter().chain(requests).chain(fills)
    }
}

#[cfg(test)]
mod tests;
