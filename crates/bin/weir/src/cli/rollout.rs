//! What may be typed of rollouts, after `weir upgrade` and, to plan and start one, `weir downgrade`.

mod plan;
mod window;

pub(crate) use plan::{Driver, PlanArgs, PlanDownArgs};

use super::duration;
use clap::{Args, Subcommand};
use std::{path::PathBuf, time::Duration};

/// Fewest digits of a plan's hash that name it.
pub(crate) const HASH_DIGITS_MIN: usize = 12;

/// Which plan is to run.
#[derive(Args)]
pub(crate) struct StartArgs {
    /// Its hash as `plan` showed it, the first twelve digits or more: exactly that plan is started, with all that was said of it there
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub(crate) plan: String,
    #[command(flatten)]
    pub(crate) wait: RolloutWait,
}

/// What is said to the rollout there is.
#[derive(Subcommand)]
pub(crate) enum RolloutVerb {
    /// The rollout there is, or was last: as a whole, its waves, its devices
    Show {
        #[command(flatten)]
        wait: RolloutWait,
    },
    /// Begin nothing new; a device past the point of no return goes on to its end, and managers on their way are brought to one version
    Pause {
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        wait: RolloutWait,
    },
    /// Let a paused or aborted rollout go on; a wave that failed is tried again
    Resume {
        #[command(flatten)]
        wait: RolloutWait,
    },
    /// Let go what can be let go, and rest as things are then: resume or revert leads on
    Abort {
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        wait: RolloutWait,
    },
    /// Turn it: everything goes back to what there was
    Revert {
        #[command(flatten)]
        wait: RolloutWait,
    },
    /// Keep the network's level where it is when the soak is over: features of the new line wait
    Hold {
        #[command(flatten)]
        why: Why,
    },
    /// End the soak and let the level rise, also one that is held
    Finalise {
        #[command(flatten)]
        wait: RolloutWait,
    },
    /// Take versions that nobody told devices as meant, and lead these devices to the target; `resume` lets the rollout go on
    Restate {
        #[command(flatten)]
        wait: RolloutWait,
    },
    /// The journal's records of the rollout there is, or was last, a line each: what `weir-sim --replay` reads
    Export {
        /// Where to; absent: standard output
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Features of this build that wait, the devices each waits for, and objects that are parked
    Features,
    /// Why a device moves or does not, and what to do
    Explain {
        /// Device name
        device: String,
    },
    /// Say that a device is dead: nobody waits for it until it is heard
    Excuse {
        /// Device name
        device: String,
        #[command(flatten)]
        why: Why,
    },
    /// Keep a device as it is
    Pin {
        /// Device name
        device: String,
        #[command(flatten)]
        why: Why,
        /// Let it move again by itself after this time, such as 45m, 2h, 3d; absent: when it is unpinned
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        for_: Option<Duration>,
    },
    /// Let a pinned device move again
    Unpin {
        /// Device name
        device: String,
    },
    /// Try a device again that went back or let its word go
    Retry {
        /// Device name
        device: String,
    },
    /// End a device's drain although viewers still watch there: their sessions are cut
    Force {
        /// Device name
        device: String,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Args)]
pub(crate) struct Why {
    /// Why, for whoever reads it later
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct RolloutWait {
    /// Stay until the rollout is over, paused or aborted, and show how it goes; exit code 1 when it did not end as asked
    #[arg(long)]
    pub(crate) wait: bool,
    /// Give the wait up after this time, such as 90s or 10m; the rollout goes on
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "wait")]
    pub(crate) wait_for: Option<Duration>,
}

/// Reads enough of a plan's hash.
fn hash(text: &str) -> Result<String, String> {
    let is_hash = text.len() >= HASH_DIGITS_MIN && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase()).ok_or_else(|| format!("is not {HASH_DIGITS_MIN} or more digits of a plan's hash"))
}

#[cfg(test)]
mod tests;
