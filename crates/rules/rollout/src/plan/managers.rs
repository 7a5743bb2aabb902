//! The phases of the managers: freeze, second backup, the pair, databases, resync, unfreeze; and how they are brought
//! together when a rollout stops in the middle.

use super::{
    Action, BackupGate, BackupKind, Cms, ConsoleStep, Hold, ManagerFacts, Parking, PauseReason, Phase, Proof, StandbyWord,
    tick::{Step, Tick},
};
use crate::pair_order::{Direction, Driver, PairAt, Seat};
use weir_model::Version;

impl Tick<'_> {
    /// Where the pair stands in the present hop; absent: a manager runs neither of the two versions.
    pub(super) fn pair_at(&self) -> Option<PairAt> {
        let (from, to) = self.plan.hop();
        let (lower, higher) = (from.min(to), from.max(to));
        let pair = &self.facts.pair;
        PairAt::of(lower, higher, pair.standby.as_ref().map(|standby| standby.version), pair.primary.version).ok()
    }

    /// Whether the pair has yet to move in this hop.
    pub(super) fn managers_move(&self) -> bool {
        self.plan.moves_managers() && self.pair_at().is_none_or(|pair| !pair.is_there(self.plan.course.direction))
    }

    /// Whether the managers run different versions.
    pub(super) fn is_apart(&self) -> bool {
        self.pair_at().is_some_and(|pair| !pair.is_matched())
    }

    fn is_console(&self) -> bool {
        self.plan.course.direction == Direction::Down && self.plan.course.driver == Driver::Cli
    }

    fn manager(&self, seat: Seat) -> Option<&ManagerFacts> {
        match seat {
            Seat::Primary => Some(&self.facts.pair.primary),
            Seat::Standby => self.facts.pair.standby.as_ref(),
        }
    }

    /// A phase of the managers, or one that only a rollout with managers has.
    pub(super) fn managers_phase(&mut self, phase: Phase) -> Step {
        match phase {
            _ if !self.plan.moves_managers() => Step::Done,
            Phase::LowerLevel => self.lower_level(),
            Phase::BackupGate => self.backup(BackupKind::Gate, self.facts.backup.gate),
            Phase::Freeze => self.freeze(),
            Phase::FrozenBackup => self.backup(BackupKind::Frozen, self.facts.backup.frozen),
            Phase::Managers => self.switch(),
            Phase::Databases => self.databases(),
            Phase::Resync => self.resync(),
            Phase::Unfreeze => self.unfreeze(),
            Phase::Finalise => self.finalise(),
            Phase::Preposition | Phase::Engines | Phase::Routers | Phase::Soak => Step::Done,
        }
    }

    fn backup(&mut self, kind: BackupKind, proof: Proof) -> Step {
        let skipped = matches!(self.plan.design.policy.backup, BackupGate::Skipped { .. });
        if skipped || !self.managers_move() || (self.rules.is_proven)(proof) {
            return Step::Done;
        }
        if proof == Proof::Failed {
            return Step::Stop(PauseReason::BackupFailed);
        }
        self.actions.push(Action::Backup(kind));
        Step::Wait(Hold::Backup(kind))
    }

    fn freeze(&mut self) -> Step {
        let Some(pair) = self.pair_at() else { return Step::Stop(PauseReason::ManagerOutOfBand) };
        if !self.managers_move() {
            return Step::Done;
        }
        if let Some(step) = self.devices_first() {
            return step;
        }
        if self.facts.pair.frozen {
            return Step::Done;
        }
        if let Some(hold) = self.closed() {
            return Step::Wait(hold);
        }
        // A standby that was not well when the last freeze had to end.
        if pair.is_matched()
            && self.facts.pair.standby.as_ref().is_some_and(|standby| standby.reachable && standby.cms != Cms::Running)
            && let Step::Wait(hold) = self.databases()
        {
            return Step::Wait(hold);
        }
        let standby = self.facts.pair.standby.as_ref();
        if pair.is_matched() && standby.is_some_and(ManagerFacts::is_well) && !self.facts.pair.matched {
            // It was away.
            return self.resync();
        }
        let alone = pair.standby.is_none() && self.plan.design.policy.standby == StandbyWord::Expected;
        let level = !pair.is_matched() || self.facts.pair.matched;
        let well = self.facts.pair.primary.is_well() && standby.is_none_or(|standby| standby.reachable);
        if alone || !level || !well {
            return Step::Wait(Hold::PairNotLevel);
        }
        self.actions.push(Action::Freeze);
        Step::Wait(Hold::Freezing)
    }

    /// Up: engines and routers come before the managers, and none of them may fall back by itself any more.
    fn devices_first(&self) -> Option<Step> {
        if self.plan.course.direction == Direction::Down {
            return None;
        }
        let (devices, first) = (self.tally.behind, self.tally.first_behind);
        if !(self.rules.managers_go)(devices) {
            return Some(Step::Stop(PauseReason::Behind { devices, first }));
        }
        let (devices, moving) = (self.tally.on_probation, self.tally.moving);
        if moving > 0 {
            return Some(Step::Wait(Hold::Resting { devices: moving }));
        }
        (devices > 0).then_some(Step::Wait(Hold::Probation { devices }))
    }

    /// Back to the managers: their freeze has ended before they were there, or one of them fell back after its turn.
    pub(super) fn managers_anew(&mut self) {
        let is_under_way = matches!(self.plan.phase, Phase::FrozenBackup | Phase::Managers);
        let is_over =
            self.rules.returns_to_managers && self.rank_of(self.plan.phase) > self.rank_of(Phase::Managers) && self.managers_move();
        if (is_under_way || is_over) && !self.facts.pair.frozen {
            self.plan.phase = Phase::Freeze;
        } else if is_over {
            self.plan.phase = Phase::Managers;
        }
    }

    fn switch(&mut self) -> Step {
        let Some(pair) = self.pair_at() else { return Step::Stop(PauseReason::ManagerOutOfBand) };
        let course = self.plan.course;
        let Some(seat) = (self.rules.manager)(course.direction, course.driver, pair) else { return Step::Done };
        if let Some(step) = self.devices_first() {
            return step;
        }
        if self.is_console() {
            return Step::Wait(Hold::AwaitingConsole(ConsoleStep::Switch(seat, self.target)));
        }
        if self.manager(seat).is_some_and(|manager| manager.failed) {
            return Step::Stop(PauseReason::ManagerFailed);
        }
        // Going up the standby is what there is to fall back on; going down the primary serves again only once the standby is there.
        let other = self.facts.pair.standby.as_ref().filter(|_| seat == Seat::Primary);
        let goes = |other: &ManagerFacts| if course.direction == Direction::Up { other.is_well() } else { other.reachable };
        if other.is_none_or(goes) {
            self.actions.push(Action::SwitchManager { seat, version: self.target });
        }
        Step::Wait(Hold::Manager(seat))
    }

    fn databases(&mut self) -> Step {
        for seat in [Seat::Primary, Seat::Standby] {
            let Some(manager) = self.manager(seat) else { continue };
            let (action, typed, hold) = match manager.cms {
                Cms::Running => continue,
                Cms::SchemaAhead => (Action::DatabaseDowngrade(seat), ConsoleStep::DatabaseDowngrade(seat), Hold::Database(seat)),
                Cms::Disabled => (Action::Enable(seat), ConsoleStep::Enable(seat), Hold::Database(seat)),
            };
            if self.is_console() {
                return Step::Wait(Hold::AwaitingConsole(typed));
            }
            self.actions.push(action);
            return Step::Wait(hold);
        }
        Step::Done
    }

    fn resync(&mut self) -> Step {
        if self.facts.pair.matched {
            return Step::Done;
        }
        self.actions.push(Action::Resync);
        Step::Wait(Hold::Resync)
    }

    fn unfreeze(&mut self) -> Step {
        if !self.facts.pair.frozen {
            return Step::Done;
        }
        self.actions.push(Action::Unfreeze);
        Step::Wait(Hold::Unfreezing)
    }

    fn lower_level(&mut self) -> Step {
        let (level, line) = (self.facts.level, self.target.line);
        if level.at <= line {
            return if level.settled { Step::Done } else { Step::Wait(Hold::Level) };
        }
        if level.would_park > 0 && self.plan.design.policy.parking == Parking::Refused {
            return Step::Stop(PauseReason::Parking);
        }
        if self.is_event() {
            return Step::Wait(Hold::Event);
        }
        self.actions.push(Action::LowerLevel(line));
        Step::Wait(Hold::Level)
    }

    fn finalise(&mut self) -> Step {
        let (level, line) = (self.facts.level, self.target.line);
        if level.at >= line {
            return if level.settled { Step::Done } else { Step::Wait(Hold::Level) };
        }
        if self.plan.held.is_some() {
            return Step::Wait(Hold::Held);
        }
        if self.is_event() {
            return Step::Wait(Hold::Event);
        }
        if let Some(step) = self.devices_first() {
            return step;
        }
        self.actions.push(Action::RaiseLevel(line));
        Step::Wait(Hold::Level)
    }

    /// Counts the freeze. Whether it has lasted too long for a rollout that drives the managers itself.
    pub(super) fn is_frozen_too_long(&mut self) -> bool {
        let frozen = self.facts.pair.frozen;
        self.plan.counted.frozen_ms = if frozen { self.plan.counted.frozen_ms + self.passed_ms } else { 0 };
        self.is_past_freeze() && !self.is_console()
    }

    fn is_past_freeze(&self) -> bool {
        self.facts.pair.frozen && self.plan.counted.frozen_ms > self.plan.design.policy.profile.frozen_ms
    }

    /// Brings the managers to the nearest pair of one version and unfreezes. What it waits for, if it is not there.
    pub(super) fn settle(&mut self) -> Option<Hold> {
        if !self.plan.moves_managers() || !self.rules.settles_managers {
            return None;
        }
        let heard = self.facts.pair.standby.as_ref().is_none_or(|standby| standby.reachable);
        if self.is_apart() && heard {
            return Some(self.bring_together());
        }
        if let Some(version) = self.way_back_alone() {
            return Some(self.take(Seat::Primary, version));
        }
        // A standby that is not heard, or not well for too long, catches up later: nobody waits for it with the configuration frozen.
        let is_late = self.is_past_freeze() && self.facts.pair.primary.is_well();
        if !self.is_apart()
            && !is_late
            && let Step::Wait(hold) = self.databases()
        {
            return Some(hold);
        }
        if self.facts.pair.frozen {
            if heard
                && !is_late
                && let Step::Wait(hold) = self.resync()
            {
                return Some(hold);
            }
            self.actions.push(Action::Unfreeze);
            return Some(Hold::Unfreezing);
        }
        if self.plan.phase.is_of_managers() {
            let after_both = if self.rank_of(Phase::Databases).is_some() { Phase::Databases } else { Phase::Resync };
            self.plan.phase = if self.managers_move() { Phase::Freeze } else { after_both };
        }
        None
    }

    /// What the primary becomes again that has no database for what it runs, while the standby is not heard: inside the freeze
    /// the one of before is the truth, and nobody serves without it.
    fn way_back_alone(&self) -> Option<Version> {
        let pair = &self.facts.pair;
        let standby = pair.standby.as_ref().filter(|standby| !standby.reachable)?;
        (self.is_apart() && pair.frozen && !pair.primary.is_well()).then_some(standby.version)
    }

    /// Forward when that is one step to a manager that can take it, else back.
    fn bring_together(&mut self) -> Hold {
        let course = self.plan.course;
        let (from, to) = self.plan.hop();
        let Some(pair) = self.pair_at() else { return Hold::PairNotLevel };
        if !self.facts.pair.frozen {
            // The primary writes already: whatever it runs, the standby follows. That changes no configuration.
            return self.take(Seat::Standby, self.facts.pair.primary.version);
        }
        let next = (self.rules.manager)(course.direction, course.driver, pair);
        let may_go = |seat: Seat| match seat {
            Seat::Primary if course.direction == Direction::Up => {
                let standby = self.facts.pair.standby.as_ref().is_some_and(ManagerFacts::is_well);
                !self.facts.pair.primary.failed && standby && (self.rules.managers_go)(self.tally.behind)
            }
            seat => self.manager(seat).is_some_and(|manager| !manager.failed && manager.reachable),
        };
        let (seat, version): (Seat, Version) = match next {
            Some(seat) if may_go(seat) => (seat, to),
            next => {
                let back = (self.rules.manager)(course.direction.reversed(), Driver::Gui, pair);
                (back.or(next).unwrap_or(Seat::Standby), from)
            }
        };
        self.take(seat, version)
    }

    fn take(&mut self, seat: Seat, version: Version) -> Hold {
        if self.is_console() {
            return Hold::AwaitingConsole(ConsoleStep::Switch(seat, version));
        }
        self.actions.push(Action::SwitchManager { seat, version });
        Hold::Manager(seat)
    }
}
