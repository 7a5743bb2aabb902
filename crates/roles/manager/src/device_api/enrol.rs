//! POST `/device/v1/enrol`.

use super::peer::compatible;
use crate::{
    api::{JsonBody, Refused},
    app::App,
    change::{Actor, Caller},
    domain::enrolment,
    server::Peer,
};
use axum::{Extension, Json, extract::State};
use std::sync::Arc;
use weir_device_api::{EnrolAnswer, EnrolRequest, EnrolToken};
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
    let caller = Caller { actor: Actor::EnrolmentToken(hex::encode(token.id)), source };
    let device = request.hello.device.clone();
    let authority = Arc::clone(&app);
    let change = app.change(caller, move |change| enrolment::enrol(change, &authority.authority, &request, &token, weir_clock::wall()));
    let enrolled = change.await.inspect_err(|problem| {
        tracing::warn!(about = device.as_str(), reason = problem.reason.as_str(), "enrolment refused");
    })?;
    tracing::info!(about = device.as_str(), activated = enrolled.activated, "device enrolled");
    let ca = app.authority.certificate_pem().to_owned();
    let api = app.network().devices.get(&app.name).and_then(|own| own.addresses.https);
    Ok(Json(EnrolAnswer {
        hello: app.hello(),
        certificate: enrolled.certificate_pem,
        ca,
        activated: enrolled.activated,
        api,
        network_key: None,
    }))
}
