//! Generations that devices know and this network has lost: after a promotion with a loss, or a restore, it goes on above them.
//!
//! Devices order documents by their whole stamp, so they obey the new term whatever its generation is. But generations are also written
//! down alone, as that of an activation, and read by people: none is given twice.

use crate::{
    app::App,
    change::{Caller, Change, NOTHING},
};
use serde_json::json;
use std::sync::Arc;
use weir_model::Stamp;
use weir_operator_api::Problem;

/// Furthest that a report is believed to be ahead, in generations: no network loses as many, and nobody can use them up.
const AHEAD_MAX: u64 = 1_000_000;

/// Whether a device runs, from an earlier term, a generation that was not given in this one yet.
fn is_ahead(own: Stamp, heard: Stamp) -> bool {
    heard.term < own.term && heard.generation > own.generation && heard.generation - own.generation <= AHEAD_MAX
}

/// Goes on above what the reports say that are kept from before. Before the manager serves.
pub(crate) async fn begin(app: &Arc<App>) -> Result<(), Problem> {
    let own = app.network().stamp;
    let stamps = |heard: &crate::reports::Heard| Some(heard.report.hello.stamp).filter(|heard| is_ahead(own, *heard));
    let newest = app.reports.with_all(|heard| heard.values().filter_map(stamps).max_by_key(|stamp| stamp.generation));
    match newest {
        Some(heard) => overtaken(app, heard).await,
        None => Ok(()),
    }
}

/// A device reports that it runs this.
pub(crate) async fn overtaken(app: &Arc<App>, heard: Stamp) -> Result<(), Problem> {
    if !is_ahead(app.network().stamp, heard) {
        return Ok(());
    }
    let change = move |change: &Change<'_>| {
        if is_ahead(change.before.stamp, heard) {
            change.continue_above(heard.generation);
            let after = json!({ "above": heard, "generation": change.generation() });
            change.audit("continue above", format_args!("network {}", change.before.network), NOTHING, Some(&after))?;
        }
        Ok(())
    };
    app.change(Caller::manager(), change).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_earlier_term_gave_is_ahead_and_not_by_any_amount() {
        let own = Stamp { term: 3, generation: 50 };
        for (term, generation, expected) in [
            (2, 90, true),
            (1, 51, true),
            (2, 50, false),
            (2, 0, false),
            (3, 90, false),
            (4, 90, false),
            (2, 50 + AHEAD_MAX, true),
            (2, 51 + AHEAD_MAX, false),
            (2, u64::MAX, false),
        ] {
            assert_eq!(is_ahead(own, Stamp { term, generation }), expected, "{term}.{generation}");
        }
    }
}
