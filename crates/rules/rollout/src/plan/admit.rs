//! Who is told, and who may go.

use super::{
    Action, Alone, Contact, Excuse, Floor, Hold, Image, Stay, WaveState, Word, place::Place, place::is_out, place::position_of, tick::Tick,
};
use crate::{
    broken::Broken,
    guard::{self, Out, Standing},
    update::{Assignment, Leave},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};
use weir_model::{DeviceName, Role};

const OFFLOADED: Standing = Standing::Out(Out::Offloaded);

/// The guard's facts of the locations that were asked about in this tick, with everybody who is on the way counted as out.
#[derive(Debug, Default)]
pub(super) struct Working {
    sites: BTreeMap<u32, guard::Facts>,
    routers: Option<guard::Facts>,
    /// Locations, by role, where nobody else may leave in this tick.
    full: BTreeMap<(Role, u32), Floor>,
    in_flight: BTreeMap<u32, Vec<u32>>,
    /// Devices that an operator called dead.
    dead: BTreeSet<DeviceName>,
    /// Some of them is out in a way the facts do not show.
    counted: bool,
}

impl Tick<'_> {
    /// Tells devices what to become, wave by wave, while not too many fetch.
    pub(super) fn stage(&mut self) {
        let Some(image) = self.image_of(self.target) else { return };
        let design = self.plan.design.clone();
        let mut fetching = self.tally.staging;
        let order = self.roles().into_iter().flat_map(|role| design.waves.iter().filter(move |wave| wave.role == role));
        for wave in order {
            for position in &wave.members {
                self.tell(*position as usize, &image, &mut fetching);
            }
        }
        for position in design.members.len()..self.plan.lanes.len() {
            self.tell(position, &image, &mut fetching);
        }
    }

    /// Sends back the devices of waves that failed. They go on when the rollout is paused, too.
    pub(super) fn stage_back(&mut self) {
        let mut fetching = self.tally.staging;
        for position in 0..self.plan.lanes.len() {
            let lane = self.plan.lanes[position];
            if !lane.back {
                continue;
            }
            if let Some(image) = lane.before.and_then(|version| self.image_of(version)) {
                self.tell(position, &image, &mut fetching);
            }
        }
    }

    fn tell(&mut self, position: usize, image: &Image, fetching: &mut u32) {
        if self.places[position] != Place::Untold || self.goal(&self.plan.lanes[position]) != Some(image.version) {
            return;
        }
        let device = &self.facts.devices[position];
        if device.burned.contains(&image.manifest) {
            self.places[position] = Place::Aside(Stay::Burned);
            return;
        }
        if *fetching >= self.plan.design.policy.staging_at_once {
            self.places[position] = Place::Kept(Stay::StagingFull);
            return;
        }
        *fetching += 1;
        let told = self.plan.lanes[position].word;
        // The worker from before still runs beside the one it returns from: nothing is drained for that.
        let parked = self.plan.lanes[position].back && device.on_probation;
        let leave = if parked { Leave::HandedOver } else { Leave::Drained };
        // Whoever has forgotten the word that let it go waits for its turn again: its place may be another's by now.
        let same = |word: &Word| word.version == image.version && word.reload == parked && word.leave == leave;
        let stands = told.filter(|word| same(word) && !word.cancelled && device.obeyed < Some(word.stamp));
        let word =
            stands.unwrap_or_else(|| Word { stamp: self.next_stamp(), version: image.version, leave, reload: parked, cancelled: false });
        let lane = &mut self.plan.lanes[position];
        lane.was = device.version;
        if !lane.back {
            lane.before = device.version;
        }
        self.assign(position, word, image);
        self.places[position] = Place::Staging;
    }

    pub(super) fn assign(&mut self, position: usize, word: Word, image: &Image) {
        self.plan.lanes[position].word = Some(word);
        let assignment = Assignment {
            stamp: word.stamp,
            version: word.version,
            manifest: image.manifest.clone(),
            auto_reload: word.reload,
            leave: word.leave,
        };
        self.actions.push(Action::Assign { device: position_of(position), assignment });
    }

    /// Lets staged devices of the roles whose turn it is leave service, as far as everything allows.
    pub(super) fn admit(&mut self) {
        let gate = self.closed();
        self.mark_in_flight();
        let design = self.plan.design.clone();
        for role in self.roles() {
            if !self.is_reached(role) {
                continue;
            }
            let of_role = |wave: &usize| design.waves[*wave].role == role;
            for wave in (0..design.waves.len()).filter(of_role) {
                if matches!(self.plan.waves[wave], WaveState::Pending | WaveState::Failed | WaveState::Inconclusive) {
                    continue;
                }
                for position in &design.waves[wave].members {
                    self.let_go(*position as usize, gate);
                }
            }
        }
        for position in design.members.len()..self.plan.lanes.len() {
            let wave = self.plan.lanes[position].wave.map_or(WaveState::Pending, |wave| self.plan.waves[usize::from(wave)]);
            if self.is_reached(self.facts.devices[position].role) && matches!(wave, WaveState::Open | WaveState::Baking | WaveState::Passed)
            {
                self.let_go(position, gate);
            }
        }
    }

    /// Lets those go that return from a failed wave.
    pub(super) fn admit_back(&mut self) {
        self.mark_in_flight();
        for position in 0..self.plan.lanes.len() {
            if self.plan.lanes[position].back {
                self.let_go(position, None);
            }
        }
    }

    fn let_go(&mut self, position: usize, gate: Option<Hold>) {
        if self.places[position] != Place::Staged {
            return;
        }
        let outcome = match gate {
            Some(Hold::Event) => Err(Stay::Event),
            Some(_) => Err(Stay::OutsideWindow),
            None => self.way_out(position),
        };
        let stay = match (outcome, self.plan.lanes[position].word) {
            (Ok(leave), Some(word)) => return self.send(position, word, leave),
            (Ok(_), None) => return,
            (Err(stay), _) => stay,
        };
        self.places[position] = Place::Kept(stay);
    }

    fn send(&mut self, position: usize, word: Word, leave: Leave) {
        self.tally.moving += 1;
        self.places[position] = Place::Moving;
        if leave == word.leave {
            self.plan.lanes[position].word = Some(Word { reload: true, ..word });
            self.actions.push(Action::Reload { device: position_of(position), stamp: word.stamp });
        } else if let Some(image) = self.image_of(word.version) {
            // How a device leaves is part of its word, so it gets another one.
            let stamp = self.next_stamp();
            self.assign(position, Word { stamp, leave, reload: true, ..word }, &image);
        }
        self.count_as_out(position);
    }

    /// How a device may leave now.
    fn way_out(&mut self, position: usize) -> Result<Leave, Stay> {
        let device = &self.facts.devices[position];
        let (role, site) = (device.role, device.site);
        let goal = self.goal(&self.plan.lanes[position]).ok_or(Stay::NeverHeard)?;
        if !(self.rules.may_run)(goal, self.facts.pair.primary.version) {
            return Err(Stay::BelowPrimary);
        }
        if device.contact != Contact::Reporting {
            return Err(Stay::Silent);
        }
        if self.tally.moving >= self.plan.design.policy.at_once {
            return Err(Stay::InFlightFull);
        }
        if let Some(floor) = self.working.full.get(&(role, site)) {
            return Err(Stay::Guard { floor: *floor });
        }
        let floors = self.rules.floors;
        let breaks = floors(&as_if_serving(self.guard_of(role, site), &device.name), &device.name);
        let Some(first) = breaks.first() else { return Ok(Leave::Drained) };
        let only_router = self.facts.routers.routers.len() == 1;
        if breaks.iter().all(|broken| nobody_else_out(broken, only_router)) {
            return self.alone(role, first.into());
        }
        let floor = first.into();
        // Nobody waits for the dead, and whoever is handed over takes nothing from a floor.
        let only_dead_out = |broken: &Broken| broken.out().is_some_and(|out| out.keys().all(|name| self.working.dead.contains(name)));
        if (role == Role::Router || self.plan.design.policy.alone == Alone::Hot) && breaks.iter().all(only_dead_out) {
            return Ok(Leave::HandedOver);
        }
        if matches!(floor, Floor::EnginesOut | Floor::RoutersOut) {
            self.working.full.insert((role, site), floor);
        }
        Err(Stay::Guard { floor })
    }

    /// Whoever has nobody to stand in leaves in the way the policy says; a router alone is handed over.
    fn alone(&self, role: Role, floor: Floor) -> Result<Leave, Stay> {
        if role == Role::Router {
            return Ok(Leave::HandedOver);
        }
        let policy = &self.plan.design.policy;
        match policy.alone {
            Alone::Hot => Ok(Leave::HandedOver),
            Alone::RouteToParent => Ok(Leave::Drained),
            Alone::Window if policy.windows.iter().any(|window| window.holds(self.now_ms)) => Ok(Leave::Drained),
            Alone::Window => Err(Stay::Guard { floor }),
        }
    }

    fn mark_in_flight(&mut self) {
        if self.working.counted {
            return;
        }
        self.working.counted = true;
        for (position, device) in self.facts.devices.iter().enumerate() {
            if self.plan.lanes[position].excuse == Excuse::Dead {
                self.working.dead.insert(device.name.clone());
            }
            if self.places[position] == Place::Moving && is_out(device.stage) {
                let key = if device.role == Role::Router { u32::MAX } else { device.site };
                self.working.in_flight.entry(key).or_default().push(position_of(position));
            }
        }
    }

    /// The guard's facts that a device is judged by.
    fn guard_of(&mut self, role: Role, site: u32) -> &guard::Facts {
        let facts = self.facts;
        if role == Role::Router {
            let in_flight = self.working.in_flight.get(&u32::MAX).map_or(&[][..], Vec::as_slice);
            return self.working.routers.get_or_insert_with(|| {
                let mut routers = facts.routers.clone();
                in_flight.iter().for_each(|position| take_out(&mut routers, &facts.devices[*position as usize].name));
                routers
            });
        }
        let in_flight = self.working.in_flight.get(&site).map_or(&[][..], Vec::as_slice);
        self.working.sites.entry(site).or_insert_with(|| {
            let mut engines = facts.sites[site as usize].guard.clone();
            in_flight.iter().for_each(|position| take_out(&mut engines, &facts.devices[*position as usize].name));
            engines
        })
    }

    fn count_as_out(&mut self, position: usize) {
        let device = &self.facts.devices[position];
        let working = match device.role {
            Role::Router => self.working.routers.as_mut(),
            _ => self.working.sites.get_mut(&device.site),
        };
        if let Some(working) = working {
            take_out(working, &device.name);
        }
    }

    /// The image of a version, while it may be installed.
    pub(super) fn image_of(&self, version: weir_model::Version) -> Option<Image> {
        let image = self.plan.design.image(version)?;
        (self.facts.images.get(&version) == Some(&image.manifest)).then_some(image)
    }
}

/// An operator's offload may end while the rollout keeps the device out, so it is judged like one in service.
fn as_if_serving<'f>(facts: &'f guard::Facts, device: &DeviceName) -> Cow<'f, guard::Facts> {
    let standing = facts.engines.get(device).map(|engine| engine.standing);
    let standing = standing.or_else(|| facts.routers.get(device).map(|router| router.standing));
    let mut judged = Cow::Borrowed(facts);
    if standing == Some(OFFLOADED) {
        change(judged.to_mut(), device, OFFLOADED, Standing::Serving);
    }
    judged
}

fn take_out(facts: &mut guard::Facts, device: &DeviceName) {
    change(facts, device, Standing::Serving, OFFLOADED);
}

fn change(facts: &mut guard::Facts, device: &DeviceName, from: Standing, to: Standing) {
    let standing = facts.engines.get_mut(device).map(|engine| &mut engine.standing);
    let standing = standing.or_else(|| facts.routers.get_mut(device).map(|router| &mut router.standing));
    if let Some(standing) = standing.filter(|standing| **standing == from) {
        *standing = to;
    }
}

/// Whether the floor would be broken by this device's leaving with everybody else in service.
fn nobody_else_out(broken: &Broken, only_router: bool) -> bool {
    broken.out().map_or(only_router, BTreeMap::is_empty)
}
