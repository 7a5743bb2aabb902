//! The line that moves while something is waited for.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io::IsTerminal, time::Duration};

/// How often the line is drawn anew while nothing changes.
const TURN: Duration = Duration::from_millis(100);

/// What the line measures: so much of so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Measure {
    /// Nothing: the words are all there is.
    Words,
    /// Bytes that are there.
    Bytes(u64, u64),
    /// Sessions that have ended.
    Sessions(u64, u64),
    /// Devices that run what they are to run.
    Devices(u64, u64),
}

impl Measure {
    fn template(self) -> &'static str {
        match self {
            Measure::Words => "{spinner} {msg} ({elapsed})",
            Measure::Bytes(..) => "{spinner} {msg} [{bar:24}] {bytes} of {total_bytes} ({elapsed})",
            Measure::Sessions(..) => "{spinner} {msg} [{bar:24}] {pos} of {len} sessions ended ({elapsed})",
            Measure::Devices(..) => "{spinner} {msg} [{bar:24}] {pos} of {len} devices ({elapsed})",
        }
    }

    fn figures(self) -> (u64, u64) {
        match self {
            Measure::Words => (0, 0),
            Measure::Bytes(done, total) | Measure::Sessions(done, total) | Measure::Devices(done, total) => (done, total),
        }
    }
}

/// How something stands at one look.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) struct Moment {
    /// What goes on, with what and why.
    pub(in crate::commands) words: String,
    /// How far it is.
    pub(in crate::commands) measure: Measure,
    /// Where there is no terminal, a line is written when this has changed.
    pub(in crate::commands) about: String,
    /// That line.
    pub(in crate::commands) line: String,
}

/// A bar on a terminal's standard error; elsewhere lines there.
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    template: &'static str,
    /// What a line was last written about; nothing: the manager's silence.
    said: Option<String>,
}

impl Bar {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TURN);
            bar
        });
        Self { bar, template: "", said: None }
    }

    /// Shows how it stands.
    pub(super) fn show(&mut self, now: &Moment) {
        let Some(bar) = &self.bar else { return self.say(Some(&now.about), &now.line) };
        if self.template != now.measure.template() {
            self.template = now.measure.template();
            bar.set_style(ProgressStyle::with_template(self.template).expect("a constant template"));
        }
        let (position, length) = now.measure.figures();
        bar.set_length(length);
        bar.set_position(position);
        bar.set_message(now.words.clone());
    }

    /// The manager does not answer now.
    pub(super) fn silence(&mut self, error: &anyhow::Error) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("the manager does not answer: {error:#}")),
            None => self.say(None, "the manager does not answer; it is asked again"),
        }
    }

    fn say(&mut self, about: Option<&str>, line: &str) {
        if self.said.as_deref() != about {
            eprintln!("weir: {line}");
            self.said = about.map(ToOwned::to_owned);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_drawn() {
        for measure in [Measure::Words, Measure::Bytes(0, 1), Measure::Sessions(0, 1), Measure::Devices(0, 1)] {
            ProgressStyle::with_template(measure.template()).expect("a template");
        }
    }
}
