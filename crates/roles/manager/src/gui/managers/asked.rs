//! What the pages of the managers are drawn from, and what their button does: the same as GET `/pair` and POST `/pair/role`.

use super::{Recorded, hindrance};
use crate::{
    app::App,
    change::Refusal,
    cms,
    gui::{Viewer, figures::Moment},
    journal::line,
    tables,
};
use std::{cmp::Reverse, sync::Arc, time::Duration};
use weir_model::AlarmReason;
use weir_operator_api::{AccessRole, CmsInfo, Problem, Reason, RoleRequest};

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
    let standing = app.state.read(|tx| Ok::<_, Refusal>(tables::alarms::standing(tx)?)).await.map_err(Refusal::into_problem)?;
    let unreplicated = standing.into_iter().filter(|alarm| alarm.reason == AlarmReason::UnreplicatedChanges);
    let info = app.cms.info().await;
    Ok(Sight { info, unreplicated: unreplicated.map(|alarm| alarm.text).collect(), journal: journal(app).await })
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
    if let Some(what) = app.cms.held_for() {
        return Err(Problem::new(Reason::CmsState, format!("on this box {what}")).next_step("wait for its end, then ask again"));
    }
    tracing::info!(user = %viewer.user, standby = %pair.name, "the standby is asked to take over");
    let request = RoleRequest { role: "standby".to_owned(), accept_loss: None };
    // Begun, and not waited for: the page that follows the new primary comes from this box, as long as it is the primary.
    match tokio::time::timeout(Duration::ZERO, cms::change_role(&app.cms, viewer.caller(), request)).await {
        Ok(Err(problem)) => Err(problem),
        Ok(Ok(_)) | Err(_) => Ok(pair.name.to_string()),
    }
}
