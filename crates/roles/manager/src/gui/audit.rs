//! The audit: who changed what, when, from where, and how the object was before and after.

mod changeset;
mod diff;

use super::{
    Page, Refused, Section, Viewer,
    figures::Moment,
    html,
    links::{Asked, link},
};
use crate::{app::App, change::Refusal, tables};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use diff::{CHANGES_MAX, Change, changes};
use std::{fmt::Display, sync::Arc};
use weir_operator_api::AuditEntry;

/// Entries of one page.
const PAGE_ENTRIES: u32 = 100;
/// Fields that are shown without being opened.
const OPEN_FIELDS: usize = 4;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/audit", get(list)).merge(changeset::routes())
}

/// Where the audit of one object is, which is of this kind and has this name.
pub(super) fn history(kind: &str, name: &impl Display) -> String {
    link("/audit", &[("object", &format!("{kind} {name}"))])
}

/// An entry as it is shown.
pub(super) struct Shown {
    pub(super) entry: AuditEntry,
    pub(super) at: Moment,
    pub(super) changes: Vec<Change>,
    /// The object's page; empty when it has none.
    pub(super) link: String,
}

impl From<AuditEntry> for Shown {
    fn from(entry: AuditEntry) -> Self {
        let link = if entry.after.is_none() && entry.verb == "delete" { String::new() } else { page_of(&entry.object) };
        Self { at: Moment::at(entry.at_ms), changes: changes(entry.before.as_ref(), entry.after.as_ref()), link, entry }
    }
}

impl Shown {
    /// Whether its fields are shown when somebody opens them.
    pub(super) fn folded(&self) -> bool {
        self.changes.len() > OPEN_FIELDS
    }

    /// How many fields differ.
    pub(super) fn fields(&self) -> String {
        let more = if self.changes.len() >= CHANGES_MAX { "the first " } else { "" };
        format!("{more}{} fields", self.changes.len())
    }
}

/// The page of an object, as the audit names it.
fn page_of(object: &str) -> String {
    let name = |kind: &str| object.strip_prefix(kind).filter(|n| n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    if let Some(name) = name("device ") {
        format!("/devices/{name}")
    } else if let Some(name) = name("delivery service ") {
        format!("/delivery-services/{name}")
    } else if let Some(name) = name("location ") {
        format!("/locations/{name}")
    } else if let Some(id) = name("software file ") {
        format!("/software-files/{id}")
    } else {
        String::new()
    }
}

#[derive(Template)]
#[template(path = "audit.html", blocks = ["list"])]
struct AuditPage {
    page: Page,
    actor: String,
    object: String,
    /// Not the newest entries.
    older: bool,
    entries: Vec<Shown>,
    here: String,
    newest: String,
    /// The page after this one; empty when this is the last.
    next: String,
}

impl AuditPage {
    fn narrows(&self) -> bool {
        !self.actor.is_empty() || !self.object.is_empty()
    }
}

async fn list(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    let (actor, object, before) = (asked.get("actor").to_owned(), asked.get("object").to_owned(), asked.read::<i64>("before"));
    let address = |before: Option<i64>| {
        let before = before.map(|b| b.to_string()).unwrap_or_default();
        link("/audit", &[("actor", &actor), ("object", &object), ("before", &before)])
    };
    let (wanted_actor, wanted_object) = (actor.clone(), object.clone());
    let read = move |tx: &rusqlite::Transaction<'_>| {
        let from = before.unwrap_or(i64::MAX);
        Ok::<_, Refusal>(tables::audit::newest(tx, &wanted_actor, &wanted_object, from, PAGE_ENTRIES + 1)?)
    };
    let mut entries = app.config.read(read).await?;
    let more = entries.len() > PAGE_ENTRIES as usize;
    entries.truncate(PAGE_ENTRIES as usize);
    let next = entries.last().filter(|_| more).map(|e| address(Some(e.id))).unwrap_or_default();
    let shown = AuditPage {
        page: Page::new(&app, &viewer, Section::Audit, "Audit").await,
        here: address(before),
        newest: address(None),
        next,
        older: before.is_some(),
        entries: entries.into_iter().map(Shown::from).collect(),
        actor,
        object,
    };
    Ok(if viewer.fragment { html(&shown.as_list()) } else { html(&shown) })
}

#[cfg(test)]
mod tests {
    use super::page_of;

    #[test]
    fn objects_have_their_pages() {
        for (object, page) in [
            ("device east-1", "/devices/east-1"),
            ("delivery service video", "/delivery-services/video"),
            ("location east", "/locations/east"),
            ("software file 7", "/software-files/7"),
            ("device \"><script>", ""),
            ("alarm 7", ""),
        ] {
            assert_eq!(page_of(object), page);
        }
    }
}
