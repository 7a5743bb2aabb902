//! POST `/device/v1/report`.

use super::peer::DevicePeer;
use crate::{
    ahead,
    api::{JsonBody, Refused},
    app::App,
    cms,
    domain::{devices, enrolment},
    published,
};
use axum::{Json, extract::State};
use std::sync::Arc;
use weir_device_api::{
    Report, ReportAnswer, UpdateReport,
    report::{DRAIN_SESSIONS_MAX, TTFB_BOUNDS_MS},
    update::BURNED_MAX,
};
use weir_operator_api::{Problem, Reason};
use weir_routing::compile::ROUTERS_MAX;

/// Conditions one report may carry.
const CONDITIONS_MAX: usize = 64;
/// Longest text, object or reason of a report, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

pub(super) async fn report(
    State(app): State<Arc<App>>,
    peer: DevicePeer,
    JsonBody(report): JsonBody<Report>,
) -> Result<Json<ReportAnswer>, Refused> {
    peer.check(&report.hello)?;
    bounded(&report)?;
    cms::heard_of(&app, &peer.record, report.hello.stamp.term)?;
    let addresses = enrolment::addresses(&report.listeners);
    if peer.record.addresses != addresses {
        let name = peer.record.name.clone();
        app.change(peer.caller, move |change| devices::listen_at(change, name.as_str(), addresses)).await?;
    }
    let clock_ms = weir_clock::wall_ms();
    let device = report.hello.device.clone();
    let line = published::line_below(&app, &app.network(), &device);
    let stamp = report.hello.stamp;
    app.take_report(report, weir_clock::monotonic_ms(), clock_ms);
    published::relined(&app, &device, line).await?;
    ahead::overtaken(&app, stamp).await?;
    app.metrics.reports.inc();
    Ok(Json(ReportAnswer { hello: app.hello(), clock_ms }))
}

fn bounded(report: &Report) -> Result<(), Problem> {
    if report.conditions.len() > CONDITIONS_MAX {
        let detail = format!("{} conditions, more than {CONDITIONS_MAX}", report.conditions.len());
        return Err(Problem::new(Reason::LimitExceeded, detail).at("conditions"));
    }
    let sessions = report.drain.as_ref().map_or(0, |drain| drain.newest.len());
    if sessions > DRAIN_SESSIONS_MAX {
        let detail = format!("{sessions} sessions, more than {DRAIN_SESSIONS_MAX}");
        return Err(Problem::new(Reason::LimitExceeded, detail).at("drain.newest"));
    }
    if let Some(update) = &report.update {
        bounded_update(update)?;
    }
    let classes = report.answers.as_ref().map_or(0, |answers| answers.ttfb.len());
    if classes > TTFB_BOUNDS_MS.len() + 1 {
        let detail = format!("{classes} classes, more than {}", TTFB_BOUNDS_MS.len() + 1);
        return Err(Problem::new(Reason::LimitExceeded, detail).at("answers.ttfb"));
    }
    if report.routers.len() > ROUTERS_MAX {
        let detail = format!("{} routers, more than {ROUTERS_MAX}", report.routers.len());
        return Err(Problem::new(Reason::LimitExceeded, detail).at("routers"));
    }
    let domains = report.drain.iter().flat_map(|drain| drain.newest.iter().map(|session| &session.domain));
    let texts = report.conditions.iter().flat_map(|c| [&c.object, &c.text]);
    let texts = texts.chain(report.rejected.iter().map(|r| &r.reason)).chain([&report.hello.version]).chain(domains);
    if texts.into_iter().any(|t| t.len() > TEXT_BYTES_MAX) {
        return Err(Problem::new(Reason::LimitExceeded, format!("a text is longer than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn bounded_update(update: &UpdateReport) -> Result<(), Problem> {
    let burned = &update.state.burned;
    if burned.len() > BURNED_MAX {
        let detail = format!("{} burned digests, more than {BURNED_MAX}", burned.len());
        return Err(Problem::new(Reason::LimitExceeded, detail).at("update.state.burned"));
    }
    let slots = &update.slots;
    let texts = [&update.detail, &slots.active, &slots.manifest].into_iter().chain(burned).chain(&update.from);
    let texts = texts.chain(&slots.previous).chain(&slots.last_good).chain(update.keeper.as_ref().map(|keeper| &keeper.version));
    let texts = texts.chain(update.state.assignment.as_ref().map(|assignment| &assignment.manifest));
    if texts.into_iter().any(|text| text.len() > TEXT_BYTES_MAX) {
        let detail = format!("a text is longer than {TEXT_BYTES_MAX} bytes");
        return Err(Problem::new(Reason::LimitExceeded, detail).at("update"));
    }
    Ok(())
}
