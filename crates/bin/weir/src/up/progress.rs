//! What commands show while they work: a spinner on a terminal, plain lines elsewhere.

use crate::output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io::IsTerminal, time::Duration};

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Shows steps.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// On standard error, so that standard output stays the table.
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a constant template"));
            bar.enable_steady_tick(TURN);
            bar
        });
        Self { bar }
    }

    /// The step that begins now.
    pub(crate) fn step(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => eprintln!("weir: {text}"),
        }
    }

    /// Something to keep on the screen.
    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("weir: {text}")),
            None => eprintln!("weir: {text}"),
        }
    }

    /// The spinner goes.
    pub(crate) fn end(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// All done: the spinner goes, `text` is printed.
    pub(crate) fn finish(self, text: &str) -> anyhow::Result<()> {
        self.end();
        output::line(text)
    }
}
