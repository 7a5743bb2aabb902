//! Alarms.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use weir_model::{AlarmReason, DeviceName, Severity};

/// An alarm: one for each reason, device and object while it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// Rises; an alarm that is raised again gets another one.
    pub id: i64,
    /// Why.
    #[schema(value_type = String)]
    pub reason: AlarmReason,
    /// `minor`, `major` or `critical`.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// Which device.
    #[schema(value_type = String)]
    pub device: DeviceName,
    /// What on it: a delivery service, a file; empty for the device itself.
    pub object: String,
    /// The particulars, one sentence.
    pub text: String,
    /// What to do next, one sentence.
    pub next: String,
    /// When it was raised, milliseconds since 1970.
    pub raised_ms: u64,
    /// When somebody took it on, milliseconds since 1970.
    pub acknowledged_ms: Option<u64>,
    /// Who did.
    pub acknowledged_by: Option<String>,
    /// When it ended, milliseconds since 1970; null while it stands.
    pub cleared_ms: Option<u64>,
}

/// Which alarms to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// Those that stand.
    #[default]
    Raised,
    /// Those that ended.
    Cleared,
    /// Both.
    All,
}

/// Query of GET `/alarms`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlarmQuery {
    /// `raised` (default), `cleared` or `all`.
    #[serde(default)]
    #[param(required = false, inline)]
    pub state: AlarmState,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(required = false)]
    pub after: Option<String>,
    /// Most items wanted, 1 to 10,000; 1,000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(required = false)]
    pub limit: Option<u32>,
}
