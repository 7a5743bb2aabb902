//! The highest term this box has heard of, from wherever, and the generation it had itself: what a restored configuration goes on above.
//!
//! What devices say of generations counts when the manager opens (`ahead`), within bounds: one report must not use them up.

use super::blocking;
use crate::{
    backup::rehearsal,
    cms::{Cms, Life},
    journal::Journal,
    tables::reports,
};
use std::{path::Path, sync::Arc};
use weir_database::DatabaseError;
use weir_model::Stamp;
use weir_operator_api::Problem;

/// The highest term, whoever named it, and the generation of this box's own configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) term: u64,
    pub(super) generation: u64,
}

impl Heard {
    pub(super) fn and(self, other: Self) -> Self {
        Self { term: self.term.max(other.term), generation: self.generation.max(other.generation) }
    }

    fn of_term(term: u64) -> Self {
        Self { term, generation: 0 }
    }

    fn of_reports(stamps: impl Iterator<Item = Stamp>) -> Self {
        Self::of_term(stamps.map(|stamp| stamp.term).max().unwrap_or(0))
    }
}

/// All of it: memory, `config.db`, `state.db`, `box.json`, the journal.
///
/// # Errors
/// What is on the disk was not looked at to the end.
pub(super) async fn everything(cms: &Arc<Cms>) -> Result<Heard, Problem> {
    let hello = cms.hello().await;
    let in_memory = match cms.life() {
        Life::Primary(app) => app.reports.with_all(|heard| Heard::of_reports(heard.values().map(|heard| heard.report.hello.stamp))),
        Life::Standby(follower) => {
            follower.primary_seen().map_or_else(Heard::default, |seen| Heard::of_term(seen.hello.term.max(seen.hello.heard)))
        }
        Life::Disabled => Heard::default(),
    };
    let (state, journal) = (cms.state_directory().to_owned(), Arc::clone(cms.journal()));
    let on_disk = blocking(move || Ok(of_configuration(&state).and(of_devices(&state)).and(of_journal(&journal)))).await?;
    let file = cms.box_file();
    let of_file = file.fenced().map_or(0, |fence| fence.term).max(file.promoting().unwrap_or(0));
    Ok(in_memory.and(on_disk).and(Heard::of_term(hello.term.max(hello.heard).max(of_file))))
}

/// One that cannot be read says nothing: it is what the restore is for.
fn of_configuration(state: &Path) -> Heard {
    let read = weir_database::look(&state.join("config.db")).and_then(|mut connection| Ok(rehearsal::facts(&mut connection)?));
    read.map_or_else(|_| Heard::default(), |facts| Heard { term: facts.term, generation: facts.generation })
}

/// A file that is damaged or absent says nothing either, and the log why.
fn of_devices(state: &Path) -> Heard {
    let read = weir_database::look(&state.join("state.db")).and_then(|mut connection| {
        let tx = connection.transaction()?;
        Ok::<_, DatabaseError>(reports::all(&tx)?)
    });
    let read = read.unwrap_or_else(|error| {
        tracing::warn!(error = %weir_telemetry::Chain(&error), "what devices last reported cannot be read: their terms do not count");
        Vec::new()
    });
    Heard::of_reports(read.into_iter().map(|kept| kept.report.hello.stamp))
}

/// The term of the journal's last record.
fn of_journal(journal: &Journal) -> Heard {
    let (last, _) = journal.end();
    let line = journal.around(last, 1).pop();
    let record = line.and_then(|line| serde_json::from_str::<serde_json::Value>(&line).ok());
    Heard::of_term(record.and_then(|record| record.get("term")?.as_u64()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_term_counts_whoever_named_it_and_no_generation_of_a_device() {
        let stamp = |term, generation| Stamp { term, generation };
        let heard = Heard::of_reports([stamp(2, 10), stamp(1, u64::MAX), stamp(2, 9)].into_iter());
        assert_eq!(heard, Heard { term: 2, generation: 0 }, "one report would end all changes of configuration");
        let own = Heard { term: 1, generation: 90 };
        assert_eq!(heard.and(own).and(Heard::of_term(5)), Heard { term: 5, generation: 90 });
        assert_eq!(Heard::of_reports(std::iter::empty()), Heard::default());
    }
}
