//! What may be typed of a plan.

use super::window::window;
use clap::{ArgGroup, Args, ValueEnum};
use weir_model::{Role, Version};
use weir_operator_api::RolloutWindow;

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
    /// An event window, as of --window: no wave opens in it, no manager is switched, no level changes; may be repeated
    #[arg(long = "event", value_name = "FROM/UNTIL", value_parser = window)]
    pub(crate) events: Vec<RolloutWindow>,
    /// Event windows do not hold for this rollout
    #[arg(long, requires = "why")]
    pub(crate) during_event: bool,
    /// Why they do not, for whoever reads it later
    #[arg(long, value_name = "TEXT", requires = "during_event")]
    pub(crate) why: Option<String>,
    /// How a device leaves service that nobody at its location can stand in for; absent: hot
    #[arg(long, value_enum)]
    pub(crate) alone: Option<Alone>,
    /// Whole network: it has no standby manager, and you know
    #[arg(long, conflicts_with = "scope")]
    pub(crate) no_standby: bool,
    /// Whole network: move without a proven backup; it stands in the report
    #[arg(long, requires = "reason", conflicts_with = "scope")]
    pub(crate) no_backup: bool,
    /// Why without a backup
    #[arg(long, value_name = "TEXT", requires = "no_backup")]
    pub(crate) reason: Option<String>,
    /// Whole network: objects that a lower line cannot have may be parked, which keeps them, inactive
    #[arg(long, conflicts_with = "scope")]
    pub(crate) accept_parking: bool,
}

impl PlanArgs {
    /// Whether it is of the whole network.
    pub(crate) fn is_whole(&self) -> bool {
        self.location.is_none() && self.devices.is_empty() && self.role.is_none()
    }
}

/// The same downwards.
#[derive(Args)]
pub(crate) struct PlanDownArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Whole network: who takes the managers' steps; absent: cli. A downgrade that is planned on a page has gui
    #[arg(long, value_enum, conflicts_with = "scope")]
    pub(crate) driver: Option<Driver>,
}

/// Who takes the managers' steps of a downgrade.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Driver {
    /// The rollout itself: the standby first, then the primary
    Gui,
    /// An operator at the command line of each manager's box, the primary first: `weir upgrade status` says what to type where
    Cli,
}

impl Driver {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Gui => "gui",
            Self::Cli => "cli",
        }
    }
}

/// How a device leaves service that nobody at its location can stand in for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Alone {
    /// It does not leave: its listeners are handed over while it serves
    Hot,
    /// Its viewers go to the location above
    RouteToParent,
    /// It leaves in a maintenance window only
    Window,
}

impl Alone {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::RouteToParent => "route_to_parent",
            Self::Window => "window",
        }
    }
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
