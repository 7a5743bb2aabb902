//! A box that is not the primary, as everybody else sees it: its status, one page, where it stands in the pair; for the rest 421
//! with the primary's address when it is the standby, 503 with what to do when it is disabled.

use crate::{
    api::{JsonBody, Refused},
    cms::{Cms, KeptIdentity, Life},
    gui,
    manager::{ManagerError, ManagerListeners},
    server::{self, CONNECTIONS_MAX, Limits, Peer, Service},
};
use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{Method, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use weir_device_api::{PairHello, SwitchOrder, YieldAnswer, YieldRequest, paths as device_paths};
use weir_model::{Role, version};
use weir_net::tls::{ClientAuth, server_config};
use weir_operator_api::{AlarmCounts, CmsInfo, DeviceCounts, ManagerRole, NetworkStatus, PrimaryAddress, Problem, Reason, paths};
use weir_telemetry::Tasks;

/// Largest body anybody sends here, in bytes: a yield.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What is shown to those who connect.
struct Shown {
    api: Arc<rustls::ServerConfig>,
    device: Arc<rustls::ServerConfig>,
}

/// A box that is not the primary.
pub(crate) struct Apart {
    cms: Arc<Cms>,
    /// Absent: it has no certificate, and only the control socket answers.
    shown: Option<Shown>,
    stopping: watch::Sender<bool>,
    tasks: Tasks,
}

impl Apart {
    /// Reads the identity; listens nowhere yet.
    pub(crate) fn new(cms: Arc<Cms>, identity: Option<&KeptIdentity>) -> Result<Self, ManagerError> {
        let shown = match identity {
            None => None,
            Some(kept) => {
                let chain = format!("{}{}", kept.certificate_pem, kept.ca_pem);
                let alpn: &[&[u8]] = &[b"h2", b"http/1.1"];
                let api = server_config(&chain, &kept.key_pem, ClientAuth::None, alpn)?;
                let auth = ClientAuth::Optional { ca_pem: &kept.ca_pem };
                Some(Shown { api, device: server_config(&chain, &kept.key_pem, auth, alpn)? })
            }
        };
        Ok(Self { cms, shown, stopping: watch::Sender::new(false), tasks: Tasks::new() })
    }

    /// What the control socket serves beside its own.
    pub(crate) fn local(&self) -> Router {
        let router = Router::new().route(paths::STATUS, get(status).fallback(elsewhere));
        let router = router.route(paths::PAIR, get(pair_in_full).fallback(elsewhere));
        router.fallback(elsewhere).with_state(Arc::clone(&self.cms))
    }

    /// What anybody is shown who reaches the operator API: nobody is signed in here.
    fn shown(&self) -> Router {
        let router = Router::new().route(paths::STATUS, get(status).fallback(elsewhere)).route(paths::PAIR, get(pair).fallback(elsewhere));
        router.fallback(elsewhere).with_state(Arc::clone(&self.cms))
    }

    fn device(&self) -> Router {
        Router::new()
            .route(device_paths::PAIR_HELLO, get(hello))
            .route(device_paths::PAIR_YIELD, post(make_way))
            .route(device_paths::PAIR_SWITCH, post(become_version))
            .fallback(device_elsewhere)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::clone(&self.cms))
    }

    /// Serves the listeners until [`Apart::stop`]. Returns as soon as all listen.
    pub(crate) fn serve(&self, listeners: ManagerListeners) -> Result<(), ManagerError> {
        let Some(shown) = &self.shown else { return Ok(()) };
        let service = |router| Service { router, tasks: self.tasks.clone(), stopping: self.stopping.subscribe() };
        let pages = service(self.shown().merge(gui::standby::assets()));
        let device = service(self.device());
        let (for_pages, for_devices) = Limits::shares(listeners.connections.unwrap_or(CONNECTIONS_MAX));
        for listener in listeners.api {
            server::serve_tls(listener, Arc::clone(&shown.api), pages.clone(), for_pages).map_err(ManagerError::Serve)?;
        }
        for listener in listeners.device {
            server::serve_tls(listener, Arc::clone(&shown.device), device.clone(), for_devices).map_err(ManagerError::Serve)?;
        }
        Ok(())
    }

    /// Accepts nothing more and answers what is asked; what is not done within `deadline` is cut off.
    pub(crate) async fn stop(&self, deadline: Duration) -> bool {
        self.stopping.send_replace(true);
        self.tasks.join(deadline).await
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

async fn status(State(cms): State<Arc<Cms>>) -> Result<Json<NetworkStatus>, Refused> {
    if cms.is_disabled() {
        return Err(disabled(&cms).await.into());
    }
    let stamp = cms.stamp();
    Ok(Json(NetworkStatus {
        name: cms.name().clone(),
        network: cms.network_name(),
        role: ManagerRole::Standby,
        version: version().to_owned(),
        term: stamp.term,
        generation: stamp.generation,
        uptime_ms: cms.uptime_ms(),
        profile: String::new(),
        devices: DeviceCounts::default(),
        alarms: AlarmCounts::default(),
        primary: cms.primary(),
    }))
}

async fn pair(State(cms): State<Arc<Cms>>) -> Json<CmsInfo> {
    Json(cms.info_for_anybody().await)
}

async fn pair_in_full(State(cms): State<Arc<Cms>>) -> Json<CmsInfo> {
    Json(cms.info().await)
}

/// Why it is disabled is for whoever may open the control socket.
async fn disabled(cms: &Arc<Cms>) -> Problem {
    let info = cms.info_for_anybody().await;
    let problem = Problem::new(Reason::CmsDisabled, format!("{} is {}", info.name, info.state.as_str()));
    if info.next.is_empty() { problem } else { problem.next_step(format!("on its box: {}", info.next.join(", then "))) }
}

async fn elsewhere(State(cms): State<Arc<Cms>>, method: Method, uri: Uri) -> Response {
    let is_page = method == Method::GET && !uri.path().starts_with("/api/");
    if cms.is_disabled() {
        return if is_page {
            gui::standby::disabled_page(&cms.info_for_anybody().await)
        } else {
            Refused::from(disabled(&cms).await).into_response()
        };
    }
    let unknown = || PrimaryAddress { name: cms.name().clone(), url: String::new() };
    let primary = cms.primary().unwrap_or_else(unknown);
    if is_page {
        return gui::standby::standby_page(&cms.info_for_anybody().await, &cms.network_name(), &primary, uri.path());
    }
    let PrimaryAddress { name, url } = &primary;
    let problem = if url.is_empty() {
        Problem::new(Reason::NotPrimary, format!("{} is the standby and has not heard who is the primary", cms.name()))
    } else {
        let detail = format!("{} is the standby; the primary is {name} at {url}", cms.name());
        Problem::new(Reason::NotPrimary, detail).next_step(format!("send the request to {url}{}", uri.path()))
    };
    Refused::from(problem).into_response()
}

async fn device_elsewhere(State(cms): State<Arc<Cms>>) -> Refused {
    if cms.is_disabled() {
        return disabled(&cms).await.into();
    }
    let problem = Problem::new(Reason::NotPrimary, format!("{} is the standby", cms.name()));
    match cms.device_address_of_primary() {
        Some(address) => problem.next_step(format!("ask the primary at {address}")),
        None => problem,
    }
    .into()
}

/// A manager of this network: its CA signed the certificate. Without a database nobody else is on record here.
fn is_manager(cms: &Cms, peer: &Peer) -> Result<(), Problem> {
    let Peer::Tls { certificate: Some(certificate), .. } = peer else {
        return Err(Problem::new(Reason::CertificateRequired, "the connection shows no certificate of this network"));
    };
    let subject = &certificate.subject;
    if subject.role == Role::Manager.as_str() && subject.device != cms.name().as_str() {
        return Ok(());
    }
    Err(Problem::new(Reason::CertificateRefused, format!("{} is no other manager", subject.device)))
}

async fn hello(State(cms): State<Arc<Cms>>, Extension(peer): Extension<Peer>) -> Result<Json<PairHello>, Refused> {
    is_manager(&cms, &peer)?;
    Ok(Json(cms.hello_told().await?))
}

async fn make_way(
    State(cms): State<Arc<Cms>>,
    Extension(peer): Extension<Peer>,
    JsonBody(request): JsonBody<YieldRequest>,
) -> Result<Json<YieldAnswer>, Refused> {
    is_manager(&cms, &peer)?;
    match cms.life() {
        Life::Standby(follower) => Ok(Json(follower.answer_yield(&request)?)),
        _ => Err(disabled(&cms).await.into()),
    }
}

/// The primary orders this box to become another version.
async fn become_version(
    State(cms): State<Arc<Cms>>,
    Extension(peer): Extension<Peer>,
    JsonBody(order): JsonBody<SwitchOrder>,
) -> Result<Json<PairHello>, Refused> {
    is_manager(&cms, &peer)?;
    let own = cms.box_file().fenced().map_or(0, |fence| fence.term).max(cms.stamp().term);
    if order.stamp.term < own {
        let detail = format!("the order is of term {}, and this box knows term {own}", order.stamp.term);
        return Err(Problem::new(Reason::SwitchRefused, detail).next_step("order it at the manager that is primary now").into());
    }
    if order.stamp.term > own.saturating_add(crate::cms::fence::AHEAD_MAX) {
        let detail = format!("the order is of term {}, too far above {own}, which this box knows", order.stamp.term);
        return Err(Problem::new(Reason::InvalidField, detail).at("stamp.term").into());
    }
    if let Some(note) = cms.box_file().switch().filter(|note| order.stamp < note.stamp) {
        let detail = format!("the order {} is older than {}, which this box obeys", order.stamp, note.stamp);
        return Err(Problem::new(Reason::SwitchRefused, detail).next_step("order it at the manager that is primary now").into());
    }
    cms.become_version(order, true).await?;
    Ok(Json(cms.hello().await))
}
