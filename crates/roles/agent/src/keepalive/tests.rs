//! An engine's agent and what two routers hear of it, through real sockets.

use super::*;
use crate::{
    agent::tests::{agent, agent_with, configuration, hooks},
    contacts,
};
use std::{
    collections::BTreeMap,
    net::{TcpListener, UdpSocket as Receiver},
};
use tokio::sync::watch;
use weir_device_api::RouterContact;
use weir_model::{
    OffloadEpoch, Stamp,
    configuration::{EngineEntry, KeepaliveKey},
};

/// Nothing here takes longer than a scheduling delay and a retry.
const DEADLINE: Duration = Duration::from_secs(20);

fn key() -> KeepaliveKey {
    KeepaliveKey { id: 1, secret: format!("{:064x}", 7) }
}

/// A router's sockets.
struct Ears {
    name: DeviceName,
    udp: UdpSocket,
    tcp: tokio::net::TcpListener,
}

impl Ears {
    fn open(name: &str) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("bind");
        let udp = Receiver::bind(tcp.local_addr().expect("bound")).expect("the same port");
        tcp.set_nonblocking(true).expect("set");
        udp.set_nonblocking(true).expect("set");
        let (udp, tcp) = (UdpSocket::from_std(udp).expect("taken"), tokio::net::TcpListener::from_std(tcp).expect("taken"));
        Self { name: name.parse().expect("name"), udp, tcp }
    }

    fn entry(&self) -> RouterEntry {
        RouterEntry { name: self.name.clone(), keepalive: self.tcp.local_addr().expect("bound"), http: None, dns: None, offloaded: false }
    }

    fn read(&self, bytes: &[u8], channel: Channel) -> Keepalive {
        Keepalive::decode(bytes, &[key()], &Audience { router: &self.name, channel }).expect("made for this router")
    }

    /// The next datagram and the port it came from.
    async fn datagram(&self) -> (Keepalive, u16) {
        let mut buffer = [0; 2048];
        let received = tokio::time::timeout(DEADLINE, self.udp.recv_from(&mut buffer)).await.expect("in time");
        let (length, from) = received.expect("received");
        (self.read(&buffer[..length], Channel::Datagram), from.port())
    }

    /// Accepts the next lifeline and reads its frame.
    async fn lifeline(&self, nonce: [u8; NONCE_BYTES]) -> (Keepalive, TcpStream) {
        let accept = async {
            let (mut stream, _) = self.tcp.accept().await.expect("accepted");
            stream.write_all(&nonce).await.expect("written");
            let mut frame = vec![0; usize::from(stream.read_u16().await.expect("a length"))];
            stream.read_exact(&mut frame).await.expect("a frame");
            (self.read(&frame, Channel::Lifeline(nonce)), stream)
        };
        tokio::time::timeout(DEADLINE, accept).await.expect("in time")
    }
}

#[tokio::test]
async fn each_router_hears_keepalives_made_for_it_with_rising_numbers_from_one_port() {
    let data = tempfile::tempdir().expect("dir");
    let (one, two) = (Ears::open("router-1"), Ears::open("router-2"));
    let agent = agent(data.path(), &[]);
    let routers = vec![one.entry(), two.entry()];
    agent.shared.take(DeviceConfiguration { routers, keepalive_keys: vec![key()], ..configuration(7) });
    let mut heard = Vec::new();
    for _ in 0..3 {
        send_now(&agent.shared).await;
        heard.push((one.datagram().await, two.datagram().await));
    }
    let port = heard[0].0.1;
    for (((one, one_port), (two, two_port)), sequence) in heard.into_iter().zip(1..) {
        assert_eq!((one.sequence, one_port), (sequence, port), "a worker counts for itself and keeps its port");
        assert_eq!((two, two_port), (one, port));
    }
}

#[tokio::test]
async fn a_lifeline_answers_the_routers_nonce_and_is_opened_again() {
    let data = tempfile::tempdir().expect("dir");
    let router = Ears::open("router-1");
    let agent = agent(data.path(), &[]);
    agent.shared.take(DeviceConfiguration { routers: vec![router.entry()], keepalive_keys: vec![key()], ..configuration(7) });
    let tasks = Tasks::new();
    tasks.spawn("lifelines", hold_lifelines(agent.shared.clone()));
    let (first, stream) = router.lifeline([1; NONCE_BYTES]).await;
    drop(stream);
    let (second, mut stream) = router.lifeline([2; NONCE_BYTES]).await;
    assert_eq!((first.engine.as_str(), first.boot), (second.engine.as_str(), second.boot));
    assert!(second.sequence > first.sequence);
    tasks.cancel();
    let end = tokio::time::timeout(DEADLINE, stream.read(&mut [0; 1])).await.expect("in time");
    assert_eq!(end.expect("an orderly end"), 0, "the lifeline ends with its owner");
}

#[tokio::test]
async fn a_parked_worker_keeps_its_lifelines_until_they_are_replaced_and_opens_none() {
    let data = tempfile::tempdir().expect("dir");
    let router = Ears::open("router-1");
    let agent = agent(data.path(), &[]);
    agent.shared.take(DeviceConfiguration { routers: vec![router.entry()], keepalive_keys: vec![key()], ..configuration(7) });
    let tasks = Tasks::new();
    tasks.spawn("lifelines", hold_lifelines(agent.shared.clone()));
    let (_, mut stream) = router.lifeline([1; NONCE_BYTES]).await;
    listed(&agent.shared, &[RouterContact { router: router.name.clone(), obeyed: None }]).await;
    agent.park().await;
    let early = tokio::time::timeout(RETRY_MIN, stream.read(&mut [0; 1])).await;
    assert!(early.is_err(), "routers would take the engine for dead: {early:?}");
    assert!(tokio::time::timeout(Duration::ZERO, agent.replaced()).await.is_err());
    drop(stream);
    tokio::time::timeout(DEADLINE, agent.replaced()).await.expect("its router has another one");
    let again = tokio::time::timeout(4 * RETRY_MIN, router.tcp.accept()).await;
    assert!(again.is_err(), "the worker that serves holds them");
}

/// This engine's entry, offloaded or not.
fn entry(offload: Option<OffloadEpoch>) -> EngineEntry {
    let (name, location) = ("east-1".parse().expect("name"), "east".parse().expect("name"));
    EngineEntry { name, location, http: "127.0.0.1:8080".parse().expect("address"), weight: 100, offload, offload_since_ms: None }
}

fn offloaded(generation: u64, router: &Ears, offload: Option<OffloadEpoch>) -> DeviceConfiguration {
    let (routers, engines, keepalive_keys) = (vec![router.entry()], vec![entry(offload)], vec![key()]);
    DeviceConfiguration { routers, engines, keepalive_keys, ..configuration(generation) }
}

#[tokio::test]
async fn an_offload_is_told_with_its_stamp_and_a_return_with_a_small_share() {
    use OffloadEpoch::{Clients, Peers};
    let data = tempfile::tempdir().expect("dir");
    let router = Ears::open("router-1");
    let agent = agent(data.path(), &[]);
    for (generation, offload, state, shares) in [
        (7, None, EngineState::Serving, 1000..=1000),
        (8, Some(Clients), EngineState::Offloading, 1000..=1000),
        (9, Some(Peers), EngineState::Offloading, 1000..=1000),
        (10, None, EngineState::Serving, 100..=999),
    ] {
        let mut configuration = offloaded(generation, &router, offload);
        configuration.profile.ramp_ms = 600_000;
        assert!(agent.shared.take(configuration));
        send_now(&agent.shared).await;
        let (heard, _) = router.datagram().await;
        assert_eq!((heard.stamp.generation, heard.state), (generation, state));
        assert!(shares.contains(&heard.share_permille), "{generation}: {}", heard.share_permille);
    }
    assert!(agent.shared.take(offloaded(11, &router, Some(Clients))));
    agent.leave().await;
    assert_eq!(router.datagram().await.0.state, EngineState::Leaving, "who is about to stop says so");
}

#[tokio::test]
async fn a_return_told_by_the_manager_after_a_restart_begins_the_ramp_too() {
    let data = tempfile::tempdir().expect("dir");
    let router = Ears::open("router-1");
    agent(data.path(), &[]).shared.take(offloaded(7, &router, Some(OffloadEpoch::Peers)));
    let again = agent(data.path(), &[]);
    let mut back = offloaded(8, &router, None);
    back.profile.ramp_ms = 600_000;
    again.shared.take(back);
    send_now(&again.shared).await;
    assert!(router.datagram().await.0.share_permille < 1000);
}

/// Waits until the agent lists these routers.
async fn listed(shared: &Shared, expected: &[RouterContact]) {
    let mut contacts = shared.contacts.subscribe();
    let wait = contacts.wait_for(|_| shared.contacts.list() == expected);
    drop(tokio::time::timeout(DEADLINE, wait).await.expect("in time").expect("alive"));
}

#[tokio::test]
async fn a_routers_word_counts_while_its_lifeline_is_open() {
    let data = tempfile::tempdir().expect("dir");
    let router = Ears::open("router-1");
    let agent = agent(data.path(), &[]);
    agent.shared.take(offloaded(7, &router, Some(OffloadEpoch::Clients)));
    let tasks = Tasks::new();
    tasks.spawn("lifelines", hold_lifelines(agent.shared.clone()));
    let contact = |obeyed| RouterContact { router: router.name.clone(), obeyed };
    let nonce = [1; NONCE_BYTES];
    let (heard, mut stream) = router.lifeline(nonce).await;
    assert_eq!(heard.state, EngineState::Offloading, "the frame says it too");
    listed(&agent.shared, &[contact(None)]).await;
    let audience = Audience { router: &router.name, channel: Channel::Lifeline(nonce) };
    for generation in [7, 9] {
        let obeyed = Obeyed { stamp: Stamp { term: 1, generation } };
        stream.write_all(&obeyed.encode(&key(), &audience).expect("key")).await.expect("written");
        listed(&agent.shared, &[contact(Some(obeyed.stamp))]).await;
    }
    drop(stream);
    listed(&agent.shared, &[]).await;
    let (_, _second) = router.lifeline([2; NONCE_BYTES]).await;
    listed(&agent.shared, &[contact(None)]).await;
}

#[tokio::test]
async fn a_word_made_for_another_lifeline_ends_this_one_unheard() {
    let data = tempfile::tempdir().expect("dir");
    let router = Ears::open("router-1");
    let agent = agent(data.path(), &[]);
    agent.shared.take(offloaded(7, &router, Some(OffloadEpoch::Clients)));
    let tasks = Tasks::new();
    tasks.spawn("lifelines", hold_lifelines(agent.shared.clone()));
    let (_, mut stream) = router.lifeline([1; NONCE_BYTES]).await;
    let mut contacts = agent.shared.contacts.subscribe();
    let audience = Audience { router: &router.name, channel: Channel::Lifeline([2; NONCE_BYTES]) };
    let recorded = Obeyed { stamp: Stamp { term: 1, generation: 7 } }.encode(&key(), &audience).expect("key");
    stream.write_all(&recorded).await.expect("written");
    let end = tokio::time::timeout(DEADLINE, stream.read(&mut [0; 1])).await.expect("in time");
    assert!(matches!(end, Ok(0) | Err(_)), "the engine hangs up");
    drop(tokio::time::timeout(DEADLINE, contacts.wait_for(BTreeMap::is_empty)).await.expect("in time").expect("alive"));
    assert_eq!(agent.shared.contacts.list(), []);
}

#[tokio::test]
async fn the_role_hears_of_its_routers() {
    let data = tempfile::tempdir().expect("dir");
    let told = watch::Sender::new(Vec::new());
    let mut hooks = hooks(&[]);
    hooks.routers = Some(Box::new({
        let told = told.clone();
        move |routers| drop(told.send_replace(routers))
    }));
    let agent = agent_with(data.path(), hooks);
    let tasks = Tasks::new();
    tasks.spawn("contacts", contacts::tell(agent.shared.clone()));
    let mut heard = told.subscribe();
    let mut hears = async |expected: &[RouterContact]| {
        drop(tokio::time::timeout(DEADLINE, heard.wait_for(|told| told == expected)).await.expect("in time").expect("alive"));
    };
    let router: DeviceName = "router-1".parse().expect("name");
    let (lifeline, stamp) = (agent.shared.contacts.open(router.clone(), 1), Stamp { term: 1, generation: 7 });
    hears(&[RouterContact { router: router.clone(), obeyed: None }]).await;
    lifeline.obeyed(stamp);
    hears(&[RouterContact { router, obeyed: Some(stamp) }]).await;
    drop(lifeline);
    hears(&[]).await;
}

#[test]
fn waits_double_up_to_the_longest_and_differ() {
    let waits = |random: u8| {
        let mut retry = Retry::default();
        [(); 7].map(|()| retry.wait(random).as_millis())
    };
    assert_eq!(waits(u8::MAX), [250, 500, 1000, 2000, 4000, 5000, 5000]);
    assert_eq!(waits(0), [125, 250, 500, 1000, 2000, 2500, 2500]);
    assert!((126..250).contains(&waits(99)[0]));
}
