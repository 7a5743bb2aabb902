//! What goes on in every tick of a rollout that moves: who is called back, whose lease is freed, and what is said again.

use super::{
    Action, Contact,
    place::{Place, position_of},
    tick::Tick,
};
use crate::update::Stage;
use std::collections::BTreeMap;

impl Tick<'_> {
    /// Calls draining devices back where a fault broke a floor, and frees leases that nobody is on the way with.
    pub(super) fn repair(&mut self) {
        let mut draining: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for position in 0..self.places.len() {
            let device = &self.facts.devices[position];
            let moving = self.places[position] == Place::Moving;
            if moving && matches!(device.stage, Stage::OffloadRequested | Stage::Draining | Stage::Drained) {
                draining.entry(device.site).or_default().push(position_of(position));
            }
            let word = self.plan.lanes[position].word;
            let idle = self.places[position] == Place::AtGoal && device.stage.before_switching();
            if idle && word.is_some_and(|word| device.obeyed == Some(word.stamp)) {
                // Told before the rollout was turned.
                self.cancel(position);
            }
            let rests = !moving && !device.stage.holds_lease() && device.contact == Contact::Reporting;
            if device.leased && rests && self.rules.frees_leases {
                self.actions.push(Action::ReleaseLease { device: position_of(position) });
            }
        }
        for (site, positions) in draining {
            let Some(name) = (self.rules.readmits)(&self.facts.sites[site as usize].guard) else { continue };
            let named = |position: &u32| self.facts.devices[*position as usize].name == name;
            if let Some(position) = positions.into_iter().find(named) {
                self.cancel(position as usize);
            }
        }
    }

    /// Takes a device's word back, as long as that means something.
    pub(super) fn cancel(&mut self, position: usize) {
        let Some(word) = &mut self.plan.lanes[position].word else { return };
        word.cancelled = true;
        self.actions.push(Action::Cancel { device: position_of(position), stamp: word.stamp });
    }

    /// Says again what devices on their way have yet to show that they heard.
    pub(super) fn repeat(&mut self) {
        for position in 0..self.places.len() {
            let (lane, device) = (self.plan.lanes[position], &self.facts.devices[position]);
            let (Place::Moving, Some(word)) = (self.places[position], lane.word) else { continue };
            let number = position_of(position);
            let obeys = device.obeyed == Some(word.stamp) && !word.cancelled && device.stage.before_switching();
            // Turned, with its wave or the whole rollout, there is no use in going there first.
            let is_turned = self.goal(&lane) != Some(word.version);
            if obeys && (is_turned || self.plan.pin(&device.name, self.now_ms).is_some()) {
                self.cancel(position);
            } else if word.cancelled && device.stage.before_switching() {
                self.actions.push(Action::Cancel { device: number, stamp: word.stamp });
            } else if device.stage == Stage::Staged && device.obeyed == Some(word.stamp) {
                self.actions.push(Action::Reload { device: number, stamp: word.stamp });
            } else if device.obeyed < Some(word.stamp)
                && !word.cancelled
                && let Some(image) = self.image_of(word.version)
            {
                self.assign(position, word, &image);
            }
            if lane.force && device.stage == Stage::Draining {
                self.actions.push(Action::Force { device: number });
            }
        }
    }
}
