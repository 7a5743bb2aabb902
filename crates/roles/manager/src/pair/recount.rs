//! Whether the rows are what the log of writes says: the chain of hashes at the start, the digests at the start, hourly and
//! before a yield.

use super::locked;
use crate::{
    app::App,
    change::Caller,
    tables::{changesets, digests, migrations},
};
use rusqlite::Transaction;
use std::{sync::Arc, time::Duration};
use weir_database::{Changeset, DatabaseError};
use weir_operator_api::{AuditEntry, Problem, Reason};
use weir_telemetry::Chain;

/// Between two recounts of all rows.
const PERIOD: Duration = Duration::from_secs(60 * 60);
/// What CHANGESETS_BROKEN is about: the chain of hashes.
const LOG: &str = "log";
/// The same: the digests.
const ROWS: &str = "rows";

/// Before anything is written: the digests of a database that has none, or those of another schema, are counted, and the log is
/// checked.
pub(crate) async fn begin(app: &Arc<App>) -> Result<(), Problem> {
    if let Some(rev) = settle(app).await? {
        app.kept_up_to(rev);
    }
    match app.config.read(|tx| Ok::<_, DatabaseError>(changesets::broken(tx)?)).await {
        Ok(None) => {}
        Ok(Some(rev)) => {
            tracing::error!(rev, "the log of writes is not as it was written from this changeset on");
            note(app, LOG, format!("the log of writes is not as it was written from changeset {rev} on"));
        }
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the log of writes cannot be read");
            note(app, LOG, "the log of writes cannot be read".to_owned());
        }
    }
    Ok(())
}

fn note(app: &App, about: &'static str, text: String) {
    locked(&app.pair.broken).insert(about, text);
}

async fn settle(app: &Arc<App>) -> Result<Option<u64>, Problem> {
    let settled = app.config.write(|tx| {
        let tip = changesets::tip(tx)?;
        let same_schema = tip.as_ref().is_some_and(|tip| tip.step == u64::from(migrations::newest()));
        let kept = digests::load(tx)?;
        if same_schema && kept.tables().next().is_some() {
            return Ok::<_, DatabaseError>(None);
        }
        // The rows are what they were; only what is said of them is new. Without a log there is nothing to say it to.
        correct(tx, tip.is_some(), "count")
    });
    settled.await.map_err(unread)
}

/// Counts the rows of everything; keeps the digests when they are others, and, when there is a log, says so in it with a changeset
/// that changes no row. Its place, if it was needed.
fn correct(tx: &Transaction<'_>, logged: bool, verb: &str) -> Result<Option<u64>, DatabaseError> {
    let counted = digests::recount(tx)?;
    let kept = digests::load(tx)?;
    if counted == kept {
        return Ok(None);
    }
    digests::replace(tx, &counted)?;
    if !logged {
        return Ok(None);
    }
    let stamp = |setting| crate::tables::settings::number(tx, setting);
    let (term, generation) = (stamp(crate::tables::settings::TERM)?, stamp(crate::tables::settings::GENERATION)?);
    let caller = Caller::manager();
    let entry = AuditEntry {
        id: 0,
        at_ms: weir_clock::wall_ms(),
        actor: caller.actor.to_string(),
        source: caller.source,
        verb: verb.to_owned(),
        object: "rows of the configuration".to_owned(),
        before: Some(serde_json::json!({ "digest": hex::encode(kept.of_all()) })),
        after: Some(serde_json::json!({ "digest": hex::encode(counted.of_all()) })),
        generation,
        rev: None,
    };
    let id = crate::tables::audit::insert(tx, &entry)?;
    let record = changesets::Record {
        rev: 0,
        at_ms: entry.at_ms,
        actor: entry.actor,
        source: entry.source,
        term,
        generation,
        step: migrations::newest().into(),
        undoes: None,
        undoable: false,
        hash: [0; 32],
        digest: counted.of_all(),
    };
    Ok(Some(changesets::append(tx, record, &Changeset::from_bytes(Vec::new()), &[id])?.rev))
}

/// Whether the rows are what their digests say. When they are not, the alarm is raised, and the log says what they are: the standby,
/// which cannot come to the same, takes a snapshot.
pub(super) async fn holds(app: &Arc<App>) -> Result<bool, Problem> {
    let read = app.config.read(|tx| Ok::<_, DatabaseError>(digests::recount(tx)? == digests::load(tx)?));
    if read.await.map_err(unread)? {
        return Ok(true);
    }
    let rev = app.alone(app.config.write(|tx| correct(tx, true, "recount"))).await.map_err(unread)?;
    tracing::error!(rev, "rows of the configuration were changed by something else than this manager");
    note(app, ROWS, "rows of the configuration were changed by something else than this manager, and are taken as they are".to_owned());
    if let Some(rev) = rev {
        app.kept_up_to(rev);
    }
    Ok(rev.is_none())
}

fn unread(error: DatabaseError) -> Problem {
    tracing::error!(error = %Chain(&error), "the rows of the configuration cannot be counted");
    Problem::new(Reason::Internal, "the rows of the configuration cannot be counted; the log has the particulars")
}

/// Recounts now and each hour until the manager stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut stopping = app.stopping();
    let mut ticks = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
        // A refusal is logged where it comes from; the next round tries again.
        let _ = holds(&app).await;
    }
}
