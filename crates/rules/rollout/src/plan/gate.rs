//! What keeps a rollout in any phase: windows, and what pauses it.

use super::{
    Hold, PauseReason, Stay,
    place::{Place, position_of},
    tick::Tick,
};
use crate::update::Stage;

impl Tick<'_> {
    /// Why nothing new may begin, if anything.
    pub(super) fn closed(&self) -> Option<Hold> {
        let policy = &self.plan.design.policy;
        let outside = !policy.windows.is_empty() && !policy.windows.iter().any(|window| window.holds(self.now_ms));
        if self.is_event() {
            Some(Hold::Event)
        } else if outside && !policy.profile.any_time {
            Some(Hold::Window)
        } else {
            None
        }
    }

    /// Whether an event window holds.
    pub(super) fn is_event(&self) -> bool {
        let policy = &self.plan.design.policy;
        policy.during_event.is_none() && policy.events.iter().any(|window| window.holds(self.now_ms))
    }

    /// What pauses a rollout in any phase.
    pub(super) fn trouble(&mut self) -> Option<PauseReason> {
        let stray = self.places.iter().position(|place| matches!(place, Place::Aside(Stay::OutOfBand { .. })));
        let drain = self.count_drains();
        let frozen = self.is_frozen_too_long() && self.plan.phase.is_of_managers();
        if let Some(position) = stray {
            return Some(PauseReason::OutOfBand { device: position_of(position) });
        }
        drain.map(|device| PauseReason::DrainTimeout { device }).or(frozen.then_some(PauseReason::FrozenTooLong))
    }

    /// Counts the drains; the first that is past the hard limit and was not forced.
    fn count_drains(&mut self) -> Option<u32> {
        let mut draining = std::mem::take(&mut self.plan.counted.draining_ms);
        let drains = |position: &u32| {
            let index = *position as usize;
            self.places[index] == Place::Moving && self.facts.devices[index].stage == Stage::Draining
        };
        draining.retain(|position, _| drains(position));
        for index in 0..self.places.len() {
            let position = position_of(index);
            if drains(&position) {
                *draining.entry(position).or_default() += self.passed_ms;
            }
        }
        let limit_ms = self.plan.design.policy.profile.drain_hard_ms;
        let over = |(position, ms): (&u32, &u64)| (*ms > limit_ms && !self.plan.lanes[*position as usize].force).then_some(*position);
        let late = draining.iter().find_map(over);
        self.plan.counted.draining_ms = draining;
        late
    }
}
