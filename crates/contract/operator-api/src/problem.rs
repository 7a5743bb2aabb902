//! Problems: every refusal names its reason and the next legal step (RFC 9457).

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:weir:problem:` and the reason.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    /// What kind of thing went wrong; the same for every problem of this reason.
    #[schema(value_type = String)]
    pub title: Box<str>,
    /// HTTP status.
    pub status: u16,
    /// What exactly went wrong, one sentence.
    pub detail: String,
    /// The word programs read.
    pub reason: Reason,
    /// The field of the request it is about, such as `origin` or `zones[3].locations.east`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do next, one sentence.
    pub next: String,
}

impl Problem {
    /// A problem of this reason, with its particulars in one sentence and the reason's own next step.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:weir:problem:{}", reason.as_str()).into(),
            title: reason.title().into(),
            status: reason.status(),
            detail: detail.into(),
            reason,
            field: None,
            next: reason.next_step().to_owned(),
        }
    }

    /// Names the field of the request it is about.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// A more exact next step than the reason's own.
    #[must_use]
    pub fn next_step(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {} ({}); {}", self.detail, self.reason.as_str(), self.next),
            None => write!(f, "{} ({}); {}", self.detail, self.reason.as_str(), self.next),
        }
    }
}
impl std::error::Error for Problem {}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident, $word:literal, $status:literal, $title:literal, $next:literal;)*) => {
        /// Why the manager refuses.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)*];

            /// The word as JSON shows it.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$variant => $word,)* }
            }
            /// The HTTP status it travels with.
            pub fn status(self) -> u16 {
                match self { $(Reason::$variant => $status,)* }
            }
            /// What kind of thing went wrong.
            pub fn title(self) -> &'static str {
                match self { $(Reason::$variant => $title,)* }
            }
            /// What the reader does next, when the problem says nothing more exact.
            pub fn next_step(self) -> &'static str {
                match self { $(Reason::$variant => $next,)* }
            }
        }
    };
}

reasons! {
    /// No bearer token, or one the manager does not know.
    Unauthenticated, "unauthenticated", 401, "Authentication needed", "send `Authorization: Bearer weir-api...`; `weir token api create` on the manager's box makes one";
    /// A form that was not sent from a page of the session.
    FormRefused, "form_refused", 403, "Form refused", "open the page again and send the form from there";
    /// Only whoever may open the manager's own socket may ask this.
    LocalOnly, "local_only", 403, "Only on the manager's box", "run the command on the manager's box with `--local DIR`";
    /// Too many failed sign-ins.
    TooManyAttempts, "too_many_attempts", 429, "Too many attempts", "wait as long as Retry-After says, then try again";
    /// A password that breaks the rules for passwords.
    BadPassword, "bad_password", 422, "Password refused", "choose another password";
    /// No such path or object.
    NotFound, "not_found", 404, "Not found", "list the objects and check the name";
    /// The path exists, the method does not.
    MethodNotAllowed, "method_not_allowed", 405, "Method not allowed", "see /api/v1/openapi.json for the methods of this path";
    /// The body is not JSON.
    InvalidJson, "invalid_json", 400, "Not JSON", "send a JSON object";
    /// The body is JSON of another media type or none was named.
    UnsupportedMediaType, "unsupported_media_type", 415, "Unsupported media type", "send `Content-Type: application/json`";
    /// The body is larger than this path takes.
    BodyTooLarge, "body_too_large", 413, "Body too large", "send less";
    /// The body could not be read to its end.
    BodyUnreadable, "body_unreadable", 400, "Body unreadable", "send the request again";
    /// A field has a value it cannot have.
    InvalidField, "invalid_field", 422, "Invalid field", "correct the field";
    /// A field the manager does not know.
    UnknownField, "unknown_field", 422, "Unknown field", "remove the field";
    /// A field that must be there is not.
    MissingField, "missing_field", 422, "Missing field", "add the field";
    /// A parameter of the query cannot be read.
    InvalidQuery, "invalid_query", 400, "Invalid query", "see /api/v1/openapi.json for the parameters of this path";
    /// Another object has the name.
    NameTaken, "name_taken", 409, "Name taken", "choose another name, or change the object that has it";
    /// Another delivery service is published under the domain.
    DomainTaken, "domain_taken", 409, "Domain taken", "choose another domain, or change the delivery service that has it";
    /// No such location.
    UnknownLocation, "unknown_location", 422, "Unknown location", "create the location first, or name one that exists";
    /// No such engine.
    UnknownEngine, "unknown_engine", 422, "Unknown engine", "name engines that are enrolled, or leave `engines` null for every active one";
    /// A location would be above itself.
    LocationCycle, "location_cycle", 422, "Location cycle", "choose a parent that is not below this location";
    /// Something still refers to the location.
    LocationInUse, "location_in_use", 409, "Location in use", "move or delete what uses it first";
    /// Routers and engines could not load what this change compiles to.
    DoesNotCompile, "does_not_compile", 422, "Configuration does not compile", "correct the object the detail names";
    /// The origin is a manager of this network.
    OriginIsManager, "origin_is_manager", 422, "Origin is a manager", "name the content owner's server";
    /// Two zones for the same network.
    DuplicateNetwork, "duplicate_network", 422, "Duplicate network", "keep one zone per network";
    /// More objects than the limit allows.
    LimitExceeded, "limit_exceeded", 422, "Limit exceeded", "send fewer";
    /// Without this router nobody would route viewers.
    LastRouter, "last_router", 409, "Last active router", "activate another router first";
    /// Without this engine the engines below have no way to fill.
    SoleRootEngine, "sole_root_engine", 409, "Sole engine of a root location", "activate another engine in that location first";
    /// Delivery services name the device.
    DeviceInUse, "device_in_use", 409, "Device in use", "take it out of the delivery services first";
    /// The primary manager itself.
    IsPrimary, "is_primary", 409, "This is the primary manager", "the primary is always active and cannot be deleted";
    /// Taking the device from viewers would break a capacity floor.
    OffloadGuard, "offload_guard", 409, "Refused by the capacity guard", "return another device to service first, or offload with `--override --why TEXT`";
    /// The guard does not judge before devices have had time to report to this manager.
    TooEarly, "too_early", 503, "The manager has just started", "try again when devices have reported twice";
    /// Nothing of this owner holds the device.
    NotOffloaded, "not_offloaded", 409, "Not offloaded", "see `weir devices` for the device's status";
    /// The device is not active.
    NotActive, "not_active", 409, "Not active", "activate the device into a location first";
    /// The device did not answer in time.
    DeviceDidNotAnswer, "device_did_not_answer", 504, "Device did not answer", "check the device's status with `weir devices`, then try again";
    /// The device answered that it cannot.
    DeviceRefused, "device_refused", 502, "Device refused", "read the detail; it is the device's own";
    /// The device cannot be asked this.
    WrongRole, "wrong_role", 409, "Wrong role", "ask a device of the right role";
    /// No router is online to be asked.
    NoRouterOnline, "no_router_online", 503, "No router online", "bring a router into service first";
    /// Too many questions wait for the device.
    TooManyQuestions, "too_many_questions", 503, "Too many questions", "wait for the earlier ones to be answered";
    /// The software file is in a state in which this cannot be done.
    SoftwareState, "software_state", 409, "Not in this state", "see the software file's state with `weir software show ID`";
    /// Devices run the version of this software file, and no other file could bring them back to it.
    SoftwareInUse, "software_in_use", 409, "Software file in use", "register another file of this version first, or delete it with `--override`";
    /// No software file that is ready has the version, or more than one has.
    NoSuchRelease, "no_such_release", 422, "No such release", "see the releases with `weir software list`; name one by its number with `--file`";
    /// A manager is updated with its pair, after routers and engines.
    PairUpdateRequired, "pair_update_required", 409, "Managers are updated as a pair", "plan the whole network: `weir upgrade plan --to VERSION`";
    /// Devices may not be on this version while the others are on theirs.
    OrderRefused, "order_refused", 409, "Not in this order", "read which version comes first";
    /// The device is past the point of no return of another assignment.
    UpdateUnderWay, "update_under_way", 409, "Update under way", "wait for its end: `weir upgrade status DEVICE`";
    /// The configuration takes no writes while the managers are switched.
    Frozen, "frozen", 423, "Configuration is frozen", "wait until the managers are switched: `weir upgrade status`; offload, acknowledging alarms, pausing and aborting work meanwhile";
    /// A manager may not become another version now.
    SwitchRefused, "switch_refused", 409, "Not switched", "read what comes next with `weir upgrade status`";
    /// Another rollout is not over, or moves this device.
    RolloutUnderWay, "rollout_under_way", 409, "Rollout under way", "see it with `weir upgrade status`; abort it first, or wait for its end";
    /// There is no rollout to which this could be said.
    NoRollout, "no_rollout", 404, "No rollout", "plan one with `weir upgrade plan --to VERSION`";
    /// The rollout cannot be planned.
    PlanRefused, "plan_refused", 409, "Plan refused", "read every reason with `weir upgrade plan`";
    /// The plan is not the one that was shown, or nobody was shown one of this hash.
    OtherPlan, "other_plan", 409, "Another plan", "plan it again and look at it: the network has changed, or the manager was started anew";
    /// This cannot be said to the rollout now.
    RolloutState, "rollout_state", 409, "Not now", "see how it stands with `weir upgrade status`";
    /// Nothing is assigned that this could be done to.
    NoUpdate, "no_update", 409, "No such update", "see how the device stands with `weir upgrade status DEVICE`";
    /// The image fell back on this device.
    DigestBurned, "digest_burned", 409, "Fell back before", "find out why; `weir upgrade clear-burned DEVICE` lets it be tried again";
    /// The changeset did what only a verb of its own takes back, or is too old.
    NotUndoable, "not_undoable", 409, "Cannot be undone", "read which command takes it back";
    /// What the changeset did was changed since.
    UndoConflict, "undo_conflict", 409, "Changed since", "undo the later changesets first, newest first, or edit the object";
    /// The schema is not the one the changeset was made on.
    SchemaBetween, "schema_between", 409, "The schema changed since", "edit the object instead";
    /// The URL may not be fetched from.
    SourceRefused, "source_refused", 422, "Source refused", "use an http or https URL, or upload the file";
    /// What was sent is not what was announced.
    UploadBroken, "upload_broken", 400, "Upload broken", "send the file again";
    /// The network's level does not have the feature yet.
    GateClosed, "gate_closed", 409, "Feature gate closed", "wait until the upgrade of the whole network is finalised; Update Software lists the devices that the feature waits for";
    /// The level of the network cannot be this one: a member would not understand it.
    LevelRefused, "level_refused", 409, "The level stays", "Update Software lists the devices that features wait for";
    /// This manager is the standby.
    NotPrimary, "not_primary", 421, "Not the primary", "send the request to the primary";
    /// The two builds have no protocol version in common.
    Incompatible, "incompatible", 409, "Incompatible protocol", "bring the older side to a version that speaks the other's protocol";
    /// The enrolment token is not one of this manager's.
    BadToken, "bad_token", 401, "Bad enrolment token", "ask the operator for a token: `weir token enrolment create`";
    /// The enrolment token is past its time.
    TokenExpired, "token_expired", 401, "Enrolment token expired", "ask the operator for a new token: `weir token enrolment create`";
    /// The enrolment token has no uses left.
    TokenUsedUp, "token_used_up", 401, "Enrolment token used up", "ask the operator for a new token: `weir token enrolment create`";
    /// The enrolment token is for another role.
    TokenForOtherRole, "token_for_other_role", 403, "Enrolment token for another role", "ask the operator for a token of this device's role";
    /// The certificate request cannot be used.
    BadCertificateRequest, "bad_certificate_request", 422, "Bad certificate request", "send a PKCS#10 request in PEM";
    /// The device API needs a certificate of the network's CA.
    CertificateRequired, "certificate_required", 401, "Client certificate needed", "enrol the device: `weir enrol`";
    /// The certificate is of another device, another role, or was replaced or revoked.
    CertificateRefused, "certificate_refused", 403, "Client certificate refused", "enrol the device again with a new token";
    /// The token or user may not do this.
    Forbidden, "forbidden", 403, "Not allowed", "ask an administrator for a token or user with the role this needs";
    /// The object is not, or no longer, the one that `If-Match` names.
    PreconditionFailed, "precondition_failed", 412, "Changed meanwhile", "read the object again, and send the change with the `ETag` it has now";
    /// Without this user nobody could administer the network through the pages.
    LastAdmin, "last_admin", 409, "Last administrator", "make another user an administrator first";
    /// The write takes so much away that it has to be confirmed.
    ConfirmationNeeded, "confirmation_needed", 409, "Confirmation needed", "look at what goes; then send it again with the `confirm` the detail names";
    /// The confirmation is of another write, or of the same one on another configuration.
    ConfirmationStale, "confirmation_stale", 409, "Confirmation of something else", "run it dry again and confirm what it says now";
    /// This manager box is disabled.
    CmsDisabled, "cms_disabled", 503, "This manager is disabled", "run `weir cms info` on its box; it says what to do";
    /// The verb has no meaning in the state this manager box is in.
    CmsState, "cms_state", 409, "Not in this state", "run `weir cms info` on this box";
    /// The primary is handing over to the standby.
    HandingOver, "handing_over", 503, "Handing over", "try again in a second; the other manager answers then";
    /// The managers run different versions.
    PairMismatch, "pair_mismatch", 409, "The managers run different versions", "bring both to one version first; `weir cms info` on each says which it runs";
    /// There is no standby that follows.
    NoStandby, "no_standby", 409, "No standby follows", "enrol and activate a standby, or wait until `weir cms info` says matched";
    /// Promotion would lose changes.
    WouldLose, "would_lose", 409, "Changes could be lost", "bring the primary back, or name how many changes may be lost with `--accept-loss N`";
    /// The network key is not on this box, or is another one.
    KeyMissing, "key_missing", 409, "No network key", "run `weir cms key import` on this box with the phrase that `weir cms key export` showed";
    /// Not the phrase or fingerprint of this network's key.
    WrongKey, "wrong_key", 422, "Another key", "use the phrase of this network";
    /// A backup is damaged, or not one.
    BackupDamaged, "backup_damaged", 422, "Backup damaged", "use another backup: `weir cms database backups`";
    /// A backup of another line, another network or another box.
    BackupForeign, "backup_foreign", 409, "Backup of another place", "read the detail; restore it where it is from, or promote the standby";
    /// The schema cannot be taken to where it was asked to go.
    NoWayBack, "no_way_back", 409, "No way back", "restore a backup of that line with `weir cms database downgrade --from-backup FILE`";
    /// The manager's disk is full; reads still work.
    DiskFull, "disk_full", 507, "Disk full", "free space in the manager's data directory";
    /// The manager is stopping or has more work than its limits allow.
    Unavailable, "unavailable", 503, "Unavailable", "try again in a second";
    /// A fault of the manager's own.
    Internal, "internal", 500, "Internal fault", "read the manager's log: `weir logs MANAGER`";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_text_are_the_same_word() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).expect("json"), reason.as_str());
        }
    }

    #[test]
    fn a_problem_survives_json() {
        let problem = Problem::new(Reason::NameTaken, "location east exists").at("name");
        let json = serde_json::to_value(&problem).expect("json");
        assert_eq!(json["type"], "urn:weir:problem:name_taken");
        assert_eq!(json["status"], 409);
        assert_eq!(serde_json::from_value::<Problem>(json).expect("same"), problem);
    }
}
