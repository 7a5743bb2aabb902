//! `weir export` and `weir apply`.

mod file;
mod show;

use crate::{
    api_client::{ApiClient, escape},
    cli::{ApplyArgs, Format},
    output,
};
use anyhow::{Context, bail};
use file::File;
use std::time::Duration;
use weir_operator_api::{ApplyOutcome, NetworkDocument, Problem, Reason, paths};

/// How much longer than another answer that of an apply may take: every object of a large network is judged.
const APPLY_TIME: Duration = Duration::from_secs(120);

pub(super) async fn export(api: &ApiClient, format: Format) -> anyhow::Result<()> {
    let document: NetworkDocument = api.get(paths::EXPORT).await?;
    match format {
        Format::Json => output::print(format, &document, |_| String::new()),
        Format::Table => output::line(toml::to_string(&document).context("write the network as TOML")?.trim_end()),
    }
}

pub(super) async fn apply(api: &ApiClient, format: Format, arguments: ApplyArgs) -> anyhow::Result<()> {
    let file = File::read(&arguments.file)?;
    let mut path = format!("{}?dry_run={}", paths::APPLY, arguments.dry_run);
    if let Some(hash) = &arguments.confirm {
        path += &format!("&confirm={}", escape(hash));
    }
    let applied = api.post_kept_back(&path, &file.document, APPLY_TIME).await;
    let outcome: ApplyOutcome = applied.map_err(|error| told(error, &file))?;
    output::print(format, &outcome, |outcome| show::outcome(outcome, &file))?;
    let refused = outcome.changes.iter().filter(|change| change.refused.is_some()).count();
    match (refused, outcome.applied) {
        (0, _) => Ok(()),
        (refused, true) => bail!("{refused} refused and left as they were; everything else was applied"),
        (refused, false) => bail!("{refused} would be refused"),
    }
}

/// A refusal of the whole document, with the line it is about, and with the option that goes on from it.
fn told(error: anyhow::Error, file: &File) -> anyhow::Error {
    let problem = match error.downcast::<Problem>() {
        Ok(problem) => problem,
        Err(error) => return error,
    };
    let problem = match problem.reason {
        Reason::ConfirmationNeeded | Reason::ConfirmationStale => {
            Problem { field: None, ..problem }.next_step("look at it with `--dry-run`, then repeat it with `--confirm HASH`")
        }
        _ => problem,
    };
    match problem.field.as_deref().and_then(|place| file.at(place)) {
        Some(at) => anyhow::Error::from(problem).context(at),
        None => problem.into(),
    }
}
