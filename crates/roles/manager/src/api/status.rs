//! GET `/status`.

use crate::{app::App, device_view::counts};
use axum::{Json, extract::State};
use std::sync::Arc;
use weir_model::{Severity, version};
use weir_operator_api::{AlarmCounts, ManagerRole, NetworkStatus};

use super::{Refused, utoipa};
use crate::change::Refusal;

/// What this manager says of itself and of the network.
#[utoipa::path(get, path = "/api/v1/status", tag = "network", responses((status = 200, body = NetworkStatus), (status = "4XX", body = weir_operator_api::Problem, content_type = "application/problem+json")))]
pub(super) async fn status(State(app): State<Arc<App>>) -> Result<Json<NetworkStatus>, Refused> {
    let network = app.network();
    let standing = crate::watch::standing(&app).await.map_err(|error| Refusal::from(error).into_problem())?;
    let mut alarms = AlarmCounts::default();
    for alarm in standing {
        match alarm.severity {
            Severity::Minor => alarms.minor += 1,
            Severity::Major => alarms.major += 1,
            Severity::Critical => alarms.critical += 1,
        }
    }
    Ok(Json(NetworkStatus {
        name: app.name.clone(),
        network: network.network.clone(),
        role: ManagerRole::Primary,
        version: version().to_owned(),
        term: network.stamp.term,
        generation: network.stamp.generation,
        uptime_ms: weir_clock::monotonic_ms().saturating_sub(app.started_ms),
        profile: network.profile.name.clone(),
        devices: counts(&app, &network),
        alarms,
        primary: None,
    }))
}
