//! The Overview tab: what the device is, what it does, what is wrong with it.

use super::{Head, Tab, look};
use crate::{
    app::App,
    change::Refusal,
    gui::{
        Page, Refused, Section, Viewer,
        chart::{Chart, Line, Unit, gather},
        figures::{Bytes, Count, Moment, Span},
        home::{self, gain},
        html,
        links::Asked,
    },
    series::{self, Point},
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use std::{net::SocketAddr, sync::Arc};
use weir_model::Role;
use weir_operator_api::LastReport;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/devices/{name}", get(show))
}

/// A fact with its name and, where it has one, its hint.
struct Fact {
    name: &'static str,
    value: String,
    hint: String,
}

fn fact(name: &'static str, value: impl ToString, hint: &'static str) -> Fact {
    Fact { name, value: value.to_string(), hint: hint.to_owned() }
}

#[derive(Template)]
#[template(path = "device/overview.html", blocks = ["now"])]
struct OverviewPage {
    page: Page,
    head: Head,
    facts: Vec<Fact>,
    addresses: Vec<(&'static str, SocketAddr)>,
    load: Vec<Fact>,
    window: Window,
    charts: Vec<Chart>,
}

/// How far back the charts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Hour,
    Day,
}

impl Window {
    /// Its minutes, and the intervals they are drawn in.
    fn minutes(self) -> (u32, usize) {
        match self {
            Window::Hour => (60, 60),
            Window::Day => (24 * 60, 96),
        }
    }

    fn query(self) -> &'static str {
        match self {
            Window::Hour => "",
            Window::Day => "?window=day",
        }
    }
}

impl OverviewPage {
    fn report(&self) -> Option<&LastReport> {
        self.head.device.last_report.as_ref()
    }
}

fn facts(head: &Head) -> Vec<Fact> {
    let device = &head.device;
    let mut facts = vec![fact("Role", device.role, head.original())];
    if let Some(location) = &device.location {
        facts.push(fact("Location", location, ""));
    }
    if device.role == Role::Engine {
        facts.push(fact("Weight", device.weight, "share of new viewers relative to its peers, 0 to 100"));
        let capacity = device.capacity_mbps.map_or_else(|| "not stated".to_owned(), |c| format!("{} Mbit/s", Count(c.into())));
        facts.push(fact("Capacity", capacity, "what it can send; the capacity guard needs it"));
    }
    if let Some(report) = &device.last_report {
        facts.push(fact("Version", &report.version, ""));
        facts.push(fact("Worker up", Span(report.uptime_ms), "since its last start"));
        facts.push(fact("Worker crashes", report.worker_crashes, "since its keeper started"));
        facts.push(fact("Clock", skew(report.clock_skew_ms), "next to the manager's"));
    }
    facts.push(fact("Enrolled", Moment::at(device.enrolled_ms).text(), ""));
    facts.push(fact("Certificate", &device.certificate_sha256, "SHA-256 of the one it must show"));
    facts
}

fn skew(millis: i64) -> String {
    match (millis.unsigned_abs(), millis < 0) {
        (0..50, _) => "in step".to_owned(),
        (off, true) => format!("{} behind", Span(off)),
        (off, false) => format!("{} ahead", Span(off)),
    }
}

fn load(head: &Head) -> Vec<Fact> {
    let Some(report) = &head.device.last_report else { return Vec::new() };
    let load = &report.load;
    let mut facts = vec![Fact {
        name: "Requests",
        value: Count(load.requests).to_string(),
        hint: format!("since the worker started; {} now", Count(load.active_requests.into())),
    }];
    if head.device.role == Role::Engine {
        facts.insert(0, fact("Sessions", Count(load.sessions.into()), "viewers now"));
        facts.push(fact("To clients", Bytes(load.client_bytes), "since the worker started"));
        facts.push(fact("From origins", Bytes(load.origin_bytes), "since the worker started"));
        facts.push(fact(
            "Efficiency gain",
            gain(load.client_bytes, load.origin_bytes).unwrap_or_else(|| "\u{2013}".to_owned()),
            "1 - origin bytes / client bytes",
        ));
        facts.push(fact("Content held", Bytes(load.store_bytes), "in memory"));
    }
    facts
}

/// What it did: of an engine throughput and sessions, of the others requests.
async fn charts(app: &App, head: &Head, window: Window) -> Result<Vec<Chart>, Refused> {
    let (minutes, intervals) = window.minutes();
    let points = series::device(app, &head.device.name, minutes).await.map_err(Refusal::from)?;
    if head.device.role == Role::Engine {
        return Ok(home::charts(&points, intervals).into());
    }
    let gathered = gather(&points, intervals);
    let times = gathered.iter().filter_map(|g| g.first()).map(|p| p.at_ms).collect();
    let mean = |g: &&[Point]| g.iter().map(|p| p.requests).sum::<u64>() as f64 / g.len().max(1) as f64;
    let line = Line { name: "answered", values: gathered.iter().map(mean).collect() };
    Ok(vec![Chart::new("requests", "Requests per minute", Unit::Count, times, vec![line])])
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>, asked: Asked) -> Result<Response, Refused> {
    let (_, head) = look(&app, &name, Tab::Overview)?;
    let window = if asked.get("window") == "day" { Window::Day } else { Window::Hour };
    let charts = charts(&app, &head, window).await?;
    let a = head.device.addresses;
    let listeners = [
        ("HTTP", a.http),
        ("HTTPS", a.https),
        ("DNS", a.dns),
        ("Keepalive", a.keepalive),
        ("Device API", a.device),
        ("Metrics and health", a.admin),
    ];
    let shown = OverviewPage {
        page: Page::new(&app, &viewer, Section::Devices, name).await,
        facts: facts(&head),
        addresses: listeners.into_iter().filter_map(|(name, address)| Some((name, address?))).collect(),
        load: load(&head),
        window,
        charts,
        head,
    };
    Ok(if viewer.fragment { html(&shown.as_now()) } else { html(&shown) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_from_the_managers() {
        assert_eq!((skew(-20), skew(-1500), skew(2000)), ("in step".into(), "1 s behind".into(), "2 s ahead".into()));
    }
}
