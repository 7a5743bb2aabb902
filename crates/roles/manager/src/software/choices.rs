//! The rows of the Update Software page: what choosing each software file would mean. Pure.

use super::record::{Record, shown};
use std::sync::Arc;
use weir_model::{Line, Lineage, OwnReason, SoftwareReason, SoftwareState, Version};
use weir_operator_api::{Direction, SoftwareChoice, SoftwareChoices};

/// A row for each software file, by number.
pub(super) fn choices(running: Version, lineage: &Lineage, records: &[Arc<Record>]) -> SoftwareChoices {
    SoftwareChoices { running, choices: records.iter().map(|record| choice(running, lineage, record)).collect() }
}

fn choice(running: Version, lineage: &Lineage, record: &Record) -> SoftwareChoice {
    let version = record.version();
    let path = version.and_then(|version| lineage.path(running.line, version.line)).unwrap_or_default();
    let reason = not_ready(record).or_else(|| not_selectable(running, version, &path));
    SoftwareChoice {
        id: record.id,
        name: record.shown_name(),
        version,
        direction: version.map(|version| direction(running, version)),
        path,
        selectable: reason.is_none(),
        reason: reason.map(|(reason, detail)| shown(reason, detail)),
    }
}

fn direction(running: Version, version: Version) -> Direction {
    match version.cmp(&running) {
        std::cmp::Ordering::Greater => Direction::Upgrade,
        std::cmp::Ordering::Less => Direction::Downgrade,
        std::cmp::Ordering::Equal => Direction::Same,
    }
}

fn not_ready(record: &Record) -> Option<(SoftwareReason, String)> {
    if record.state() == SoftwareState::Ready {
        return None;
    }
    let unsaid = || (OwnReason::Validating.into(), format!("it is {}", record.state()));
    Some(record.standing.reason.clone().unwrap_or_else(unsaid))
}

fn not_selectable(running: Version, version: Option<Version>, path: &[Line]) -> Option<(SoftwareReason, String)> {
    let version = version?;
    if version == running {
        return Some((OwnReason::SameVersion.into(), format!("{running} is what the primary runs")));
    }
    match path {
        [] => {
            let detail = format!("no released lines lead from {} to {}, one step at a time", running.line, version.line);
            Some((OwnReason::NoPath.into(), detail))
        }
        [_] | [_, _] => None,
        [_, next, ..] => {
            let lines: Vec<_> = path.iter().map(ToString::to_string).collect();
            Some((OwnReason::NoPath.into(), format!("the way is {}: install line {next} first", lines.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests;
