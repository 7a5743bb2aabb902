//! Whether the rows are what the log of writes says: the chain of hashes after the start, the digests after the start, hourly and
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
/// The same, while an operator has not said whether they or the standby's count.
const DOUBT: &str = "rows, undecided";

/// Before anything is written: the digests of a database that has none, or those of another schema, are counted.
pub(crate) async fn begin(app: &Arc<App>) -> Result<(), Problem> {
    if let Some(rev) = settle(app).await? {
        app.kept_up_to(rev);
    }
    Ok(())
}

/// Whether the log is as it was written; read whole, while the manager serves.
async fn log_holds(app: &App) {
    match app.config.read(|tx| Ok::<_, DatabaseError>(changesets::broken(tx)?)).await {
        Ok(None) | Err(DatabaseError::Closed) => {}
        Ok(Some(rev)) => {
            tracing::error!(rev, "the log of writes is not as it was written from this changeset on");
            note(app, LOG, format!("the log of writes is not as it was written from changeset {rev} on"));
        }
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the log of writes cannot be read");
            note(app, LOG, "the log of writes cannot be read".to_owned());
        }
    }
}

fn note(app: &App, about: &'static str, text: String) {
    locked(&app.pair.broken).insert(about, text);
}

async fn settle(app: &Arc<App>) -> Result<Option<u64>, Problem> {
    app.config.write(settle_in).await.map_err(unread)
}

/// The same inside a change: of a standby that becomes the primary at another schema than that of the last changeset it was given.
pub(crate) fn settle_in(tx: &Transaction<'_>) -> Result<Option<u64>, DatabaseError> {
    let tip = changesets::tip(tx)?;
    let same_schema = tip.as_ref().is_some_and(|tip| tip.step == u64::from(migrations::newest()));
    let kept = digests::load(tx)?;
    if same_schema && kept.tables().next().is_some() {
        return Ok(None);
    }
    // The rows are what they were; only what is said of them is new. Without a log there is nothing to say it to.
    correct(tx, tip.is_some(), "count")
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

/// Whether the rows are what their digests say. When they are not, the alarm is raised. Without a standby on record the rows are then
/// taken as they are, and the log says so; with one nothing is, until an operator says which of the two is right: the standby's
/// rows came by the log and may be the only good ones.
pub(super) async fn holds(app: &Arc<App>) -> Result<bool, Problem> {
    let read = app.config.read(|tx| Ok::<_, DatabaseError>(digests::recount(tx)? == digests::load(tx)?));
    if read.await.map_err(unread)? {
        return Ok(true);
    }
    tracing::error!("rows of the configuration were changed by something else than this manager");
    let what = "rows of the configuration were changed by something else than this manager";
    match app.pair.info(app) {
        None => {
            note(app, ROWS, format!("{what}, and are taken as they are"));
            take_as_they_are(app).await?;
        }
        Some(standby) => {
            let name = standby.name;
            let text = format!(
                "{what}; {name} has them as the log of writes says: to keep those, run `weir cms role primary` on {name}; \
                 to keep these, run `weir cms resync` on {name}"
            );
            note(app, DOUBT, text);
        }
    }
    Ok(false)
}

/// An operator has decided for the rows as they are here.
pub(super) async fn accept(app: &Arc<App>) -> Result<(), Problem> {
    let of_app = Arc::clone(app);
    // The standby whose poll it came with may go away meanwhile.
    let accepted = async move {
        take_as_they_are(&of_app).await?;
        let mut broken = locked(&of_app.pair.broken);
        broken.remove(DOUBT);
        broken.insert(
            ROWS,
            "rows of the configuration were changed by something else than this manager, and are taken as they are".to_owned(),
        );
        Ok(())
    };
    app.to_its_end("take the rows", accepted).await
}

/// Whether rows are not what the log says, and nobody has decided yet.
pub(super) fn is_doubted(pair: &super::Pair) -> bool {
    locked(&pair.broken).contains_key(DOUBT)
}

async fn take_as_they_are(app: &Arc<App>) -> Result<(), Problem> {
    let written = async {
        app.pair.writable()?;
        app.cms.doubts.writable()?;
        if let Some(rev) = app.config.write(|tx| correct(tx, true, "recount")).await.map_err(unread)? {
            tracing::warn!(rev, "the rows of the configuration are taken as they are");
            // Before anything else is written: the newest is what was told last.
            app.kept_up_to(rev);
        }
        Ok(())
    };
    app.alone(written).await
}

fn unread(error: DatabaseError) -> Problem {
    tracing::error!(error = %Chain(&error), "the rows of the configuration cannot be counted");
    Problem::new(Reason::Internal, "the rows of the configuration cannot be counted; the log has the particulars")
}

/// Reads the log, recounts now and each hour until the manager stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut stopping = app.stopping();
    let mut ticks = tokio::time::interval(PERIOD);
    log_holds(&app).await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
        // A refusal is logged where it comes from; the next round tries again.
        let _ = holds(&app).await;
    }
}
