//! The managers in a rollout.

use weir_operator_api::RolloutManager;

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
