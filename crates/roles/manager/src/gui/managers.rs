//! Managers: both boxes of the pair side by side, how they stand to each other, and the button that makes the standby the primary.

mod asked;

use super::{
    Form, Notice, Page, Refused, Section, Viewer,
    figures::{Moment, Span},
    html_with,
    links::{Asked, link},
    redirect,
    rejected::Rejected,
};
use crate::app::App;
use askama::Template;
use asked::{Sight, sight, take_over};
use axum::{Router, extract::State, response::Response, routing::get};
use serde::de::IgnoredAny;
use std::sync::Arc;
use weir_model::AlarmReason;
use weir_operator_api::{CmsInfo, PairCondition, PairInfo};

/// Where the pages about the pair are.
const PATH: &str = "/managers";
/// Characters of a digest that people compare.
const DIGEST_SHOWN: usize = 12;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(show)).route("/managers/take-over", get(ask).post(begin))
}

/// The beginning of a digest, as people compare it.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..DIGEST_SHOWN).unwrap_or(digest)
}

/// The badge of a condition.
pub(super) fn badge(condition: &PairCondition) -> &'static str {
    match condition {
        PairCondition::Matched => "ok",
        PairCondition::Syncing => "busy",
        PairCondition::Waiting => "minor",
        PairCondition::Lagging | PairCondition::Mismatch => "major",
    }
}

/// Whether the digests agree, in words.
pub(super) fn digests(equal: &Option<bool>) -> &'static str {
    match equal {
        Some(true) => "equal",
        Some(false) => "differ",
        None => "nothing to compare yet",
    }
}

/// What can be done about a condition; empty: nothing has to be.
fn next(condition: PairCondition) -> &'static str {
    match condition {
        PairCondition::Matched => "",
        PairCondition::Waiting => "start the standby's box, and see there with `weir cms info` what it waits for",
        PairCondition::Syncing => "wait: it says matched by itself as soon as it has everything",
        PairCondition::Lagging => AlarmReason::PairLagging.next_step(),
        PairCondition::Mismatch => AlarmReason::PairMismatch.next_step(),
    }
}

/// Why the standby cannot be asked to take over; empty when it can.
fn hindrance(pair: &PairInfo) -> String {
    match pair.condition {
        PairCondition::Matched => String::new(),
        other => format!("{} cannot take over while the pair is {}: nothing that was acknowledged may be lost", pair.name, other.as_str()),
    }
}

/// A record of the journal as it is shown.
pub(super) struct Recorded {
    pub(super) seq: u64,
    pub(super) at: Moment,
    pub(super) term: u64,
    pub(super) kind: String,
    pub(super) body: String,
}

#[derive(Template)]
#[template(path = "managers.html")]
struct ManagersPage {
    page: Page,
    info: CmsInfo,
    /// What standing alarms say of changes that the network does not have.
    unreplicated: Vec<String>,
    /// The newest records of the journal, newest first.
    journal: Vec<Recorded>,
    /// Who was asked to take over; empty: nobody.
    taking_over: String,
}

impl ManagersPage {
    fn here(&self) -> String {
        link(PATH, &[("taking-over", &self.taking_over)])
    }

    fn next(&self, pair: &PairInfo) -> &'static str {
        next(pair.condition)
    }

    fn hindrance(&self, pair: &PairInfo) -> String {
        hindrance(pair)
    }

    fn silence(&self, pair: &PairInfo) -> String {
        pair.silent_ms.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", Span(ms)))
    }

    /// How many changesets the standby lacks.
    fn behind(&self, pair: &PairInfo) -> u64 {
        pair.primary_rev.saturating_sub(pair.standby_rev)
    }
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    let Sight { info, unreplicated, journal } = sight(&app).await?;
    let known = |name: &str| info.pair.as_ref().is_some_and(|pair| pair.name.as_str() == name);
    let taking_over = Some(asked.get("taking-over")).filter(|name| known(name)).unwrap_or_default().to_owned();
    let page = Page::new(&app, &viewer, Section::Managers, "Managers").await;
    Ok(super::html(&ManagersPage { page, info, unreplicated, journal, taking_over }))
}

/// Asks before the primary makes way: what will happen, in order.
#[derive(Template)]
#[template(path = "managers_take_over.html")]
struct TakeOverPage {
    page: Page,
    info: CmsInfo,
    pair: PairInfo,
    hindrance: String,
    rejected: Rejected,
}

async fn draw(app: &Arc<App>, viewer: &Viewer, rejected: Rejected) -> Result<Response, Refused> {
    let info = app.cms.info().await;
    let Some(pair) = info.pair.clone() else { return Ok(redirect(PATH)) };
    let page = Page::new(app, viewer, Section::Managers, format!("Make {} the primary", pair.name)).await;
    let shown = TakeOverPage { page, info, hindrance: hindrance(&pair), pair, rejected };
    Ok(html_with(shown.rejected.status(), &shown))
}

async fn ask(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Response, Refused> {
    draw(&app, &viewer, Rejected::default()).await
}

async fn begin(State(app): State<Arc<App>>, viewer: Viewer, Form(_): Form<IgnoredAny>) -> Result<Response, Refused> {
    match take_over(&app, &viewer).await {
        Ok(name) => {
            viewer.tell(&app, Notice::done(format!("{name} was asked to take over.")));
            Ok(redirect(&link(PATH, &[("taking-over", &name)])))
        }
        Err(problem) => draw(&app, &viewer, problem.into()).await,
    }
}

#[cfg(test)]
mod tests;
