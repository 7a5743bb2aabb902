//! What an operator says to a rollout.

mod reason;

pub use reason::{CommandReason, CommandRefused};

use super::{Contact, Excuse, Facts, PauseReason, Phase, Pin, Plan, State, WaveState, tick::turn};
use crate::{
    pair_order::{Direction, Driver},
    update::Stage,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use weir_model::{DeviceName, Stamp};

/// Something said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Begin, if the plan is the one that was shown.
    Start {
        /// Its hash.
        hash: String,
    },
    /// Begin nothing new.
    Pause {
        /// The operator's words.
        why: String,
    },
    /// Go on; after a failed wave: try it again.
    Resume,
    /// Let go what can be let go, and rest.
    Abort {
        /// The operator's words.
        why: String,
    },
    /// Everything goes back to what there was. Said once: forward again is another rollout.
    Revert,
    /// A device is dead: nobody waits for it until it is heard.
    Excuse {
        /// Which.
        device: DeviceName,
    },
    /// A device stays as it is.
    Pin {
        /// Which.
        device: DeviceName,
        /// How long and why.
        pin: Pin,
    },
    /// It does not any longer.
    Unpin {
        /// Which.
        device: DeviceName,
    },
    /// A device is tried again.
    Retry {
        /// Which.
        device: DeviceName,
    },
    /// A drain is over, whatever still runs there.
    Force {
        /// Which device.
        device: DeviceName,
    },
    /// What runs now is what was meant: devices on other versions are taken as they are and led to the target.
    Restate,
    /// The level stays.
    Hold {
        /// The operator's words.
        why: String,
    },
    /// Nobody holds the level; once the network is watched, that is over, too.
    Finalise,
    /// The managers' steps of a downgrade are taken at their command lines from here.
    TakeOver,
}

/// The plan after an operator's word. Commit it on top of its parent, like a tick's.
///
/// # Errors
/// [`CommandRefused`]; the plan is unchanged.
pub fn command(plan: &Plan, facts: &Facts, command: &Command) -> Result<Plan, CommandRefused> {
    let mut next = plan.clone();
    if plan.is_over() {
        return refused(CommandReason::Over);
    }
    if matches!(plan.state, State::Planned) && !matches!(command, Command::Start { .. } | Command::Pin { .. } | Command::Unpin { .. }) {
        return refused(CommandReason::NotStarted);
    }
    match command {
        Command::Start { hash } => start(&mut next, hash)?,
        Command::Pause { .. } | Command::Abort { .. } if is_aborted(plan) => return refused(CommandReason::Aborted),
        Command::Pause { why } => next.state = State::Paused { reason: PauseReason::Operator { why: why.clone() } },
        Command::Resume => resume(&mut next)?,
        Command::Abort { why } => next.state = State::Aborting { why: why.clone() },
        Command::Revert if plan.course.back => return refused(CommandReason::GoesBack),
        Command::Revert => turn(&mut next),
        Command::Hold { .. } | Command::Finalise | Command::TakeOver if !plan.moves_managers() => {
            return refused(CommandReason::NoManagers);
        }
        Command::Hold { why } => hold(&mut next, why)?,
        Command::Finalise => finalise(&mut next)?,
        Command::TakeOver => take_over(&mut next)?,
        Command::Restate => restate(&mut next, facts),
        of_device => device_word(&mut next, facts, of_device)?,
    }
    next.parent = plan.stamp.generation;
    next.stamp =
        Stamp { term: plan.stamp.term.max(facts.pair.stamp.term), generation: plan.stamp.generation.max(facts.pair.stamp.generation) + 1 };
    Ok(next)
}

fn refused<T>(reason: CommandReason) -> Result<T, CommandRefused> {
    Err(CommandRefused { reason })
}

fn start(plan: &mut Plan, hash: &str) -> Result<(), CommandRefused> {
    if plan.state != State::Planned {
        return refused(CommandReason::Started);
    }
    if plan.design.hash() != hash {
        return refused(CommandReason::OtherPlan);
    }
    plan.state = State::Running;
    Ok(())
}

fn resume(plan: &mut Plan) -> Result<(), CommandRefused> {
    if !matches!(plan.state, State::Paused { .. } | State::Aborting { .. } | State::Aborted { .. }) {
        return refused(CommandReason::NotPaused);
    }
    plan.state = State::Running;
    plan.counted.draining_ms.clear();
    let stopped = |wave: WaveState| matches!(wave, WaveState::Failed | WaveState::Inconclusive);
    // A wave is tried again with all its devices, those that let their word go too often among them.
    for lane in &mut plan.lanes {
        if lane.back {
            (lane.back, lane.attempts, lane.moved) = (false, 0, false);
        } else if lane.wave.is_some_and(|wave| stopped(plan.waves[usize::from(wave)])) {
            lane.attempts = 0;
        }
    }
    for wave in plan.waves.iter_mut().filter(|wave| stopped(**wave)) {
        *wave = WaveState::Open;
    }
    if !plan.course.back {
        plan.failures.clear();
    }
    Ok(())
}

fn is_aborted(plan: &Plan) -> bool {
    matches!(plan.state, State::Aborting { .. } | State::Aborted { .. })
}

fn hold(plan: &mut Plan, why: &str) -> Result<(), CommandRefused> {
    if plan.course.direction == Direction::Down {
        return refused(CommandReason::NoRise);
    }
    plan.held = Some(why.to_owned());
    Ok(())
}

/// Lets the level rise. Before the soak that takes a hold away and nothing else: nobody has watched the network yet.
fn finalise(plan: &mut Plan) -> Result<(), CommandRefused> {
    let soaks = matches!(plan.phase, Phase::Soak | Phase::Finalise);
    if plan.course.direction == Direction::Down {
        return refused(CommandReason::NoRise);
    }
    if plan.held.take().is_none() && !soaks {
        return refused(CommandReason::NotSoaking);
    }
    plan.soaked |= soaks;
    Ok(())
}

fn take_over(plan: &mut Plan) -> Result<(), CommandRefused> {
    match (plan.course.direction, plan.course.driver) {
        (Direction::Up, _) => refused(CommandReason::NotDown),
        (Direction::Down, Driver::Cli) => refused(CommandReason::TakenOver),
        (Direction::Down, Driver::Gui) => {
            plan.course.driver = Driver::Cli;
            Ok(())
        }
    }
}

fn restate(plan: &mut Plan, facts: &Facts) {
    for (lane, device) in plan.lanes.iter_mut().zip(&facts.devices) {
        let told = lane.word.map(|word| word.version);
        if device.version.is_some() && device.version != lane.was && device.version != told {
            (lane.was, lane.before, lane.word, lane.attempts) = (device.version, device.version, None, 0);
        }
    }
}

fn device_word(plan: &mut Plan, facts: &Facts, command: &Command) -> Result<(), CommandRefused> {
    let (Command::Excuse { device }
    | Command::Pin { device, .. }
    | Command::Unpin { device }
    | Command::Retry { device }
    | Command::Force { device }) = command
    else {
        return Ok(());
    };
    let Some(position) = plan.position(device) else { return refused(CommandReason::UnknownDevice) };
    let facts = &facts.devices[position];
    match command {
        Command::Excuse { .. } if facts.contact == Contact::Reporting => return refused(CommandReason::NotDead),
        Command::Excuse { .. } => plan.lanes[position].excuse = Excuse::Dead,
        Command::Force { .. } if facts.stage != Stage::Draining => return refused(CommandReason::NotDraining),
        Command::Force { .. } => plan.lanes[position].force = true,
        Command::Retry { .. } => {
            let lane = &mut plan.lanes[position];
            lane.attempts = 0;
            if facts.stage.at_rest() {
                lane.word = None;
            }
        }
        Command::Pin { pin, .. } if plan.state == State::Planned => {
            Arc::make_mut(&mut plan.design).policy.pins.insert(device.clone(), pin.clone());
        }
        Command::Pin { pin, .. } => {
            plan.pins.insert(device.clone(), Some(pin.clone()));
        }
        _ => {
            plan.pins.insert(device.clone(), None);
        }
    }
    Ok(())
}
