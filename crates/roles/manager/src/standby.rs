//! A standby manager's API: its status, and 421 with the primary's address for everything else; to browsers as a page.

use crate::{
    api::Refused,
    gui,
    server::{self, CONNECTIONS_MAX, Limits, Service},
    socket,
};
use axum::{
    Json, Router,
    extract::State,
    http::{Method, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{io, net::TcpListener, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;
use weir_model::{DeviceName, version};
use weir_net::tls::{ClientAuth, TlsError, server_config};
use weir_operator_api::{AlarmCounts, DeviceCounts, ManagerRole, NetworkStatus, PrimaryAddress, Problem, Reason, paths};
use weir_telemetry::Tasks;

/// What a standby is opened with.
pub struct StandbySettings {
    /// The device's data directory; the local socket is below it.
    pub data: PathBuf,
    /// Its device name.
    pub name: DeviceName,
    /// Name of the network.
    pub network_name: String,
    /// The primary it was enrolled to.
    pub primary: PrimaryAddress,
    /// Its certificate, followed by the network's CA certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PEM.
    pub key_pem: String,
}

/// Why a standby cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StandbyError {
    /// Its certificate or key.
    #[error("configure TLS")]
    Tls(#[from] TlsError),
    /// A listener.
    #[error("serve")]
    Serve(#[from] io::Error),
}

struct Shown {
    name: DeviceName,
    network: String,
    primary: PrimaryAddress,
    started_ms: u64,
}

/// The API of a standby manager.
pub struct StandbyApi {
    data: PathBuf,
    shown: Arc<Shown>,
    tls: Arc<rustls::ServerConfig>,
    stopping: watch::Sender<bool>,
    tasks: Tasks,
}

impl StandbyApi {
    /// Reads the identity; listens nowhere yet.
    pub fn new(settings: StandbySettings) -> Result<Self, StandbyError> {
        let tls = server_config(&settings.certificate_pem, &settings.key_pem, ClientAuth::None, &[b"h2", b"http/1.1"])?;
        let shown = Shown {
            name: settings.name,
            network: settings.network_name,
            primary: settings.primary,
            started_ms: weir_clock::monotonic_ms(),
        };
        Ok(Self { data: settings.data, shown: Arc::new(shown), tls, stopping: watch::Sender::new(false), tasks: Tasks::new() })
    }

    /// Serves the listeners and the local socket until [`StandbyApi::stop`]. Returns as soon as all listen.
    pub async fn serve(&self, api: Vec<TcpListener>) -> Result<(), StandbyError> {
        let router = Router::new().route(paths::STATUS, get(status).fallback(elsewhere)).fallback(elsewhere);
        let router = router.merge(gui::standby::assets()).with_state(Arc::clone(&self.shown));
        let service = Service { router, tasks: self.tasks.clone(), stopping: self.stopping.subscribe() };
        let local = socket::bind(&self.data)?;
        server::serve_local(local.listener, local.file, service.clone());
        for listener in api {
            server::serve_tls(listener, Arc::clone(&self.tls), service.clone(), Limits::shares(CONNECTIONS_MAX).0)?;
        }
        Ok(())
    }

    /// Accepts nothing more and answers what is asked; what is not done within `deadline` is cut off.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.stopping.send_replace(true);
        self.tasks.join(deadline).await
    }
}

impl Drop for StandbyApi {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

async fn status(State(shown): State<Arc<Shown>>) -> Json<NetworkStatus> {
    Json(NetworkStatus {
        name: shown.name.clone(),
        network: shown.network.clone(),
        role: ManagerRole::Standby,
        version: version().to_owned(),
        term: 0,
        generation: 0,
        uptime_ms: weir_clock::monotonic_ms().saturating_sub(shown.started_ms),
        profile: String::new(),
        devices: DeviceCounts::default(),
        alarms: AlarmCounts::default(),
        primary: Some(shown.primary.clone()),
    })
}

async fn elsewhere(State(shown): State<Arc<Shown>>, method: Method, uri: Uri) -> Response {
    if method == Method::GET && !uri.path().starts_with("/api/") {
        return gui::standby::page(shown.name.as_str(), &shown.network, &shown.primary, uri.path());
    }
    let PrimaryAddress { name, url } = &shown.primary;
    let detail = format!("{} is the standby; the primary is {name} at {url}", shown.name);
    let problem = Problem::new(Reason::NotPrimary, detail).next_step(format!("send the request to {url}{}", uri.path()));
    Refused::from(problem).into_response()
}
