//! Faults as they come and go.

use crate::{agenda, fault::FaultKind, world::World};
use weir_rollout::{
    pair_order::Seat,
    plan::{Command, State},
    update::{Event, Stage, UpdateState},
};

impl World {
    pub(crate) fn strike(&mut self, number: usize) {
        let fault = self.faults[number];
        self.agenda.at(self.now_ms + fault.for_ms, agenda::Event::Over(number));
        match fault.kind {
            FaultKind::Crash(device) => {
                self.devices[device as usize].down += 1;
                self.contact_changed(device as usize);
            }
            FaultKind::WorkerCrash(device) if self.devices[device as usize].down == 0 => {
                self.learn(device as usize, &Event::Crashed);
            }
            FaultKind::WorkerCrash(_) => {}
            FaultKind::Cut(device) => self.cut(device as usize, true),
            FaultKind::CutSite(site) => self.cut_site(site, true),
            FaultKind::DiskFull(device) => self.devices[device as usize].full += 1,
            FaultKind::BackFails(device) => self.devices[device as usize].back_fails = 2,
            FaultKind::Forgets(device) => self.forget(device as usize),
            FaultKind::ByHand(device) => self.install_by_hand(device as usize),
            FaultKind::Offload(device) => {
                self.devices[device as usize].offloaded += 1;
                self.show(device as usize);
            }
            FaultKind::ManagerCrash { before_acting } => {
                self.desk.primary_down += 1;
                self.desk.crashes_before_acting = before_acting;
                if !before_acting {
                    self.primary_goes_down();
                }
            }
            FaultKind::StandbyCut => {
                self.desk.standby_cuts += 1;
                self.standby_heard();
            }
            FaultKind::Promotion => self.promote(),
            FaultKind::SwitchFails => self.desk.switch_fails = true,
            FaultKind::BackupFails => self.desk.backup_fails = true,
            FaultKind::Clock(ms) => self.desk.clock_off_ms += ms,
            FaultKind::Pause => self.say(&Command::Pause { why: "a look".into() }),
            FaultKind::Abort => self.say(&Command::Abort { why: "another day".into() }),
            FaultKind::Revert if self.plan.state != State::Planned => self.say(&Command::Revert),
            FaultKind::Revert => {}
            FaultKind::TakeOver => self.say(&Command::TakeOver),
        }
    }

    pub(crate) fn mend(&mut self, number: usize) {
        match self.faults[number].kind {
            FaultKind::Crash(device) => {
                let device = device as usize;
                self.devices[device].down -= 1;
                if self.devices[device].down == 0 {
                    self.restart(device);
                }
                self.contact_changed(device);
            }
            FaultKind::Cut(device) => self.cut(device as usize, false),
            FaultKind::CutSite(site) => self.cut_site(site, false),
            FaultKind::DiskFull(device) => self.devices[device as usize].full -= 1,
            FaultKind::Offload(device) => {
                self.devices[device as usize].offloaded -= 1;
                self.show(device as usize);
            }
            FaultKind::ManagerCrash { .. } => {
                self.desk.primary_down -= 1;
                self.desk.crashes_before_acting = false;
                self.primary_returns();
            }
            FaultKind::StandbyCut => {
                self.desk.standby_cuts -= 1;
                self.standby_heard();
            }
            _ => {}
        }
    }

    fn cut(&mut self, device: usize, begins: bool) {
        let cuts = &mut self.devices[device].cuts;
        *cuts = if begins { *cuts + 1 } else { *cuts - 1 };
        self.contact_changed(device);
    }

    fn cut_site(&mut self, site: u32, begins: bool) {
        for device in 0..self.devices.len() {
            if self.devices[device].site == site {
                self.cut(device, begins);
            }
        }
    }

    fn standby_heard(&mut self) {
        let heard = self.desk.standby_cuts == 0;
        if let Some(standby) = self.manager(Seat::Standby) {
            standby.reachable = heard;
        }
        self.facts.pair.matched &= heard;
    }

    /// The journal is gone; what was on trial falls back, because nobody commits it.
    fn forget(&mut self, device: usize) {
        let found = &self.devices[device];
        let on_trial = matches!(found.state.stage, Stage::Switching | Stage::Trial | Stage::Readmitting | Stage::Proving);
        let prior = found.prior;
        if on_trial && found.version != prior {
            self.runs(device, prior);
        }
        self.devices[device].state = UpdateState::new();
        self.devices[device].epoch += 1;
        self.report(device);
    }

    fn install_by_hand(&mut self, device: usize) {
        let (from, to) = self.plan.hop();
        let found = &self.devices[device];
        let other = if found.version == from { to } else { from };
        let primary = self.facts.pair.primary.version;
        if found.state.stage.at_rest() && found.down == 0 && other >= primary && !self.facts.pair.frozen {
            self.runs(device, other);
            self.report(device);
        }
    }
}
