//! Rollouts: the update of the network or a part of it, planned, started, followed, stopped and turned.

use crate::software::Direction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_model::{DeviceName, LocationName, Role, Version};

/// POST `/rollout/plan`: what is to run where. Nothing changes. At most one of `location`, `devices` and `role`; none of them: the
/// whole network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutRequest {
    /// The version; a software file of it is ready.
    pub version: String,
    /// Only engines and routers of this location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Only these engines and routers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Only `engine`s, or only `router`s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// `upgrade` or `downgrade`; absent: whichever the version is for what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Its timers: `standard`, `fast`, `rehearsal` or `emergency`; absent: `rehearsal` in a network of that profile, else `standard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What follows a failed wave: `pause`, `rollback_wave` (when absent) or `rollback_all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failed: Option<String>,
    /// Shares of a role's devices, percent, reached at the end of each wave after canary and location; absent: 10, 25, 50, 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<Vec<u8>>,
    /// Most devices on their way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// When devices may leave service; absent: at any time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<RolloutWindow>,
    /// Devices that stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
    /// Event windows: no wave opens in them, no manager is switched and no level changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<RolloutWindow>,
    /// Why event windows do not hold, in the operator's words; absent: they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub during_event: Option<String>,
    /// How a device leaves service that nobody at its location can stand in for: `hot` (when absent: it is handed over and does not
    /// leave), `route_to_parent` or `window`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
    /// Whole network: who takes the managers' steps of a downgrade: `gui` (when absent: the rollout itself) or `cli` (an operator at the
    /// command line of each).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Whole network: the operator knows that it has no standby.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_standby: bool,
    /// Whole network: why no backup need be proven, in the operator's words; absent: two are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_backup: Option<String>,
    /// Whole network, downward: objects that the lower line cannot have may be parked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub parking: bool,
}

/// A span of time; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutWindow {
    /// From when, milliseconds since 1970.
    pub from_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

/// What `/rollout/plan` answers: what `POST /rollout` with its hash would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutPlan {
    /// What starts it; null: it cannot be started, and `refused` says why.
    pub hash: Option<String>,
    /// `upgrade` or `downgrade`.
    pub direction: Direction,
    /// What it moves, in words: `location lisbon`.
    pub scope: String,
    /// The versions on the way, what runs now first, the target last.
    #[schema(value_type = Vec<String>)]
    pub versions: Vec<Version>,
    /// Its timers, by name.
    pub profile: String,
    /// Its phases, in order, for each of the versions after the first.
    pub phases: Vec<String>,
    /// Its waves, in the order in which they open.
    pub waves: Vec<RolloutWave>,
    /// Engines and routers in scope.
    pub devices: u32,
    /// What an operator should know before the start.
    pub risks: Vec<RolloutNote>,
    /// How long it takes if nothing is in the way, milliseconds; drains are an estimate.
    pub eta_ms: u64,
    /// Every reason against it.
    pub refused: Vec<RolloutReason>,
}

/// POST `/rollout`: starts a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutStart {
    /// Its hash, or the first twelve digits of it or more.
    pub plan: String,
}

/// POST `/rollout/{verb}` and `/rollout/devices/{name}/{verb}`: why, where the verb wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutWord {
    /// The operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// For how long a pin holds; absent: until it is taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
}

/// A word of a list that grows, and the same for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutNote {
    /// The word.
    pub word: String,
    /// One sentence, without a full stop.
    pub text: String,
    /// What an operator can do about it, one sentence; absent: nothing need be done, or it is not known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A reason with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutReason {
    /// The word.
    pub reason: String,
    /// One sentence, without a full stop.
    pub text: String,
    /// What the operator does next.
    pub next: String,
}

/// A wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutWave {
    /// Its number, from 0.
    pub number: u16,
    /// Whose: engines or routers.
    #[schema(value_type = String)]
    pub role: Role,
    /// `canary`, `location`, `share` or `late`.
    pub kind: String,
    /// `pending`, `open`, `baking`, `passed`, `failed` or `inconclusive`.
    pub state: String,
    /// Its devices, in the order in which they go.
    #[schema(value_type = Vec<String>)]
    pub devices: Vec<DeviceName>,
    /// How many of them run what they are to run.
    pub done: u32,
    /// Why it failed, one sentence; kept while everything goes back because of it. Null: it did not.
    #[serde(default)]
    pub failure: Option<String>,
}

/// A manager on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutManager {
    /// Its name.
    #[schema(value_type = String)]
    pub device: DeviceName,
    /// `primary` or `standby`, as it is now.
    pub seat: String,
    /// What it runs, as last heard.
    #[schema(value_type = Option<String>)]
    pub running: Option<Version>,
    /// `waiting`, `switching`, `on_trial`, `database` (its database is of the other line), `failed`, `silent` or `done`.
    pub state: String,
    /// The particulars, where there are any: why it failed, what it waits for.
    pub detail: Option<String>,
}

/// A command that somebody must type at a manager's own box for the rollout to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutConsole {
    /// The command line.
    pub command: String,
    /// Whose box: `primary` or `standby`, as it is now.
    pub seat: String,
    /// The name of that manager; null: it was never heard.
    #[schema(value_type = Option<String>)]
    pub device: Option<DeviceName>,
}

/// GET `/rollout`: the rollout there is, or was last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rollout {
    /// The plan it runs.
    pub hash: String,
    /// Rises with each change of it.
    pub generation: u64,
    /// `upgrade` or `downgrade`, as it was planned.
    pub direction: Direction,
    /// What it moves, in words.
    pub scope: String,
    /// The versions on the way, where it began first, the target last.
    #[schema(value_type = Vec<String>)]
    pub versions: Vec<Version>,
    /// From which version to which it goes now.
    #[schema(value_type = Vec<String>)]
    pub hop: [Version; 2],
    /// Its timers, by name.
    pub profile: String,
    /// `running`, `soaking`, `finalising`, `reverting`, `paused`, `aborting`, `aborted`, `done` or `reverted`.
    pub status: String,
    /// Nothing happens any more. Another one can be started then, and when `status` is `aborted`.
    pub over: bool,
    /// It goes back to what there was.
    pub back: bool,
    /// Its phase: `preposition`, `engines`, `routers`, ...
    pub phase: String,
    /// The phases of each hop, in order.
    pub phases: Vec<String>,
    /// Why it is paused, and what to do; null: it is not.
    pub paused: Option<RolloutReason>,
    /// Why it was aborted.
    pub aborted: Option<String>,
    /// What it waits for as a whole.
    pub waits: Option<RolloutNote>,
    /// What somebody must type for it to go on; null: it waits for nobody at a command line.
    pub console: Option<RolloutConsole>,
    /// Its waves, in the order in which they open.
    pub waves: Vec<RolloutWave>,
    /// Engines and routers of its scope, by name.
    pub lanes: Vec<RolloutLane>,
    /// Lanes that run what they are to run, of those in scope.
    pub done: u32,
    /// Lanes in scope.
    pub devices: u32,
    /// The managers, the primary first; empty: they are not part of it.
    pub managers: Vec<RolloutManager>,
    /// Who takes the managers' steps: `gui` (the rollout itself) or `cli` (an operator at their command lines).
    pub driver: String,
    /// The configuration is frozen: writes are answered 423.
    pub frozen: bool,
    /// Why the level does not rise, in an operator's words; null: nobody holds it.
    pub held: Option<String>,
    /// How long it takes in all if nothing is in the way, milliseconds, as it was planned.
    pub eta_ms: u64,
    /// When it was started, milliseconds since 1970, and by whom.
    pub started_ms: u64,
    /// By whom.
    pub by: String,
    /// When it came to its end; null: it has not.
    pub ended_ms: Option<u64>,
}

/// One device in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutLane {
    /// Its name.
    #[schema(value_type = String)]
    pub device: DeviceName,
    /// Engine or router.
    #[schema(value_type = String)]
    pub role: Role,
    /// Where it is.
    #[schema(value_type = String)]
    pub location: LocationName,
    /// Number of its wave.
    pub wave: Option<u16>,
    /// What it runs, as it last said; null: it was never heard.
    pub running: Option<String>,
    /// What it was last told to run in this rollout.
    #[schema(value_type = Option<String>)]
    pub told: Option<Version>,
    /// The stage of its update machine, as in `/updates`.
    pub stage: String,
    /// The same for people.
    pub status: String,
    /// Viewer sessions on it.
    pub sessions: u32,
    /// Why it does not move; null when it does. `at_goal` is the word of one that is there.
    pub stays: Option<RolloutNote>,
    /// An operator said that it is dead.
    pub excused: bool,
    /// An operator pinned it, with these words.
    pub pinned: Option<String>,
}
