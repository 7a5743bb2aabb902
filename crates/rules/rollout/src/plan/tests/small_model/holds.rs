//! What must be true: in every state, and of everything a tick wants.

use super::*;
use crate::guard::Standing;

impl Model {
    /// A manager was told to switch.
    pub(super) fn switched(&mut self, before: &World, seat: Seat, version: Version, fails: bool) -> Result<(), String> {
        let pair = &before.facts.pair;
        let standby = pair.standby.as_ref().expect("there is one");
        let manager = if seat == Seat::Primary { &pair.primary } else { standby };
        // A standby that does not follow changes nothing by becoming what the primary is.
        if !pair.frozen && (seat == Seat::Primary || version != pair.primary.version || pair.matched) {
            return Err("a manager switches and the configuration is not frozen".into());
        }
        if standby.version == pair.primary.version && before.facts.backup.frozen != Proof::Proven {
            return Err("the pair comes apart without a proven backup".into());
        }
        let up = version > manager.version;
        let standby_behind = standby.version < version;
        if seat == Seat::Primary && up && standby_behind {
            return Err("the primary goes up before the standby".into());
        }
        let (level, by_page) = (standby.version == pair.primary.version, before.plan.course.driver == Driver::Gui);
        if seat == Seat::Primary && !up && level && standby.version > version && by_page {
            return Err("the primary goes down before the standby in a rollout that it drives".into());
        }
        if seat == Seat::Standby && !up && level && !by_page {
            return Err("the standby goes down before the primary at the command line".into());
        }
        if seat == Seat::Primary {
            self.on_trial = up && !fails && manager.reachable;
        }
        if fails && manager.reachable && manager.version != version {
            self.bad_switch = false;
            let facts = &mut self.world.facts.pair;
            *facts = pair.clone();
            let facts = if seat == Seat::Primary { &mut facts.primary } else { facts.standby.as_mut().expect("there is one") };
            facts.failed = true;
        }
        Ok(())
    }

    /// What must be true in every state.
    pub(super) fn holds(&self) -> Result<(), String> {
        let World { facts, plan, .. } = &self.world;
        let pair = &facts.pair;
        let standby = pair.standby.as_ref().expect("there is one");
        let (lower, higher) = (old(), new());
        let counts = |position: &usize| self.left_behind & 1 << position == 0;
        for device in (0..facts.devices.len()).filter(counts).map(|position| &facts.devices[position]) {
            if device.version < Some(pair.primary.version) {
                return Err(format!("{} is older than the primary", device.name));
            }
            if device.version.is_some_and(|version| version.line < facts.level.at) {
                return Err(format!("{} is below the level", device.name));
            }
        }
        if pair.primary.version.line < facts.level.at || (standby.version.line < facts.level.at && pair.matched) {
            return Err("a manager is below the level".into());
        }
        if standby.version < pair.primary.version {
            let refuses = !pair.matched;
            let down = plan.course.direction == Direction::Down || plan.design.policy.direction == Direction::Down;
            // From a page the standby goes down first; at the command line it is older only where a promotion swapped them.
            let meant = self.promoted || (down && plan.design.policy.driver == Driver::Gui);
            if !refuses || !meant {
                return Err("the standby is older than the primary".into());
            }
        }
        if PairAt::of(lower, higher, Some(standby.version), pair.primary.version).is_err() {
            return Err("a manager runs a third version".into());
        }
        let out =
            facts.routers.routers.iter().filter(|(name, _)| facts.devices.iter().any(|device| device.name == **name && device.leased));
        if out.count() > 1 {
            return Err("both routers are out".into());
        }
        let rests = matches!(plan.state, State::Done | State::Reverted | State::Aborted { .. });
        if rests && pair.frozen {
            return Err(format!("{:?} with the configuration frozen", plan.state));
        }
        let leased = facts.devices.iter().any(|device| device.leased && device.contact == Contact::Reporting);
        if plan.is_over() && leased {
            return Err(format!("{:?} with a lease of the rollout", plan.state));
        }
        let target = plan.hop().1;
        let behind = || (0..facts.devices.len()).filter(counts).any(|position| facts.devices[position].version != Some(target));
        if plan.is_over() && (pair.primary.version != target || behind()) {
            return Err(format!("{:?} and not everybody is there", plan.state));
        }
        Ok(())
    }
}

/// A device that is let out of service leaves somebody behind, or does not leave.
pub(super) fn admitted(before: &World, action: &Action) -> Result<(), String> {
    let position = match action {
        Action::Reload { device, .. } => *device as usize,
        Action::Assign { device, assignment } if assignment.auto_reload && assignment.leave == Leave::Drained => *device as usize,
        _ => return Ok(()),
    };
    let device = &before.facts.devices[position];
    if matches!(action, Action::Assign { .. }) && device.stage.at_rest() {
        return Err(format!("{} is told to go before anybody knows whether it may", device.name));
    }
    if before.plan.lanes[position].is_let_go() {
        return Ok(());
    }
    let in_flight = |other: usize| before.plan.lanes[other].is_let_go() && !before.devices[other].stage.at_rest();
    let others = (0..before.facts.devices.len()).filter(|other| *other != position);
    let serves = |other: usize| {
        let facts = &before.facts.devices[other];
        facts.role == device.role && facts.site == device.site && facts.contact == Contact::Reporting && !facts.leased && !in_flight(other)
    };
    match others.into_iter().any(serves) {
        true => Ok(()),
        false => Err(format!("{} leaves and nobody of its location serves", device.name)),
    }
}

/// Whether a location has lost an engine while the other one drains.
pub(super) fn owes_readmission(world: &World) -> bool {
    let running = matches!(world.plan.state, State::Running);
    let site = |site: &SiteFacts| {
        let lost = site.guard.engines.values().any(|engine| matches!(engine.standing, Standing::Out(out) if out.is_fault()));
        let draining = site.guard.engines.iter().any(|(name, engine)| {
            let position = world.plan.position(name).expect("known");
            let heard = world.facts.devices[position].contact == Contact::Reporting;
            engine.draining.is_some() && heard && world.plan.lanes[position].is_let_go() && world.devices[position].stage == Stage::Draining
        });
        lost && draining
    };
    running && world.facts.sites.iter().any(site)
}
