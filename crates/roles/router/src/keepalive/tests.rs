//! Keepalives and lifelines through real sockets.

use super::*;
use crate::{
    lifeline::PENDING,
    obedience::Acknowledgement,
    sample::{self, encode, keepalive},
};
use std::net::{IpAddr, SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use weir_device_api::keepalive::{NONCE_BYTES, OBEYED_BYTES, Obeyed};
use weir_model::Stamp;
use weir_routing::{Answer, Reason};

/// Nothing here takes longer than a scheduling delay.
const DEADLINE: Duration = Duration::from_secs(10);

mod handover;
mod panic;

struct Bench {
    router: Router,
    gate: Gate,
    address: SocketAddr,
    _tasks: Tasks,
    dir: std::sync::Arc<tempfile::TempDir>,
}

/// A router that has its configuration and receives on a port of its own.
fn start() -> Bench {
    let (router, dir) = sample::router();
    router.apply(&sample::configuration()).expect("valid");
    let tcp = net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = tcp.local_addr().expect("address");
    let udp = net::UdpSocket::bind(address).expect("the same port");
    let (gate, tasks) = (Gate::new(), Tasks::new());
    gate.accept();
    run(&router, vec![udp], vec![tcp], &gate, &tasks).expect("sockets");
    Bench { router, gate, address, _tasks: tasks, dir: std::sync::Arc::new(dir) }
}

impl Bench {
    async fn send(&self, bytes: &[u8]) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
        socket.send_to(bytes, self.address).await.expect("send");
    }

    /// A connection on which the router has sent its nonce.
    async fn connect(&self, from: &str) -> (TcpStream, Channel) {
        let socket = TcpSocket::new_v4().expect("socket");
        socket.bind(SocketAddr::new(from.parse::<IpAddr>().expect("address"), 0)).expect("a loopback address");
        let mut stream = socket.connect(self.address).await.expect("connect");
        let mut nonce = [0; NONCE_BYTES];
        stream.read_exact(&mut nonce).await.expect("a nonce");
        (stream, Channel::Lifeline(nonce))
    }

    /// A connection that opens with `frame`.
    async fn open_with(&self, frame: impl FnOnce(Channel) -> Vec<u8>) -> TcpStream {
        let (mut stream, channel) = self.connect("127.0.0.1").await;
        write_frame(&mut stream, &frame(channel)).await;
        stream
    }

    /// A lifeline.
    async fn open(&self, engine: &str, boot: u64, sequence: u64) -> TcpStream {
        self.open_with(|channel| signed_for(channel, engine, boot, sequence)).await
    }

    async fn until(&self, what: &str, condition: impl Fn(&Router) -> bool) {
        let wait = async {
            while !condition(&self.router) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    async fn heard(&self, heard: Heard, times: u64) {
        self.until(heard.as_str(), |router| router.shared.metrics.times_heard(heard) == times).await;
    }
}

async fn write_frame(stream: &mut TcpStream, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("short");
    stream.write_all(&[&length.to_be_bytes()[..], bytes].concat()).await.expect("write");
}

/// Waits for an orderly end, with nothing before it.
async fn closed(stream: &mut TcpStream) {
    let end = tokio::time::timeout(DEADLINE, stream.read(&mut [0; 1])).await.expect("closed in time");
    assert_eq!(end.expect("an orderly end"), 0);
}

fn signed_for(channel: Channel, engine: &str, boot: u64, sequence: u64) -> Vec<u8> {
    encode(&keepalive(engine, boot, sequence), "router-1", channel)
}

/// A datagram for the bench's router.
fn signed(engine: &str, boot: u64, sequence: u64) -> Vec<u8> {
    signed_for(Channel::Datagram, engine, boot, sequence)
}

fn reasons(router: &Router) -> Vec<Reason> {
    router.explain("127.0.0.9".parse().expect("address"), "http://demo.weir.test/").expect("a decision").reasons
}

fn drops_for(router: &Router, engine: &str, word: &str) -> bool {
    reasons(router).iter().any(|reason| reason.object() == engine && reason.reason() == word)
}

#[tokio::test]
async fn an_engine_that_is_heard_takes_viewers_until_it_falls_silent() {
    let bench = start();
    bench.send(&signed("east-1", 1, 1)).await;
    bench.until("heard", |router| router.engines_live() == 1).await;
    let decision = bench.router.explain("127.0.0.9".parse().expect("address"), "http://demo.weir.test/").expect("a decision");
    assert!(matches!(decision.answer, Answer::Engine { engine, .. } if engine.as_str() == "east-1"));
    bench.until("silent", |router| router.engines_live() == 0).await;
    assert!(drops_for(&bench.router, "east-1", "silent"));
}

#[tokio::test]
async fn leaving_counts_at_once() {
    let bench = start();
    bench.send(&signed("east-1", 1, 1)).await;
    bench.heard(Heard::Accepted, 1).await;
    let mut leaving = keepalive("east-1", 1, 2);
    leaving.state = Said::Leaving;
    bench.send(&encode(&leaving, "router-1", Channel::Datagram)).await;
    bench.heard(Heard::Accepted, 2).await;
    assert!(drops_for(&bench.router, "east-1", "leaving"));
}

#[tokio::test]
async fn what_is_not_a_keepalive_of_this_network_is_counted_and_changes_nothing() {
    let bench = start();
    bench.send(&signed("east-1", 1, 1)).await;
    bench.heard(Heard::Accepted, 1).await;
    let mut forged = signed("east-2", 1, 1);
    forged[60] ^= 1;
    let router = "router-1".parse().expect("name");
    let audience = Audience { router: &router, channel: Channel::Datagram };
    let other_key = weir_model::configuration::KeepaliveKey { id: 9, ..sample::key() };
    for (bytes, heard) in [
        (signed("east-1", 1, 1), Heard::Replayed),
        (signed("stranger", 1, 1), Heard::UnknownEngine),
        (forged, Heard::WrongMac),
        (keepalive("east-2", 1, 1).encode(&other_key, &audience).expect("key"), Heard::UnknownKey),
        (encode(&keepalive("east-2", 1, 1), "router-2", Channel::Datagram), Heard::WrongMac),
        (signed_for(Channel::Lifeline([0; NONCE_BYTES]), "east-2", 1, 1), Heard::WrongMac),
        (b"x".to_vec(), Heard::Length),
        (vec![0; 1400], Heard::Length),
        (vec![b'x'; 100], Heard::Version),
    ] {
        let times = bench.router.shared.metrics.times_heard(heard) + 1;
        bench.send(&bytes).await;
        bench.heard(heard, times).await;
    }
    assert!(drops_for(&bench.router, "east-2", "never_heard"));
}

#[tokio::test]
async fn the_end_of_a_lifeline_counts_at_once_and_until_the_next_worker() {
    let bench = start();
    let lifeline = bench.open("east-1", 1, 1).await;
    bench.heard(Heard::Lifeline, 1).await;
    assert_eq!(bench.router.engines_live(), 1);
    drop(lifeline);
    bench.heard(Heard::LifelineLost, 1).await;
    assert!(drops_for(&bench.router, "east-1", "lifeline_lost"));
    bench.send(&signed("east-1", 1, 2)).await;
    bench.heard(Heard::Accepted, 1).await;
    assert!(drops_for(&bench.router, "east-1", "lifeline_lost"), "the last words of the dead worker");
    bench.send(&signed("east-1", 2, 1)).await;
    bench.heard(Heard::Accepted, 2).await;
    assert_eq!(bench.router.engines_live(), 1);
}

#[tokio::test]
async fn a_newer_lifeline_takes_the_place_of_the_older() {
    let bench = start();
    let mut older = bench.open("east-1", 1, 1).await;
    bench.heard(Heard::Lifeline, 1).await;
    let _newer = bench.open("east-1", 1, 2).await;
    bench.heard(Heard::Lifeline, 2).await;
    closed(&mut older).await;
    assert_eq!(bench.router.shared.metrics.times_heard(Heard::LifelineLost), 0);
    bench.send(&signed("east-1", 1, 3)).await;
    bench.until("live", |router| router.engines_live() == 1).await;
}

#[tokio::test]
async fn a_lifeline_that_does_not_say_who_it_is_is_closed() {
    let bench = start();
    let (mut silent, _) = bench.connect("127.0.0.1").await;
    for (frame, heard) in [(vec![0xff, 0xff, 1], Heard::Length), ([&[0, 100][..], &[b'x'; 100]].concat(), Heard::Version)] {
        let (mut stream, _) = bench.connect("127.0.0.1").await;
        stream.write_all(&frame).await.expect("write");
        bench.heard(heard, 1).await;
    }
    let mut first = bench.open("east-1", 1, 1).await;
    bench.heard(Heard::Lifeline, 1).await;
    let mut again = bench.open("east-1", 1, 1).await;
    bench.heard(Heard::Replayed, 1).await;
    closed(&mut again).await;
    bench.heard(Heard::Slow, 1).await;
    closed(&mut silent).await;
    first.write_all(b"more").await.expect("write");
    bench.heard(Heard::LifelineLost, 1).await;
}

#[tokio::test]
async fn nothing_recorded_opens_a_lifeline() {
    let bench = start();
    let mut recorded = Vec::new();
    let lifeline = bench
        .open_with(|channel| {
            recorded = signed_for(channel, "east-1", 1, 5);
            recorded.clone()
        })
        .await;
    bench.heard(Heard::Lifeline, 1).await;
    drop(lifeline);
    bench.heard(Heard::LifelineLost, 1).await;
    let frames = [recorded, signed("east-1", 1, 6), encode(&keepalive("east-1", 1, 6), "router-2", Channel::Datagram)];
    for (frame, times) in frames.into_iter().zip(1..) {
        let mut stream = bench.open_with(|_| frame).await;
        bench.heard(Heard::WrongMac, times).await;
        closed(&mut stream).await;
    }
    assert!(drops_for(&bench.router, "east-1", "lifeline_lost"));
}

#[tokio::test]
async fn a_datagram_that_overtakes_the_frame_does_not_shut_the_lifeline_out() {
    let bench = start();
    let (mut stream, channel) = bench.connect("127.0.0.1").await;
    bench.send(&signed("east-1", 1, 2)).await;
    bench.heard(Heard::Accepted, 1).await;
    write_frame(&mut stream, &signed_for(channel, "east-1", 1, 1)).await;
    bench.heard(Heard::Lifeline, 1).await;
}

#[tokio::test]
async fn silent_connections_do_not_shut_an_engine_out() {
    let bench = start();
    let mut silent = Vec::new();
    for _ in 0..PENDING.address {
        silent.push(bench.connect("127.0.0.1").await);
    }
    let mut refused = TcpStream::connect(bench.address).await.expect("connect");
    closed(&mut refused).await;
    bench.heard(Heard::TooManyPending, 1).await;
    let (mut stream, channel) = bench.connect("127.0.7.22").await;
    write_frame(&mut stream, &signed_for(channel, "east-1", 1, 1)).await;
    bench.heard(Heard::Lifeline, 1).await;
}

#[test]
fn words_differ() {
    let words: std::collections::BTreeSet<&str> = Heard::ALL.iter().map(|heard| heard.as_str()).collect();
    assert_eq!(words.len(), Heard::ALL.len());
}

/// What the router says next on a lifeline.
async fn obeyed(stream: &mut TcpStream, channel: Channel) -> Stamp {
    let mut bytes = [0; OBEYED_BYTES];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut bytes)).await.expect("told in time").expect("told");
    let router = "router-1".parse().expect("name");
    Obeyed::decode(&bytes, &sample::key(), &Audience { router: &router, channel }).expect("its key, router and connection").stamp
}

fn says(state: Said, sequence: u64, generation: u64) -> Vec<u8> {
    let mut keepalive = keepalive("east-1", 1, sequence);
    (keepalive.state, keepalive.stamp.generation) = (state, generation);
    encode(&keepalive, "router-1", Channel::Datagram)
}

fn offloaded_by_configuration(generation: u64) -> weir_model::DeviceConfiguration {
    let mut configuration = sample::configuration();
    configuration.stamp.generation = generation;
    configuration.engines[0].offload = Some(weir_model::OffloadEpoch::Clients);
    configuration
}

#[tokio::test]
async fn an_engine_is_told_what_is_obeyed_whoever_said_it_first() {
    let bench = start();
    let (mut stream, channel) = bench.connect("127.0.0.1").await;
    write_frame(&mut stream, &signed_for(channel, "east-1", 1, 1)).await;
    bench.heard(Heard::Lifeline, 1).await;
    let stamp = |generation| Stamp { term: 1, generation };
    // The router is cut off from the manager: the engine's own keepalive says it.
    bench.send(&says(Said::Offloading, 2, 7)).await;
    assert_eq!(obeyed(&mut stream, channel).await, stamp(7));
    assert!(drops_for(&bench.router, "east-1", "offloaded"), "obeyed before it is said");
    bench.send(&says(Said::Offloading, 3, 8)).await;
    assert_eq!(obeyed(&mut stream, channel).await, stamp(8), "again when the stamp rises");
    bench.router.apply(&offloaded_by_configuration(9)).expect("valid");
    assert_eq!(obeyed(&mut stream, channel).await, stamp(9), "the configuration is ahead of the engine now");
    // It returns, and leaves once more: the next word is about that.
    bench.send(&says(Said::Serving, 4, 10)).await;
    bench.until("returned", |router| router.engines_live() == 1).await;
    bench.send(&says(Said::Offloading, 5, 11)).await;
    assert_eq!(obeyed(&mut stream, channel).await, stamp(11));
    assert_eq!(bench.router.shared.metrics.times_heard(Heard::LifelineLost), 0);
}

#[tokio::test]
async fn a_new_lifeline_is_told_at_once_and_only_its_own_engine() {
    let bench = start();
    bench.router.apply(&offloaded_by_configuration(6)).expect("valid");
    let mut other = bench.open("east-2", 1, 1).await;
    for times in 1..3 {
        let (mut stream, channel) = bench.connect("127.0.0.1").await;
        write_frame(&mut stream, &signed_for(channel, "east-1", 1, times)).await;
        assert_eq!(obeyed(&mut stream, channel).await, Stamp { term: 1, generation: 6 });
    }
    bench.heard(Heard::LifelineLost, 1).await;
    let nothing = tokio::time::timeout(Duration::from_millis(600), other.read(&mut [0; 1])).await;
    assert!(nothing.is_err(), "an engine in service is told nothing: {nothing:?}");
}

#[tokio::test]
async fn an_engine_is_told_once_a_restart_would_not_forget_it() {
    let bench = start();
    let state = bench.dir.path().to_owned();
    std::fs::remove_dir_all(&state).expect("removed");
    let (mut stream, channel) = bench.connect("127.0.0.1").await;
    write_frame(&mut stream, &signed_for(channel, "east-1", 1, 1)).await;
    bench.heard(Heard::Lifeline, 1).await;
    bench.send(&says(Said::Offloading, 2, 7)).await;
    bench.until("obeyed", |router| drops_for(router, "east-1", "offloaded")).await;
    let early = tokio::time::timeout(Duration::from_millis(600), stream.read(&mut [0; 1])).await;
    assert!(early.is_err(), "told of what is not on disk: {early:?}");
    std::fs::create_dir(&state).expect("created");
    assert_eq!(obeyed(&mut stream, channel).await, Stamp { term: 1, generation: 7 });
}

#[tokio::test]
async fn an_engine_that_reads_nothing_holds_nobody_up() {
    let bench = start();
    let (mut deaf, channel) = bench.connect("127.0.0.1").await;
    write_frame(&mut deaf, &signed_for(channel, "east-1", 1, 1)).await;
    bench.heard(Heard::Lifeline, 1).await;
    let mut acknowledgement = Acknowledgement::new(sample::key(), channel);
    let router: weir_model::DeviceName = "router-1".parse().expect("name");
    let (near, _far) = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let connect = TcpStream::connect(listener.local_addr().expect("bound"));
        let (near, far) = tokio::join!(connect, listener.accept());
        (near.expect("connected"), far.expect("accepted"))
    };
    // Far more than any socket's buffers hold: it neither waits nor fails.
    for generation in 1..200_000 {
        acknowledgement.tell(&router, Some(Stamp { term: 1, generation }), &near).expect("a connection that is open");
    }
    drop(deaf);
    bench.heard(Heard::LifelineLost, 1).await;
}
