//! A manager in a directory of its own, an API client and devices that speak to it.

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use weir_device_api::{EnrolRequest, Hello, Listeners, Load, Poll, Report, hello::PROTOCOL, paths};
use weir_manager::{KeptIdentity, ManagerBox, ManagerListeners, ManagerSettings, OwnAnswers, OwnIdentity};
use weir_model::{Role, Stamp};
use weir_net::{
    identity::{CertificateRequest, Subject},
    tls::{client_config, pinned_client_config},
};
use weir_operator_api::Problem;
use weir_telemetry::Metrics;

/// Longest wait for anything in these tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// An answer: status and JSON body (null when empty).
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) json: Value,
}

impl Answer {
    /// The body of a success with this status.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        self.json
    }

    /// The problem of a refusal: its reason word and field.
    pub(crate) fn refusal(self) -> (String, Option<String>) {
        assert_eq!(self.content_type, "application/problem+json", "{}", self.json);
        let problem: Problem = serde_json::from_value(self.json).expect("problem");
        assert_eq!(problem.status, self.status);
        assert!(!problem.detail.is_empty() && !problem.next.is_empty());
        (problem.reason.as_str().to_owned(), problem.field)
    }
}

/// One request on a connection of its own.
pub(crate) async fn send(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, h2: bool, request: Request<Full<Bytes>>) -> Answer {
    let io = TokioIo::new(io);
    let tasks = weir_telemetry::Tasks::new();
    let response = if h2 {
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        tasks.spawn("client", async { drop(connection.await) });
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
        tasks.spawn("client", async { drop(connection.await) });
        sender.send_request(request).await
    };
    let response = response.expect("an answer");
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").map(|v| v.to_str().expect("text").to_owned()).unwrap_or_default();
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
    Answer { status, content_type, json }
}

/// One request over TLS.
pub(crate) async fn send_tls(address: SocketAddr, mut tls: rustls::ClientConfig, request: Request<Full<Bytes>>) -> Answer {
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.expect("connected");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let stream = connector.connect(ServerName::from(address.ip()), stream).await.expect("handshake");
    send(stream, true, request).await
}

pub(crate) fn request(method: Method, uri: &str, body: Option<&Value>) -> Request<Full<Bytes>> {
    let builder = Request::builder().method(method).uri(uri);
    match body {
        None => builder.body(Full::default()),
        Some(body) => builder.header("content-type", "application/json").body(Full::from(body.to_string())),
    }
    .expect("request")
}

/// Waits until `ready` says so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut ready: impl FnMut() -> F) {
    let mut tries = tokio::time::interval(Duration::from_millis(20));
    let deadline = weir_clock::monotonic() + DEADLINE;
    while !ready().await {
        assert!(weir_clock::monotonic() < deadline, "{what}: not within {DEADLINE:?}");
        tries.tick().await;
    }
}

/// A running manager.
pub(crate) struct Running {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) manager: ManagerBox,
    pub(crate) metrics: Metrics,
    pub(crate) api: SocketAddr,
    pub(crate) device: SocketAddr,
    pub(crate) token: String,
}

fn settings(data: PathBuf, api: SocketAddr, device: SocketAddr, metrics: Metrics) -> ManagerSettings {
    ManagerSettings {
        data,
        name: "manager-1".parse().expect("name"),
        network_name: "test".into(),
        profile: "rehearsal".into(),
        listeners: Listeners { https: Some(api), device: Some(device), ..Listeners::default() },
        addresses: vec![],
        metrics,
        keeper: None,
        own: OwnAnswers { boot: 1, worker_crashes: 0, last_exit: None, logs: Arc::new(|lines| Ok(vec![format!("last {lines}")])) },
    }
}

/// What the fields of a kept identity lie between.
const FIELD: &str = "\u{1e}";

/// A box's identity in a file of its directory, as its agent would keep it.
pub(crate) fn own_identity(data: &Path) -> OwnIdentity {
    let file = data.join("identity");
    let read = file.clone();
    OwnIdentity {
        read: Arc::new(move || Ok(std::fs::read_to_string(&read).ok().map(|text| identity_of(&text)))),
        keep: Arc::new(move |kept| {
            let api = kept.manager_api.map_or_else(String::new, |api| api.to_string());
            let (manager, name) = (kept.manager.to_string(), kept.manager_name.to_string());
            let text = [&kept.certificate_pem, &kept.key_pem, &kept.ca_pem, &manager, &name, &api].map(String::as_str).join(FIELD);
            std::fs::write(&file, text).map_err(|error| error.to_string())
        }),
    }
}

fn identity_of(text: &str) -> KeptIdentity {
    let fields: Vec<&str> = text.split(FIELD).collect();
    let [certificate, key, ca, manager, name, api] = fields.try_into().expect("six fields");
    KeptIdentity {
        certificate_pem: certificate.into(),
        key_pem: key.into(),
        ca_pem: ca.into(),
        manager: manager.parse().expect("address"),
        manager_name: name.parse().expect("name"),
        manager_api: api.parse().ok(),
    }
}

/// A listener; after a crash the tasks that held the one before end a moment later.
async fn listener(address: &str) -> TcpListener {
    let bound = std::cell::Cell::new(None);
    until("the address is free", || async {
        bound.set(TcpListener::bind(address).ok());
        let taken = bound.take();
        let free = taken.is_some();
        bound.set(taken);
        free
    })
    .await;
    bound.into_inner().expect("bound")
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_unconfirmed().await.with_its_key_confirmed().await
    }

    /// As the operator of a new network does first; until then an alarm stands.
    pub(crate) async fn with_its_key_confirmed(self) -> Self {
        let key = self.local(Method::GET, "/cms/v1/key", None).await.expect(200);
        self.local(Method::POST, "/cms/v1/key/confirm", Some(json!({"fingerprint": key["fingerprint"]}))).await.expect(200);
        until("nothing is alarmed", || async { self.get("/api/v1/alarms").await["items"] == json!([]) }).await;
        self
    }

    /// A new network whose key nobody has confirmed yet.
    pub(crate) async fn start_unconfirmed() -> Self {
        Self::start_in(tempfile::tempdir().expect("dir"), ["127.0.0.1:0", "127.0.0.1:0"], None).await
    }

    /// The same network again, at the same addresses.
    pub(crate) async fn restart(self) -> Self {
        let Self { dir, manager, api, device, token, .. } = self;
        assert!(manager.stop(DEADLINE).await);
        drop(manager);
        Self::start_in(dir, [&api.to_string(), &device.to_string()], Some(token)).await
    }

    /// Like [`Running::restart`], after an end nobody prepared.
    pub(crate) async fn crash_and_restart(self) -> Self {
        let Self { dir, manager, api, device, token, .. } = self;
        drop(manager);
        // What ends with a process outlives a manager by a moment: its tasks let go of the databases one by one.
        let state = dir.path().join("state/manager");
        let holds = |file: &std::fs::DirEntry| std::fs::read_link(file.path()).is_ok_and(|target| target.starts_with(&state));
        let is_free = || !std::fs::read_dir("/proc/self/fd").expect("open files").flatten().any(|file| holds(&file));
        until("the databases are free", || async { is_free() }).await;
        Self::start_in(dir, [&api.to_string(), &device.to_string()], Some(token)).await
    }

    /// Starts in a directory, at these addresses.
    pub(crate) async fn start_in(dir: tempfile::TempDir, addresses: [&str; 2], token: Option<String>) -> Self {
        weir_net::tls::install_provider();
        let (api_listener, device_listener) = (listener(addresses[0]).await, listener(addresses[1]).await);
        let (api, device) = (api_listener.local_addr().expect("address"), device_listener.local_addr().expect("address"));
        let metrics = Metrics::new("1.0.0-b1", "manager", "manager-1");
        let manager = ManagerBox::open(settings(dir.path().to_owned(), api, device, metrics.clone()), own_identity(dir.path()))
            .await
            .expect("opened");
        manager
            .serve(ManagerListeners { api: vec![api_listener], device: vec![device_listener], connections: None })
            .await
            .expect("serving");
        let mut running = Self { dir, manager, metrics, api, device, token: token.unwrap_or_default() };
        if running.token.is_empty() {
            let made = running.local(Method::POST, "/api/v1/tokens", Some(json!({"name": "tests"}))).await.expect(201);
            running.token = made["token"].as_str().expect("token").to_owned();
        }
        running
    }

    /// A request over the local socket.
    pub(crate) async fn local(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let stream = tokio::net::UnixStream::connect(self.dir.path().join("run/cms.sock")).await.expect("socket");
        send(stream, false, request(method, path, body.as_ref())).await
    }

    /// A request with the API token.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call_with(&format!("Bearer {}", self.token), method, path, body).await
    }

    pub(crate) async fn call_with(&self, authorization: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = request(method, &format!("https://{}{path}", self.api), body.as_ref());
        request.headers_mut().insert("authorization", authorization.parse().expect("header"));
        send_tls(self.api, client_config(&self.manager.ca_pem(), None).expect("client"), request).await
    }

    /// Bytes sent with the API token.
    pub(crate) async fn put_bytes(&self, path: &str, content_type: &str, bytes: Vec<u8>) -> Answer {
        let request =
            Request::builder().method(Method::PUT).uri(format!("https://{}{path}", self.api)).header("content-type", content_type);
        let request = request.header("authorization", format!("Bearer {}", self.token)).body(Full::from(bytes)).expect("request");
        send_tls(self.api, client_config(&self.manager.ca_pem(), None).expect("client"), request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.expect(200)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.call(Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&answer.status), "{}", answer.json);
        answer.json
    }

    /// An enrolment token for a role, with many uses.
    pub(crate) async fn enrolment_token(&self, role: &str, into: Option<&str>) -> String {
        let body = json!({"role": role, "uses": 100, "expires_in_seconds": 600, "activate_into": into});
        self.post("/api/v1/enrolment-tokens", body).await["token"].as_str().expect("token").to_owned()
    }

    /// A device that is enrolled and, with `into`, active.
    pub(crate) async fn device(&self, name: &str, role: Role, into: Option<&str>) -> TestDevice {
        let device = TestDevice::new(name, role);
        let token = self.enrolment_token(role.as_str(), into).await;
        device.enrol(self, &token).await
    }

    /// Locations core and, below it, east.
    pub(crate) async fn two_locations(&self) {
        self.post("/api/v1/locations", json!({"name": "core"})).await;
        self.post("/api/v1/locations", json!({"name": "east", "parent": "core"})).await;
    }

    pub(crate) async fn status_of(&self, device: &str) -> String {
        self.get(&format!("/api/v1/devices/{device}")).await["status"].as_str().expect("status").to_owned()
    }

    pub(crate) async fn generation(&self) -> u64 {
        self.get("/api/v1/status").await["generation"].as_u64().expect("number")
    }

    /// Everything configured, as lists show it, without what time alone changes.
    pub(crate) async fn dump(&self) -> Value {
        let mut dump = json!({});
        for list in ["locations", "delivery-services", "coverage-zones", "enrolment-tokens", "tokens", "audit"] {
            dump[list] = self.get(&format!("/api/v1/{list}")).await;
        }
        let mut devices = self.get("/api/v1/devices").await;
        for device in devices["items"].as_array_mut().expect("items") {
            for moving in ["last_report", "status", "certificate_sha256"] {
                device[moving] = Value::Null;
            }
        }
        dump["devices"] = devices;
        dump["generation"] = self.generation().await.into();
        dump
    }
}

/// A device's side of the device API.
pub(crate) struct TestDevice {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) request: CertificateRequest,
    pub(crate) identity: Option<Identity>,
    pub(crate) listeners: Listeners,
}

#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) ca: String,
}

impl TestDevice {
    pub(crate) fn new(name: &str, role: Role) -> Self {
        let request = CertificateRequest::create(&Subject { device: name.into(), role: role.to_string() }).expect("request");
        let http = Some("127.0.0.9:8080".parse().expect("address"));
        let keepalive = (role == Role::Router).then(|| "127.0.0.9:7000".parse().expect("address"));
        Self { name: name.into(), role, request, identity: None, listeners: Listeners { http, keepalive, ..Listeners::default() } }
    }

    pub(crate) fn hello(&self, stamp: Stamp) -> Hello {
        Hello { protocol: PROTOCOL, version: "1.0.0-b1".into(), device: self.name.parse().expect("name"), role: self.role, stamp }
    }

    pub(crate) fn enrol_request(&self, token: &str) -> EnrolRequest {
        EnrolRequest {
            hello: self.hello(Stamp::default()),
            token: token.into(),
            certificate_request: self.request.request_pem.clone(),
            listeners: self.listeners,
        }
    }

    pub(crate) async fn try_enrol(&self, running: &Running, token: &str) -> Answer {
        self.send_enrolment(running, &self.enrol_request(token), token).await
    }

    pub(crate) async fn send_enrolment(&self, running: &Running, body: &EnrolRequest, token: &str) -> Answer {
        let uri = format!("https://{}{}", running.device, paths::ENROL);
        let body = serde_json::to_value(body).expect("JSON");
        // A token that cannot be read pins nothing: such a device would not even connect, so trust the CA here.
        let tls = match token.parse::<weir_device_api::EnrolToken>() {
            Ok(token) => pinned_client_config(token.ca).expect("client"),
            Err(_) => client_config(&running.manager.ca_pem(), None).expect("client"),
        };
        send_tls(running.device, tls, request(Method::POST, &uri, Some(&body))).await
    }

    pub(crate) async fn enrol(mut self, running: &Running, token: &str) -> Self {
        let answer: weir_device_api::EnrolAnswer =
            serde_json::from_value(self.try_enrol(running, token).await.expect(200)).expect("enrolled");
        self.identity = Some(Identity { certificate: answer.certificate, ca: answer.ca });
        self
    }

    pub(crate) async fn call(&self, running: &Running, method: Method, path: &str, body: Option<Value>) -> Answer {
        let identity = self.identity.as_ref().expect("enrolled");
        let tls = client_config(&identity.ca, Some((&identity.certificate, &self.request.key_pem))).expect("client");
        let uri = format!("https://{}{path}", running.device);
        send_tls(running.device, tls, request(method, &uri, body.as_ref())).await
    }

    pub(crate) fn report_of(&self, stamp: Stamp) -> Report {
        Report {
            hello: self.hello(stamp),
            boot: 1,
            clock_ms: weir_clock::wall_ms(),
            uptime_ms: 1,
            worker_crashes: 0,
            last_exit: None,
            listeners: self.listeners,
            load: Load { requests: 7, ..Load::default() },
            rejected: None,
            conditions: Vec::new(),
            drain: None,
            routers: Vec::new(),
            share_permille: None,
            update: None,
            answers: None,
            #[cfg(feature = "synthetic-next")]
            detailed_responses: None,
        }
    }

    pub(crate) async fn report(&self, running: &Running, report: &Report) -> Answer {
        self.call(running, Method::POST, paths::REPORT, Some(serde_json::to_value(report).expect("JSON"))).await
    }

    pub(crate) async fn poll(&self, running: &Running, known: Stamp, wait_ms: u64) -> Poll {
        self.poll_knowing(running, known, 0, wait_ms).await
    }

    /// A poll that knows a word on what the device is to become.
    pub(crate) async fn poll_knowing(&self, running: &Running, known: Stamp, word: u64, wait_ms: u64) -> Poll {
        let stamp = format!("term={}&generation={}", known.term, known.generation);
        let path = format!("{}?{stamp}&update={word}&wait_ms={wait_ms}", paths::CONFIGURATION);
        serde_json::from_value(self.call(running, Method::GET, &path, None).await.expect(200)).expect("poll")
    }

    /// Fetches the configuration and reports that it runs.
    pub(crate) async fn follow(&self, running: &Running) -> Stamp {
        let stamp = self.poll(running, Stamp::default(), 0).await.configuration.expect("configuration").stamp;
        self.report(running, &self.report_of(stamp)).await.expect(200);
        stamp
    }
}
