//! Waves: one after the other they open, are watched, and are judged.

use super::{
    Hold, OnFailed, PauseReason, WaveFailure, WaveKind, WaveState, WaveVerdict, failures_allowed, phase::Phase, place::Place, tick::Step,
    tick::Tick, verdict,
};
use weir_model::Role;

impl Tick<'_> {
    /// The waves of a role, as far as they get in this tick.
    pub(super) fn waves_of(&mut self, role: Role) -> Step {
        let design = self.plan.design.clone();
        for wave in (0..design.waves.len()).filter(|wave| design.waves[*wave].role == role) {
            match self.wave(wave, design.waves[wave].kind) {
                Step::Done => {}
                step => return step,
            }
        }
        let open = self.open_of(role);
        if open > 0 { Step::Wait(Hold::Resting { devices: open }) } else { Step::Done }
    }

    fn wave(&mut self, wave: usize, kind: WaveKind) -> Step {
        let number = u16::try_from(wave).expect("a plan has fewer waves than 2^16");
        let tally = self.tally.waves[wave];
        let too_many = tally.counts.failed > failures_allowed(kind, tally.counts.members);
        let lost = self.lost(wave);
        match self.plan.waves[wave] {
            WaveState::Passed => Step::Done,
            WaveState::Failed => Step::Stop(PauseReason::WaveFailed { wave: number }),
            WaveState::Inconclusive => Step::Stop(PauseReason::WaveInconclusive { wave: number }),
            WaveState::Pending => match self.closed() {
                _ if tally.open == 0 && too_many => self.fail(number, lost),
                _ if tally.open == 0 && tally.counts.unjudged * 2 > tally.counts.members => self.leave_open(number),
                _ if tally.open == 0 => {
                    self.plan.waves[wave] = WaveState::Passed;
                    Step::Done
                }
                Some(hold) => Step::Wait(hold),
                None if tally.unstaged > 0 => Step::Wait(Hold::Staging { wave: number }),
                None => {
                    self.plan.waves[wave] = WaveState::Open;
                    Step::Wait(Hold::Moving { wave: number })
                }
            },
            WaveState::Open | WaveState::Baking if too_many => self.fail(number, lost),
            WaveState::Open if tally.open > 0 => Step::Wait(Hold::Moving { wave: number }),
            WaveState::Open if tally.moved == 0 => {
                self.plan.waves[wave] = WaveState::Passed;
                Step::Done
            }
            WaveState::Open => {
                self.plan.waves[wave] = WaveState::Baking;
                self.plan.counted.bake_ms = 0;
                Step::Wait(Hold::Baking { wave: number, left_ms: self.bake_ms(kind) })
            }
            WaveState::Baking => self.bake(number, kind),
        }
    }

    fn bake(&mut self, wave: u16, kind: WaveKind) -> Step {
        self.plan.counted.bake_ms += self.passed_ms;
        let left_ms = self.bake_ms(kind).saturating_sub(self.plan.counted.bake_ms);
        if left_ms > 0 {
            return Step::Wait(Hold::Baking { wave, left_ms });
        }
        let index = usize::from(wave);
        match verdict::judge(kind, self.tally.waves[index].counts, self.facts.comparison) {
            WaveVerdict::Passed => {
                self.plan.waves[index] = WaveState::Passed;
                Step::Done
            }
            WaveVerdict::Failed => {
                let worse = self.facts.comparison.and_then(|comparison| Some((verdict::worse(comparison)?, comparison)));
                let devices = self.lost(index);
                self.fail(wave, worse.map_or(devices, |(worse, comparison)| WaveFailure::Answers { worse, comparison }))
            }
            WaveVerdict::Inconclusive => self.leave_open(wave),
        }
    }

    fn leave_open(&mut self, wave: u16) -> Step {
        self.plan.waves[usize::from(wave)] = WaveState::Inconclusive;
        Step::Stop(PauseReason::WaveInconclusive { wave })
    }

    fn bake_ms(&self, kind: WaveKind) -> u64 {
        let profile = &self.plan.design.policy.profile;
        if kind == WaveKind::Canary { profile.canary_bake_ms } else { profile.wave_bake_ms }
    }

    /// The devices of a wave that failed, as a reason.
    fn lost(&self, wave: usize) -> WaveFailure {
        let tally = self.tally.waves[wave];
        WaveFailure::Devices { failed: tally.counts.failed, first: tally.first_failed }
    }

    /// What the policy says of a failed wave. An event window keeps everything else as it is.
    fn fail(&mut self, wave: u16, why: WaveFailure) -> Step {
        self.plan.waves[usize::from(wave)] = WaveState::Failed;
        self.plan.failures.insert(wave, why);
        let policy = &self.plan.design.policy;
        match policy.on_failed {
            OnFailed::RollbackAll if !self.is_event() => return Step::Turn,
            OnFailed::Pause => {}
            OnFailed::RollbackWave | OnFailed::RollbackAll => self.send_back(wave),
        }
        Step::Stop(PauseReason::WaveFailed { wave })
    }

    fn send_back(&mut self, wave: u16) {
        for lane in self.plan.lanes.iter_mut().filter(|lane| lane.wave == Some(wave) && lane.moved) {
            lane.back = true;
            lane.attempts = 0;
        }
    }

    /// Whether devices of a role may move in this phase.
    pub(super) fn is_reached(&self, role: Role) -> bool {
        let phases = (self.rules.phases)(self.plan.course.direction);
        let at = |wanted: Phase| phases.iter().position(|phase| *phase == wanted);
        let of_role = phases.iter().position(|phase| phase.role() == Some(role));
        !self.facts.pair.frozen && !self.is_apart() && at(self.plan.phase) >= of_role
    }

    /// The roles in the order in which they go.
    pub(super) fn roles(&self) -> Vec<Role> {
        (self.rules.phases)(self.plan.course.direction).iter().filter_map(|phase| phase.role()).collect()
    }

    fn open_of(&self, role: Role) -> u32 {
        let open = |(place, device): &(&Place, &super::DeviceFacts)| {
            device.role == role && matches!(place, Place::Untold | Place::Staging | Place::Staged | Place::Kept(_) | Place::Moving)
        };
        let count = self.places.iter().zip(&self.facts.devices).filter(open).count();
        u32::try_from(count).expect("a network has fewer devices than 2^32")
    }
}
