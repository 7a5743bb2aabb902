//! Nouns, names, versions and the compiled configuration a device runs from.
//!
//! Everything here is a value: no clock, socket, file or randomness. Field names are the same in
//! Rust, JSON, SQL and pages.

pub mod alarm;
pub mod configuration;
pub mod delivery;
pub mod lineage;
pub mod name;
#[cfg(feature = "synthetic-next")]
pub mod next;
pub mod offload;
pub mod origin;
pub mod profile;
pub mod release;
pub mod service;
pub mod software;
pub mod source;
pub mod stamp;
pub mod status;
pub mod version;

pub use alarm::{AlarmReason, Severity};
pub use configuration::DeviceConfiguration;
pub use lineage::{Lineage, LineageError, Skew};
#[cfg(feature = "synthetic-next")]
pub use name::Detail;
pub use name::{DeviceName, Domain, LocationName, NameError, ServiceName};
pub use offload::{LeaseOwner, OffloadEpoch};
pub use origin::OriginUrl;
pub use profile::Profile;
pub use release::{FIRST_LEVEL, Gate, GateKind, InvalidReason, ReleaseCheck, ReleaseInterface, Span};
pub use service::DeliveryService;
pub use software::{DownloadMethod, OwnReason, SoftwareCheck, SoftwareReason, SoftwareState, Verdict};
pub use source::{FetchReason, SourceAllow};
pub use stamp::Stamp;
pub use status::{DeviceStatus, Role};
pub use version::{Line, Version, version};
