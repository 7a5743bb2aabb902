//! POST `/device/v1/enrol`.

use super::peer::compatible;
use crate::{
    access::Access,
    api::{JsonBody, Refused},
    app::App,
    change::{Actor, Caller},
    domain::enrolment,
    network_key::NetworkKey,
    server::Peer,
};
use axum::{Extension, Json, extract::State};
use std::sync::Arc;
use weir_device_api::{EnrolAnswer, EnrolRequest, EnrolToken};
use weir_model::Role;
use weir_operator_api::{Problem, Reason};

pub(super) async fn enrol(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    JsonBody(request): JsonBody<EnrolRequest>,
) -> Result<Json<EnrolAnswer>, Refused> {
    compatible(&request.hello)?;
    let token: EnrolToken =
        request.token.parse().map_err(|error| Problem::new(Reason::BadToken, format!("the text {error}")).at("token"))?;
    let source = match peer {
        Peer::Local => "local".to_owned(),
        Peer::Tls { address, .. } => address.ip().to_string(),
    };
    let caller = Caller { actor: Actor::EnrolmentToken(hex::encode(token.id)), source, access: Access::least() };
    let (device, role) = (request.hello.device.clone(), request.hello.role);
    let authority = Arc::clone(&app);
    let change = app.change(caller, move |change| enrolment::enrol(change, &authority.authority, &request, &token, weir_clock::wall()));
    let enrolled = change.await.inspect_err(|problem| {
        tracing::warn!(about = device.as_str(), reason = problem.reason.as_str(), "enrolment refused");
    })?;
    tracing::info!(about = device.as_str(), activated = enrolled.activated, "device enrolled");
    let ca = app.authority.certificate_pem().to_owned();
    let api = app.network().devices.get(&app.name).and_then(|own| own.addresses.https);
    // It has to open the network's secrets the moment it takes over.
    let network_key = match role {
        Role::Manager => Some(key_of(&app).await?),
        Role::Router | Role::Engine => None,
    };
    Ok(Json(EnrolAnswer { hello: app.hello(), certificate: enrolled.certificate_pem, ca, activated: enrolled.activated, api, network_key }))
}

async fn key_of(app: &Arc<App>) -> Result<String, Problem> {
    let state = app.directory.clone();
    let read = tokio::task::spawn_blocking(move || NetworkKey::load(&state)).await;
    let missing = |why: String| Problem::new(Reason::KeyMissing, why);
    let key = read.map_err(|_| missing("reading the key failed".to_owned()))?;
    let key = key.map_err(|error| missing(weir_telemetry::Chain(&error).to_string()))?;
    key.map(|key| key.to_hex().as_str().to_owned()).ok_or_else(|| missing("there is no network key on this box".to_owned()))
}
