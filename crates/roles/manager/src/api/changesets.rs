//! `/changesets`: the log of writes.

use super::{QueryOf, Refused, authentication::Shown, pages, utoipa};
use crate::{
    app::App,
    change::{Caller, Refusal},
    domain,
    tables::changesets::{self, Record},
};
use axum::{
    Json,
    extract::{Path, State},
};
use std::{sync::Arc, time::Duration};
use weir_operator_api::{Changeset, ChangesetDetail, ChangesetQuery, Confirmation, Listing, Problem, Reason};

/// How long an answer waits for the next changeset.
const WATCH_TIME: Duration = Duration::from_secs(30);

/// Writes of the configuration, oldest first; with `watch` as soon as there is one more.
#[utoipa::path(get, path = "/api/v1/changesets", tag = "changesets", params(ChangesetQuery), responses((status = 200, body = Listing<Changeset>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    shown: Shown,
    QueryOf(query): QueryOf<ChangesetQuery>,
) -> Result<Json<Listing<Changeset>>, Refused> {
    let limit = pages::limit(query.newest.or(query.limit))?;
    let after = match query {
        ChangesetQuery { after, newest: None, watch: None, .. } => after.unwrap_or(0),
        ChangesetQuery { after: None, limit: None, newest: Some(_), watch: None } => {
            let read = app.config.read(move |tx| {
                let records = changesets::newest(tx, limit)?;
                as_shown(tx, records)
            });
            return Ok(Json(Listing { items: read.await.map_err(Refusal::into_problem)?, next: None }));
        }
        ChangesetQuery { after: None, newest: None, watch: Some(rev), .. } => {
            let (mut kept, mut stopping) = (app.watch_changesets(), app.stopping());
            if rev > *kept.borrow() {
                return Err(Problem::new(Reason::InvalidQuery, format!("there is no changeset {rev} yet")).at("watch").into());
            }
            let come = kept.wait_for(|last| *last > rev);
            // Whatever ends the wait, the answer is what there is then.
            tokio::select! {
                _ = tokio::time::timeout(WATCH_TIME, come) => {}
                _ = stopping.wait_for(|stops| *stops) => {}
            }
            shown.still_counts(&app)?;
            rev
        }
        _ => return Err(Problem::new(Reason::InvalidQuery, "`after`, `newest` and `watch` are three ways to say which").into()),
    };
    let read = app.config.read(move |tx| {
        let records = changesets::page(tx, after, limit + 1)?;
        as_shown(tx, records)
    });
    let items = read.await.map_err(Refusal::into_problem)?;
    Ok(Json(pages::by_id(items, limit, |changeset| i64::try_from(changeset.rev).unwrap_or(i64::MAX))))
}

/// One write, with what it changed and whether it can be taken back.
#[utoipa::path(get, path = "/api/v1/changesets/{rev}", tag = "changesets", params(("rev" = u64, Path)), responses((status = 200, body = ChangesetDetail), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(app): State<Arc<App>>, Path(rev): Path<String>) -> Result<Json<ChangesetDetail>, Refused> {
    Ok(Json(detail(&app, number(&rev)?).await?))
}

/// Takes a write back, when nothing it did was changed since; answers with the changeset that does.
#[utoipa::path(post, path = "/api/v1/changesets/{rev}/undo", tag = "changesets", params(("rev" = u64, Path), Confirmation), responses((status = 200, body = ChangesetDetail), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn undo(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(rev): Path<String>,
    QueryOf(Confirmation { confirm }): QueryOf<Confirmation>,
) -> Result<Json<ChangesetDetail>, Refused> {
    let rev = number(&rev)?;
    let undone = app.change_kept(caller, move |change| {
        change.confirm(confirm);
        domain::changesets::undo(change, rev)
    });
    let (_, kept) = undone.await?;
    Ok(Json(detail(&app, kept).await?))
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::new(Reason::NotFound, format!("{text:?} is not the number of a changeset")))
}

async fn detail(app: &App, rev: u64) -> Result<ChangesetDetail, Problem> {
    let read = app.config.read(move |tx| {
        let record = domain::changesets::found(tx, rev)?;
        let undo_refused = domain::changesets::refused(tx, &record, weir_clock::wall_ms())?;
        let entries = crate::tables::audit::of(tx, rev)?;
        let changeset = as_shown(tx, vec![record])?.remove(0);
        Ok::<_, Refusal>(ChangesetDetail { changeset, entries, undo_refused })
    });
    read.await.map_err(Refusal::into_problem)
}

/// Records as they are shown.
pub(super) fn as_shown(tx: &rusqlite::Transaction<'_>, records: Vec<Record>) -> Result<Vec<Changeset>, Refusal> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(Vec::new()) };
    let mut words = changesets::words(tx, first.rev, last.rev)?;
    let show = |record: Record| Changeset {
        rev: record.rev,
        at_ms: record.at_ms,
        actor: record.actor,
        source: record.source,
        term: record.term,
        generation: record.generation,
        undoes: record.undoes,
        did: words.remove(&record.rev).unwrap_or_default(),
        hash: hex::encode(record.hash),
    };
    Ok(records.into_iter().map(show).collect())
}
