//! What an operator says to the rollout.

use super::{audit, none, record::Said, round, show};
use crate::{app::App, change::Caller, domain::fields};
use serde_json::json;
use std::sync::Arc;
use weir_model::DeviceName;
use weir_operator_api::{AccessRole, Problem, Reason, Rollout, RolloutWord};
use weir_rollout::plan::{Command, CommandReason, Pin, command};

/// Longest words of an operator, in bytes.
pub(super) const WHY_BYTES_MAX: usize = 500;
/// Longest time of a pin, in seconds: a year.
const PIN_SECONDS_MAX: u64 = 366 * 24 * 3600;

/// Says something to the rollout: `pause`, `resume`, `abort`, `revert`, `restate`, `hold`, `finalise`, `take-over`.
pub(crate) async fn say(app: &Arc<App>, caller: Caller, verb: &str, word: RolloutWord) -> Result<Rollout, Problem> {
    caller.access.everywhere(AccessRole::Operator)?;
    let (name, said) = match verb {
        "pause" => ("pause", Command::Pause { why: needed(&word)? }),
        "resume" => ("resume", Command::Resume),
        "abort" => ("abort", Command::Abort { why: needed(&word)? }),
        "revert" => ("revert", Command::Revert),
        "restate" => ("restate", Command::Restate),
        "hold" => ("hold", Command::Hold { why: needed(&word)? }),
        "finalise" => ("finalise", Command::Finalise),
        "take-over" => {
            needed(&word)?;
            ("take-over", Command::TakeOver)
        }
        other => return Err(unknown(other)),
    };
    told(app, caller, name, said, why(&word)?).await
}

/// Says something of one device: `excuse`, `pin`, `unpin`, `retry`, `force`.
pub(crate) async fn say_of(app: &Arc<App>, caller: Caller, device: &str, verb: &str, word: RolloutWord) -> Result<Rollout, Problem> {
    caller.access.everywhere(AccessRole::Operator)?;
    let device: DeviceName = device.parse().map_err(|_| fields::absent("device", device))?;
    let (name, said) = match verb {
        "excuse" => {
            needed(&word)?;
            ("excuse", Command::Excuse { device })
        }
        "pin" => ("pin", Command::Pin { device, pin: pin(&word)? }),
        "unpin" => ("unpin", Command::Unpin { device }),
        "retry" => ("retry", Command::Retry { device }),
        "force" => ("force", Command::Force { device }),
        other => return Err(unknown(other)),
    };
    told(app, caller, name, said, why(&word)?).await
}

fn unknown(verb: &str) -> Problem {
    Problem::new(Reason::NotFound, format!("{verb:?} is nothing that a rollout can be told"))
}

/// The words that were given.
fn why(word: &RolloutWord) -> Result<Option<String>, Problem> {
    let Some(why) = word.why.as_ref().map(|why| why.trim()).filter(|why| !why.is_empty()) else { return Ok(None) };
    if why.len() > WHY_BYTES_MAX {
        return Err(Problem::new(Reason::InvalidField, format!("is longer than {WHY_BYTES_MAX} bytes")).at("why"));
    }
    Ok(Some(why.to_owned()))
}

/// The words that must be given.
fn needed(word: &RolloutWord) -> Result<String, Problem> {
    why(word)?.ok_or_else(|| Problem::new(Reason::MissingField, "nobody says why").at("why"))
}

fn pin(word: &RolloutWord) -> Result<Pin, Problem> {
    let seconds = word.for_seconds.map(|seconds| fields::between("for_seconds", seconds, 1, PIN_SECONDS_MAX)).transpose()?;
    Ok(Pin { until_ms: seconds.map(|seconds| weir_clock::wall_ms() + seconds * 1000), why: needed(word)? })
}

async fn told(app: &Arc<App>, caller: Caller, verb: &'static str, said: Command, why: Option<String>) -> Result<Rollout, Problem> {
    {
        let _one_after_another = app.rollouts.committing.lock().await;
        let kept = app.rollouts.kept().ok_or_else(|| none(app))?;
        let facts = round::known(app, &kept.plan).await?;
        let next = command(&kept.plan, &facts, &said).map_err(|refused| problem(refused.reason))?;
        let by = caller.actor.to_string();
        round::commit(app, &kept, next, Some(Said { command: said.clone(), why: why.clone(), by })).await?;
        if said == Command::Resume {
            app.rollouts.managers.try_again();
        }
    }
    app.rollouts.nudge();
    audit(app, caller, verb, json!({ "said": said, "why": why })).await;
    show(app)
}

/// A word that the plan does not take.
pub(super) fn problem(reason: CommandReason) -> Problem {
    let (kind, detail) = match reason {
        CommandReason::OtherPlan => (Reason::OtherPlan, "what the plan would run now is not what was shown"),
        CommandReason::Started => (Reason::RolloutState, "it was started already"),
        CommandReason::NotStarted => (Reason::RolloutState, "it was not started"),
        CommandReason::Over => (Reason::RolloutState, "the rollout is over"),
        CommandReason::NotPaused => (Reason::RolloutState, "it is neither paused nor aborted"),
        CommandReason::Aborted => (Reason::RolloutState, "it was aborted, or is about to rest"),
        CommandReason::GoesBack => (Reason::RolloutState, "it goes back already"),
        CommandReason::NoManagers => (Reason::RolloutState, "it moves a part of the network, neither managers nor the level"),
        CommandReason::NoRise => (Reason::RolloutState, "it goes down, and the level does not rise in it"),
        CommandReason::NotSoaking => (Reason::RolloutState, "nobody holds the level, and the network is not watched yet"),
        CommandReason::NotDown => (Reason::RolloutState, "it goes up, and takes the managers' steps itself"),
        CommandReason::TakenOver => (Reason::RolloutState, "the managers' steps are taken at the command line already"),
        CommandReason::UnknownDevice => (Reason::NotFound, "the rollout does not know this device"),
        CommandReason::NotDead => (Reason::RolloutState, "the device is heard, so it is not dead"),
        CommandReason::NotDraining => (Reason::RolloutState, "the device does not drain"),
    };
    Problem::new(kind, detail).next_step(reason.next_step())
}
