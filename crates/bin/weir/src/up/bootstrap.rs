//! What a new network needs from its manager: a token, locations, zones, the service, and every device enrolled.
//!
//! Each step looks before it writes, so that a start that was cut short is finished by the next one.

use super::{
    directory::Directory,
    plan::{DOMAIN, LOCATIONS, Plan, Planned, ROOT, SERVICE},
};
use crate::api_client::ApiClient;
use anyhow::{Context, bail};
use std::{collections::BTreeMap, path::Path};
use tokio::task::JoinSet;
use weir_agent::DeviceState;
use weir_device_api::EnrolToken;
use weir_model::Role;
use weir_operator_api::{
    ApiToken, ApiTokenRequest, Caching, CoverageZones, CoverageZonesRequest, DeliveryService, DeliveryServiceRequest,
    EnrolmentTokenRequest, Location, LocationRequest, NewApiToken, NewEnrolmentToken, ZoneRequest, paths,
};

/// How long an enrolment token of `weir up` works, in seconds.
const ENROLMENT_SECONDS: u64 = 600;
/// Metric of a zone's own location and of the one that stands in for it.
const NEAR: u32 = 10;
const FAR: u32 = 20;

/// The administrator's token: the one kept, or a new one made over the manager's local socket.
pub(crate) async fn admin_token(directory: &Directory, local: &ApiClient) -> anyhow::Result<String> {
    if let Some(token) = directory.admin_token() {
        return Ok(token);
    }
    let request = ApiTokenRequest { name: "weir-up".into(), expires_in_seconds: None, role: None, services: None };
    // A token made by a start that was cut short before it could keep it is worth nothing to anybody.
    let tokens: Vec<ApiToken> = local.list(paths::TOKENS).await?;
    for lost in tokens.iter().filter(|t| t.name == request.name) {
        local.delete(&format!("{}/{}", paths::TOKENS, lost.id)).await?;
    }
    let made: NewApiToken = local.post(paths::TOKENS, &request).await.context("make the administrator's token")?;
    directory.keep_admin_token(&made.token)?;
    Ok(made.token)
}

/// The pages' one-time password, while nobody has changed it.
pub(crate) fn one_time_password(manager: &Path) -> Option<String> {
    let password = std::fs::read_to_string(manager.join("state/manager/one-time-password")).ok()?;
    Some(password.trim().to_owned()).filter(|p| !p.is_empty())
}

/// Locations, zones and the delivery service, as far as they are missing.
pub(crate) async fn configure(api: &ApiClient, origin: &str) -> anyhow::Result<()> {
    let locations: Vec<Location> = api.list(paths::LOCATIONS).await?;
    for name in LOCATIONS {
        if !locations.iter().any(|l| l.name.as_str() == name) {
            let parent = (name != ROOT).then(|| ROOT.to_owned());
            let _: Location = api.post(paths::LOCATIONS, &LocationRequest { name: name.into(), parent }).await?;
        }
    }
    let zones: CoverageZones = api.get(paths::COVERAGE_ZONES).await?;
    if zones.zones.is_empty() {
        let zone = |network: &str, near: &str, far: &str| ZoneRequest {
            network: network.into(),
            locations: BTreeMap::from([(near.to_owned(), NEAR), (far.to_owned(), FAR)]),
        };
        let request = CoverageZonesRequest { zones: vec![zone("127.0.0.0/8", "east", "west"), zone("127.128.0.0/9", "west", "east")] };
        let _: CoverageZones = api.put(paths::COVERAGE_ZONES, &request).await?;
    }
    let services: Vec<DeliveryService> = api.list(paths::DELIVERY_SERVICES).await?;
    if !services.iter().any(|s| s.name.as_str() == SERVICE) {
        let request = DeliveryServiceRequest {
            name: SERVICE.into(),
            domain: DOMAIN.into(),
            origin: origin.into(),
            engines: None,
            caching: Caching::default(),
            #[cfg(feature = "synthetic-next")]
            detail: None,
        };
        let _: DeliveryService = api.post(paths::DELIVERY_SERVICES, &request).await?;
    }
    Ok(())
}

/// Enrols and activates every device that has no identity yet; returns their names.
pub(crate) async fn enrol(directory: &Directory, api: &ApiClient, plan: &Plan, primary: &Planned) -> anyhow::Result<Vec<String>> {
    let manager = primary.listeners.device.expect("managers have a device listener");
    let mut enrolled = Vec::new();
    let mut enrolments = JoinSet::new();
    for group in waiting(directory, plan)? {
        let first = &group[0].0;
        let request = EnrolmentTokenRequest {
            role: first.role.to_string(),
            uses: u32::try_from(group.len())?,
            expires_in_seconds: ENROLMENT_SECONDS,
            activate_into: Some(first.location.into()),
        };
        let made: NewEnrolmentToken = api.post(paths::ENROLMENT_TOKENS, &request).await?;
        let token: EnrolToken = made.token.parse().context("the manager's own token")?;
        for (device, state) in group {
            enrolled.push(device.name.clone());
            let token = token.clone();
            enrolments.spawn(async move {
                let name = device.name.parse().context("planned names are names")?;
                let answer = weir_agent::enrol::enrol(&state, &name, device.role, manager, &token, device.listeners).await?;
                if answer.activated { Ok(()) } else { bail!("{name} was enrolled but not activated") }
            });
        }
    }
    while let Some(done) = enrolments.join_next().await {
        done.context("enrolment task")??;
    }
    Ok(enrolled)
}

/// Whether a device is part of the network.
pub(crate) fn is_enrolled(directory: &Directory, device: &Planned) -> anyhow::Result<bool> {
    Ok(state(directory, device)?.identity()?.is_some())
}

fn state(directory: &Directory, device: &Planned) -> anyhow::Result<DeviceState> {
    Ok(DeviceState::open(&directory.device(&device.name), device.name.parse().context("planned names are names")?, device.role)?)
}

type Waiting = Vec<(Planned, DeviceState)>;

/// Devices without an identity, grouped by role and location: one token lets in a group.
fn waiting(directory: &Directory, plan: &Plan) -> anyhow::Result<Vec<Waiting>> {
    let mut groups: BTreeMap<(Role, &str), Waiting> = BTreeMap::new();
    for device in plan.devices.iter().skip(1) {
        let state = state(directory, device)?;
        if state.identity()?.is_none() {
            groups.entry((device.role, device.location)).or_default().push((device.clone(), state));
        }
    }
    Ok(groups.into_values().collect())
}
