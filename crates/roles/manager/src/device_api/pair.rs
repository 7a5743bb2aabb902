//! What managers of a pair ask the primary: poll, snapshot, yield, HELLO.

use super::giver::{Giver, Watcher};
use crate::{
    api::{JsonBody, QueryOf, Refused},
    app::App,
    cms, pair,
    server::Peer,
    snapshot::DeviceRecord,
};
use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use weir_device_api::{PairAnswer, PairHello, PairPoll, YieldAnswer, YieldRequest};
use weir_model::Role;
use weir_operator_api::{Problem, Reason};

/// A manager of this network: its certificate is of our CA, and one of this name is on record. Which certificate it is does not
/// matter: managers hold the CA's key (`docs/decisions/0008`).
pub(super) struct ManagerPeer(DeviceRecord);

impl FromRequestParts<Arc<App>> for ManagerPeer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let Some(Peer::Tls { certificate: Some(certificate), .. }) = parts.extensions.get::<Peer>() else {
            return Err(Problem::new(Reason::CertificateRequired, "the connection shows no certificate of this network").into());
        };
        let subject = &certificate.subject;
        let network = app.network();
        let record = network.devices.get(subject.device.as_str()).filter(|record| record.role == Role::Manager);
        let record = record.filter(|record| subject.role == Role::Manager.as_str() && record.name != app.name);
        record.cloned().map(Self).ok_or_else(|| {
            let detail = format!("no other manager {} is on record", subject.device);
            Problem::new(Reason::CertificateRefused, detail).into()
        })
    }
}

impl ManagerPeer {
    fn active(self) -> Result<DeviceRecord, Problem> {
        if self.0.active {
            return Ok(self.0);
        }
        let next = format!("run `weir device activate {}`", self.0.name);
        Err(Problem::new(Reason::CmsState, format!("{} is not active", self.0.name)).next_step(next))
    }
}

pub(super) async fn poll(
    State(app): State<Arc<App>>,
    peer: ManagerPeer,
    JsonBody(poll): JsonBody<PairPoll>,
) -> Result<Json<PairAnswer>, Refused> {
    Ok(Json(pair::poll(&app, &peer.active()?, poll).await?))
}

pub(super) async fn hello(
    State(app): State<Arc<App>>,
    peer: ManagerPeer,
    QueryOf(said): QueryOf<cms::Said>,
) -> Result<Json<PairHello>, Refused> {
    cms::told_by(&app, &peer.0, &said);
    Ok(Json(app.cms.hello().await))
}

pub(super) async fn make_way(
    State(app): State<Arc<App>>,
    peer: ManagerPeer,
    JsonBody(request): JsonBody<YieldRequest>,
) -> Result<Json<YieldAnswer>, Refused> {
    let record = peer.active()?;
    if record.name != request.hello.name {
        let detail = format!("the certificate is {}'s, the request {}'s", record.name, request.hello.name);
        return Err(Problem::new(Reason::CertificateRefused, detail).at("hello.name").into());
    }
    app.pair.only(&record.name)?;
    Ok(Json(pair::yield_to(&app, request).await?))
}

/// A copy of `config.db` as of one changeset; 202 while it is being made: then it is asked for again.
pub(super) async fn snapshot(State(app): State<Arc<App>>, peer: ManagerPeer) -> Result<Response, Refused> {
    let record = peer.active()?;
    app.pair.only(&record.name)?;
    if app.pair.doubts_rows() {
        let detail = "rows of this manager are not what its log of writes says, and no operator has said that they count";
        return Err(Problem::new(Reason::CmsState, detail).next_step(format!("run `weir cms resync` on {}", record.name)).into());
    }
    app.pair.touch();
    let Some(made) = pair::copying::ask(&app).await? else {
        return Ok((StatusCode::ACCEPTED, Body::empty()).into_response());
    };
    app.pair.touch();
    let (bytes, sha256, hello) = (made.bytes, made.sha256, made.hello);
    let mut response = Response::new(Body::new(Giver::new(&app, made.file, 0..bytes, Watcher::Pair)));
    let head = response.headers_mut();
    let unsaid = |_| Problem::new(Reason::Internal, "what the copy is cannot be said in a header");
    let value = |text: String| HeaderValue::from_str(&text).map_err(unsaid);
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    head.insert(CONTENT_LENGTH, bytes.into());
    head.insert("weir-sha256", value(sha256)?);
    head.insert("weir-hello", value(serde_json::to_string(&hello).expect("our own types are JSON"))?);
    Ok(response)
}
