//! What the pages of the managers are drawn from, and what their button does: the same as GET `/pair` and POST `/pair/role`.

use super::{Recorded, hindrance};
use crate::{
    app::App,
    change::Refusal,
    follower,
    gui::{Viewer, figures::Moment},
    journal::line,
    tables,
};
use std::{cmp::Reverse, sync::Arc};
use weir_model::{AlarmReason, version};
use weir_operator_api::{AccessRole, CmsInfo, CmsState, Problem, Reason};

/// Records of the journal that are shown.
const RECORDS_SHOWN: usize = 20;

/// What there is to see.
pub(super) struct Sight {
    pub(super) info: CmsInfo,
    /// What standing alarms say of changes that the network does not have.
    pub(super) unreplicated: Vec<String>,
    pub(super) journal: Vec<Recorded>,
}

pub(super) async fn sight(app: &Arc<App>) -> Result<Sight, Problem> {
    let standing = app.state.read(|tx| Ok::<_, Refusal>(tables::alarms::standing(tx)?)).await.unwrap_or_default();
    let unreplicated = standing.into_iter().filter(|alarm| alarm.reason == AlarmReason::UnreplicatedChanges);
    Ok(Sight { info: info(app).await?, unreplicated: unreplicated.map(|alarm| alarm.text).collect(), journal: journal(app).await })
}

/// What this box is.
pub(super) async fn info(app: &Arc<App>) -> Result<CmsInfo, Problem> {
    let tip = app.config.read(|tx| Ok::<_, Refusal>(tables::changesets::tip(tx)?)).await.map_err(Refusal::into_problem)?;
    let (stamp, step, directory) = (app.network().stamp, tables::migrations::newest(), app.directory.clone());
    let unreplicated = tokio::task::spawn_blocking(move || follower::unreplicated::list(&directory));
    Ok(CmsInfo {
        name: app.name.clone(),
        state: CmsState::Primary,
        why: None,
        next: Vec::new(),
        version: version().to_owned(),
        term: stamp.term,
        generation: stamp.generation,
        rev: tip.as_ref().map_or(0, |tip| tip.rev),
        digest: tip.as_ref().map_or_else(String::new, |tip| hex::encode(tip.digest)),
        step,
        step_min: step,
        step_max: step,
        key_fingerprint: None,
        pair: app.pair.info(app),
        unreplicated: unreplicated.await.unwrap_or_default(),
    })
}

/// The newest records, newest first. What cannot be read is left out: the log says why.
async fn journal(app: &App) -> Vec<Recorded> {
    let journal = Arc::clone(&app.journal);
    let read = tokio::task::spawn_blocking(move || journal.around(journal.end().0, RECORDS_SHOWN));
    let lines = read.await.unwrap_or_default();
    let mut records: Vec<_> = lines.iter().filter_map(|text| line::parse(text.as_bytes()).ok()).collect();
    records.sort_by_key(|record| Reverse(record.seq));
    let recorded = |record: line::Line| Recorded {
        seq: record.seq,
        at: Moment::at(record.at_ms),
        term: record.term,
        kind: record.kind,
        body: words(&record.body),
    };
    records.into_iter().map(recorded).collect()
}

/// The members of a record, one after the other.
pub(super) fn words(body: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match body.as_object() {
        Some(members) => members.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>().join(", "),
        None => text(body),
    }
}

/// Asks the standby to take over; who was asked.
pub(super) async fn take_over(app: &Arc<App>, viewer: &Viewer) -> Result<String, Problem> {
    viewer.caller().access.everywhere(AccessRole::Admin)?;
    let pair = app.pair.info(app).ok_or_else(|| Problem::new(Reason::NoStandby, "no standby is on record"))?;
    let hindrance = hindrance(&pair);
    if !hindrance.is_empty() {
        return Err(Problem::new(Reason::NoStandby, hindrance));
    }
    tracing::info!(user = %viewer.user, standby = %pair.name, "the standby is asked to take over");
    app.pair.ask_take_over(&viewer.caller());
    Ok(pair.name.to_string())
}
