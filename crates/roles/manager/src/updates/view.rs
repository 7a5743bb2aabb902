//! A device's update as operators see it: stage, words, why it does not move, what is next.

use super::{
    advice::{self, NEEDS_HANDS, WaitReason, Waiting},
    record::{Kept, Order, Outcome},
    seen::Seen,
};
use crate::{
    app::App,
    snapshot::{DeviceRecord, Snapshot},
};
use weir_device_api::UpdateReport;
use weir_model::LeaseOwner;
use weir_operator_api::{DeviceUpdate, UpdateFetch, UpdateKeeper, UpdateProof, UpdateReasonShown};
use weir_rollout::update::{Stage, UpdateReason};

/// Where an update stands for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The device has not taken its assignment up.
    Pending,
    /// It never will: the operator has cancelled it first.
    Withdrawn,
    /// It has not reported for long, with an update under way.
    Lost,
    /// As it says itself; where it says nothing of it any more, as it ended.
    At(Stage),
}

impl Standing {
    pub(super) fn of(seen: &Seen<'_>, silent_ms: u64, lost_ms: u64) -> Self {
        if seen.is_open() && silent_ms >= lost_ms {
            return Self::Lost;
        }
        match (seen.order, seen.stage()) {
            (Some(_), Some(stage)) => Self::At(stage),
            (Some(order), None) => match order.ended.map(|ended| ended.outcome) {
                None => Self::Pending,
                Some(Outcome::Successful) => Self::At(Stage::Done),
                Some(Outcome::Failed(UpdateReason::Cancelled)) => Self::Withdrawn,
                Some(Outcome::Failed(reason)) => Self::At(Stage::Failed { reason }),
            },
            (None, _) => Self::At(seen.report().map_or(Stage::Idle { reason: None }, |report| report.state.stage)),
        }
    }

    /// The word of JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Withdrawn => Stage::Idle { reason: None }.as_str(),
            Self::Lost => "lost",
            Self::At(stage) => stage.as_str(),
        }
    }

    fn at_rest(self) -> bool {
        match self {
            Self::Pending | Self::Lost => false,
            Self::Withdrawn => true,
            Self::At(stage) => stage.at_rest(),
        }
    }

    /// Whether the device became what it was assigned; absent while that is open.
    fn successful(self) -> Option<bool> {
        match self {
            Self::Pending | Self::Lost => None,
            Self::Withdrawn => Some(false),
            Self::At(Stage::Done) => Some(true),
            Self::At(Stage::Idle { reason: Some(_) } | Stage::Failed { .. } | Stage::NeedsHands { .. }) => Some(false),
            Self::At(_) => None,
        }
    }

    /// The words an operator reads.
    pub(super) fn words(self, order: Option<&Order>, report: Option<&UpdateReport>, sessions: u32) -> String {
        let stage = match self {
            Self::Pending => return "Pending".to_owned(),
            Self::Withdrawn => return "Cancelled".to_owned(),
            Self::Lost => return "Lost".to_owned(),
            Self::At(stage) => stage,
        };
        let words = stage.words();
        match stage {
            Stage::Fetching | Stage::Blocked => match report.and_then(percent) {
                Some(percent) => format!("{words} {percent} %"),
                None => words.to_owned(),
            },
            Stage::Staged if order.is_some_and(|order| !order.auto_reload && !order.reload) => format!("{words} (Reload Needed)"),
            Stage::OffloadRequested | Stage::Draining => {
                format!("{words} {sessions} {}", if sessions == 1 { "session" } else { "sessions" })
            }
            _ => match stage.reason() {
                Some(UpdateReason::Cancelled | UpdateReason::Superseded) => "Cancelled".to_owned(),
                Some(reason) => format!("Update Failed ({reason})"),
                None => words.to_owned(),
            },
        }
    }
}

fn percent(report: &UpdateReport) -> Option<u64> {
    let (done, total) = (report.fetched_bytes?, report.archive_bytes.filter(|total| *total > 0)?);
    // All of it is not there before it is all there.
    Some(done.saturating_mul(100) / total).map(|percent| percent.min(100))
}

/// How a device stands.
pub(super) fn view(app: &App, network: &Snapshot, record: &DeviceRecord, kept: &Kept) -> DeviceUpdate {
    let heard = app.reports.get(&record.name);
    let seen = Seen { record, order: kept.orders.get(&record.name), heard: heard.as_ref() };
    let (report, now_ms) = (seen.report(), weir_clock::monotonic_ms());
    let standing = Standing::of(&seen, seen.silent_ms(app.started_ms, now_ms), network.profile.update.lost_ms);
    let sessions = heard.as_ref().map_or(0, |heard| heard.report.load.sessions);
    DeviceUpdate {
        device: record.name.clone(),
        role: record.role,
        location: record.location.clone(),
        running: heard.as_ref().map(|heard| heard.report.hello.version.clone()),
        previous: report.and_then(|report| report.slots.previous.clone()),
        assigned: seen.order.map(Order::view),
        stage: standing.as_str().to_owned(),
        status: standing.words(seen.order, report, sessions),
        at_rest: standing.at_rest(),
        successful: standing.successful(),
        reason: reason(standing, &seen),
        waiting: waiting(app, network, &seen, standing).map(|waiting| waiting.shown()),
        for_ms: report.map_or(0, |report| report.for_ms),
        fetch: report.and_then(fetch),
        sessions,
        proof: report.map_or_else(UpdateProof::default, proof),
        parked: report.is_some_and(|report| report.parked),
        burned: report.map_or_else(Vec::new, |report| burned(app, report)),
        keeper: report.and_then(|r| r.keeper.as_ref()).map(|k| UpdateKeeper { version: k.version.clone(), current: k.current }),
    }
}

fn reason(standing: Standing, seen: &Seen<'_>) -> Option<UpdateReasonShown> {
    match standing {
        Standing::Pending => None,
        Standing::Withdrawn => Some(advice::shown(UpdateReason::Cancelled, "")),
        Standing::Lost => seen.stage()?.reason().map(|reason| advice::shown(reason, detail(seen))),
        Standing::At(stage @ Stage::NeedsHands { .. }) => {
            let shown = advice::shown(stage.reason()?, detail(seen));
            Some(UpdateReasonShown { next: NEEDS_HANDS.to_owned(), ..shown })
        }
        Standing::At(stage) => stage.reason().map(|reason| advice::shown(reason, detail(seen))),
    }
}

fn detail<'a>(seen: &Seen<'a>) -> &'a str {
    seen.latest().map_or("", |report| &report.detail)
}

/// What keeps it from moving now.
fn waiting(app: &App, network: &Snapshot, seen: &Seen<'_>, standing: Standing) -> Option<Waiting> {
    let name = &seen.record.name;
    let patience_ms = network.profile.report_patience_ms();
    let silent_ms = seen.silent_ms(app.started_ms, weir_clock::monotonic_ms());
    if seen.is_open() && silent_ms > patience_ms {
        return Some(Waiting::new(WaitReason::Offline, format!("{name} has not reported for {} s", silent_ms / 1000)));
    }
    let of_round = || app.updates.waiting(name);
    match standing {
        Standing::Pending => Some(not_taken_up(seen)),
        Standing::Withdrawn | Standing::Lost => None,
        Standing::At(Stage::Draining) => of_round().or_else(|| drain(app, network, seen)),
        Standing::At(Stage::OffloadRequested) => of_round().or_else(|| offload_asked(network, seen)),
        Standing::At(stage) => at_stage(stage, seen, crate::rollout::may_be_told(app, name).is_err()).or_else(of_round),
    }
}

/// Why a device that reports has not taken its assignment up.
fn not_taken_up(seen: &Seen<'_>) -> Waiting {
    let (name, order) = (&seen.record.name, seen.order.expect("something is pending"));
    let refuses = |report: &UpdateReport| report.state.burned.contains(&order.manifest);
    match (seen.heard, seen.report()) {
        (None, _) => Waiting::new(WaitReason::Offline, format!("{name} has never reported")),
        (Some(heard), None) => {
            Waiting::new(WaitReason::NotCapable, format!("{name} runs {} and says nothing of updates", heard.report.hello.version))
        }
        (_, Some(report)) if refuses(report) => {
            Waiting::new(WaitReason::Burned, format!("{} fell back on {name} before, and it refuses it", order.version))
        }
        (_, Some(_)) => Waiting::new(WaitReason::NotAcknowledged, format!("{name} has yet to take it up")),
    }
}

fn at_stage(stage: Stage, seen: &Seen<'_>, is_in_rollout: bool) -> Option<Waiting> {
    let said = |otherwise: &str| if detail(seen).is_empty() { otherwise.to_owned() } else { detail(seen).to_owned() };
    let fetched = seen.report().and_then(|report| report.from.as_ref());
    match stage {
        Stage::Fetching if fetched.is_none() && !detail(seen).is_empty() => Some(Waiting::new(WaitReason::NoSource, detail(seen))),
        Stage::Blocked => Some(Waiting::new(WaitReason::NoSpace, said("its disk has no room for the image"))),
        Stage::Staged if seen.order.is_some_and(|order| !order.auto_reload && !order.reload) => Some(match is_in_rollout {
            true => Waiting::new(WaitReason::Rollout, "the image is staged, and its rollout lets it go when its turn comes"),
            false => Waiting::new(WaitReason::ReloadNeeded, "the image is staged, and it does not switch by itself"),
        }),
        _ => None,
    }
}

fn offload_asked(network: &Snapshot, seen: &Seen<'_>) -> Option<Waiting> {
    let outside = network.outside.get(&seen.record.name)?;
    let taken = outside.leases.iter().any(|lease| lease.owner == LeaseOwner::Rollout);
    taken.then(|| Waiting::new(WaitReason::Drain, format!("{} has yet to learn that it is offloaded", seen.record.name)))
}

/// The first thing its drain waits for.
fn drain(app: &App, network: &Snapshot, seen: &Seen<'_>) -> Option<Waiting> {
    let outside = network.outside.get(&seen.record.name)?;
    let progress = app.drains.progress(app, network, seen.record, outside);
    Some(Waiting::new(WaitReason::Drain, progress.waiting_for.first()?.text.clone()))
}

fn fetch(report: &UpdateReport) -> Option<UpdateFetch> {
    matches!(report.state.stage, Stage::Fetching | Stage::Blocked).then_some(())?;
    Some(UpdateFetch { done: report.fetched_bytes?, total: report.archive_bytes?, from: report.from.clone() })
}

fn proof(report: &UpdateReport) -> UpdateProof {
    let proof = report.state.proof;
    UpdateProof { requests: proof.requests, own_errors: proof.own_errors, crashes: proof.crashes }
}

/// What fell back, with its version where a software file has it.
fn burned(app: &App, report: &UpdateReport) -> Vec<String> {
    let records = app.software.records();
    let version = |digest: &str| {
        let releases = records.iter().filter_map(|record| record.release.as_ref());
        releases.into_iter().find(|release| release.manifest_sha256 == digest).map(|release| release.version)
    };
    let shown = |digest: &String| version(digest).map_or_else(|| digest.clone(), |version| format!("{version} {digest}"));
    report.state.burned.iter().map(shown).collect()
}

#[cfg(test)]
mod tests;
