//! What one plan cannot have of the one before, as far as plans alone show it.

use weir_rollout::{
    pair_order::Direction,
    plan::{Command, Lane, PauseReason, Phase, Plan, State, WaveState, Word, record::Said},
};

/// What is wrong with a rollout's beginning.
pub(super) fn at_start(before: Option<&Plan>, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let rests = |plan: &Plan| plan.is_over() || matches!(plan.state, State::Aborted { .. });
    if before.is_some_and(|before| !rests(before)) {
        found.push("it was begun while another one was going on".to_owned());
    }
    if before.is_some_and(|before| plan.stamp <= before.stamp) {
        found.push("its stamp is not above the one before".to_owned());
    }
    if plan.state != State::Running || plan.course.back {
        found.push(format!("it begins {}", plan.status()));
    }
    if plan.lanes.len() != plan.design.members.len() || plan.waves.len() != plan.design.waves.len() {
        found.push("its lanes or waves are not those of its design".to_owned());
    }
    found
}

/// What is wrong with a step.
pub(super) fn amiss(parent: &Plan, next: &Plan, said: Option<&Said>) -> Vec<String> {
    let said = said.map(|said| &said.command);
    let mut found = Vec::new();
    if parent.is_over() {
        found.push(format!("it goes on after it was {}", parent.status()));
    }
    if next.stamp.generation <= parent.stamp.generation || next.stamp.term < parent.stamp.term {
        found.push(format!("its stamp {}.{} is not above its parent's", next.stamp.term, next.stamp.generation));
    }
    found.extend(against_state(parent, next, said));
    found.extend(against_course(parent, next, said));
    found.extend(against_phase(parent, next));
    found.extend(against_waves(parent, next, said));
    found.extend(against_words(parent, next));
    found
}

/// What only an operator says.
fn against_state(parent: &Plan, next: &Plan, said: Option<&Command>) -> Option<String> {
    let paused = |plan: &Plan| matches!(plan.state, State::Paused { reason: PauseReason::Operator { .. } });
    let aborted = |plan: &Plan| matches!(plan.state, State::Aborting { .. } | State::Aborted { .. });
    let resumed = matches!(said, Some(Command::Resume | Command::Revert));
    match () {
        () if paused(next) && !paused(parent) && !matches!(said, Some(Command::Pause { .. })) => Some("nobody said that it pauses".into()),
        () if aborted(next) && !aborted(parent) && !matches!(said, Some(Command::Abort { .. })) => {
            Some("nobody said that it is aborted".into())
        }
        () if aborted(parent) && !aborted(next) && !resumed => Some("nobody said that it goes on after the abort".into()),
        () if matches!(next.state, State::Planned) => Some("it is planned again".into()),
        () => None,
    }
}

fn against_course(parent: &Plan, next: &Plan, said: Option<&Command>) -> Vec<String> {
    let (was, is) = (parent.course, next.course);
    let planned = next.design.policy.direction;
    let mut found = Vec::new();
    if (is.direction == planned) == is.back {
        found.push(format!("it goes {} {}", is.direction, if is.back { "on its way back" } else { "and was planned the other way" }));
    }
    if was.back && !is.back {
        found.push("it went back and goes forward again".to_owned());
    }
    let one_on = if is.back { is.hop + 1 == was.hop } else { was.hop + 1 == is.hop };
    if usize::from(is.hop) + 1 >= next.design.rungs.len() || (is.hop != was.hop && !one_on) {
        found.push(format!("it goes from hop {} to hop {}", was.hop, is.hop));
    }
    if was.driver != is.driver && !matches!(said, Some(Command::TakeOver)) {
        found.push("nobody said that the managers' steps are taken over".to_owned());
    }
    found
}

/// Whether the step began a hop, or the way back: phases and waves start anew.
fn is_anew(parent: &Plan, next: &Plan) -> bool {
    (parent.course.hop, parent.course.back) != (next.course.hop, next.course.back)
}

fn at(plan: &Plan, phase: Phase) -> Option<usize> {
    Phase::all(plan.course.direction).iter().position(|other| *other == phase)
}

/// Phases go forward; managers that were brought together, or of which one fell back, begin again with theirs.
fn against_phase(parent: &Plan, next: &Plan) -> Option<String> {
    let Some(is) = at(next, next.phase) else { return Some(format!("{} is no phase of its way", next.phase)) };
    let back = Some(is) < at(parent, parent.phase);
    let is_behind_managers = at(parent, parent.phase) > at(parent, Phase::Managers);
    let again =
        (parent.phase.is_of_managers() || is_behind_managers) && matches!(next.phase, Phase::Freeze | Phase::Managers | Phase::Resync);
    (!is_anew(parent, next) && back && !again).then(|| format!("the phase goes from {} back to {}", parent.phase, next.phase))
}

fn against_waves(parent: &Plan, next: &Plan, said: Option<&Command>) -> Vec<String> {
    if is_anew(parent, next) {
        return Vec::new();
    }
    let resumed = matches!(said, Some(Command::Resume));
    let legal = |was: WaveState, is: WaveState| match (was, is) {
        (was, is) if was == is => true,
        (WaveState::Failed | WaveState::Inconclusive, WaveState::Open) => resumed,
        (WaveState::Failed | WaveState::Inconclusive | WaveState::Passed, _) => false,
        (was, is) => is > was,
    };
    let waves = parent.waves.iter().zip(&next.waves).enumerate();
    let wrong = waves.filter(|(_, (was, is))| !legal(**was, **is));
    wrong.map(|(wave, (was, is))| format!("wave {wave} goes from {} to {}", was.as_str(), is.as_str())).collect()
}

fn against_words(parent: &Plan, next: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let mut stamps = Vec::new();
    for (position, lane) in next.lanes.iter().enumerate() {
        let before = parent.lanes.get(position);
        let Some(word) = lane.word else { continue };
        let old = before.and_then(|before| before.word);
        let name = &next.member(position).name;
        if old.is_none_or(|old| old.stamp != word.stamp) {
            stamps.push(word.stamp);
            found.extend(against_word(next, lane, word).map(|what| format!("{name} {what}")));
            if word.stamp <= parent.stamp || word.stamp > next.stamp {
                found.push(format!("{name} is told with a stamp that is not of this step"));
            }
        } else if old.is_some_and(|old| (old.version, old.leave) != (word.version, word.leave)) {
            found.push(format!("{name} is told something else with the same stamp"));
        }
        let goes = |word: Option<Word>| word.is_some_and(|word| word.reload && !word.cancelled);
        let again = old.is_some_and(|old| old.stamp == word.stamp) && goes(old);
        if goes(lane.word) && !again && is_below(next, word) {
            found.push(format!("{name} is let go to {}, below the primary", word.version));
        }
    }
    stamps.sort_unstable();
    let count = stamps.len();
    stamps.dedup();
    if stamps.len() < count {
        found.push("two devices are told with one stamp".to_owned());
    }
    found
}

/// A new word leads to where the hop does, or back to where a failed wave was.
fn against_word(plan: &Plan, lane: &Lane, word: Word) -> Option<String> {
    let goal = if lane.back { lane.before } else { Some(plan.hop().1) };
    if goal != Some(word.version) {
        return Some(format!("is told {} and is to run {}", word.version, goal.map_or("nothing known".into(), |goal| goal.to_string())));
    }
    (!plan.design.images.contains_key(&word.version)).then(|| format!("is told {}, which has no image", word.version))
}

/// Whether a word is older than what the primary runs in this phase: down it has gone before devices go, up after them.
fn is_below(plan: &Plan, word: Word) -> bool {
    let (from, to) = plan.hop();
    if !plan.moves_managers() {
        return false;
    }
    match plan.course.direction {
        Direction::Down => word.version < from && plan.phase.role().is_none(),
        Direction::Up => word.version < to && at(plan, plan.phase) > at(plan, Phase::Unfreeze),
    }
}
