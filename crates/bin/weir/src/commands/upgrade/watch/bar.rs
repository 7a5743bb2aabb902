//! The line that moves while a device is updated: bytes, sessions left, or the words of its stage.

use crate::commands::upgrade::show;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io::IsTerminal, time::Duration};
use weir_operator_api::DeviceUpdate;

/// How often the line is drawn anew while nothing changes.
const TURN: Duration = Duration::from_millis(100);

/// What the line measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Nothing: the words are all there is.
    Words,
    /// Bytes of the archive: those that are there, and all.
    Bytes(u64, u64),
    /// Sessions that have ended since the most that were seen, and those.
    Sessions(u64, u64),
}

impl Measure {
    /// What there is to measure now; `most` are the most sessions seen while it is drained.
    fn of(now: &DeviceUpdate, most: &mut u32) -> Self {
        if let Some(fetch) = now.fetch.as_ref().filter(|fetch| now.stage == "fetching" && fetch.total > 0) {
            return Measure::Bytes(fetch.done.min(fetch.total), fetch.total);
        }
        if !matches!(now.stage.as_str(), "offload_requested" | "draining") {
            *most = 0;
            return Measure::Words;
        }
        *most = now.sessions.max(*most);
        if *most == 0 { Measure::Words } else { Measure::Sessions(u64::from(*most - now.sessions), u64::from(*most)) }
    }

    fn template(self) -> &'static str {
        match self {
            Measure::Words => "{spinner} {msg} ({elapsed})",
            Measure::Bytes(..) => "{spinner} {msg} [{bar:24}] {bytes} of {total_bytes} ({elapsed})",
            Measure::Sessions(..) => "{spinner} {msg} [{bar:24}] {pos} of {len} sessions ended ({elapsed})",
        }
    }

    fn figures(self) -> (u64, u64) {
        match self {
            Measure::Words => (0, 0),
            Measure::Bytes(done, total) | Measure::Sessions(done, total) => (done, total),
        }
    }
}

/// A bar on a terminal's standard error; elsewhere a line there for each stage and each thing it waits for.
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    template: &'static str,
    /// The stage, and the word for what it waits for, that a line was last written about.
    said: (String, String),
    most: u32,
}

impl Bar {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TURN);
            bar
        });
        Self { bar, template: "", said: Default::default(), most: 0 }
    }

    /// Shows how the device stands.
    pub(super) fn show(&mut self, now: &DeviceUpdate) {
        let measure = Measure::of(now, &mut self.most);
        let Some(bar) = &self.bar else {
            let waits = now.waiting.as_ref().map(|why| why.reason.clone());
            return self.say((now.stage.clone(), waits.unwrap_or_default()), &line(now));
        };
        if self.template != measure.template() {
            self.template = measure.template();
            bar.set_style(ProgressStyle::with_template(self.template).expect("a constant template"));
        }
        let (position, length) = measure.figures();
        bar.set_length(length);
        bar.set_position(position);
        bar.set_message(format!("{}: {}", now.device, show::now(now)));
    }

    /// The manager does not answer now.
    pub(super) fn silence(&mut self, error: &anyhow::Error) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("the manager does not answer: {error:#}")),
            None => self.say(Default::default(), "the manager does not answer; it is asked again"),
        }
    }

    fn say(&mut self, about: (String, String), line: &str) {
        if self.said != about {
            eprintln!("weir: {line}");
            self.said = about;
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How it stands in one line.
fn line(now: &DeviceUpdate) -> String {
    let waits = now.waiting.as_ref().map(|why| format!("; waiting: {} ({})", why.detail.trim_end_matches('.'), why.reason));
    format!("{}: {}{}", now.device, now.stage.replace('_', " "), waits.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::upgrade::show::tests::update;
    use weir_operator_api::UpdateFetch;

    #[test]
    fn bytes_while_it_fetches_and_sessions_while_it_is_drained() {
        let mut most = 0;
        let mut now = update("fetching");
        assert_eq!(Measure::of(&now, &mut most), Measure::Words, "nobody knows how long it is");
        now.fetch = Some(UpdateFetch { done: 30, total: 20, from: None });
        assert_eq!(Measure::of(&now, &mut most), Measure::Bytes(20, 20));
        now.stage = "draining".into();
        assert_eq!(Measure::of(&now, &mut most), Measure::Words, "nobody watches");
        for (sessions, measure) in [(3, Measure::Sessions(0, 3)), (5, Measure::Sessions(0, 5)), (1, Measure::Sessions(4, 5))] {
            now.sessions = sessions;
            assert_eq!(Measure::of(&now, &mut most), measure);
        }
        now.stage = "switching".into();
        assert_eq!((Measure::of(&now, &mut most), most), (Measure::Words, 0));
    }

    #[test]
    fn every_template_can_be_drawn() {
        for measure in [Measure::Words, Measure::Bytes(0, 1), Measure::Sessions(0, 1)] {
            ProgressStyle::with_template(measure.template()).expect("a template");
        }
    }

    #[test]
    fn without_a_terminal_a_line_stands_for_a_stage() {
        let mut now = update("offload_requested");
        assert_eq!(line(&now), "east-1: offload requested");
        now.waiting = Some(crate::commands::upgrade::show::tests::reason("guard"));
        assert_eq!(line(&now), "east-1: offload requested; waiting: what exactly (guard)");
    }
}
