//! Where each device is on its way to its goal: one pass over all of them, at the start of a tick.

use super::{ATTEMPTS_MAX, Contact, DeviceFacts, Excuse, Lane, Stay, tick::Tick, verdict::Counts};
use crate::{
    pair_order::Direction,
    update::{Stage, UpdateReason},
};
use weir_model::Version;

/// Where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody waits for it.
    Aside(Stay),
    /// There.
    AtGoal,
    /// It has yet to obey a word.
    Untold,
    /// It fetches.
    Staging,
    /// It could go.
    Staged,
    /// It could go, and may not.
    Kept(Stay),
    /// On its way.
    Moving,
}

/// Counts over all devices.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) staging: u32,
    pub(super) moving: u32,
    /// Devices that are not what the hop makes them, the excused apart; and the first.
    pub(super) behind: u32,
    pub(super) first_behind: u32,
    pub(super) on_probation: u32,
    pub(super) leased: u32,
    pub(super) waves: Vec<WaveTally>,
}

/// Counts over a wave.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WaveTally {
    pub(super) counts: Counts,
    /// Position of the first that failed, where one did.
    pub(super) first_failed: u32,
    /// Devices that have yet to fetch.
    pub(super) unstaged: u32,
    /// Devices that are neither there nor aside.
    pub(super) open: u32,
    /// Devices that have moved in this hop.
    pub(super) moved: u32,
}

impl Tick<'_> {
    /// What a lane is to run.
    pub(super) fn goal(&self, lane: &Lane) -> Option<Version> {
        if lane.back { lane.before } else { Some(self.target) }
    }

    /// Takes the facts in.
    pub(super) fn adopt(&mut self) {
        let pinned = !self.plan.design.policy.pins.is_empty() || !self.plan.pins.is_empty();
        self.places.reserve(self.plan.lanes.len());
        let mut lanes = std::mem::take(&mut self.plan.lanes);
        for (lane, device) in lanes.iter_mut().zip(&self.facts.devices) {
            let is_pinned = pinned && self.plan.pin(&device.name, self.now_ms).is_some();
            let place = self.take_in(lane, device, is_pinned);
            self.places.push(place);
        }
        self.plan.lanes = lanes;
        self.tally = self.count();
    }

    fn take_in(&self, lane: &mut Lane, device: &DeviceFacts, is_pinned: bool) -> Place {
        if lane.excuse == Excuse::Dead && device.contact == Contact::Reporting {
            lane.excuse = Excuse::None;
        }
        if lane.was.is_none() {
            (lane.was, lane.before) = (device.version, device.version);
        }
        let Some(goal) = self.goal(lane) else { return Place::Aside(Stay::NeverHeard) };
        let place = self.place_of(lane, device, goal, is_pinned);
        match place {
            Place::AtGoal => {
                if !lane.back && lane.was != device.version {
                    lane.before = lane.was;
                }
                (lane.was, lane.force) = (device.version, false);
            }
            Place::Moving => lane.moved |= device.stage != Stage::Staged,
            _ => {}
        }
        place
    }

    fn place_of(&self, lane: &mut Lane, device: &DeviceFacts, goal: Version, is_pinned: bool) -> Place {
        if let Some(stay) = set_aside(lane, device) {
            return Place::Aside(stay);
        }
        let version = device.version.unwrap_or(goal);
        if self.facts.lineage.step(version.line, goal.line).is_none() {
            return Place::Aside(Stay::TooFar { version });
        }
        let there = self.is_there(lane, version, goal);
        // One that was let go is called back first.
        let stays = device.stage.at_rest() || (device.stage.before_switching() && !lane.is_let_go());
        if is_pinned && stays && !there {
            return Place::Aside(Stay::Pinned);
        }
        if !there && device.stage.at_rest() && self.is_burned(device, goal) {
            return Place::Aside(match device.stage {
                Stage::Failed { reason } => Stay::Failed { reason },
                _ => Stay::Burned,
            });
        }
        let obeys = lane.word.filter(|word| device.obeyed == Some(word.stamp));
        match obeys {
            Some(word) if word.version == goal && !word.cancelled => obeying(lane, device, there),
            Some(_) if device.stage.at_rest() && lane.word.is_some_and(|word| word.cancelled) => {
                lane.word = None;
                unheeding(lane, device, there)
            }
            _ => unheeding(lane, device, there),
        }
    }

    fn is_burned(&self, device: &DeviceFacts, goal: Version) -> bool {
        !device.burned.is_empty() && self.plan.design.images.get(&goal).is_some_and(|manifest| device.burned.contains(manifest))
    }

    /// Whether a device that runs `version` is where its lane leads: another build beyond the goal is as good.
    fn is_there(&self, lane: &Lane, version: Version, goal: Version) -> bool {
        match self.plan.course.direction {
            _ if lane.back => version == goal,
            Direction::Up => version >= goal,
            Direction::Down => version <= goal,
        }
    }

    fn count(&self) -> Tally {
        let mut tally = Tally { waves: vec![WaveTally::default(); self.plan.waves.len()], ..Tally::default() };
        for (position, place) in self.places.iter().enumerate() {
            let (lane, device) = (&self.plan.lanes[position], &self.facts.devices[position]);
            tally.staging += u32::from(*place == Place::Staging);
            tally.moving += u32::from(*place == Place::Moving);
            tally.leased += u32::from(device.leased && !matches!(device.stage, Stage::NeedsHands { .. }));
            tally.on_probation += u32::from(device.on_probation && lane.moved && lane.excuse == Excuse::None);
            if self.is_behind(lane, device) {
                if tally.behind == 0 {
                    tally.first_behind = position_of(position);
                }
                tally.behind += 1;
            }
            if let Some(wave) = lane.wave {
                tally.waves[usize::from(wave)].add(position_of(position), *place, lane, device);
            }
        }
        tally
    }

    fn is_behind(&self, lane: &Lane, device: &DeviceFacts) -> bool {
        let counts = device.contact != Contact::Gone && lane.excuse == Excuse::None;
        // It may have fallen back since it was heard.
        let trusted = device.stage.at_rest() && !device.on_probation;
        if counts && device.contact == Contact::Lost && lane.moved && !trusted {
            return true;
        }
        counts && device.version.is_none_or(|version| !self.is_there(&Lane { back: false, ..*lane }, version, self.target))
    }
}

impl WaveTally {
    fn add(&mut self, position: u32, place: Place, lane: &Lane, device: &DeviceFacts) {
        // Whoever is gone, excused or pinned is no part of what the wave shows.
        if matches!(place, Place::Aside(Stay::Decommissioned | Stay::Excused | Stay::Pinned)) {
            return;
        }
        self.counts.members += 1;
        self.moved += u32::from(lane.moved);
        let failing = matches!(device.stage, Stage::RollingBack { .. } | Stage::RolledBack { .. });
        let failed = match place {
            _ if lane.back => false,
            Place::Moving => failing,
            Place::Aside(Stay::Failed { .. } | Stay::LetGo { .. } | Stay::NeedsHands) => true,
            Place::Aside(Stay::Burned) => lane.moved,
            Place::Aside(Stay::Lost { .. }) => lane.is_let_go(),
            _ => false,
        };
        if failed && self.counts.failed == 0 {
            self.first_failed = position;
        }
        self.counts.failed += u32::from(failed);
        match place {
            Place::Aside(_) => self.counts.unjudged += u32::from(!failed),
            Place::AtGoal => {}
            Place::Untold | Place::Staging => {
                self.unstaged += 1;
                self.open += 1;
            }
            Place::Staged | Place::Kept(_) | Place::Moving => self.open += 1,
        }
    }
}

/// A position as plans write it.
pub(super) fn position_of(index: usize) -> u32 {
    u32::try_from(index).expect("a network has fewer devices than 2^32")
}

/// Whether nothing can be asked of the device now.
fn set_aside(lane: &Lane, device: &DeviceFacts) -> Option<Stay> {
    let expected = |version: Version| lane.was == Some(version) || lane.word.is_some_and(|word| word.version == version);
    match (device.contact, device.version) {
        (Contact::Gone, _) => Some(Stay::Decommissioned),
        _ if lane.excuse == Excuse::Dead => Some(Stay::Excused),
        _ if lane.wave.is_none() => Some(Stay::OutOfScope),
        (_, None) => Some(Stay::NeverHeard),
        (Contact::Lost, _) => Some(Stay::Lost { at: device.stage }),
        (_, Some(version)) if !expected(version) => Some(Stay::OutOfBand { version }),
        _ if matches!(device.stage, Stage::NeedsHands { .. }) => Some(Stay::NeedsHands),
        _ => None,
    }
}

/// The place of a device that obeys its lane's word.
fn obeying(lane: &mut Lane, device: &DeviceFacts, there: bool) -> Place {
    match device.stage {
        Stage::Done if there => Place::AtGoal,
        Stage::Assigned | Stage::Fetching | Stage::Blocked => Place::Staging,
        Stage::Staged if !lane.is_let_go() => Place::Staged,
        Stage::Failed { reason } if reason.burns() => Place::Aside(Stay::Failed { reason }),
        Stage::Failed { reason } => again(lane, Stay::Failed { reason }),
        Stage::Idle { reason: Some(reason @ (UpdateReason::Cancelled | UpdateReason::Superseded)) } => {
            lane.word = None;
            if there { Place::AtGoal } else { again(lane, Stay::LetGo { reason }) }
        }
        Stage::Idle { reason: Some(reason) } => again(lane, Stay::LetGo { reason }),
        Stage::Idle { reason: None } | Stage::Done => {
            lane.word = None;
            if there { Place::AtGoal } else { Place::Untold }
        }
        _ => Place::Moving,
    }
}

/// A device that let its word go is told anew, a limited number of times.
fn again(lane: &mut Lane, stay: Stay) -> Place {
    if lane.attempts + 1 >= ATTEMPTS_MAX {
        return Place::Aside(stay);
    }
    lane.attempts += 1;
    lane.word = None;
    Place::Untold
}

/// The place of a device that obeys no word of this lane's, or one that was taken back.
fn unheeding(lane: &Lane, device: &DeviceFacts, there: bool) -> Place {
    if !device.stage.at_rest() {
        let untouched = matches!(device.stage, Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Staged);
        return match untouched && !lane.is_let_go() {
            true if there => Place::AtGoal,
            true => Place::Untold,
            false => Place::Moving,
        };
    }
    if there { Place::AtGoal } else { Place::Untold }
}

/// Whether a device that is on its way has left its location's service, or may have: one that is handed over may fall back in
/// the middle of it, so nobody leaves beside it.
pub(super) fn is_out(stage: Stage) -> bool {
    !matches!(stage, Stage::Committed | Stage::Ramping | Stage::Done | Stage::Failed { .. })
}
