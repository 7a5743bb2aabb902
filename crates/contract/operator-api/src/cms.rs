//! The manager box itself: its CMS state, its part in the pair, and what may be asked of it over its control socket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_model::DeviceName;

/// What a manager box is, at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CmsState {
    /// Holds the configuration.
    Primary,
    /// Follows the primary.
    Standby,
    /// An operator disabled it, or a restore or downgrade runs.
    Disabled,
    /// A newer build migrated its database.
    DisabledSchemaAhead,
    /// Its database fails its check.
    DisabledDamaged,
    /// The network key is missing, or another one.
    DisabledKeyMissing,
}

impl CmsState {
    /// The word as JSON and tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            CmsState::Primary => "primary",
            CmsState::Standby => "standby",
            CmsState::Disabled => "disabled",
            CmsState::DisabledSchemaAhead => "disabled_schema_ahead",
            CmsState::DisabledDamaged => "disabled_damaged",
            CmsState::DisabledKeyMissing => "disabled_key_missing",
        }
    }
}

/// GET `/cms/info` on the control socket, in every state; part of GET `/status` and of the pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CmsInfo {
    /// Device name of this box.
    #[schema(value_type = String)]
    pub name: DeviceName,
    /// Its state.
    pub state: CmsState,
    /// Why it is in this state, one sentence; absent for a primary or standby that works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do next, in order: commands for this box unless they say otherwise. Empty when nothing is to be done.
    pub next: Vec<String>,
    /// Version of the build.
    pub version: String,
    /// Term of the configuration it holds.
    pub term: u64,
    /// Generation of the configuration it holds.
    pub generation: u64,
    /// The newest changeset it holds.
    pub rev: u64,
    /// Digest of the configuration it holds, hex; empty when it holds none.
    pub digest: String,
    /// Newest schema step of its database; 0 when it has none.
    pub step: u32,
    /// Oldest and newest step this build can run on.
    pub step_min: u32,
    /// See `step_min`.
    pub step_max: u32,
    /// Fingerprint of the network key; absent when the box has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_fingerprint: Option<String>,
    /// The other manager, as far as this box knows; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairInfo>,
    /// Changes this box acknowledged alone when it was primary, and which the network does not have.
    pub unreplicated: Vec<UnreplicatedFile>,
}

/// How the two managers stand to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairInfo {
    /// The other one.
    #[schema(value_type = String)]
    pub name: DeviceName,
    /// How they stand.
    pub condition: PairCondition,
    /// One sentence for people.
    pub detail: String,
    /// Its version; absent when it was never heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The newest changeset the standby has; 0 when not known.
    pub standby_rev: u64,
    /// The newest changeset of the primary; on the standby the newest it has heard of.
    pub primary_rev: u64,
    /// Milliseconds since the other one was heard; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
    /// The digests are of the same rev and equal; absent when there was nothing to compare yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_equal: Option<bool>,
    /// Where its operator API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// How a pair stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairCondition {
    /// A standby is on record and was never heard.
    Waiting,
    /// The standby has everything, and has a write before it is acknowledged.
    Matched,
    /// It takes a snapshot, or catches up.
    Syncing,
    /// It is silent, or behind: the primary acknowledges alone.
    Lagging,
    /// The versions differ: the standby applies nothing.
    Mismatch,
}

impl PairCondition {
    /// The word as JSON and tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            PairCondition::Waiting => "waiting",
            PairCondition::Matched => "matched",
            PairCondition::Syncing => "syncing",
            PairCondition::Lagging => "lagging",
            PairCondition::Mismatch => "mismatch",
        }
    }
}

/// Changes that were acknowledged alone and overtaken by a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnreplicatedFile {
    /// File name below `state/manager/unreplicated/`; names it in verbs.
    pub name: String,
    /// Term in which they were made.
    pub term: u64,
    /// First and last rev.
    pub first_rev: u64,
    /// See `first_rev`.
    pub last_rev: u64,
    /// When they were put aside, milliseconds since 1970.
    pub kept_ms: u64,
    /// What was done, oldest first: `<verb> <object>`; at most 100.
    pub did: Vec<String>,
}

/// POST `/cms/role`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    /// `primary`: this box takes over; `standby`: the other one does.
    pub role: String,
    /// Changes that may be lost when the primary is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_loss: Option<u64>,
}

/// What became of a change of roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleChange {
    /// Device name of the primary now.
    #[schema(value_type = String)]
    pub primary: DeviceName,
    /// The new term.
    pub term: u64,
    /// `planned`: nothing was lost; `unplanned`.
    pub kind: String,
    /// Changes known to be lost.
    pub lost: u64,
    /// From the verb to the new primary's first word, milliseconds.
    pub took_ms: u64,
}

/// GET `/cms/key` on the control socket: shown to whoever may open it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyExport {
    /// 24 words.
    pub phrase: String,
    /// First 16 hex digits of the SHA-256 of the key.
    pub fingerprint: String,
    /// Whether somebody confirmed that it is kept.
    pub confirmed: bool,
}

/// POST `/cms/key/import` (`phrase`) and `/cms/key/confirm` (`fingerprint`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// 24 words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phrase: Option<String>,
    /// Fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// POST `/cms/database/downgrade` on the control socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DowngradeRequest {
    /// Only try it on a copy, and say what it would do.
    #[serde(default)]
    pub plan: bool,
    /// Step to go to; absent: the newest of this build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// Why it is done although the other manager does not run this version, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
}

/// What `database downgrade` does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DowngradePlan {
    /// Step the database is at.
    pub from: u32,
    /// Step it goes to.
    pub to: u32,
    /// Steps undone, newest first.
    pub steps: Vec<DowngradeStep>,
    /// Whether it was done; false for `--plan`.
    pub done: bool,
}

/// One step undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DowngradeStep {
    /// Its id.
    pub step: u32,
    /// Its name.
    pub name: String,
    /// Version that applied it; absent when it was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_by: Option<String>,
    /// SHA-256 of the way back, verified; hex.
    pub down_sha256: String,
    /// Rows it parks in attic tables, by attic: known only once it was tried on a copy.
    pub parked: std::collections::BTreeMap<String, u64>,
}
