//! Alarms: what stands, what ended, and what to do next.

use super::{
    Form, Notice, Page, Refused, Section, Viewer,
    figures::Moment,
    html,
    links::{Asked, link},
    redirect,
};
use crate::{app::App, change::Refusal, tables, verbs};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use serde::de::IgnoredAny;
use std::sync::Arc;
use weir_model::Severity;
use weir_operator_api::{Alarm, Reason};

/// Alarms that ended on one page.
const PAGE_ALARMS: u32 = 100;
/// Standing alarms that are shown: more than these nobody reads; the filters find the rest.
const STANDING_SHOWN: usize = 500;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/alarms", get(list)).route("/alarms/{id}/acknowledge", post(acknowledge))
}

/// An alarm as it is shown.
pub(super) struct Shown {
    pub(super) alarm: Alarm,
    pub(super) raised: Moment,
    pub(super) acknowledged: Option<Moment>,
    pub(super) cleared: Option<Moment>,
}

impl From<Alarm> for Shown {
    fn from(alarm: Alarm) -> Self {
        let moment = |at: Option<u64>| at.map(Moment::at);
        let (acknowledged, cleared) = (moment(alarm.acknowledged_ms), moment(alarm.cleared_ms));
        Self { raised: Moment::at(alarm.raised_ms), acknowledged, cleared, alarm }
    }
}

/// Every standing alarm: the worst first, then the newest.
pub(super) async fn standing(app: &App) -> Result<Vec<Shown>, Refused> {
    let mut alarms = crate::watch::standing(app).await.map_err(Refusal::from)?;
    alarms.sort_by_key(|a| std::cmp::Reverse((a.severity, a.raised_ms, a.id)));
    Ok(alarms.into_iter().map(Shown::from).collect())
}

/// Alarms that ended, before `before`, newest first, of one device unless `device` is empty; and where the next page begins.
pub(super) async fn ended(app: &App, device: &str, before: i64) -> Result<(Vec<Shown>, Option<i64>), Refused> {
    let device = device.to_owned();
    let read = move |tx: &rusqlite::Transaction<'_>| Ok::<_, Refusal>(tables::alarms::ended(tx, &device, before, PAGE_ALARMS + 1)?);
    let mut alarms = app.state.read(read).await?;
    let more = alarms.len() > PAGE_ALARMS as usize;
    alarms.truncate(PAGE_ALARMS as usize);
    let next = alarms.last().filter(|_| more).map(|a| a.id);
    Ok((alarms.into_iter().map(Shown::from).collect(), next))
}

#[derive(Template)]
#[template(path = "alarms.html", blocks = ["list"])]
struct AlarmsPage {
    page: Page,
    /// Those that ended are shown instead of those that stand.
    cleared: bool,
    severity: Option<Severity>,
    device: String,
    alarms: Vec<Shown>,
    /// Standing alarms the list leaves out.
    left_out: usize,
    here: String,
    /// The page after this one; empty when this is the last.
    next: String,
}

impl AlarmsPage {
    fn severities(&self) -> [Severity; 3] {
        [Severity::Critical, Severity::Major, Severity::Minor]
    }

    fn is_chosen(&self, severity: &Severity) -> bool {
        self.severity.as_ref() == Some(severity)
    }

    fn of(&self, cleared: bool) -> String {
        address(cleared, self.severity, &self.device, "")
    }

    fn narrows(&self) -> bool {
        self.severity.is_some() || !self.device.is_empty()
    }
}

fn address(cleared: bool, severity: Option<Severity>, device: &str, before: &str) -> String {
    let state = if cleared { "cleared" } else { "" };
    link("/alarms", &[("state", state), ("severity", severity.map_or("", Severity::as_str)), ("device", device), ("before", before)])
}

async fn list(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    let cleared = asked.get("state") == "cleared";
    let severity = [Severity::Minor, Severity::Major, Severity::Critical].into_iter().find(|s| s.as_str() == asked.get("severity"));
    let device = asked.get("device").to_owned();
    let before = asked.get("before");
    let (mut alarms, next) =
        if cleared { ended(&app, &device, before.parse().unwrap_or(i64::MAX)).await? } else { (standing(&app).await?, None) };
    alarms.retain(|s| severity.is_none_or(|w| w == s.alarm.severity) && (device.is_empty() || s.alarm.device.as_str() == device));
    let left_out = if cleared { 0 } else { alarms.len().saturating_sub(STANDING_SHOWN) };
    alarms.truncate(alarms.len() - left_out);
    let shown = AlarmsPage {
        page: Page::new(&app, &viewer, Section::Alarms, "Alarms").await,
        here: address(cleared, severity, &device, before),
        next: next.map(|id| address(cleared, severity, &device, &id.to_string())).unwrap_or_default(),
        cleared,
        severity,
        device,
        alarms,
        left_out,
    };
    Ok(if viewer.fragment { html(&shown.as_list()) } else { html(&shown) })
}

/// Acknowledges an alarm and says so; one that has ended meanwhile is no error of whoever looks at the list.
pub(super) async fn take_on(app: &Arc<App>, viewer: &Viewer, id: &str) {
    let notice = match verbs::acknowledge(app, viewer.caller(), id).await {
        Ok(alarm) => Notice::done(format!("{} of {} is acknowledged.", alarm.reason, alarm.device)),
        Err(problem) if problem.reason == Reason::NotFound => Notice::refused("This alarm does not stand any longer."),
        Err(problem) => Notice::refused(format!("Not acknowledged: {}; {}.", problem.detail, problem.next)),
    };
    viewer.tell(app, notice);
}

async fn acknowledge(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Form(_): Form<IgnoredAny>,
) -> Result<Response, Refused> {
    take_on(&app, &viewer, &id).await;
    Ok(redirect("/alarms"))
}
