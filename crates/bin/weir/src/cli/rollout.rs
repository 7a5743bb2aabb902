//! What may be typed of rollouts, after `weir upgrade` and, to plan and start one, `weir downgrade`.

mod window;

use super::duration;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use std::time::Duration;
use weir_model::{Role, Version};
use weir_operator_api::RolloutWindow;
use window::window;

/// Fewest digits of a plan's hash that name it.
pub(crate) const HASH_DIGITS_MIN: usize = 12;

/// A rollout before it is one.
#[derive(Subcommand)]
pub(crate) enum PlanVerb {
    /// Plan a rollout, of the whole network or a part of it, and show exactly what `start` would run; nothing changes
    Plan(PlanArgs),
    /// Start a plan
    Start {
        /// Its hash as `plan` showed it: the first twelve digits or more
        #[arg(long, value_name = "HASH", value_parser = hash)]
        plan: String,
        #[command(flatten)]
        wait: RolloutWait,
    },
}

/// What is said to the rollout there is.
#[derive(Subcommand)]
pub(crate) enum RolloutVerb {
    /// The rollout there is, or was last: as a whole, its waves, its devices
    Show {
        #[command(flatten)]
        wait: RolloutWait,
    },
    /// Begin nothing new; a device past the point of no return goes on to its end
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
    /// Turn it: everything goes back to what there was; said again: forward again
    Revert {
        #[command(flatten)]
        wait: RolloutWait,
    },
    /// Take versions that nobody told devices as meant, and lead these devices to the target; `resume` lets the rollout go on
    Restate {
        #[command(flatten)]
        wait: RolloutWait,
    },
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

/// What is to run where, and how carefully.
#[derive(Args)]
#[command(group(ArgGroup::new("scope").args(["location", "devices", "role"])))]
pub(crate) struct PlanArgs {
    /// The version; a software file of it is ready
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Version,
    /// Only engines and routers of this location; without --location, --device and --role: the whole network
    #[arg(long, value_name = "LOCATION")]
    pub(crate) location: Option<String>,
    /// Only this engine or router; may be repeated
    #[arg(long = "device", value_name = "DEVICE")]
    pub(crate) devices: Vec<String>,
    /// Only devices of this role
    #[arg(long, value_enum)]
    pub(crate) role: Option<MovedRole>,
    /// How long each wave and the network are watched; absent: rehearsal in a network of that profile, else standard
    #[arg(long, value_enum)]
    pub(crate) profile: Option<Profile>,
    /// What follows a wave that failed; absent: rollback-wave
    #[arg(long, value_enum)]
    pub(crate) on_failed: Option<OnFailed>,
    /// Shares of a role's devices, in percent, that the waves after canary and location reach; absent: 10,25,50,100
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) shares: Option<Vec<u8>>,
    /// Most devices on their way at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at_once: Option<u32>,
    /// When devices may leave service: FROM/UNTIL, such as 2030-05-01T01:00Z/2030-05-01T05:00Z, or each as milliseconds since 1970;
    /// may be repeated; absent: at any time
    #[arg(long = "window", value_name = "FROM/UNTIL", value_parser = window)]
    pub(crate) windows: Vec<RolloutWindow>,
    /// A device that stays as it is; may be repeated
    #[arg(long = "pin", value_name = "DEVICE")]
    pub(crate) pins: Vec<String>,
}

/// A role that a rollout may be confined to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum MovedRole {
    Engine,
    Router,
}

impl From<MovedRole> for Role {
    fn from(role: MovedRole) -> Self {
        match role {
            MovedRole::Engine => Self::Engine,
            MovedRole::Router => Self::Router,
        }
    }
}

/// Timers of a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Profile {
    /// Canaries are watched for half an hour, waves for a quarter, the network for a day
    Standard,
    /// For minutes
    Fast,
    /// For seconds
    Rehearsal,
    /// For seconds to minutes, and maintenance windows do not hold
    Emergency,
}

impl Profile {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fast => "fast",
            Self::Rehearsal => "rehearsal",
            Self::Emergency => "emergency",
        }
    }
}

/// What follows a failed wave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum OnFailed {
    /// The rollout pauses
    Pause,
    /// The wave's devices go back, and the rollout pauses
    RollbackWave,
    /// Everything goes back
    RollbackAll,
}

impl OnFailed {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::RollbackWave => "rollback_wave",
            Self::RollbackAll => "rollback_all",
        }
    }
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
