//! Why a client is sent where it is.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use weir_model::DeviceName;

/// Query of GET `/route/explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RouteQuery {
    /// The client's address.
    pub client: String,
    /// What it asks for: `http://domain/path`.
    pub url: String,
    /// The router to ask; absent: the first that is online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(required = false)]
    pub router: Option<String>,
}

/// A router's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteExplanation {
    /// Who decided.
    #[schema(value_type = String)]
    pub router: DeviceName,
    /// The decision with its reasons, as the router's rules write it.
    pub decision: serde_json::Value,
}
