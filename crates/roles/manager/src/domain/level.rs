//! The level of the network: the line whose features all of it may use. Raised when every member runs that line, lowered before any
//! member leaves it.
//!
//! An object that needs a feature the level does not have is **parked**: it stays in the database, devices do not get what they
//! could not understand, and it counts again when the level is back.

use crate::{
    change::{Change, Refusal},
    snapshot::Snapshot,
    tables::settings,
};
use serde_json::json;
use std::collections::BTreeMap;
use weir_model::{DeviceName, FIRST_LEVEL, Gate, Line};
use weir_operator_api::{AccessRole, Problem, Reason};

/// Members that a refusal names.
const NAMED_MAX: usize = 5;

/// The line that each active device and manager was last heard to run; absent: it never said one. Whoever an operator excused is
/// not among them.
pub(crate) type Members = BTreeMap<DeviceName, Option<Line>>;

/// An object that needs a feature the whole network must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needing {
    /// Such as `delivery service demo`.
    pub(crate) object: String,
    pub(crate) gate: Gate,
}

/// Every object that needs a feature of a later line than the first, whether that may be used now or not.
pub(crate) fn needing(network: &Snapshot) -> Vec<Needing> {
    #[cfg(feature = "synthetic-next")]
    {
        let detailed = network.services.iter().filter(|service| service.detail.is_some());
        let needing = |service: &weir_operator_api::DeliveryService| Needing {
            object: format!("delivery service {}", service.name),
            gate: weir_model::next::service_detail(),
        };
        detailed.map(needing).collect()
    }
    #[cfg(not(feature = "synthetic-next"))]
    {
        let _ = network;
        Vec::new()
    }
}

/// Objects that are parked at a level.
pub(crate) fn parked(network: &Snapshot, level: Line) -> Vec<Needing> {
    needing(network).into_iter().filter(|needing| !needing.gate.is_open(Some(level))).collect()
}

/// Raises the level. Does nothing where it is there or above.
///
/// # Errors
/// A member does not run that line, as far as it said.
pub(crate) fn raise(change: &Change<'_>, line: Line, members: &Members) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    if line <= change.before.level {
        return Ok(());
    }
    may_rise(line, members)?;
    set(change, line)
}

/// Lowers the level. Does nothing where it is there or below.
///
/// # Errors
/// There is no such line.
pub(crate) fn lower(change: &Change<'_>, line: Line) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    if line >= change.before.level {
        return Ok(());
    }
    if line < FIRST_LEVEL {
        return Err(Problem::new(Reason::LevelRefused, format!("no line is below {FIRST_LEVEL}")).into());
    }
    set(change, line)
}

/// Whether every member can do what a level allows.
fn may_rise(line: Line, members: &Members) -> Result<(), Problem> {
    let behind: Vec<_> = members.iter().filter(|(_, runs)| runs.is_none_or(|runs| runs < line)).collect();
    if behind.is_empty() {
        return Ok(());
    }
    let said = |(name, runs): &(&DeviceName, &Option<Line>)| match runs {
        Some(runs) => format!("{name} runs {runs}"),
        None => format!("{name} was never heard"),
    };
    let mut named: Vec<_> = behind.iter().take(NAMED_MAX).map(said).collect();
    if behind.len() > NAMED_MAX {
        named.push(format!("{} more are behind", behind.len() - NAMED_MAX));
    }
    let detail = format!("the level cannot be {line}: {}", named.join(", "));
    Err(Problem::new(Reason::LevelRefused, detail).next_step("bring them to that line, or deactivate them"))
}

fn set(change: &Change<'_>, line: Line) -> Result<(), Refusal> {
    let network = change.before;
    let generation = change.revision();
    settings::set(change.tx, settings::LEVEL, &line.to_string())?;
    settings::set_number(change.tx, settings::LEVEL_GENERATION, generation)?;
    let side = |level: Line| json!({ "level": level.to_string(), "parked": parked(network, level).len() });
    change.audit("level", format_args!("network {}", network.network), Some(&side(network.level)), Some(&side(line)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change::Caller,
        compile::tests::network,
        tables::{audit, migrations},
    };
    use rusqlite::Connection;

    const NEXT: Line = Line::new(1, 1);

    fn members(runs: &[(&str, Option<Line>)]) -> Members {
        runs.iter().map(|(name, line)| (name.parse().expect("name"), *line)).collect()
    }

    /// What a change of a network at a level comes to: the level, the generation it says, and how often it was audited.
    fn after(level: Line, ask: impl Fn(&Change<'_>) -> Result<(), Refusal>) -> Result<(Option<String>, u64, usize), Problem> {
        let mut config = Connection::open_in_memory().expect("opens");
        for step in migrations::CONFIG {
            config.execute_batch(step.up_sql).expect("runs");
        }
        let before = Snapshot { level, ..network() };
        let caller = Caller::manager();
        let tx = config.transaction().expect("begins");
        let change = Change::new(&tx, &before, &caller, 7).expect("begins");
        ask(&change).map_err(Refusal::into_problem)?;
        let kept = settings::get(&tx, settings::LEVEL).expect("read");
        let said = audit::page(&tx, 0, 10).expect("read").len();
        Ok((kept, settings::number(&tx, settings::LEVEL_GENERATION).expect("read"), said))
    }

    #[test]
    fn the_level_rises_when_every_member_runs_the_line_and_falls_at_any_time() {
        let all = members(&[("core-1", Some(NEXT)), ("manager-2", Some(Line::new(1, 2)))]);
        let raised = (Some("1.1".to_owned()), 43, 1);
        assert_eq!(after(FIRST_LEVEL, |change| raise(change, NEXT, &all)), Ok(raised));
        assert_eq!(after(NEXT, |change| lower(change, FIRST_LEVEL)), Ok((Some("1.0".to_owned()), 43, 1)));
    }

    #[test]
    fn a_level_that_is_there_is_not_written_again() {
        let none = members(&[("core-1", None)]);
        let same = Ok((None, 0, 0));
        assert_eq!(after(NEXT, |change| raise(change, NEXT, &none)), same);
        assert_eq!(after(NEXT, |change| raise(change, FIRST_LEVEL, &none)), same, "raising lowers nothing");
        assert_eq!(after(NEXT, |change| lower(change, NEXT)), same);
        assert_eq!(after(FIRST_LEVEL, |change| lower(change, NEXT)), same, "lowering raises nothing");
    }

    #[test]
    fn a_member_that_is_behind_or_was_never_heard_keeps_the_level() {
        for (runs, said) in [(Some(FIRST_LEVEL), "east-1 runs 1.0"), (None, "east-1 was never heard")] {
            let members = members(&[("core-1", Some(NEXT)), ("east-1", runs)]);
            let problem = after(FIRST_LEVEL, |change| raise(change, NEXT, &members)).expect_err("refused");
            assert_eq!(problem.reason, Reason::LevelRefused);
            assert_eq!(problem.detail, format!("the level cannot be 1.1: {said}"));
        }
        let many: Vec<_> = (0..9).map(|number| format!("east-{number}")).collect();
        let many = members(&many.iter().map(|name| (name.as_str(), None)).collect::<Vec<_>>());
        let problem = may_rise(NEXT, &many).expect_err("refused");
        assert!(problem.detail.ends_with("east-4 was never heard, 4 more are behind"), "{}", problem.detail);
        let below = after(FIRST_LEVEL, |change| lower(change, Line::new(0, 9))).expect_err("refused");
        assert_eq!(below.reason, Reason::LevelRefused);
    }

    #[cfg(not(feature = "synthetic-next"))]
    #[test]
    fn nothing_of_the_first_line_is_ever_parked() {
        assert_eq!(needing(&network()), []);
    }

    #[cfg(feature = "synthetic-next")]
    #[test]
    fn what_a_closed_gate_keeps_back_is_parked_and_stays() {
        let mut network = network();
        network.services[0].detail = Some("gold".parse().expect("a detail"));
        let object = |level| parked(&network, level).into_iter().map(|one| one.object).collect::<Vec<_>>();
        assert_eq!((object(FIRST_LEVEL), object(NEXT)), (vec!["delivery service demo".to_owned()], vec![]));
        let details = |level, below| {
            let network = Snapshot { level, ..network.clone() };
            let document = crate::compile::document_for(&network, &network.devices["core-1"], below);
            document.services.into_iter().filter_map(|service| service.detail).count()
        };
        assert_eq!((details(FIRST_LEVEL, None), details(NEXT, None), details(NEXT, Some(FIRST_LEVEL))), (0, 1, 0));
    }
}
