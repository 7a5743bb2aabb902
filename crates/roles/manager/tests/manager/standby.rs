//! The standby and the disabled box, as everybody else sees them; promotion, and what fences a primary.

mod out_of_reach;

use crate::harness::{DEADLINE, Running, TestDevice, own_identity, request, send, send_tls, until};
use hyper::Method;
use serde_json::{Value, json};
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
};
use tempfile::TempDir;
use weir_device_api::{Listeners, paths};
use weir_manager::{KeptIdentity, ManagerBox, ManagerListeners, ManagerSettings, OwnAnswers};
use weir_model::{Role, Stamp};
use weir_net::tls::client_config;
use weir_telemetry::Metrics;

/// The second box of a pair, enrolled to the first.
pub(crate) struct Second {
    pub(crate) manager: ManagerBox,
    pub(crate) api: SocketAddr,
    pub(crate) device: SocketAddr,
    pub(crate) ca: String,
    pub(crate) dir: TempDir,
}

impl Second {
    /// Enrolled, activated and started.
    pub(crate) async fn start(running: &Running) -> Self {
        let token = running.enrolment_token("manager", Some("core")).await;
        let sockets: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("bound")).collect();
        let [api, device] = [&sockets[0], &sockets[1]].map(|socket| socket.local_addr().expect("address"));
        let mut enrolling = TestDevice::new("manager-2", Role::Manager);
        enrolling.listeners = Listeners { https: Some(api), device: Some(device), ..Listeners::default() };
        let answer = enrolling.try_enrol(running, &token).await.expect(200);
        let text = |name: &str| answer[name].as_str().expect(name).to_owned();
        let dir = tempfile::tempdir().expect("dir");
        let state = dir.path().join("state/manager");
        std::fs::create_dir_all(&state).expect("made");
        std::fs::write(state.join("network.key"), hex::decode(text("network_key")).expect("hex")).expect("written");
        let kept = KeptIdentity {
            certificate_pem: text("certificate"),
            key_pem: enrolling.request.key_pem.clone(),
            ca_pem: text("ca"),
            manager: running.device,
            manager_name: "manager-1".parse().expect("name"),
            manager_api: Some(running.api),
        };
        (own_identity(dir.path()).keep)(&kept).expect("kept");
        let manager = open(dir.path(), "manager-2", api, device).await;
        let mut sockets = sockets.into_iter();
        let listeners = ManagerListeners { api: sockets.by_ref().take(1).collect(), device: sockets.collect(), connections: None };
        manager.serve(listeners).await.expect("serving");
        Self { manager, api, device, ca: text("ca"), dir }
    }

    /// Stopped, and started again in the same directory once `between` has done something to it.
    pub(crate) async fn restart(self, between: impl FnOnce(&Path)) -> Self {
        let Self { manager, api, device, ca, dir } = self;
        assert!(manager.stop(DEADLINE).await);
        drop(manager);
        between(dir.path());
        let manager = open(dir.path(), "manager-2", api, device).await;
        let [of_api, of_device] = [api, device].map(|address| vec![TcpListener::bind(address).expect("bound")]);
        manager.serve(ManagerListeners { api: of_api, device: of_device, connections: None }).await.expect("serving");
        Self { manager, api, device, ca, dir }
    }

    /// A request over its operator API, without a token.
    pub(crate) async fn call(&self, method: Method, path: &str) -> crate::harness::Answer {
        let tls = client_config(&self.ca, None).expect("client");
        send_tls(self.api, tls, request(method, &format!("https://{}{path}", self.api), None)).await
    }

    /// A request over its control socket.
    pub(crate) async fn local(&self, method: Method, path: &str, body: Option<Value>) -> crate::harness::Answer {
        let stream = tokio::net::UnixStream::connect(self.dir.path().join("run/cms.sock")).await.expect("socket");
        send(stream, false, request(method, path, body.as_ref())).await
    }

    pub(crate) async fn info(&self) -> Value {
        self.local(Method::GET, "/cms/v1/info", None).await.expect(200)
    }

    /// Waits until it has everything of the primary.
    pub(crate) async fn matched(&self) {
        until("the pair matches", || async { self.info().await["pair"]["condition"] == "matched" }).await;
    }
}

async fn open(data: &Path, name: &str, api: SocketAddr, device: SocketAddr) -> ManagerBox {
    let settings = ManagerSettings {
        data: data.to_owned(),
        name: name.parse().expect("name"),
        network_name: "test".into(),
        profile: "rehearsal".into(),
        listeners: Listeners { https: Some(api), device: Some(device), ..Listeners::default() },
        addresses: vec![],
        metrics: Metrics::new("1.0.0-b1", "manager", name),
        keeper: None,
        own: OwnAnswers { boot: 1, worker_crashes: 0, last_exit: None, logs: Arc::new(|lines| Ok(vec![format!("last {lines}")])) },
    };
    ManagerBox::open(settings, own_identity(data)).await.expect("opened")
}

async fn info_of(running: &Running) -> Value {
    running.local(Method::GET, "/cms/v1/info", None).await.expect(200)
}

#[tokio::test]
async fn a_standby_shows_its_status_and_sends_everything_else_to_the_primary() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    let url = format!("https://{}", running.api);
    let status = second.call(Method::GET, "/api/v1/status").await.expect(200);
    assert_eq!((status["role"].as_str(), status["primary"]["url"].as_str()), (Some("standby"), Some(url.as_str())));
    for (method, path) in [(Method::GET, "/api/v1/devices"), (Method::POST, "/api/v1/status"), (Method::DELETE, "/api/v1/locations/core")] {
        let refused = second.call(method, path).await;
        assert!(refused.json["next"].as_str().expect("next").contains(&format!("{url}{path}")), "{}", refused.json);
        assert_eq!((refused.status, refused.refusal()), (421, ("not_primary".into(), None)));
    }
    // Who is not signed in sees the state, how the pair stands and what to do, and no more; who may open the socket sees all.
    let shown = second.call(Method::GET, "/api/v1/pair").await.expect(200);
    let [own, primary] = [second.info().await, info_of(&running).await];
    assert_eq!((shown["state"].as_str(), shown["pair"]["condition"].as_str()), (Some("standby"), Some("matched")));
    assert!(shown.get("key_fingerprint").is_none() && shown.get("why").is_none() && shown["digest"] == "", "{shown}");
    assert!(own["key_fingerprint"].is_string() && own["digest"] == primary["digest"], "{own}");
    assert_eq!(own["generation"], primary["generation"]);
    // A device that asks it is sent to the primary's device address.
    let engine = running.device("core-1", Role::Engine, Some("core")).await;
    let identity = engine.identity.clone().expect("enrolled");
    let tls = client_config(&identity.ca, Some((&identity.certificate, &engine.request.key_pem))).expect("client");
    let report = serde_json::to_value(engine.report_of(Stamp::default())).expect("JSON");
    let uri = format!("https://{}{}", second.device, paths::REPORT);
    let refused = send_tls(second.device, tls, request(Method::POST, &uri, Some(&report))).await;
    assert!(refused.json["next"].as_str().expect("next").contains(&running.device.to_string()), "{}", refused.json);
    assert_eq!(refused.refusal().0, "not_primary");
    assert!(second.manager.stop(DEADLINE).await);
}

#[tokio::test]
async fn a_planned_promotion_turns_both_boxes_round_and_loses_nothing() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    running.post("/api/v1/locations", json!({"name": "west", "parent": "core"})).await;
    let before = info_of(&running).await;
    let changed = second.local(Method::POST, "/cms/v1/role", Some(json!({"role": "primary"}))).await.expect(200);
    assert_eq!(
        (changed["primary"].as_str(), changed["kind"].as_str(), changed["lost"].as_u64()),
        (Some("manager-2"), Some("planned"), Some(0))
    );
    let info = second.info().await;
    assert_eq!((info["state"].as_str(), info["term"].as_u64()), (Some("primary"), Some(before["term"].as_u64().expect("term") + 1)));
    assert!(info["rev"].as_u64() > before["rev"].as_u64(), "the promotion is a change of its own");
    let names = second.local(Method::GET, "/api/v1/locations", None).await.expect(200);
    assert_eq!(names["items"].as_array().expect("items").len(), 3);
    // The one that made way follows by itself, and has what is written from now on.
    second.local(Method::POST, "/api/v1/locations", Some(json!({"name": "north", "parent": "core"}))).await.expect(201);
    until("the first box follows", || async {
        let [one, two] = [info_of(&running).await, second.info().await];
        one["state"] == "standby" && one["pair"]["condition"] == "matched" && one["digest"] == two["digest"]
    })
    .await;
    let refused = running.local(Method::POST, "/api/v1/locations", Some(json!({"name": "south"}))).await;
    assert_eq!(refused.refusal().0, "not_primary");
    // And back, asked for where the primary is.
    let back = second.local(Method::POST, "/cms/v1/role", Some(json!({"role": "standby"}))).await.expect(200);
    assert_eq!(back["primary"].as_str(), Some("manager-1"));
    let audit = running.local(Method::GET, "/api/v1/audit?limit=10000", None).await.expect(200);
    let is_back = |entry: &&Value| entry["verb"] == "promote" && entry["object"] == "manager manager-1";
    let promoted = audit["items"].as_array().expect("items").iter().find(is_back).expect("an entry");
    assert_eq!(promoted["actor"], "local", "who ordered it at the other manager: {promoted}");
    assert_eq!(info_of(&running).await["state"], "primary");
    until("the second box follows again", || async { second.info().await["pair"]["condition"] == "matched" }).await;
    assert!(second.manager.stop(DEADLINE).await);
}

#[tokio::test]
async fn a_silent_primary_is_overtaken_only_when_the_loss_is_accepted() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    let engine = running.device("core-1", Role::Engine, Some("core")).await;
    second.matched().await;
    let Running { dir, manager, api, device, token, .. } = running;
    drop(manager);
    let role = |accept: Option<u64>| json!({"role": "primary", "accept_loss": accept});
    until("the primary is silent", || async {
        let refused = second.local(Method::POST, "/cms/v1/role", Some(role(None))).await;
        refused.status == 409 && refused.json["reason"] == "would_lose"
    })
    .await;
    let changed = second.local(Method::POST, "/cms/v1/role", Some(role(Some(0)))).await.expect(200);
    assert_eq!(changed["kind"], "unplanned");
    // The one that returns asks before it serves, and is the standby.
    let running = Running::start_in(dir, [&api.to_string(), &device.to_string()], Some(token)).await;
    assert_eq!(info_of(&running).await["state"], "standby");
    until("it has what the new primary has", || async { info_of(&running).await["pair"]["condition"] == "matched" }).await;
    let refused = engine.report(&running, &engine.report_of(Stamp::default())).await;
    assert_eq!(refused.refusal().0, "not_primary");
    assert!(second.manager.stop(DEADLINE).await);
}

#[tokio::test]
async fn a_device_that_names_a_higher_term_ends_no_primary() {
    let running = Running::start().await;
    running.two_locations().await;
    let engine = running.device("core-1", Role::Engine, Some("core")).await;
    let refused = engine.report(&running, &engine.report_of(Stamp { term: u64::MAX, generation: 1 })).await;
    assert_eq!(refused.refusal().0, "invalid_field", "no change of primary leads there");
    engine.report(&running, &engine.report_of(Stamp { term: 7, generation: 1 })).await.expect(200);
    // Nobody else on record could be the primary: writes go on, now and after a restart.
    running.post("/api/v1/locations", json!({"name": "west", "parent": "core"})).await;
    let running = running.restart().await;
    let info = info_of(&running).await;
    assert_eq!((info["state"].as_str(), info["term"].as_u64()), (Some("primary"), Some(1)));
    // An operator says that this one is, for devices that obey the higher term.
    let role = json!({"role": "primary"});
    assert_eq!(running.local(Method::POST, "/cms/v1/role", Some(role.clone())).await.refusal().0, "cms_state", "nobody names another");
    engine.report(&running, &engine.report_of(Stamp { term: 7, generation: 1 })).await.expect(200);
    let changed = running.local(Method::POST, "/cms/v1/role", Some(role)).await.expect(200);
    assert_eq!((changed["term"].as_u64(), changed["kind"].as_str()), (Some(8), Some("decided")));
    assert_eq!(info_of(&running).await["term"], 8);
}

#[tokio::test]
async fn with_the_other_manager_silent_a_higher_term_stops_writes_until_an_operator_decides() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    let engine = running.device("core-1", Role::Engine, Some("core")).await;
    let names_more = || async {
        engine.report(&running, &engine.report_of(Stamp { term: 2, generation: 1 })).await.expect(200);
    };
    // While the other one answers that it is not the primary, nothing stops.
    names_more().await;
    running.post("/api/v1/locations", json!({"name": "west", "parent": "core"})).await;
    assert!(second.manager.stop(DEADLINE).await);
    drop(second);
    names_more().await;
    let write = async |name: &str| running.call(Method::POST, "/api/v1/locations", Some(json!({"name": name, "parent": "core"}))).await;
    until("writes stop", || async {
        names_more().await;
        info_of(&running).await["why"].as_str().is_some_and(|why| why.contains("core-1"))
    })
    .await;
    let refused = write("north").await;
    assert!(refused.json["next"].as_str().expect("next").contains("weir cms role primary"), "{}", refused.json);
    assert_eq!((refused.status, refused.refusal().0.as_str()), (503, "unavailable"));
    assert_eq!(info_of(&running).await["state"], "primary", "nothing is on disk");
    // No audit entry can be written, and the words are shown all the same.
    let key = running.local(Method::GET, "/cms/v1/key", None).await.expect(200);
    assert_eq!(key["phrase"].as_str().expect("words").split(' ').count(), 24);
    running.local(Method::POST, "/cms/v1/role", Some(json!({"role": "primary"}))).await.expect(200);
    write("north").await.expect(201);
    // The same device again, above the new term: its word is not heard any more.
    engine.report(&running, &engine.report_of(Stamp { term: 4, generation: 1 })).await.expect(200);
    assert_eq!(running.local(Method::POST, "/cms/v1/role", Some(json!({"role": "primary"}))).await.refusal().0, "cms_state");
    write("south").await.expect(201);
}

#[tokio::test]
async fn a_disabled_box_says_so_everywhere_and_serves_again_when_enabled() {
    let running = Running::start().await;
    running.two_locations().await;
    let info = running.local(Method::POST, "/cms/v1/disable", Some(json!({"why": "another rack"}))).await.expect(200);
    assert_eq!((info["state"].as_str(), info["next"][0].as_str()), (Some("disabled"), Some("weir cms enable")));
    assert!(info["why"].as_str().expect("why").contains("another rack"));
    let refused = running.call(Method::GET, "/api/v1/locations", None).await;
    assert_eq!((refused.status, refused.refusal().0), (503, "cms_disabled".into()));
    let running = running.restart().await;
    assert_eq!(info_of(&running).await["state"], "disabled", "over a restart too");
    let info = running.local(Method::POST, "/cms/v1/enable", Some(json!({}))).await.expect(200);
    assert_eq!(info["state"], "primary");
    assert_eq!(running.get("/api/v1/locations").await["items"].as_array().expect("items").len(), 2);
}

#[tokio::test]
async fn verbs_that_have_the_database_alone_take_turns_and_end_without_their_clients() {
    let running = Running::start().await;
    running.two_locations().await;
    let maintenance = || running.local(Method::POST, "/cms/v1/database/maintenance", Some(json!({"full": true})));
    let [one, two, three] = <[_; 3]>::from(tokio::join!(maintenance(), maintenance(), maintenance()));
    for answer in [one, two, three] {
        answer.expect(200);
    }
    for patience_ms in [1, 2, 5, 10, 20, 50] {
        // Whoever asked goes away: wherever the verb is then, it ends by itself.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(patience_ms), maintenance()).await;
    }
    until("the box is the primary again", || async { info_of(&running).await["state"] == "primary" }).await;
    running.local(Method::POST, "/cms/v1/enable", Some(json!({}))).await.expect(200);
    running.post("/api/v1/locations", json!({"name": "west", "parent": "core"})).await;
}

#[tokio::test]
async fn a_box_without_its_database_and_identity_founds_no_other_network() {
    let running = Running::start().await;
    running.two_locations().await;
    let ca = running.manager.ca_pem();
    let Running { dir, manager, api, device, token, .. } = running;
    assert!(manager.stop(DEADLINE).await);
    drop(manager);
    let [config, identity] = ["state/manager/config.db", "identity"].map(|name| dir.path().join(name));
    let aside = |path: &std::path::PathBuf| path.with_extension("aside");
    for path in [&config, &identity] {
        std::fs::rename(path, aside(path)).expect("moved");
    }
    let running = Running::start_in(dir, [&api.to_string(), &device.to_string()], Some(token)).await;
    assert_eq!(info_of(&running).await["state"], "disabled_damaged");
    for path in [&config, &identity] {
        assert!(!path.exists(), "{}", path.display());
        std::fs::rename(aside(path), path).expect("moved back");
    }
    let info = running.local(Method::POST, "/cms/v1/enable", Some(json!({}))).await.expect(200);
    assert_eq!(info["state"], "primary");
    assert_eq!(running.manager.ca_pem(), ca);
}

#[tokio::test]
async fn a_damaged_database_ends_no_worker() {
    let running = Running::start().await;
    running.two_locations().await;
    let Running { dir, manager, api, device, token, .. } = running;
    assert!(manager.stop(DEADLINE).await);
    drop(manager);
    let path = dir.path().join("state/manager/config.db");
    let mut bytes = std::fs::read(&path).expect("read");
    for byte in bytes.iter_mut().skip(4096) {
        *byte = 0x5a;
    }
    std::fs::write(&path, bytes).expect("written");
    let running = Running::start_in(dir, [&api.to_string(), &device.to_string()], Some(token)).await;
    let info = info_of(&running).await;
    assert_eq!(info["state"], "disabled_damaged", "{info}");
    assert!(info["next"][0].as_str().expect("next").contains("weir cms database restore"), "{info}");
    let refused = running.local(Method::POST, "/cms/v1/enable", Some(json!({}))).await;
    assert_eq!(refused.refusal().0, "cms_state");
}
