//! What is measured: the words of the command line.

use anyhow::{Context, bail};
use std::path::PathBuf;

pub(crate) struct Plan {
    /// Devices.
    pub(crate) count: usize,
    /// Locations they are spread over.
    pub(crate) locations: usize,
    /// Delivery services in the network.
    pub(crate) services: usize,
    /// Changes that are timed.
    pub(crate) changes: usize,
    /// How long to measure, in seconds: half of it quiet, the other half with the changes.
    pub(crate) seconds: u64,
    /// Whether documents name the devices: as engines that listen for viewers.
    pub(crate) listed: bool,
    /// Where the figures are added, one JSON object a line.
    pub(crate) out: Option<PathBuf>,
}

pub(crate) fn read() -> anyhow::Result<Plan> {
    let mut plan = Plan { count: 10_000, locations: 100, services: 20, changes: 10, seconds: 120, listed: true, out: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--unlisted" {
            plan.listed = false;
            continue;
        }
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--count" => plan.count = value.parse()?,
            "--locations" => plan.locations = value.parse()?,
            "--services" => plan.services = value.parse()?,
            "--changes" => plan.changes = value.parse()?,
            "--seconds" => plan.seconds = value.parse()?,
            "--out" => plan.out = Some(value.into()),
            _ => bail!("{word} is not one of --count, --locations, --services, --changes, --seconds, --unlisted, --out"),
        }
    }
    Ok(plan)
}
