//! The history of a delivery service: each write of it, what it changed, and the button that takes it back.

use super::edit::path_of;
use crate::{
    app::App,
    change::Refusal,
    domain::{changesets, fields},
    gui::{
        Page, Refused, Section, Viewer,
        audit::Shown,
        html,
        links::{Asked, link},
    },
    tables,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use rusqlite::Transaction;
use std::sync::Arc;
use weir_operator_api::{AuditEntry, Problem};

/// Writes on one page. Whether each can be taken back is found by looking at what came after it.
const PAGE_WRITES: u32 = 10;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/delivery-services/{name}/history", get(show))
}

/// Where the history of a delivery service is.
pub(in crate::gui) fn path_of_history(name: &str) -> String {
    format!("{}/history", path_of(name))
}

/// One write.
struct Write {
    shown: Shown,
    /// Why it cannot be taken back, as far as is seen without trying.
    undo_refused: Option<Problem>,
}

#[derive(Template)]
#[template(path = "delivery_service_history.html", blocks = ["writes"])]
struct HistoryPage {
    page: Page,
    name: String,
    /// The delivery service is there.
    exists: bool,
    writes: Vec<Write>,
    here: String,
    /// Not the newest writes.
    older: bool,
    newest: String,
    /// The page after this one; empty when this is the last.
    next: String,
}

fn write(tx: &Transaction<'_>, entry: AuditEntry) -> Result<Write, Refusal> {
    let undo_refused = match entry.rev {
        Some(rev) => changesets::refused(tx, &changesets::found(tx, rev)?, weir_clock::wall_ms())?,
        None => None,
    };
    Ok(Write { shown: Shown::from(entry), undo_refused })
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>, asked: Asked) -> Result<Response, Refused> {
    let before = asked.read::<i64>("before");
    let object = format!("delivery service {name}");
    let read = move |tx: &Transaction<'_>| {
        let mut entries = tables::audit::about(tx, &object, before.unwrap_or(i64::MAX), PAGE_WRITES + 1)?;
        let more = entries.len() > PAGE_WRITES as usize;
        entries.truncate(PAGE_WRITES as usize);
        let last = entries.last().filter(|_| more).map(|entry| entry.id);
        let writes = entries.into_iter().map(|entry| write(tx, entry)).collect::<Result<Vec<_>, Refusal>>()?;
        Ok::<_, Refusal>((writes, last))
    };
    let (writes, last) = app.config.read(read).await?;
    let exists = app.network().service(&name).is_some();
    if !exists && writes.is_empty() && before.is_none() {
        return Err(fields::absent("delivery service", &name).into());
    }
    let address = |before: Option<i64>| link(&path_of_history(&name), &[("before", &before.map(|b| b.to_string()).unwrap_or_default())]);
    let shown = HistoryPage {
        page: Page::new(&app, &viewer, Section::DeliveryServices, format!("History of {name}")).await,
        here: address(before),
        newest: address(None),
        next: last.map(|last| address(Some(last))).unwrap_or_default(),
        older: before.is_some(),
        exists,
        writes,
        name,
    };
    Ok(if viewer.fragment { html(&shown.as_writes()) } else { html(&shown) })
}
