//! What may be typed after `weir upgrade` and `weir downgrade`.

use super::{PlanArgs, PlanDownArgs, RolloutVerb, StartArgs, duration};
use clap::{ArgGroup, Args, Subcommand};
use std::time::Duration;
use weir_model::Version;

/// Bring the network, a part of it or one device to a higher version, and see how they stand.
#[derive(Subcommand)]
pub(crate) enum UpgradeVerb {
    /// Plan a rollout, of the whole network or a part of it, and show exactly what `start` would run; nothing changes
    Plan(PlanArgs),
    /// Start a plan
    Start(StartArgs),
    /// Assign a router or engine a higher version: it fetches, leaves service, switches, proves itself, or falls back by itself
    Device(AssignArgs),
    /// The rollout while there is one; else how every device stands that was ever assigned a version. With a name: that device in full
    Status {
        /// Device name
        device: Option<String>,
    },
    /// Let a device switch whose image is staged and that waits for you (Auto Reload off)
    Reload {
        /// Device name
        device: String,
        #[command(flatten)]
        wait: UpdateWait,
    },
    /// Let go of what a device is assigned; only before it switches
    Cancel {
        /// Device name
        device: String,
        #[command(flatten)]
        wait: UpdateWait,
    },
    /// Let images be tried again that fell back on a device
    ClearBurned {
        /// Device name
        device: String,
        #[command(flatten)]
        wait: UpdateWait,
    },
    #[command(flatten)]
    Rollout(RolloutVerb),
}

/// Bring the network, a part of it or one device back to a lower version.
#[derive(Subcommand)]
pub(crate) enum DowngradeVerb {
    /// Plan a rollout downwards, of the whole network or a part of it, and show exactly what `start` would run; nothing changes. Of the
    /// whole network its driver is cli unless you say otherwise: you switch the managers yourself, at the command line of each
    Plan(PlanDownArgs),
    /// Start a plan; who switches the managers was said when it was planned (cli unless planned with --driver gui; on a page it is a choice)
    Start(StartArgs),
    /// Assign a router or engine a lower version; it goes the same way
    Device(AssignArgs),
}

/// What a device is to become.
#[derive(Args)]
#[command(group(ArgGroup::new("release").required(true).args(["to", "file"])))]
pub(crate) struct AssignArgs {
    /// Device name
    pub(crate) device: String,
    /// The version; one software file of it is ready
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<Version>,
    /// Number of a software file that is ready
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) file: Option<i64>,
    /// Switch as soon as the image is staged; without --reload and --no-reload: as the software file says
    #[arg(long, conflicts_with = "no_reload")]
    pub(crate) reload: bool,
    /// Rest with the image staged until `weir upgrade reload DEVICE`
    #[arg(long)]
    pub(crate) no_reload: bool,
    /// Hand an engine's listeners over while it serves, instead of draining it first; routers always are
    #[arg(long)]
    pub(crate) hand_over: bool,
    /// Offload it although that breaks a floor of the capacity guard
    #[arg(long = "override")]
    pub(crate) overrides: bool,
    /// Only show what would happen, in order, and why it would be refused
    #[arg(long, conflicts_with = "wait")]
    pub(crate) preview: bool,
    #[command(flatten)]
    pub(crate) wait: UpdateWait,
}

impl AssignArgs {
    /// Whether it switches by itself; nothing: as the software file says.
    pub(crate) fn auto_reload(&self) -> Option<bool> {
        (self.reload || self.no_reload).then_some(self.reload)
    }
}

#[derive(Args, Clone, Copy)]
pub(crate) struct UpdateWait {
    /// Stay until nothing moves any more, and show how it goes; exit code 1 when it did not become what was asked
    #[arg(long)]
    pub(crate) wait: bool,
    /// Give the wait up after this time, such as 90s or 10m; the update goes on
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "wait")]
    pub(crate) wait_for: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn typed(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(std::iter::once("weir").chain(line.split_whitespace())).map(|cli| cli.command)
    }

    #[test]
    fn what_may_be_typed() {
        for line in [
            "upgrade device east-1 --to 1.1.0-b1",
            "upgrade device east-1 --to 1.1.0.b.1 --no-reload --wait",
            "upgrade device east-1 --file 3 --reload --hand-over --override --wait --wait-for 10m",
            "upgrade device east-1 --to 1.1.0-b1 --hand-over --preview",
            "upgrade status",
            "upgrade status east-1",
            "upgrade reload east-1 --wait",
            "upgrade cancel east-1",
            "upgrade clear-burned east-1 --wait",
            "downgrade device east-1 --to 1.0.0-b1 --wait",
        ] {
            typed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_may_not() {
        for line in [
            "upgrade",
            "upgrade device",
            "upgrade device east-1",
            "upgrade device east-1 --to 1.1",
            "upgrade device east-1 --file 0",
            "upgrade device east-1 --to 1.1.0-b1 --file 3",
            "upgrade device east-1 --to 1.1.0-b1 --reload --no-reload",
            "upgrade device east-1 --to 1.1.0-b1 --wait-for 10m",
            "upgrade device east-1 --to 1.1.0-b1 --preview --wait",
            "upgrade reload",
            "downgrade status",
            "downgrade cancel east-1",
        ] {
            let Err(error) = typed(line) else { panic!("{line}") };
            assert!(error.use_stderr(), "{line} is a usage error: exit code 64");
        }
    }

    #[test]
    fn the_file_says_whether_it_switches_by_itself_unless_somebody_does() {
        for (options, expected) in [("", None), ("--reload", Some(true)), ("--no-reload", Some(false))] {
            let Ok(Command::Upgrade { verb: UpgradeVerb::Device(arguments) }) = typed(&format!("upgrade device e --file 1 {options}"))
            else {
                panic!("{options}")
            };
            assert_eq!(arguments.auto_reload(), expected, "{options}");
        }
    }
}
