//! `--wait`: stays with a software file until its checks have ended, and shows each row as it turns.

use super::{path, show};
use crate::{api_client::ApiClient, cli::Format, output};
use anyhow::bail;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io::IsTerminal, time::Duration};
use weir_model::{SoftwareState, Verdict};
use weir_operator_api::SoftwareFile;

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(250);

/// What is shown on the way: rows on standard output, what goes on now in a line that turns.
struct Rows {
    format: Format,
    bar: ProgressBar,
    shown: Vec<Verdict>,
}

impl Rows {
    fn new(format: Format) -> Self {
        let quiet = format == Format::Json || !std::io::stderr().is_terminal();
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()) };
        bar.set_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a constant template"));
        Self { format, bar, shown: Vec::new() }
    }

    fn show(&mut self, file: &SoftwareFile) -> anyhow::Result<()> {
        self.bar.set_message(show::now(file));
        self.bar.tick();
        if self.format == Format::Table {
            for row in turned(&mut self.shown, file) {
                self.bar.suspend(|| output::line(&row))?;
            }
        }
        Ok(())
    }
}

/// The rows that came to their end since the last look, but those that were skipped for no reason of their own.
fn turned(shown: &mut Vec<Verdict>, file: &SoftwareFile) -> Vec<String> {
    shown.resize(file.checks.len(), Verdict::Pending);
    let ended = |v: Verdict| matches!(v, Verdict::Passed | Verdict::Failed | Verdict::Skipped);
    let mut rows = Vec::new();
    for (before, row) in shown.iter_mut().zip(&file.checks) {
        let told = row.verdict != Verdict::Skipped || !row.detail.is_empty();
        if ended(row.verdict) && *before != row.verdict && told {
            rows.push(show::row(row));
        }
        *before = row.verdict;
    }
    rows
}

/// Whether a wait is over. A draft waits for a person, so nobody waits for it.
fn settled(state: SoftwareState) -> bool {
    state != SoftwareState::Validating
}

/// Every check passed.
fn sound(state: SoftwareState) -> bool {
    matches!(state, SoftwareState::Verified | SoftwareState::Prepositioning | SoftwareState::Ready)
}

/// Shows how it goes until it is settled; an error when a check failed.
pub(super) async fn to_the_end(api: &ApiClient, format: Format, mut file: SoftwareFile) -> anyhow::Result<()> {
    let mut rows = Rows::new(format);
    let mut looks = tokio::time::interval(LOOK);
    loop {
        rows.show(&file)?;
        if settled(file.state) {
            break;
        }
        looks.tick().await;
        file = api.get(&path(file.id)).await?;
    }
    rows.bar.finish_and_clear();
    if sound(file.state) {
        return output::print(format, &file, show::settled);
    }
    if format == Format::Json {
        output::print(format, &file, show::one)?;
    }
    bail!("{}", show::settled(&file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::software::show::tests::{checked, file};
    use weir_model::SoftwareCheck;

    #[test]
    fn a_row_is_shown_once_when_it_turns() {
        let mut shown = Vec::new();
        let mut seen = file(SoftwareState::Validating);
        let row = |check, verdict| checked(check, verdict, "found");
        seen.checks = vec![row(SoftwareCheck::Resolve, Verdict::Running), row(SoftwareCheck::Connect, Verdict::Pending)];
        assert_eq!(turned(&mut shown, &seen), Vec::<String>::new());
        seen.checks = vec![row(SoftwareCheck::Resolve, Verdict::Passed), row(SoftwareCheck::Connect, Verdict::Running)];
        assert_eq!(turned(&mut shown, &seen), ["passed   resolve     found"]);
        assert_eq!(turned(&mut shown, &seen), Vec::<String>::new());
        seen.checks = vec![row(SoftwareCheck::Resolve, Verdict::Passed), row(SoftwareCheck::Connect, Verdict::Failed)];
        assert_eq!(turned(&mut shown, &seen), ["failed   connect     found"]);
        let skipped = |detail| checked(SoftwareCheck::Size, Verdict::Skipped, detail);
        for (detail, rows) in [("", vec![]), ("none was stated", vec!["skipped  size        none was stated"])] {
            seen.checks = vec![skipped(detail)];
            assert_eq!(turned(&mut Vec::new(), &seen), rows);
        }
    }

    #[test]
    fn how_a_wait_ends() {
        for (state, over, well) in [
            (SoftwareState::Draft, true, false),
            (SoftwareState::Validating, false, false),
            (SoftwareState::Invalid, true, false),
            (SoftwareState::Verified, true, true),
            (SoftwareState::Ready, true, true),
            (SoftwareState::Withdrawn, true, false),
            (SoftwareState::Quarantined, true, false),
        ] {
            assert_eq!((settled(state), sound(state)), (over, well), "{state}");
        }
    }
}
