//! The wave that is watched, beside engines of the same locations that were not updated, over the same minutes.
//!
//! Reports carry counters since the worker's start. What each engine answered since the wave began to be watched is added up here, in
//! memory: a manager that is new to it begins anew, with all engines at once, so both arms stay of the same minutes.

use crate::app::App;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};
use weir_device_api::{Answers, report::TTFB_BOUNDS_MS};
use weir_model::{DeviceName, Role, Version};
use weir_rollout::{
    guard::{self, Standing},
    plan::{Arm, Comparison, Contact, DeviceFacts, Plan, WaveState},
    update::Stage,
};

/// What the engines of both arms answered since a wave began to be watched.
#[derive(Debug, Default)]
pub(super) struct Watch {
    wave: Option<Watched>,
    tracks: BTreeMap<DeviceName, Track>,
}

/// Which wave, of which hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Watched {
    hop: u16,
    wave: usize,
}

/// What an engine was beside a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Of the wave, on the wave's version.
    New,
    /// Not updated.
    Control,
}

/// An engine as it stands now.
#[derive(Debug, Clone)]
struct Seen {
    name: DeviceName,
    side: Side,
    site: u32,
    version: Version,
    boot: u64,
    answers: Answers,
}

/// One engine's counters, and what they rose by while it was watched on one version.
#[derive(Debug)]
struct Track {
    version: Version,
    boot: u64,
    last: Answers,
    sum: Answers,
}

/// What the wave that bakes and its neighbours answered; none where no wave of engines bakes, or nobody is there to compare it with.
pub(super) fn compare(app: &App, plan: &Plan, devices: &[DeviceFacts], floors: &guard::Facts) -> Option<Comparison> {
    let wave = watched(plan);
    let seen = wave.map_or_else(Vec::new, |wave| {
        app.reports.with_all(|heard| {
            let engines = devices.iter().enumerate().filter_map(|(position, device)| {
                let side = side(plan, wave, position, device, floors)?;
                let report = &heard.get(&device.name)?.report;
                let answers = report.answers.clone()?;
                Some(Seen { name: device.name.clone(), side, site: device.site, version: device.version?, boot: report.boot, answers })
            });
            engines.collect()
        })
    });
    app.rollouts.watch.lock().unwrap_or_else(PoisonError::into_inner).look(wave, seen)
}

fn watched(plan: &Plan) -> Option<Watched> {
    let bakes = |wave: &usize| plan.waves[*wave] == WaveState::Baking && plan.design.waves[*wave].role == Role::Engine;
    let wave = (0..plan.waves.len()).find(bakes)?;
    Some(Watched { hop: plan.course.hop, wave })
}

/// Which arm an engine is of. One that is out of service, or on the way, is of none; one that has its image staged and waits for a
/// later wave serves as before.
fn side(plan: &Plan, watched: Watched, position: usize, device: &DeviceFacts, floors: &guard::Facts) -> Option<Side> {
    let serves = floors.engines.get(&device.name).is_some_and(|engine| engine.standing == Standing::Serving);
    let waits = matches!(device.stage, Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Staged);
    if device.role != Role::Engine || device.contact != Contact::Reporting || !serves || !(waits || device.stage.at_rest()) {
        return None;
    }
    let (lane, target) = (plan.lanes.get(position)?, plan.hop().1);
    let is_member = lane.wave.is_some_and(|wave| usize::from(wave) == watched.wave);
    match device.version? == target {
        true => is_member.then_some(Side::New),
        false => (!lane.moved).then_some(Side::Control),
    }
}

impl Watch {
    /// Takes in what engines answered so far, and compares.
    fn look(&mut self, wave: Option<Watched>, seen: Vec<Seen>) -> Option<Comparison> {
        if self.wave != wave {
            (self.wave, self.tracks) = (wave, BTreeMap::new());
        }
        let mut arms: BTreeMap<u32, [Vec<DeviceName>; 2]> = BTreeMap::new();
        for Seen { name, side, site, version, boot, answers } in seen {
            let [new, control] = arms.entry(site).or_default();
            match side {
                Side::New => new.push(name.clone()),
                Side::Control => control.push(name.clone()),
            }
            match self.tracks.get_mut(&name).filter(|track| track.version == version) {
                Some(track) => track.take(boot, answers),
                None => drop(self.tracks.insert(name, Track { version, boot, last: answers, sum: Answers::default() })),
            }
        }
        // A location where one of the arms is missing says nothing: its origins and viewers are its own.
        arms.retain(|_, [new, control]| !new.is_empty() && !control.is_empty());
        let names = |side: usize| arms.values().flat_map(move |arms| &arms[side]).collect::<BTreeSet<_>>();
        let arm = |side: usize| self.arm(names(side));
        (!arms.is_empty()).then(|| Comparison { new: arm(0), control: arm(1) })
    }

    fn arm(&self, names: BTreeSet<&DeviceName>) -> Arm {
        let mut sum = Answers::default();
        for track in names.into_iter().filter_map(|name| self.tracks.get(name)) {
            add(&mut sum, &track.sum);
        }
        let Answers { requests, own_errors, resets, ttfb } = sum;
        Arm { requests, own_errors, resets, ttfb_p99_ms: p99_ms(&ttfb) }
    }
}

impl Track {
    /// Takes the counters in. Of a worker that started since the last report, what it did before this one is not known to be of
    /// these minutes.
    fn take(&mut self, boot: u64, now: Answers) {
        if let Some(risen) = risen(&self.last, &now).filter(|_| self.boot == boot) {
            add(&mut self.sum, &risen);
        }
        (self.boot, self.last) = (boot, now);
    }
}

/// By how much counters rose; none when one of them fell, because they began anew.
fn risen(before: &Answers, now: &Answers) -> Option<Answers> {
    let class = |at: usize| before.ttfb.get(at).copied().unwrap_or(0);
    if now.ttfb.len() < before.ttfb.len() {
        return None;
    }
    Some(Answers {
        requests: now.requests.checked_sub(before.requests)?,
        own_errors: now.own_errors.checked_sub(before.own_errors)?,
        resets: now.resets.checked_sub(before.resets)?,
        ttfb: now.ttfb.iter().enumerate().map(|(at, count)| count.checked_sub(class(at))).collect::<Option<_>>()?,
    })
}

fn add(sum: &mut Answers, more: &Answers) {
    sum.requests = sum.requests.saturating_add(more.requests);
    sum.own_errors = sum.own_errors.saturating_add(more.own_errors);
    sum.resets = sum.resets.saturating_add(more.resets);
    sum.ttfb.resize(sum.ttfb.len().max(more.ttfb.len()), 0);
    for (sum, more) in sum.ttfb.iter_mut().zip(&more.ttfb) {
        *sum = sum.saturating_add(*more);
    }
}

/// The 99th percentile of answers by class, milliseconds: as if those of a class were spread evenly over it. 0 of none.
fn p99_ms(classes: &[u64]) -> u64 {
    let total = classes.iter().fold(0_u64, |total, count| total.saturating_add(*count));
    let rank = total - total / 100;
    let mut before = 0_u64;
    for (at, count) in classes.iter().enumerate() {
        if *count > 0 && before.saturating_add(*count) >= rank {
            let bound = |at: usize| u64::from(TTFB_BOUNDS_MS[at.min(TTFB_BOUNDS_MS.len() - 1)]);
            let low = if at == 0 { 0 } else { bound(at - 1) };
            return low + (bound(at) - low) * (rank - before) / count;
        }
        before = before.saturating_add(*count);
    }
    0
}

#[cfg(test)]
mod tests;
