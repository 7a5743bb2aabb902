//! What is frozen while the managers are switched, for how long, and who switches them.

use weir_model::Version;
use weir_operator_api::{Direction, RolloutPlan};

/// The phase with which it begins.
pub(super) const PHASE: &str = "freeze";
/// The risk of a plan whose managers are switched at their command lines.
const OPERATORS_TIME: &str = "operators_time";
/// The risk of a plan without a standby.
const NO_STANDBY: &str = "no_standby";

/// It, a sentence each.
pub(super) fn told(plan: &RolloutPlan) -> Vec<String> {
    let has = |word: &str| plan.risks.iter().any(|risk| risk.word == word);
    let mut told = match plan.versions.last() {
        Some(target) if has(OPERATORS_TIME) => at_the_console(*target),
        _ => by_itself(plan.direction, has(NO_STANDBY)),
    };
    told.push(
        "Allowed meanwhile: offload and its end, pause and abort, promotion, acknowledging alarms, signing in. An origin's switch waits for the thaw."
            .to_owned(),
    );
    told.push("Viewers notice nothing: routers and engines need no manager.".to_owned());
    told.push(
        "The listener of the primary never closes. These pages are away for a few seconds while it starts anew, say that they reconnect, and do."
            .to_owned(),
    );
    told
}

fn by_itself(direction: Direction, is_alone: bool) -> Vec<String> {
    let order = match (direction, is_alone) {
        (_, true) => "The primary switches by itself: there is no standby.",
        (Direction::Downgrade, false) => {
            "The standby is switched first and refuses updates, then the primary; then each database goes back, and both are enabled."
        }
        (_, false) => "The standby is switched first, then the primary.",
    };
    vec![
        order.to_owned(),
        "No configuration is written until both are done: writes are answered 423 with the reason. It takes at most 120 s; after that the managers go to the nearest pair of one version, the freeze ends, and the rollout pauses."
            .to_owned(),
    ]
}

fn at_the_console(target: Version) -> Vec<String> {
    vec![
        format!(
            "You switch them: `weir cms software switch {target}` on the primary's box, then on the standby's. When both run {target}, on each box `weir cms database downgrade` and `weir cms enable`. The board says what to type next, and where."
        ),
        "No configuration is written until you are done: writes are answered 423 with the reason. It takes as long as you take.".to_owned(),
    ]
}
