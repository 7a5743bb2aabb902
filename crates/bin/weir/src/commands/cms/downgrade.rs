//! `weir cms database downgrade`: the database back to a schema this program can run on.
//!
//! The worker of the box does it over the control socket; when none runs, this process does it itself.

use super::{ThisBox, database, info, path};
use crate::{
    cli::{DatabaseVerb, DowngradeArgs, Format},
    output,
    worker::device::Device,
};
use std::{collections::BTreeMap, time::Duration};
use weir_manager::downgrade_offline;
use weir_operator_api::{DowngradePlan, DowngradeRequest};

/// Patience with a trial on a copy, the end of what runs, and the downgrade itself, each of which reads the whole database.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) async fn run(this: &ThisBox, format: Format, arguments: &DowngradeArgs) -> anyhow::Result<()> {
    if let Some(file) = &arguments.from_backup {
        return database::run(this, format, DatabaseVerb::Restore { file: file.clone(), accept_loss: arguments.accept_loss }).await;
    }
    let alone = arguments.why.clone().filter(|_| arguments.alone);
    let request = DowngradeRequest { plan: arguments.plan, to: arguments.to, alone };
    let plan = if this.answers().await {
        this.api.post_kept_back(&path("/database/downgrade"), &request, PATIENCE).await.map_err(|error| info::of_silence(this, error))?
    } else {
        let (data, name) = (this.data.clone(), Device::read(&this.data)?.name);
        tokio::task::spawn_blocking(move || downgrade_offline(&data, &name, &request)).await??
    };
    output::print(format, &plan, text)
}

fn text(plan: &DowngradePlan) -> String {
    let DowngradePlan { from, to, steps, done } = plan;
    if steps.is_empty() {
        return format!("the database is at schema step {from}, which this program knows: nothing is to be taken back");
    }
    let rows = steps.iter().map(|step| {
        let written_by = output::or_dash(step.written_by.as_ref());
        [step.step.to_string(), step.name.clone(), written_by, step.down_sha256.clone(), parked(&step.parked)]
    });
    let table = output::table(["STEP", "NAME", "WRITTEN BY", "WAY BACK, SHA-256", "PARKED"], rows);
    let what = if *done {
        format!(
            "the database was taken back from schema step {from} to {to}; config.db.previous beside it is what it was.\nThe box is disabled: `weir cms enable` lets it go on."
        )
    } else {
        format!("would take the database back from schema step {from} to {to}; tried on a copy, nothing is changed")
    };
    format!("{table}\n{what}")
}

/// How many rows wait for the newer build, by the table they are from.
fn parked(attics: &BTreeMap<String, u64>) -> String {
    let of =
        |attic: &str| attic.strip_prefix("attic_").and_then(|rest| rest.split_once('_')).map_or(attic.to_owned(), |(_, of)| of.to_owned());
    let rows: Vec<_> = attics.iter().map(|(attic, rows)| format!("{rows} of {}", of(attic))).collect();
    if rows.is_empty() { "nothing".to_owned() } else { rows.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_operator_api::DowngradeStep;

    fn plan(done: bool) -> DowngradePlan {
        let step = DowngradeStep {
            step: 8,
            name: "service detail".to_owned(),
            written_by: Some("1.1.0-b1".to_owned()),
            down_sha256: "ab".repeat(32),
            parked: BTreeMap::from([("attic_8_delivery_service".to_owned(), 3)]),
        };
        DowngradePlan { from: 8, to: 7, steps: vec![step], done }
    }

    #[test]
    fn it_says_what_goes_who_wrote_it_and_what_waits() {
        let planned = text(&plan(false));
        for said in ["8", "service detail", "1.1.0-b1", &"ab".repeat(32), "3 of delivery_service", "nothing is changed"] {
            assert!(planned.contains(said), "{said:?} in {planned}");
        }
        assert!(text(&plan(true)).contains("weir cms enable"));
        let nothing = text(&DowngradePlan { from: 7, to: 7, steps: vec![], done: true });
        assert!(nothing.contains("nothing is to be taken back") && !nothing.contains("disabled"), "{nothing}");
    }
}
