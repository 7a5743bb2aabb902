//! The home page: how the network is, at a glance.

use super::{
    Page, Refused, Section, Viewer,
    chart::{Chart, Line, Unit, bits_per_second, gather},
    errors::html,
    features::Waits,
    figures::{Bytes, Count, Moment},
    rollout::UnderWay,
};
use crate::{
    app::App,
    change::Refusal,
    device_view::counts,
    series::{self, Point},
    updates,
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};
use weir_model::{Role, Severity};
use weir_operator_api::{Alarm, AlarmCounts, DeviceCounts, DeviceUpdate, PairInfo};

/// Alarms shown.
const ALARMS_SHOWN: usize = 6;
/// Minutes of each window a chart shows, and the intervals it draws them in.
const HOUR: (u32, usize) = (60, 60);
const DAY: (u32, usize) = (24 * 60, 96);
const MINUTE_SECONDS: f64 = 60.0;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/", get(show)).route("/lights", get(lights))
}

/// How far back figures go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Window {
    #[default]
    Hour,
    Day,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    window: Window,
    part: Part,
}

/// What a live page asks for again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    #[default]
    Figures,
    Charts,
    Now,
}

#[derive(Template)]
#[template(path = "home.html", blocks = ["figures", "charts", "now"])]
struct Home {
    page: Page,
    window: Window,
    devices: DeviceCounts,
    sessions: u64,
    throughput: String,
    served: Bytes,
    /// `None`: no bytes were served.
    gain: Option<String>,
    charts: [Chart; 2],
    alarms: Vec<Alarm>,
    versions: Vec<Version>,
    /// Active devices, and those of them that run this configuration.
    active: usize,
    current: usize,
    /// What is missing before a viewer can be served.
    missing: Vec<Missing>,
    /// Updates of devices that go on; empty when none does.
    updates: String,
    /// A rollout that is not over.
    rollout: Option<UnderWay>,
    /// Features that wait for the upgrade.
    features: Waits,
    /// The standby; absent without one.
    pair: Option<PairInfo>,
}

/// Devices that run one version, by role: managers, routers, engines.
struct Version {
    version: String,
    counts: [usize; 3],
}

/// A step that has to be made before a viewer can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Location,
    Router,
    Engine,
    Service,
}

impl Home {
    fn chips(&self) -> Vec<(u32, &'static str, &'static str)> {
        let d = &self.devices;
        let all = [
            (d.online, "online", "ok"),
            (d.offloading, "offloading", "busy"),
            (d.offloaded, "offloaded", "out"),
            (d.offline, "offline", "critical"),
            (d.pending, "pending", "minor"),
            (d.inactive, "inactive", "off"),
        ];
        all.into_iter().filter(|(count, word, _)| *count > 0 || *word == "online").collect()
    }

    fn devices_total(&self) -> u32 {
        let DeviceCounts { inactive, pending, online, offline, offloading, offloaded } = self.devices;
        inactive + pending + online + offline + offloading + offloaded
    }

    fn ago(&self, at_ms: &u64) -> String {
        Moment::at(*at_ms).ago()
    }

    fn iso(&self, at_ms: &u64) -> String {
        Moment::at(*at_ms).iso()
    }

    fn count(&self, number: &u64) -> Count {
        Count(*number)
    }
}

impl Window {
    fn word(self) -> &'static str {
        match self {
            Window::Hour => "last hour",
            Window::Day => "last 24 hours",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Window::Hour => "/",
            Window::Day => "/?window=day",
        }
    }

    fn charts(self) -> &'static str {
        match self {
            Window::Hour => "/?part=charts",
            Window::Day => "/?window=day&part=charts",
        }
    }

    fn now(self) -> &'static str {
        match self {
            Window::Hour => "/?part=now",
            Window::Day => "/?window=day&part=now",
        }
    }
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, asked: Result<Query<Asked>, QueryRejection>) -> Result<Response, Refused> {
    let Asked { window, part } = asked.map(|Query(a)| a).unwrap_or_default();
    let (minutes, intervals) = match window {
        Window::Hour => HOUR,
        Window::Day => DAY,
    };
    let points = series::network(&app, minutes).await.map_err(Refusal::from)?;
    let mut alarms = crate::watch::standing(&app).await.map_err(Refusal::from)?;
    alarms.sort_by_key(|a| (Reverse(rank(a.severity)), Reverse(a.raised_ms)));
    alarms.truncate(ALARMS_SHOWN);
    let network = app.network();
    let (versions, sessions, current) = running(&app);
    let total = |of: fn(&Point) -> u64| points.iter().map(of).sum::<u64>();
    let (client_bytes, origin_bytes) = (total(|p| p.client_bytes), total(|p| p.origin_bytes));
    let last = points.last().copied().unwrap_or_default();
    let home = Home {
        page: Page::new(&app, &viewer, Section::Home, "Home").await,
        window,
        devices: counts(&app, &network),
        sessions,
        throughput: bits_per_second(last.client_bytes as f64 * 8.0 / MINUTE_SECONDS),
        served: Bytes(client_bytes),
        gain: gain(client_bytes, origin_bytes),
        charts: charts(&points, intervals),
        alarms,
        versions,
        active: network.devices.values().filter(|d| d.active).count(),
        current,
        missing: missing(&app),
        updates: updates_said(&updates::list(&app)),
        rollout: UnderWay::read(&app),
        features: Waits::read(&app),
        pair: app.pair.info(&app),
    };
    Ok(match part {
        _ if !viewer.fragment => html(&home),
        Part::Figures => html(&home.as_figures()),
        Part::Charts => html(&home.as_charts()),
        Part::Now => html(&home.as_now()),
    })
}

fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Minor => 0,
        Severity::Major => 1,
        Severity::Critical => 2,
    }
}

/// The share of bytes viewers got that no origin had to send.
pub(super) fn gain(client_bytes: u64, origin_bytes: u64) -> Option<String> {
    if client_bytes == 0 {
        return None;
    }
    let gain = 100.0 * (1.0 - origin_bytes as f64 / client_bytes as f64);
    // Rounded down: 100 % is said only when no origin sent anything.
    Some(format!("{:.1} %", (gain * 10.0).floor() / 10.0).replace('-', "\u{2212}"))
}

/// Throughput and sessions.
pub(super) fn charts(points: &[Point], intervals: usize) -> [Chart; 2] {
    let gathered = gather(points, intervals);
    let times: Vec<u64> = gathered.iter().filter_map(|g| g.first()).map(|p| p.at_ms).collect();
    let rate = |of: fn(&Point) -> u64| {
        let mean = |g: &&[Point]| g.iter().map(of).sum::<u64>() as f64 * 8.0 / (MINUTE_SECONDS * g.len().max(1) as f64);
        gathered.iter().map(mean).collect()
    };
    let sessions = gathered.iter().map(|g| g.iter().map(|p| f64::from(p.sessions)).fold(0.0, f64::max)).collect();
    let out = Line { name: "to viewers", values: rate(|p| p.client_bytes) };
    let origin = Line { name: "from origins", values: rate(|p| p.origin_bytes) };
    [
        Chart::new("throughput", "Throughput", Unit::BitsPerSecond, times.clone(), vec![out, origin]),
        Chart::new("sessions", "Sessions", Unit::Count, times, vec![Line { name: "viewers", values: sessions }]),
    ]
}

/// The versions devices run, the sessions they have, and how many active ones run this configuration.
fn running(app: &App) -> (Vec<Version>, u64, usize) {
    let network = app.network();
    let mut versions: BTreeMap<Option<String>, [usize; 3]> = BTreeMap::new();
    let (mut sessions, mut current) = (0, 0);
    app.reports.with_all(|heard| {
        for record in network.devices.values() {
            let report = heard.get(&record.name).map(|h| &h.report);
            let version = report.map(|r| r.hello.version.clone());
            let role = match record.role {
                Role::Manager => 0,
                Role::Router => 1,
                Role::Engine => 2,
            };
            versions.entry(version).or_default()[role] += 1;
            if record.active && record.role == Role::Engine {
                sessions += u64::from(report.map_or(0, |r| r.load.sessions));
            }
            current += usize::from(record.active && report.is_some_and(|r| r.hello.stamp >= network.stamp));
        }
    });
    // Newest first, then what is no version, then those that never reported.
    let mut versions: Vec<_> = versions.into_iter().collect();
    versions.sort_by_cached_key(|(version, _)| Reverse(version.as_ref().map(|v| (v.parse::<weir_model::Version>().ok(), v.clone()))));
    let word = |version: Option<String>| version.unwrap_or_else(|| "not reported".to_owned());
    let versions = versions.into_iter().map(|(version, counts)| Version { version: word(version), counts });
    (versions.collect(), sessions, current)
}

fn missing(app: &App) -> Vec<Missing> {
    let network = app.network();
    let checks = [
        (network.locations.is_empty(), Missing::Location),
        (network.active(Role::Router).next().is_none(), Missing::Router),
        (network.active(Role::Engine).next().is_none(), Missing::Engine),
        (network.services.is_empty(), Missing::Service),
    ];
    checks.into_iter().filter(|(is_missing, _)| *is_missing).map(|(_, what)| what).collect()
}

/// How many devices are on their way to another version, and how many of them wait; empty when nobody is.
fn updates_said(updates: &[DeviceUpdate]) -> String {
    let (mut moving, mut waiting, mut staged) = (0, 0, 0);
    for update in updates.iter().filter(|update| !update.at_rest) {
        match &update.waiting {
            None => moving += 1,
            Some(_) if update.stage == "staged" => staged += 1,
            Some(_) => waiting += 1,
        }
    }
    let parts = [(moving, "on the way"), (waiting, "waiting for something"), (staged, "staged, waiting for you")];
    let said = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    said.collect::<Vec<_>>().join(", ")
}

#[derive(Template)]
#[template(path = "lights.html")]
struct Lights {
    page: LightsOf,
}

/// What `lights.html` reads of a page.
struct LightsOf {
    lights: AlarmCounts,
}

impl LightsOf {
    fn alarms(&self) -> u32 {
        self.lights.minor + self.lights.major + self.lights.critical
    }
}

/// The alarm lights of the frame, by themselves.
async fn lights(State(app): State<Arc<App>>, _viewer: Viewer) -> Result<Response, Refused> {
    let standing = crate::watch::standing(&app).await.map_err(Refusal::from)?;
    Ok(html(&Lights { page: LightsOf { lights: super::page::lights(standing.iter().map(|a| a.severity)) } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gain_is_not_said_without_bytes_and_never_rounded_up() {
        for (client, origin, expected) in [
            (0, 0, None),
            (0, 5, None),
            (100, 0, Some("100.0 %")),
            (100_000, 1, Some("99.9 %")),
            (100, 25, Some("75.0 %")),
            (100, 150, Some("\u{2212}50.0 %")),
        ] {
            assert_eq!(gain(client, origin).as_deref(), expected, "{client} {origin}");
        }
    }

    #[test]
    fn updates_are_one_line_and_none_is_no_line() {
        use crate::gui::update_software::update;
        let waits = DeviceUpdate { waiting: Some(crate::gui::update_software::why("guard")), ..update("offload_requested") };
        let staged = DeviceUpdate { waiting: Some(crate::gui::update_software::why("reload_needed")), ..update("staged") };
        let done = DeviceUpdate { at_rest: true, successful: Some(true), ..update("done") };
        assert_eq!(updates_said(&[]), "");
        assert_eq!(updates_said(std::slice::from_ref(&done)), "");
        let all = [update("fetching"), update("trial"), waits, staged, done];
        assert_eq!(updates_said(&all), "2 on the way, 1 waiting for something, 1 staged, waiting for you");
    }
}
