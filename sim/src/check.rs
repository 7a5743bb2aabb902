//! What must be true whatever happens; each event is checked for what it could have broken.

use crate::world::World;
use std::collections::BTreeMap;
use weir_model::{Role, Version};
use weir_rollout::{
    guard,
    pair_order::Seat,
    plan::{Action, Contact, Facts, Hold, ManagerFacts, Proof, State, Ticked},
    update::{Assignment, Event, Leave, Stage, UpdateState},
};

/// What checks remember.
#[derive(Debug)]
pub(crate) struct Checks {
    /// Engines of each location.
    engines: Vec<u32>,
    /// Devices of each location, by position.
    members: Vec<Vec<u32>>,
    pub(crate) last_hold: Option<Hold>,
}

impl Checks {
    pub(crate) fn new(facts: &Facts) -> Self {
        let mut members = vec![Vec::new(); facts.sites.len()];
        for (position, device) in facts.devices.iter().enumerate() {
            members[device.site as usize].push(crate::device::number(position));
        }
        let engines = facts.sites.iter().map(|site| u32::try_from(site.guard.engines.len()).expect("few")).collect();
        Self { engines, members, last_hold: None }
    }
}

impl World {
    /// A step of a device's machine: switches only with drain evidence, obeys no older word, never a burned digest.
    pub(crate) fn check_step(&mut self, device: usize, before: &UpdateState, fact: &Event) {
        let found = &mut self.devices[device];
        let proven = found.state.stage == Stage::Done && !found.state.proof.on_probation;
        if proven && found.version >= self.facts.pair.primary.version {
            found.left_behind = false;
        }
        let after = &self.devices[device].state;
        let switches = after.stage == Stage::Switching && before.stage != Stage::Switching;
        let leased = self.facts.devices[device].leased || self.facts.devices[device].contact == Contact::Lost;
        if switches && self.is_drained_way(device) && !(before.stage == Stage::Drained && leased) {
            self.breaks(format!("{} switches without a complete drain", self.facts.devices[device].name));
            return;
        }
        let stamp = |state: &UpdateState| state.assignment.as_ref().map(|told| told.stamp);
        if stamp(after) < stamp(before) {
            self.breaks(format!("{} obeys an older word", self.facts.devices[device].name));
            return;
        }
        let told = |state: &UpdateState| state.assignment.as_ref().map(|told| told.manifest.clone());
        if let (Event::Assigned(word), true) = (fact, told(after) != told(before))
            && before.burned.contains(&word.manifest)
        {
            self.breaks(format!("{} is told a burned digest", self.facts.devices[device].name));
        }
    }

    /// A device runs another version: the chain, the distance, and that a plan said so.
    pub(crate) fn check_version(&mut self, device: usize) {
        let found = &self.devices[device];
        let (version, primary) = (found.version, self.facts.pair.primary.version);
        if version < primary && !found.left_behind {
            self.breaks(format!("{} runs {version} below the primary's {primary}", self.facts.devices[device].name));
            return;
        }
        let rungs = &self.plan.design.rungs;
        if !rungs.contains(&version) {
            self.breaks(format!("{} runs {version}, which no plan said", self.facts.devices[device].name));
        } else if !self.facts.lineage.compat(version, primary) {
            self.breaks(format!("{} on {version} and the primary on {primary} are too far apart", self.facts.devices[device].name));
        }
        if version.line < self.facts.level.at && !self.devices[device].left_behind {
            self.breaks(format!("{} on {version} is below the level", self.facts.devices[device].name));
        }
    }

    /// What a round decided: floors, and who is called back.
    pub(crate) fn check_round(&mut self, ticked: &Ticked) {
        if ticked.changed && ticked.plan.parent != self.plan.stamp.generation {
            self.breaks("a plan was not made from the one before".into());
        }
        if ticked.plan.stamp < self.plan.stamp {
            self.breaks("a plan's stamp fell".into());
        }
        for action in &ticked.actions {
            match action {
                Action::Reload { device, .. } if !self.plan.lanes[*device as usize].is_let_go() => {
                    self.check_floor(*device as usize, ticked);
                }
                Action::Assign { device, assignment } if is_drained_at_once(assignment) && self.is_resting(*device) => {
                    self.breaks(format!("{} is told to go before its turn", self.facts.devices[*device as usize].name));
                }
                Action::Assign { device, assignment } if self.facts.devices[*device as usize].burned.contains(&assignment.manifest) => {
                    self.breaks(format!("{} is told a burned digest", self.facts.devices[*device as usize].name));
                }
                _ => {}
            }
        }
    }

    fn is_resting(&self, device: u32) -> bool {
        self.facts.devices[device as usize].stage.at_rest()
    }

    /// With everybody who is let go counted as out, a location keeps its engines and the network its routers.
    fn check_floor(&mut self, device: usize, ticked: &Ticked) {
        let (role, site) = (self.facts.devices[device].role, self.facts.devices[device].site as usize);
        let out = |position: &&u32| {
            let index = **position as usize;
            let facts = &self.facts.devices[index];
            let back = matches!(facts.stage, Stage::Committed | Stage::Ramping | Stage::Done | Stage::Failed { .. } | Stage::Idle { .. });
            let lane = &ticked.plan.lanes[index];
            let hot = lane.word.is_some_and(|word| word.leave == Leave::HandedOver);
            let going = lane.is_let_go() && !hot && (!back || index == device || !self.plan.lanes[index].is_let_go());
            facts.role == role && (facts.contact != Contact::Reporting || facts.leased || going || self.devices[index].offloaded > 0)
        };
        let count = self.checks.members[site].iter().filter(out).count();
        let engines = self.checks.engines[site] as usize;
        let limit = if role == Role::Router { guard::ROUTERS_OUT_MAX } else { (engines / guard::ENGINES_PER_ONE_OUT).max(1) };
        if count > limit {
            let name = &self.facts.devices[device].name;
            self.breaks(format!("{name} leaves and {count} of its location are out, {limit} may be"));
        }
    }

    /// A manager is about to run another version: frozen, proven, in order.
    pub(crate) fn check_switch(&mut self, seat: Seat, version: Version) {
        let pair = &self.facts.pair;
        let Some(standby) = &pair.standby else { return };
        let apart = standby.version != pair.primary.version;
        let follows = seat == Seat::Standby && version == pair.primary.version && !pair.matched;
        if !pair.frozen && !follows {
            return self.breaks(format!("the {seat} switches and the configuration is not frozen"));
        }
        if !apart && self.facts.backup.frozen != Proof::Proven {
            return self.breaks(format!("the {seat} switches without a proven backup"));
        }
        if seat == Seat::Primary && version > pair.primary.version && standby.version < version {
            self.breaks("the primary goes up before the standby".into());
        }
    }

    /// The managers run other versions: everybody against the chain.
    pub(crate) fn check_managers(&mut self) {
        let primary = self.facts.pair.primary.version;
        let older = (0..self.devices.len()).find(|device| {
            let found = &self.devices[*device];
            found.version < primary && !found.left_behind
        });
        if let Some(device) = older {
            let version = self.devices[device].version;
            self.breaks(format!("{} runs {version} below the primary's {primary}", self.facts.devices[device].name));
        }
        if self.facts.pair.standby.as_ref().is_some_and(|standby| standby.version != primary) && self.facts.pair.matched {
            self.breaks("a standby of another version follows the primary".into());
        }
    }

    /// The level is within everybody's reach.
    pub(crate) fn check_level(&mut self) {
        let level = self.facts.level.at;
        let below = |device: &&crate::device::Device| device.version.line < level && !device.left_behind;
        if self.devices.iter().any(|device| below(&device)) || self.facts.pair.primary.version.line < level {
            self.breaks(format!("the level {level} is above what a member runs"));
        }
    }

    /// The rollout is over: everybody is there, nothing is left behind.
    pub(crate) fn check_end(&mut self) {
        let target = self.plan.hop().1;
        let mut versions: BTreeMap<Version, u32> = BTreeMap::new();
        for device in self.devices.iter().filter(|device| !device.left_behind) {
            *versions.entry(device.version).or_default() += 1;
        }
        if versions.keys().any(|version| *version != target) {
            self.breaks(format!("{:?} with devices elsewhere than on {target}: {versions:?}", self.plan.state));
        }
        if self.facts.devices.iter().any(|device| device.leased) {
            self.breaks("a lease of the rollout outlives it".into());
        }
        if self.facts.pair.frozen {
            self.breaks("the configuration is still frozen".into());
        }
        let pair = &self.facts.pair;
        let on_target = |manager: &ManagerFacts| manager.version == target || !manager.reachable;
        if !on_target(&pair.primary) || !pair.standby.as_ref().is_none_or(on_target) {
            self.breaks(format!("a manager is not on {target}"));
        }
        if self.plan.state == State::Done && self.facts.level.at != target.line {
            self.breaks(format!("the level is {} and not {}", self.facts.level.at, target.line));
        }
    }
}

/// Whether a device that obeys this leaves service by itself once it has the image.
fn is_drained_at_once(told: &Assignment) -> bool {
    told.auto_reload && told.leave == Leave::Drained
}
