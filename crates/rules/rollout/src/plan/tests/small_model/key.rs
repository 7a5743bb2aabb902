//! What makes two states the same.

use super::*;
use std::hash::{DefaultHasher, Hasher};

impl Model {
    pub(super) fn key(&self) -> u128 {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.feed(&mut hasher);
            hasher.finish()
        };
        u128::from(half(1)) << 64 | u128::from(half(2))
    }

    fn feed(&self, hasher: &mut DefaultHasher) {
        let World { facts, plan, devices, prior, .. } = &self.world;
        (&plan.state, plan.course, plan.phase, plan.soaked, self.budget, self.bad_switch, self.on_trial, self.promoted, self.left_behind)
            .hash(hasher);
        plan.waves.iter().for_each(|wave| (*wave as u8).hash(hasher));
        for (position, lane) in plan.lanes.iter().enumerate() {
            let (device, state) = (&facts.devices[position], &devices[position]);
            let word = lane.word.map(|word| {
                (word.version, word.leave == Leave::Drained, word.reload, word.cancelled, device.obeyed.cmp(&Some(word.stamp)))
            });
            (lane.was, lane.before, word, lane.attempts, lane.back, lane.excuse, lane.force, lane.moved).hash(hasher);
            (device.version, device.contact, device.stage, device.leased, device.on_probation, prior[position]).hash(hasher);
            (device.obeyed.is_some(), &state.burned, state.proof.crashes).hash(hasher);
            let told = state.assignment.as_ref().map(|told| (told.version, told.auto_reload, told.leave == Leave::Drained));
            told.hash(hasher);
        }
        for manager in [Some(&facts.pair.primary), facts.pair.standby.as_ref()].into_iter().flatten() {
            (manager.version, manager.cms, manager.reachable, manager.failed).hash(hasher);
        }
        (facts.pair.matched, facts.pair.frozen, facts.level.at, facts.backup.gate, facts.backup.frozen).hash(hasher);
    }
}
