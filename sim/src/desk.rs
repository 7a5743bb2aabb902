//! The managers: what they are told to do takes time, and may not work.

use crate::{
    agenda::{Event, Work},
    fault::Defect,
    world::World,
};
use weir_model::{Line, Version};
use weir_rollout::{
    pair_order::Seat,
    plan::{Action, Arm, BackupKind, Cms, Command, Comparison, Facts, ManagerFacts, Proof, WaveState},
    update::Stage,
};

/// How long the primary is away over its own switch.
const SWITCH_AWAY_MS: u64 = 3_000;

/// The managers' side of a run.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The primary's worker runs.
    pub(crate) primary_up: bool,
    /// Faults that hold it down.
    pub(crate) primary_down: u8,
    pub(crate) standby_cuts: u8,
    /// Until when nothing is judged.
    pub(crate) settles_ms: u64,
    pub(crate) clock_off_ms: i64,
    pub(crate) crashes_before_acting: bool,
    pub(crate) switch_fails: bool,
    pub(crate) backup_fails: bool,
    /// Work under way.
    pending: Vec<Work>,
    /// The line whose schema the databases have: it changes when the freeze ends.
    schema: Line,
    /// What the primary falls back to while it is on trial: it went up, and the configuration is frozen.
    falls_back_to: Option<Version>,
    /// Since when the configuration is frozen.
    pub(crate) frozen_since_ms: Option<u64>,
}

impl Desk {
    pub(crate) fn new(schema: Line) -> Self {
        Self {
            primary_up: true,
            primary_down: 0,
            standby_cuts: 0,
            settles_ms: 0,
            clock_off_ms: 0,
            crashes_before_acting: false,
            switch_fails: false,
            backup_fails: false,
            pending: Vec::new(),
            schema,
            falls_back_to: None,
            frozen_since_ms: None,
        }
    }

    /// An operator who lets a rollout go on has mended what it stopped for.
    pub(crate) fn mended(&mut self, facts: &mut Facts, word: &Command) {
        if !matches!(word, Command::Resume | Command::Revert) {
            return;
        }
        facts.pair.primary.failed = false;
        if let Some(standby) = &mut facts.pair.standby {
            standby.failed = false;
        }
        for proof in [&mut facts.backup.gate, &mut facts.backup.frozen] {
            if *proof == Proof::Failed {
                *proof = Proof::Missing;
            }
        }
    }
}

impl World {
    /// What the plan wants of the managers is begun, unless it is under way.
    pub(crate) fn order(&mut self, action: &Action) {
        let (work, in_ms) = match action {
            Action::Backup(kind) => (Work::Backup(*kind), 20_000),
            Action::Freeze => (Work::Freeze, 500),
            Action::Unfreeze => (Work::Unfreeze, 500),
            Action::SwitchManager { seat, version } => (Work::Switch(*seat, *version), 8_000),
            Action::DatabaseDowngrade(seat) => (Work::Downgrade(*seat), 3_000),
            Action::Enable(seat) => (Work::Enable(*seat), 1_000),
            Action::Resync => (Work::Resync, 5_000),
            Action::RaiseLevel(line) | Action::LowerLevel(line) => {
                self.set_level(*line);
                (Work::Level, 20_000)
            }
            _ => return,
        };
        if !self.desk.pending.contains(&work) {
            self.desk.pending.push(work);
            let in_ms = self.random.between(in_ms / 2, in_ms * 2);
            self.agenda.at(self.now_ms + in_ms, Event::Work(work));
        }
    }

    fn set_level(&mut self, line: Line) {
        if self.facts.level.at != line {
            self.facts.level.at = line;
            self.facts.level.settled = false;
            self.check_level();
        }
    }

    pub(crate) fn worked(&mut self, work: Work) {
        let Some(at) = self.desk.pending.iter().position(|pending| *pending == work) else { return };
        if work == Work::Unfreeze && self.desk.pending.iter().any(|pending| matches!(pending, Work::Switch(..))) {
            // A switch that was begun inside the freeze ends inside it.
            return self.agenda.at(self.now_ms + 1_000, Event::Work(work));
        }
        self.desk.pending.swap_remove(at);
        match work {
            Work::Backup(kind) => {
                let proof = if std::mem::take(&mut self.desk.backup_fails) { Proof::Failed } else { Proof::Proven };
                match kind {
                    BackupKind::Gate => self.facts.backup.gate = proof,
                    BackupKind::Frozen => self.facts.backup.frozen = proof,
                }
            }
            Work::Freeze => {
                self.facts.pair.frozen = true;
                self.desk.frozen_since_ms = Some(self.now_ms);
            }
            Work::Unfreeze => self.unfreeze(),
            Work::Switch(seat, version) => self.switch(seat, version),
            Work::Downgrade(seat) => self.set_cms(seat, Cms::Disabled),
            Work::Enable(seat) => self.set_cms(seat, Cms::Running),
            Work::Resync => self.facts.pair.matched = self.can_match(),
            Work::Level => self.facts.level.settled = true,
        }
    }

    fn unfreeze(&mut self) {
        self.facts.pair.frozen = false;
        self.desk.falls_back_to = None;
        self.facts.backup.frozen = Proof::Missing;
        self.desk.schema = self.facts.pair.primary.version.line;
        if let Some(since_ms) = self.desk.frozen_since_ms.take() {
            self.outcome.frozen_max_ms = self.outcome.frozen_max_ms.max(self.now_ms - since_ms);
        }
    }

    pub(crate) fn manager(&mut self, seat: Seat) -> Option<&mut ManagerFacts> {
        match seat {
            Seat::Primary => Some(&mut self.facts.pair.primary),
            Seat::Standby => self.facts.pair.standby.as_mut(),
        }
    }

    fn set_cms(&mut self, seat: Seat, cms: Cms) {
        if let Some(manager) = self.manager(seat).filter(|manager| manager.reachable) {
            manager.cms = cms;
        }
    }

    fn can_match(&self) -> bool {
        let pair = &self.facts.pair;
        let alike = |standby: &ManagerFacts| standby.version == pair.primary.version && standby.is_well() && pair.primary.is_well();
        pair.standby.as_ref().is_some_and(alike)
    }

    fn switch(&mut self, seat: Seat, version: Version) {
        self.check_switch(seat, version);
        let (fails, schema) = (std::mem::take(&mut self.desk.switch_fails), self.desk.schema);
        let Some(manager) = self.manager(seat).filter(|manager| manager.reachable) else { return };
        if fails {
            manager.failed = true;
            return;
        }
        let before = std::mem::replace(&mut manager.version, version);
        // Inside the freeze the database of before is the truth, so going back there is no way down.
        manager.cms = if version.line < schema { Cms::SchemaAhead } else { Cms::Running };
        self.facts.pair.matched = false;
        if seat == Seat::Primary {
            self.desk.falls_back_to = (before < version).then_some(before);
            self.desk.settles_ms = self.now_ms + SWITCH_AWAY_MS + 2 * self.profile.report_ms;
        }
        self.check_managers();
    }

    /// Its worker ends; one on trial is left for the version before.
    pub(crate) fn primary_goes_down(&mut self) {
        self.desk.primary_up = false;
        if let Some(before) = self.desk.falls_back_to.take() {
            let primary = &mut self.facts.pair.primary;
            (primary.version, primary.cms, primary.failed) = (before, Cms::Running, true);
            self.facts.pair.matched = false;
        }
    }

    /// The primary's worker runs again: everybody reports, and nothing is judged before that.
    pub(crate) fn primary_returns(&mut self) {
        if self.desk.primary_down > 0 {
            return;
        }
        self.desk.primary_up = true;
        self.desk.settles_ms = self.now_ms + 2 * self.profile.report_ms;
        for device in 0..self.devices.len() {
            self.report(device);
        }
    }

    /// The other manager is primary from here; work that was under way is not.
    pub(crate) fn promote(&mut self) {
        let well = self.facts.pair.standby.as_ref().is_some_and(ManagerFacts::is_well);
        if !well || self.desk.standby_cuts > 0 {
            return;
        }
        let pair = &mut self.facts.pair;
        if let Some(standby) = &mut pair.standby {
            std::mem::swap(&mut pair.primary, standby);
        }
        pair.stamp.term += 1;
        pair.matched = false;
        self.desk.pending.clear();
        (self.desk.crashes_before_acting, self.desk.falls_back_to) = (false, None);
        self.facts.level.settled = true;
        self.primary_returns();
        self.desk.settles_ms = self.now_ms + 2 * self.profile.report_ms;
    }

    /// What the open wave answers beside its neighbours.
    pub(crate) fn compare(&mut self) {
        let open = self.plan.waves.iter().any(|wave| matches!(wave, WaveState::Open | WaveState::Baking));
        let slow = self.setup.defect == Defect::Slow && !self.plan.course.back;
        let control = Arm { requests: 50_000, own_errors: 5, resets: 5, ttfb_p99_ms: 100 };
        let new = Arm { ttfb_p99_ms: if slow { 400 } else { 110 }, ..control };
        self.facts.comparison = open.then_some(Comparison { new, control });
    }

    /// Devices that need hands get them.
    pub(crate) fn lend_hands(&mut self) {
        for device in 0..self.devices.len() {
            if matches!(self.devices[device].state.stage, Stage::NeedsHands { .. }) && self.devices[device].is_linked() {
                let prior = self.devices[device].prior;
                self.runs(device, prior);
                self.learn(device, &weir_rollout::update::Event::SwitchedBack);
                self.report(device);
            }
        }
    }
}
