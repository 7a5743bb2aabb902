//! What may be typed.

mod access;
mod changesets;
mod cms;
mod network_document;
mod release;
mod rollout;
mod software;
mod upgrade;

pub(crate) use access::{ApiTokenVerb, EnrolmentTokenVerb, RoleArg, TokenVerb, UserVerb};
pub(crate) use changesets::{ChangesetRef, ChangesetsVerb};
pub(crate) use cms::{
    BoxArgs, BoxSoftwareVerb, CmsArgs, CmsVerb, DatabaseVerb, DowngradeArgs, KeyVerb, RoleVerb, ScheduleArgs, UnreplicatedVerb, WhichBox,
};
pub(crate) use network_document::ApplyArgs;
pub(crate) use release::{BuildArgs, KeygenArgs, PackArgs, ReleaseVerb, RotateArgs, ShowArgs, Signing, VerifyArgs};
pub(crate) use rollout::{Driver, HASH_DIGITS_MIN, PlanArgs, PlanDownArgs, RolloutVerb, RolloutWait, StartArgs, Why};
pub(crate) use software::{RegisterArgs, SoftwareRef, SoftwareVerb, SoftwareWait};
pub(crate) use upgrade::{AssignArgs, DowngradeVerb, UpdateWait, UpgradeVerb};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// An open content delivery system for streaming.
#[derive(Parser)]
#[command(name = "weir", version = weir_model::version(), propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// How to reach a network.
    #[command(flatten)]
    pub(crate) target: Target,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which network a command talks to, and how it prints.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// Directory of a network started by `weir up` (its network.json says the rest)
    #[arg(long, global = true, env = "WEIR_NETWORK", value_name = "DIR")]
    pub(crate) network: Option<PathBuf>,
    /// The manager's API, such as https://10.0.0.2:8443 (instead of --network); for `enrol` its device address
    #[arg(long, global = true, env = "WEIR_MANAGER", value_name = "URL")]
    pub(crate) manager: Option<String>,
    /// Data directory of the manager on this box: its local socket needs no token (before --network and --manager)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) local: Option<PathBuf>,
    /// PEM file of the network's CA (with --manager)
    #[arg(long, global = true, env = "WEIR_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// API token (with --manager); better in the environment than in the process list
    #[arg(long, global = true, env = "WEIR_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// How answers are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// How answers are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: the API's own JSON.
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a whole network on this machine: managers, routers, engines, a demo origin
    Up(UpArgs),
    /// Run a device: bind its listeners, start and restart its worker
    #[command(disable_help_flag = true)]
    Keeper {
        /// See `weir keeper --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// The process a keeper starts
    #[command(hide = true)]
    Worker {
        /// The device's data directory
        #[arg(long)]
        data: PathBuf,
    },
    /// Make this program, or the one of a release archive, what a device runs; its data directory has a device.toml
    Install(InstallArgs),
    /// Enrol this box as a device: --manager https://ADDRESS:PORT (the manager's device address) --token TOKEN
    Enrol(EnrolArgs),
    /// This manager's box: its state, its part in the pair, its key and its database
    Cms(CmsArgs),
    /// The manager's own status
    Status,
    /// Devices, their status, location and load
    Devices,
    /// One device: show, activate, deactivate, delete
    Device {
        #[command(subcommand)]
        verb: DeviceVerb,
    },
    /// Take a router or engine out of service: no new viewer is sent to it, what it serves runs to its end
    Offload(OffloadArgs),
    /// Return an offloaded device to service
    Unoffload(UnoffloadArgs),
    /// Locations: the tree of sites
    Location {
        #[command(subcommand)]
        verb: LocationVerb,
    },
    /// Delivery services: what is delivered
    Service {
        #[command(subcommand)]
        verb: ServiceVerb,
    },
    /// Coverage zones: which client networks are near which locations
    Zones {
        #[command(subcommand)]
        verb: ZonesVerb,
    },
    /// Print the network as a document for `weir apply`: TOML, or JSON with --output json
    Export,
    /// Make the network what a document says, in one write
    Apply(ApplyArgs),
    /// Where a client would be sent
    Route {
        #[command(subcommand)]
        verb: RouteVerb,
    },
    /// The last lines of a device's log
    Logs {
        /// Device name
        device: String,
        /// How many lines
        #[arg(long, default_value_t = 100)]
        lines: u32,
    },
    /// Alarms that stand; with --all also those cleared
    Alarms {
        /// Cleared ones too
        #[arg(long)]
        all: bool,
        /// Acknowledge the alarm of this id
        #[arg(long, value_name = "ID")]
        acknowledge: Option<i64>,
    },
    /// Who changed what, newest last
    Audit {
        /// How many entries
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// The log of writes: every change of the configuration, as it is kept
    Changesets {
        #[command(subcommand)]
        verb: ChangesetsVerb,
    },
    /// Take a changeset back, by a new one; refused when what it did was changed since, or is taken back by other commands
    Undo {
        #[command(flatten)]
        which: ChangesetRef,
        #[command(flatten)]
        word: ConfirmArg,
    },
    /// Software files: releases that can be chosen for an update
    Software {
        #[command(subcommand)]
        verb: SoftwareVerb,
    },
    /// Bring the network, a part of it or one device to a higher version: plan, start, status, device, ...
    Upgrade {
        #[command(subcommand)]
        verb: UpgradeVerb,
    },
    /// Bring the network, a part of it or one device back to a lower version: plan, start, device
    Downgrade {
        #[command(subcommand)]
        verb: DowngradeVerb,
    },
    /// For publishers: keys, builds and signatures of releases
    Release {
        #[command(subcommand)]
        verb: ReleaseVerb,
    },
    /// Users of the pages
    User {
        #[command(subcommand)]
        verb: UserVerb,
    },
    /// Enrolment tokens and API tokens
    Token {
        #[command(subcommand)]
        verb: TokenVerb,
    },
}

#[derive(Args)]
pub(crate) struct UpArgs {
    /// Where the network keeps everything; made when absent, resumed when present
    #[arg(long, value_name = "DIR", default_value = "weir-network")]
    pub(crate) dir: PathBuf,
    /// Number of engines, dealt to core, east and west in turn
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) engines: Option<u16>,
    /// Deliver this origin instead of the demo origin
    #[arg(long, value_name = "URL")]
    pub(crate) origin: Option<String>,
    /// Loopback /24 to use, such as 127.77.0.0, or `auto` for a free one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) base: Option<String>,
    /// Do not open the pages in a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
}

#[derive(Args)]
pub(crate) struct InstallArgs {
    /// The device's data directory
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// Install this release archive, which is verified, instead of this program
    #[arg(long, value_name = "FILE")]
    pub(crate) archive: Option<PathBuf>,
    /// The root the archive is verified from; absent: release-root.json in the data directory
    #[arg(long, value_name = "FILE", requires = "archive")]
    pub(crate) root: Option<PathBuf>,
    /// Make this root of release keys the device's: put it into the data directory as release-root.json
    #[arg(long, value_name = "FILE")]
    pub(crate) release_root: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct EnrolArgs {
    /// The device's data directory, with its device.toml
    #[arg(long)]
    pub(crate) data: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum DeviceVerb {
    /// Everything the manager knows of it
    Show { device: String },
    /// What was done to it, newest first
    History {
        device: String,
        /// How many writes
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// Give it its work in a location
    Activate {
        device: String,
        /// Where it is
        #[arg(long)]
        location: String,
        /// Share of new viewers relative to its peers, 0 to 100
        #[arg(long)]
        weight: Option<u8>,
        /// What it can send, in Mbit/s; the capacity guard needs it
        #[arg(long, value_name = "MBPS")]
        capacity_mbps: Option<u32>,
        /// Move it, or take its weight, although that breaks a floor of the capacity guard
        #[arg(long = "override")]
        overrides: bool,
    },
    /// Take it out of service
    Deactivate {
        device: String,
        /// Although it breaks a floor of the capacity guard
        #[arg(long = "override")]
        overrides: bool,
    },
    /// Remove it; its certificate is worth nothing afterwards
    Delete {
        device: String,
        /// Although it breaks a floor of the capacity guard
        #[arg(long = "override")]
        overrides: bool,
    },
}

#[derive(Args)]
pub(crate) struct OffloadArgs {
    pub(crate) device: String,
    /// Why, for whoever finds the device out of service
    #[arg(long, value_name = "TEXT", required_unless_present = "preview")]
    pub(crate) why: Option<String>,
    /// Return it to service by itself after this time, such as 90s, 45m, 2h, 3d
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) for_: Option<Duration>,
    /// Offload it although that breaks a floor of the capacity guard
    #[arg(long = "override")]
    pub(crate) overrides: bool,
    /// Only show where its clients would go and which floors would break
    #[arg(long, conflicts_with_all = ["why", "for_", "overrides", "wait"])]
    pub(crate) preview: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

#[derive(Args)]
pub(crate) struct UnoffloadArgs {
    pub(crate) device: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

#[derive(Args)]
pub(crate) struct WaitArgs {
    /// Stay until it is done: offloaded, or online again
    #[arg(long)]
    pub(crate) wait: bool,
    /// Give the wait up after this time, such as 90s or 10m; the offload goes on
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "wait")]
    pub(crate) wait_for: Option<Duration>,
}

/// Reads `90s`, `45m`, `2h` or `3d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time such as 90s, 45m, 2h or 3d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    count.checked_mul(seconds).filter(|s| *s > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[derive(Subcommand)]
pub(crate) enum LocationVerb {
    /// All of them
    List,
    /// Add one
    Create {
        name: String,
        /// The location nearer the origin; absent for a root
        #[arg(long)]
        parent: Option<String>,
    },
    /// Remove one that nothing uses
    Delete { name: String },
    /// Confirm that engines out of service there are meant to be: routers that hold a configuration back for them take it
    ConfirmRemoval { name: String },
    /// What was done to it, newest first
    History {
        name: String,
        /// How many writes
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
}

/// Confirms a write that takes much away.
#[derive(Args)]
pub(crate) struct ConfirmArg {
    /// The hash that the refusal of the same command named: what it lists may go
    #[arg(long, value_name = "HASH")]
    pub(crate) confirm: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum ServiceVerb {
    /// All of them
    List,
    /// One of them
    Show { name: String },
    /// Add one
    Create(ServiceArgs),
    /// Replace one
    Set {
        #[command(flatten)]
        service: ServiceArgs,
        #[command(flatten)]
        word: ConfirmArg,
    },
    /// Stop delivering it
    Delete { name: String },
    /// What was done to it, newest first
    History {
        name: String,
        /// How many writes
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
}

#[derive(Args)]
pub(crate) struct ServiceArgs {
    pub(crate) name: String,
    /// The domain viewers ask for
    #[arg(long)]
    pub(crate) domain: String,
    /// Where content comes from, http://host[:port][/prefix]
    #[arg(long)]
    pub(crate) origin: String,
    /// Engines that carry it, comma separated; absent: every active engine
    #[arg(long, value_delimiter = ',')]
    pub(crate) engines: Option<Vec<String>>,
    /// Freshness of responses whose origin says nothing of it, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) default_ttl: Option<u32>,
    /// Upper bound on any freshness, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_ttl: Option<u32>,
    /// Leave the query out of the cache key
    #[arg(long)]
    pub(crate) ignore_query: bool,
    /// Store responses that set cookies
    #[arg(long)]
    pub(crate) store_set_cookie: bool,
    /// The word its engines put as `detail` of Cache-Status
    #[cfg(feature = "synthetic-next")]
    #[arg(long, value_name = "WORD")]
    pub(crate) detail: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum ZonesVerb {
    /// All of them
    Show,
    /// Replace all of them by a JSON file: {"zones": [{"network": "...", "locations": {"name": metric}}]}
    Set {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        word: ConfirmArg,
    },
    /// What was done to them, newest first
    History {
        /// How many writes
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
}

#[derive(Subcommand)]
pub(crate) enum RouteVerb {
    /// Every step of the decision, with its reason
    Explain {
        /// The client's address
        client: IpAddr,
        /// What it asks for, such as http://video.example.com/a.m3u8
        url: String,
        /// Ask this router; absent: any that is online
        #[arg(long)]
        router: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("90s", Some(90)), ("45m", Some(2700)), ("2h", Some(7200)), ("3d", Some(259_200))] {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
        for text in ["", "s", "2", "0s", "-1s", "2 h", "1.5h", "2ü", "99999999999999999999s", "999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_offload_asks_why_and_a_preview_does_not() {
        let typed = |rest: &[&str]| Cli::try_parse_from(["weir", "offload", "east-1"].iter().chain(rest)).is_ok();
        assert!(typed(&["--why", "disk", "--for", "2h", "--override", "--wait", "--wait-for", "5m"]));
        assert!(typed(&["--preview"]));
        assert!(!typed(&[]));
        assert!(!typed(&["--preview", "--wait"]));
        assert!(!typed(&["--why", "disk", "--wait-for", "5m"]), "there is no wait to give up");
    }
}
