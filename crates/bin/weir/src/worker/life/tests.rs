//! A router's worker and a keeper that says what the test has it say, over a real control socket.

use super::*;
use crate::worker::{admin::State, duty::Duty};
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::spawn_blocking,
};
use weir_agent::{AgentSettings, DeviceState, Hooks, Identity, control::Control};
use weir_device_api::{Listeners, Load};
use weir_keeper_api::{Message, decode};
use weir_model::{DeviceName, Role};
use weir_net::{
    cores,
    http1::{Gate, Limits},
    identity::{Authority, Subject},
};
use weir_rollout::update::Figures;
use weir_router::{Router, RouterSettings};
use weir_slots::DataDirectory;
use weir_sockets::ControlSocket;
use weir_telemetry::{Metrics, Tasks};

/// Nothing here takes longer than a scheduling delay and a second between two words.
const PATIENCE: Duration = Duration::from_secs(20);

fn name() -> DeviceName {
    "router-1".parse().expect("name")
}

fn identity() -> Identity {
    let authority = Authority::create("test", weir_clock::wall()).expect("ca");
    let subject = Subject { device: name().to_string(), role: "router".into() };
    let pair = authority.issue(&subject, &[], weir_clock::wall()).expect("certificate");
    Identity {
        device: name(),
        role: Role::Router,
        certificate: pair.certificate_pem,
        key: pair.key_pem,
        ca: authority.certificate_pem().to_owned(),
        manager: "127.0.0.1:1".parse().expect("address"),
        manager_name: "manager-1".parse().expect("name"),
        manager_api: None,
    }
}

fn agent(data: &Path, state: DeviceState, router: &Router) -> Agent {
    let router = router.clone();
    let hooks = Hooks {
        apply: Box::new(move |c| router.apply(c).map_err(|e| e.to_string())),
        load: Box::new(Load::default),
        conditions: Box::new(Vec::new),
        drain: Box::new(|| None),
        served: Box::new(Figures::default),
        make_space: Box::new(|_| 0),
        explain: None,
        routers: None,
        hold: None,
        answers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    };
    let settings = AgentSettings {
        device: name(),
        role: Role::Router,
        data: DataDirectory::new(data),
        state,
        identity: identity(),
        listeners: Listeners::default(),
        log: data.join("device.log"),
        worker_crashes: 0,
        last_exit: None,
        keeper_version: None,
        keeper_current: true,
    };
    Agent::open(settings, hooks).expect("an agent")
}

/// The keeper's end, and the worker at the other one.
struct Bench {
    keeper: std::sync::Arc<ControlSocket>,
    worker: oneshot::Receiver<anyhow::Result<()>>,
    clients: Tasks,
    address: SocketAddr,
    state: State,
    dir: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let (keeper, end) = ControlSocket::pair().expect("a pair");
        keeper.tell(&Message::BindDone { listeners: 0 }, &[]).expect("told");
        let control = spawn_blocking(|| Control::over(end)).await.expect("joined").expect("a keeper");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("bound");
        let device = DeviceState::open(dir.path(), name(), Role::Router).expect("state");
        let metrics = Metrics::new("1.0.0-b1", "router", "router-1");
        let router = Router::new(RouterSettings { name: name(), state: device.dir().to_owned() }, &metrics);
        let agent = agent(dir.path(), device, &router);
        let (gate, admin, state, tasks) = (Gate::new(), Gate::new(), State::default(), Tasks::new());
        let threads = cores::spawn("router", vec![listener], &router, &Limits::default(), &gate).expect("threads");
        let plane = DataPlane { duty: Duty::Router(router), gate, admin, agent, state: state.clone(), tasks };
        let clients = Tasks::new();
        let worker = beside(&clients, plane.live(control, threads));
        let bench = Self { keeper: std::sync::Arc::new(keeper), worker, clients, address, state, dir };
        assert!(matches!(bench.said().await, Message::Ready { .. }));
        bench
    }

    /// One that serves.
    async fn serving() -> Self {
        let bench = Self::start().await;
        bench.say(&Message::Slots { seq: 1, parked: false });
        bench.say(&Message::Accept);
        assert_eq!(ask(bench.address).await, "503", "it serves, and has no configuration");
        bench
    }

    async fn parked() -> Self {
        let bench = Self::serving().await;
        bench.say(&Message::Park);
        assert_eq!(bench.said().await, Message::Parked(parked_after(1)));
        bench
    }

    fn say(&self, message: &Message) {
        self.keeper.tell(message, &[]).expect("the worker lives");
    }

    /// What the worker says next.
    async fn said(&self) -> Message {
        let keeper = self.keeper.clone();
        let received = spawn_blocking(move || keeper.recv(Some(PATIENCE))).await.expect("joined").expect("said in time");
        decode(&received.bytes).expect("a message")
    }

    async fn ended(self) -> anyhow::Result<()> {
        tokio::time::timeout(PATIENCE, self.worker).await.expect("in time").expect("joined")
    }
}

fn parked_after(requests: u64) -> keeper_api::Parked {
    keeper_api::Parked { requests, ..keeper_api::Parked::default() }
}

/// Runs something beside the test; its outcome.
fn beside<T: Send + 'static>(tasks: &Tasks, work: impl Future<Output = T> + Send + 'static) -> oneshot::Receiver<T> {
    let (done, outcome) = oneshot::channel();
    tasks.spawn("beside the test", async move { drop(done.send(work.await)) });
    outcome
}

/// The status of one request.
async fn ask(address: SocketAddr) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: demo.weir.test\r\nConnection: close\r\n\r\n").await.expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer.split(' ').nth(1).expect("a status").to_owned()
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_worker_serves_nobody_says_how_it_is_and_serves_again() {
    let bench = Bench::parked().await;
    let mut waiting = beside(&bench.clients, ask(bench.address));
    assert_eq!(bench.said().await, Message::Parked(parked_after(1)), "each second, and nothing was served meanwhile");
    assert!(waiting.try_recv().is_err(), "a connection waits for whoever serves");
    assert_eq!(bench.state.now(), WorkerState::Parked);
    assert!(bench.dir.path().join("state/router").is_dir());
    bench.say(&Message::Unpark);
    loop {
        match bench.said().await {
            Message::Ready { .. } => break,
            Message::Parked(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waiting.await.expect("joined"), "503");
    assert_eq!(bench.state.now(), WorkerState::Serving);
    for message in [Message::Stop, Message::Drain { deadline_ms: 10_000 }] {
        bench.say(&message);
    }
    bench.ended().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_legal_now_is_refused() {
    let bench = Bench::serving().await;
    for (message, verb) in [(Message::Unpark, "UNPARK"), (Message::Park, "PARK")] {
        bench.say(&message);
        if verb == "PARK" {
            assert!(matches!(bench.said().await, Message::Parked(_)));
            bench.say(&message);
        }
        let refused = loop {
            match bench.said().await {
                Message::Parked(_) => {}
                Message::Err { verb, reason, .. } => break (verb.to_string(), reason),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused, (verb.to_owned(), Reason::OutOfOrder));
    }
    bench.say(&Message::Exit);
    bench.ended().await.expect("it leaves at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_worker_ends_when_it_is_drained_and_when_its_keeper_dies() {
    let bench = Bench::parked().await;
    bench.say(&Message::Drain { deadline_ms: 10_000 });
    bench.ended().await.expect("nothing is in flight");
    let bench = Bench::parked().await;
    let Bench { keeper, worker, clients: _clients, .. } = bench;
    drop(keeper);
    tokio::time::timeout(PATIENCE, worker).await.expect("in time").expect("joined").expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_take_the_configuration_up_serves_with_what_it_has() {
    let bench = Bench::parked().await;
    std::fs::write(bench.dir.path().join("state/router/configuration.json"), b"{").expect("written");
    bench.say(&Message::Unpark);
    loop {
        match bench.said().await {
            Message::Ready { .. } => break,
            Message::Parked(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ask(bench.address).await, "503", "it serves");
    bench.say(&Message::Exit);
    bench.ended().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_beside_a_parked_worker_ends_as_any_other() {
    let bench = Bench::serving().await;
    bench.say(&Message::Slots { seq: 2, parked: true });
    for message in [Message::Stop, Message::Drain { deadline_ms: 10_000 }] {
        bench.say(&message);
    }
    bench.ended().await.expect("drained");
}
