//! The managers in a rollout, and the steps that somebody takes at their command lines.

use weir_operator_api::{Rollout, RolloutManager};

/// The word of a rollout that waits for somebody at a manager's command line.
const AWAITING_CONSOLE: &str = "awaiting_console";
/// The word of a manager that is where it is to be.
const DONE: &str = "done";

/// Whether it is where it is to be.
pub(super) fn is_there(manager: &RolloutManager) -> bool {
    manager.state == DONE
}

/// How it stands, in words.
pub(super) fn words(manager: &RolloutManager) -> String {
    match manager.state.as_str() {
        "on_trial" => "on trial".to_owned(),
        "database" => "database of the other line".to_owned(),
        other => other.replace('_', " "),
    }
}

/// The class of its badge.
pub(super) fn badge(manager: &RolloutManager) -> &'static str {
    match manager.state.as_str() {
        "switching" => "busy",
        "on_trial" => "info",
        "database" => "minor",
        "silent" => "major",
        "failed" => "critical",
        DONE => "ok",
        _ => "off",
    }
}

/// A command that somebody must type for the rollout to go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ToType {
    pub(super) command: String,
    /// `primary` or `standby`.
    pub(super) seat: String,
    /// The name of that manager; empty where it is not known.
    pub(super) device: String,
}

impl ToType {
    /// What this rollout waits for, when it waits for somebody.
    pub(super) fn of(rollout: &Rollout) -> Option<Self> {
        let waits = rollout.waits.as_ref().filter(|waits| waits.word == AWAITING_CONSOLE)?;
        let mut pieces = waits.text.splitn(3, '`').skip(1);
        let (command, rest) = (pieces.next()?.to_owned(), pieces.next()?);
        let seat = rest.trim().strip_prefix("on the ")?.to_owned();
        let named = rollout.managers.iter().find(|manager| manager.seat == seat);
        Some(Self { command, device: named.map(|manager| manager.device.to_string()).unwrap_or_default(), seat })
    }
}
