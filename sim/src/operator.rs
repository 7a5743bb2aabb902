//! The operator: looks at the rollout now and then, and does what its pause asks for.

use crate::{fault::Defect, world::World};
use weir_model::DeviceName;
use weir_rollout::{
    plan::{Action, Command, ConsoleStep, Contact, Hold, PauseReason, State},
    update::Stage,
};

impl World {
    pub(crate) fn operate(&mut self) {
        self.lend_hands();
        if let Some(Hold::AwaitingConsole(step)) = self.checks.last_hold {
            self.order(&match step {
                ConsoleStep::Switch(seat, version) => Action::SwitchManager { seat, version },
                ConsoleStep::DatabaseDowngrade(seat) => Action::DatabaseDowngrade(seat),
                ConsoleStep::Enable(seat) => Action::Enable(seat),
            });
        }
        match self.plan.state.clone() {
            State::Paused { reason } => self.answer(&reason),
            State::Aborted { .. } => {
                let word = if self.random.permille(300) { Command::Revert } else { Command::Resume };
                self.say(&word);
            }
            _ => {}
        }
    }

    fn answer(&mut self, reason: &PauseReason) {
        match reason {
            PauseReason::WaveFailed { .. } if self.setup.defect != Defect::None && !self.plan.course.back => self.say(&Command::Revert),
            PauseReason::WaveFailed { .. } => {
                self.try_again();
                self.say(&Command::Resume);
            }
            PauseReason::Behind { .. } => self.answer_behind(),
            PauseReason::OutOfBand { .. } => {
                self.say(&Command::Restate);
                self.say(&Command::Resume);
            }
            PauseReason::DrainTimeout { device } => {
                let device = self.facts.devices[*device as usize].name.clone();
                self.say(&Command::Force { device });
                self.say(&Command::Resume);
            }
            PauseReason::Parking | PauseReason::ImageWithdrawn => self.say(&Command::Revert),
            _ => self.say(&Command::Resume),
        }
    }

    /// Dead devices are excused, others tried again; an image that some burned is given up.
    fn answer_behind(&mut self) {
        let target = self.plan.hop().1;
        let manifest = self.plan.design.images.get(&target).cloned();
        let behind = |device: &usize| {
            let facts = &self.facts.devices[*device];
            facts.version != Some(target) || (facts.contact == Contact::Lost && facts.on_probation)
        };
        let devices: Vec<usize> = (0..self.facts.devices.len()).filter(behind).collect();
        let burned = |device: &usize| manifest.as_ref().is_some_and(|manifest| self.facts.devices[*device].burned.contains(manifest));
        if devices.iter().any(burned) {
            // A good image fell back because of its box: that is seen to.
            return if self.setup.defect == Defect::None || self.plan.course.back { self.try_again() } else { self.say(&Command::Revert) };
        }
        for device in devices {
            let facts = &self.facts.devices[device];
            let name: DeviceName = facts.name.clone();
            match (facts.contact, facts.stage) {
                (Contact::Lost, _) => {
                    self.devices[device].left_behind = true;
                    self.say(&Command::Excuse { device: name });
                }
                (_, Stage::Failed { .. } | Stage::Idle { .. }) => self.say(&Command::Retry { device: name }),
                _ => {}
            }
        }
    }

    /// Digests are cleared on devices that went back, and they are tried again.
    fn try_again(&mut self) {
        for device in 0..self.devices.len() {
            let failed = matches!(self.devices[device].state.stage, Stage::Failed { .. });
            if failed && self.devices[device].is_linked() {
                self.devices[device].state.burned.clear();
                self.facts.devices[device].burned.clear();
                let name = self.facts.devices[device].name.clone();
                self.say(&Command::Retry { device: name });
            }
        }
    }
}
