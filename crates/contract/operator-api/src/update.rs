//! Updates of single devices: what a device is to become, how far it is, and why it does not move.

use crate::{
    offload::{BrokenFloor, ClientsGo},
    software::Direction,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use weir_model::{DeviceName, LocationName, Role, Version};

/// POST `/devices/{name}/update`: assigns a version; GET `/devices/{name}/update/preview` has the same as parameters. Exactly one of
/// `version` and `file`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DeviceUpdateRequest {
    /// A version of which one software file is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A software file that is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<i64>,
    /// Whether the device switches by itself once the image is staged; absent: as the software file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_reload: Option<bool>,
    /// Hand the listeners over while the engine serves, instead of draining it first. Routers always are.
    #[param(required = false)]
    pub hand_over: bool,
    /// Offload it although that breaks a capacity floor.
    #[serde(rename = "override")]
    #[param(required = false)]
    pub overrides: bool,
}

/// GET `/devices/{name}/update/preview`: what an assignment would do now. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdatePreview {
    /// Whose.
    #[schema(value_type = String)]
    pub device: DeviceName,
    /// Its role.
    #[schema(value_type = String)]
    pub role: Role,
    /// The version it runs, as it last said itself; null: never heard of.
    pub running: Option<String>,
    /// The version it would be assigned; null: the request names none that is ready.
    #[schema(value_type = Option<String>)]
    pub version: Option<Version>,
    /// The software file it would come from.
    pub file: Option<i64>,
    /// What that is for what it runs.
    pub direction: Option<Direction>,
    /// Whether it would switch by itself.
    pub auto_reload: bool,
    /// `drained` or `handed_over`.
    pub leave: String,
    /// What would happen, in order, one sentence each; empty when it would be refused.
    pub steps: Vec<String>,
    /// Why the assignment would be refused; null: it would be taken.
    pub refused: Option<UpdateReasonShown>,
    /// What it would wait for, as things are now.
    pub waits: Vec<UpdateReasonShown>,
    /// Capacity floors its offload would break now.
    pub breaks: Vec<BrokenFloor>,
    /// Viewer sessions on it now.
    pub sessions: u32,
    /// Where its clients would go while it is out, per delivery service; engines that are drained only.
    pub clients_go: Vec<ClientsGo>,
    /// What could not be judged, one sentence each.
    pub unknown: Vec<String>,
}

/// GET `/devices/{name}/update` and a row of GET `/updates`: how a device stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceUpdate {
    /// Whose.
    #[schema(value_type = String)]
    pub device: DeviceName,
    /// Its role.
    #[schema(value_type = String)]
    pub role: Role,
    /// Where it is.
    #[schema(value_type = Option<String>)]
    pub location: Option<LocationName>,
    /// The version it runs, as it last said itself; null: never heard of.
    pub running: Option<String>,
    /// The version it can go back to at once.
    pub previous: Option<String>,
    /// What it was last assigned; null: nothing ever was.
    pub assigned: Option<AssignedUpdate>,
    /// The stage of its update machine: `idle`, `assigned`, `fetching`, `blocked`, `staged`, `offload_requested`, `draining`, `drained`,
    /// `switching`, `trial`, `readmitting`, `proving`, `committed`, `ramping`, `done`, `releasing`, `rolling_back`, `rolled_back`,
    /// `failed`, `needs_hands`; `pending` while the device has not taken the assignment up, `lost` when it has not reported for long.
    pub stage: String,
    /// The same for people: `Pending`, `Downloading 40 %`, `Staged (Reload Needed)`, `Offloading 3 sessions`, `Offloaded`, `Switching`,
    /// `On trial`, `Update Successful`, `Update Failed (crashed)`, `Cancelled`, `Lost`, `Idle`.
    pub status: String,
    /// Nothing moves until somebody says something.
    pub at_rest: bool,
    /// It became what it was assigned; null while that is open.
    pub successful: Option<bool>,
    /// Why it failed, was cancelled or went back.
    pub reason: Option<UpdateReasonShown>,
    /// Why it does not move now; null when it moves or rests.
    pub waiting: Option<UpdateReasonShown>,
    /// Milliseconds its stage has lasted, as it last said.
    pub for_ms: u64,
    /// How far a download is.
    pub fetch: Option<UpdateFetch>,
    /// Viewer sessions on it now.
    pub sessions: u32,
    /// What the new worker has shown since it was let to viewers.
    pub proof: UpdateProof,
    /// A worker of the version before is parked: the way back takes less than a second.
    pub parked: bool,
    /// Versions and digests that fell back here and are not tried again until they are cleared.
    pub burned: Vec<String>,
    /// The version of its keeper, and whether it is that of the slot that runs.
    pub keeper: Option<UpdateKeeper>,
}

/// What a device was last assigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssignedUpdate {
    /// Rises with each assignment of the network.
    pub number: u64,
    /// The version.
    #[schema(value_type = String)]
    pub version: Version,
    /// The software file it comes from.
    pub file: i64,
    /// SHA-256 of the image's MANIFEST, hex.
    pub manifest_sha256: String,
    /// Whether it switches by itself.
    pub auto_reload: bool,
    /// `drained` or `handed_over`.
    pub leave: String,
    /// The operator asked for the switch of a staged image.
    pub reload: bool,
    /// The operator has cancelled it.
    pub cancelled: bool,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// By whom.
    pub by: String,
}

/// A reason with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateReasonShown {
    /// The word programs read.
    pub reason: String,
    /// What exactly, one sentence.
    pub detail: String,
    /// What the operator does next, one sentence.
    pub next: String,
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateFetch {
    /// Bytes that are there.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Where they come from now: an engine's name, `direct`, `manager`; null: not known yet.
    pub from: Option<String>,
}

/// What a new worker has shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateProof {
    /// Requests it answered.
    pub requests: u64,
    /// Of these: errors of its own making.
    pub own_errors: u64,
    /// Crashes.
    pub crashes: u32,
}

/// A device's keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateKeeper {
    /// Its version.
    pub version: String,
    /// It is that of the slot that runs.
    pub current: bool,
}

/// POST `/devices/{name}/update/cancel`, `/reload`, `/clear-burned`: nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceUpdateVerb {}
