//! The Logs tab: the last lines of the device's log, as the device itself reads them.

use super::{Head, Tab, look};
use crate::{
    app::App,
    gui::{Page, Refused, Section, Viewer, figures::Moment, html, links::Asked, rejected::Rejected},
    verbs,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use serde_json::{Map, Value};
use std::sync::Arc;
use weir_operator_api::device::LOG_LINES;

/// Choices of how many lines.
const LINES: [u32; 4] = [100, 300, 1_000, 3_000];

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/devices/{name}/logs", get(show))
}

#[derive(Template)]
#[template(path = "device/logs.html", blocks = ["lines"])]
struct LogsPage {
    page: Page,
    head: Head,
    wanted: u32,
    level: Level,
    lines: Vec<Line>,
    rejected: Rejected,
}

impl LogsPage {
    fn choices(&self) -> [u32; 4] {
        LINES
    }

    fn levels(&self) -> [Level; 4] {
        [Level::Error, Level::Warn, Level::Info, Level::Debug]
    }
}

/// How much a line matters; the order is from most to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    fn read(word: &str) -> Option<Self> {
        match word {
            "error" => Some(Level::Error),
            "warn" => Some(Level::Warn),
            "info" => Some(Level::Info),
            "debug" | "trace" => Some(Level::Debug),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    /// The class of its badge.
    fn badge(self) -> &'static str {
        match self {
            Level::Error => "critical",
            Level::Warn => "minor",
            Level::Info => "info",
            Level::Debug => "off",
        }
    }
}

/// A line of the log.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    at: Option<Moment>,
    level: Level,
    message: String,
    /// What else it says, by name.
    fields: Vec<(String, String)>,
}

/// What every line says and the page's head says once.
const LEFT_OUT: [&str; 9] = ["clock_ms", "level", "message", "device", "role", "version", "term", "generation", "target"];

impl Line {
    /// Reads a line; one that is no JSON object is shown as it is.
    fn read(text: &str) -> Self {
        let Ok(mut said) = serde_json::from_str::<Map<String, Value>>(text) else {
            return Self { at: None, level: Level::Info, message: text.to_owned(), fields: Vec::new() };
        };
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let at = said.get("clock_ms").and_then(Value::as_u64).map(Moment::at);
        let level = said.get("level").and_then(Value::as_str).and_then(Level::read).unwrap_or(Level::Info);
        let message = said.get("message").map(plain).unwrap_or_default();
        said.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
        Self { at, level, message, fields: said.iter().map(|(name, value)| (name.clone(), plain(value))).collect() }
    }
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>, asked: Asked) -> Result<Response, Refused> {
    let (_, head) = look(&app, &name, Tab::Logs)?;
    let wanted = asked.read("lines").unwrap_or(LOG_LINES);
    let level = Level::read(asked.get("level")).unwrap_or(Level::Debug);
    let (lines, rejected) = match verbs::logs(&app, &name, wanted).await {
        // Newest first: what one looks for is mostly what just happened.
        Ok(logs) => (logs.lines.iter().rev().map(|l| Line::read(l)).filter(|l| l.level <= level).collect(), Rejected::default()),
        Err(problem) => (Vec::new(), problem.into()),
    };
    let page = Page::new(&app, &viewer, Section::Devices, format!("{name}: logs")).await;
    let shown = LogsPage { page, head, wanted, level, lines, rejected };
    Ok(if viewer.fragment { html(&shown.as_lines()) } else { html(&shown) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_or_shown_as_it_is() {
        let line = Line::read(r#"{"clock_ms":1700000000000,"level":"warn","device":"e","message":"slow <b>","count":3,"why":"x \"y\""}"#);
        assert_eq!((line.level, line.message.as_str()), (Level::Warn, "slow <b>"));
        assert_eq!(line.at.map(|a| a.iso()).as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(line.fields, [("count".to_owned(), "3".to_owned()), ("why".to_owned(), "x \"y\"".to_owned())]);
        let other = Line::read("thread panicked");
        assert_eq!((other.at, other.message.as_str()), (None, "thread panicked"));
    }
}
