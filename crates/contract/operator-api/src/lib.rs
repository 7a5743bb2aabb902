//! The manager's REST API under `/api/v1`: paths, requests, answers, problems.
//!
//! Requests refuse fields they do not know; answers may grow fields, and readers ignore those they do not know. Names in
//! requests are plain text, so that the manager can say which field is wrong and why; names in answers are names.
//! `docs/openapi.json` is generated from the manager's handlers and these types.

pub mod access;
pub mod alarm;
pub mod audit;
pub mod backup;
pub mod changeset;
pub mod cms;
pub mod confirmation;
pub mod delivery_service;
pub mod device;
pub mod features;
pub mod listing;
pub mod location;
pub mod network_document;
pub mod offload;
pub mod paths;
pub mod problem;
pub mod rollout;
pub mod route;
pub mod software;
pub mod status;
pub mod token;
pub mod update;
pub mod user;
pub mod zone;

pub use access::AccessRole;
pub use alarm::{Alarm, AlarmState};
pub use audit::AuditEntry;
pub use backup::{
    Backup, BackupConfirmation, BackupCopy, BackupManifest, BackupRecovery, BackupRequest, BackupSchedule, BackupUnderWay, Backups,
    Maintained, MaintenanceRequest, Rehearsal, RehearsalCheck, Restored, Validation,
};
pub use changeset::{Changeset, ChangesetDetail, ChangesetQuery, HistoryQuery};
pub use cms::{
    CmsInfo, CmsState, DowngradePlan, DowngradeRequest, DowngradeStep, KeyExport, KeyRequest, PairCondition, PairInfo, RoleChange,
    RoleRequest, UnreplicatedFile,
};
pub use confirmation::Confirmation;
pub use delivery_service::{Caching, DeliveryService, DeliveryServiceRequest};
pub use device::{Activation, Addresses, Device, DeviceCondition, DeviceLoad, DeviceLogs, LastReport, RejectedConfiguration};
pub use features::{Features, ParkedObject, WaitingFeature};
pub use listing::{Listing, PageQuery};
pub use location::{ConfirmedRemoval, Location, LocationRequest};
pub use network_document::{
    ApplyChange, ApplyOutcome, ApplyQuery, DeclaredDevice, DeclaredLocation, DeclaredService, DeclaredZone, NetworkDocument,
};
pub use offload::{Offload, OffloadLease, OffloadPreview, OffloadRequest, UnoffloadRequest};
pub use problem::{Problem, Reason};
pub use rollout::{
    Rollout, RolloutConsole, RolloutLane, RolloutManager, RolloutNote, RolloutPlan, RolloutReason, RolloutRequest, RolloutStart,
    RolloutWave, RolloutWindow, RolloutWord,
};
pub use route::RouteExplanation;
pub use software::{
    Direction, SoftwareCheckRow, SoftwareChoice, SoftwareChoices, SoftwareFile, SoftwareFileRequest, SoftwareProgress, SoftwareReasonShown,
    SoftwareRelease, SoftwareRemoval, SoftwareSource, SoftwareSources,
};
pub use status::{AlarmCounts, DeviceCounts, ManagerRole, NetworkStatus, PrimaryAddress};
pub use token::{ApiToken, ApiTokenRequest, EnrolmentToken, EnrolmentTokenRequest, NewApiToken, NewEnrolmentToken};
pub use update::{
    AssignedUpdate, DeviceUpdate, DeviceUpdateRequest, DeviceUpdateVerb, UpdateFetch, UpdateKeeper, UpdatePreview, UpdateProof,
    UpdateReasonShown,
};
pub use user::{NewUser, OneTimePassword, User, UserRequest, UserRoleRequest};
pub use zone::{CoverageZone, CoverageZones, CoverageZonesRequest, ZoneRequest};
