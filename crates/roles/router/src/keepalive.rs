//! What engines say of themselves: signed datagrams, and lifelines whose end says that a worker is gone.
//!
//! `docs/protocols/keepalive.md`. Nothing is answered, so a forged sender address gains nothing.

use crate::{
    lifeline,
    router::{Router, Running},
    vitals::{PUBLISH_MS, SAVE_MS},
};
use std::{io, net, sync::Arc, time::Duration};
use tokio::net::{TcpListener, UdpSocket};
use weir_device_api::keepalive::{EngineState as Said, KEEPALIVE_BYTES_MAX, Keepalive, KeepaliveError};
use weir_routing::health::{Beat, EngineState};
use weir_telemetry::Tasks;

/// Pause after a socket error that is not the sender's doing, so that a broken socket does not take a core.
pub(crate) const SOCKET_RETRY: Duration = Duration::from_millis(100);

/// What became of a keepalive; the `result` of `router_keepalives_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Taken in.
    Accepted,
    /// A lifeline opened.
    Lifeline,
    /// A lifeline ended and its engine counts as gone.
    LifelineLost,
    /// Its (boot, sequence) does not rise.
    Replayed,
    /// Signed right, by an engine the configuration does not have.
    UnknownEngine,
    /// This router has no configuration, and so no keys, yet.
    NoConfiguration,
    /// Wrong length.
    Length,
    /// Another protocol or version.
    Version,
    /// A state this version does not know.
    State,
    /// Not a device name.
    Name,
    /// A key this router does not hold.
    UnknownKey,
    /// The mac does not match.
    WrongMac,
    /// A lifeline that did not say who it is in time.
    Slow,
}

impl Heard {
    /// Every result.
    pub const ALL: [Heard; 13] = [
        Heard::Accepted,
        Heard::Lifeline,
        Heard::LifelineLost,
        Heard::Replayed,
        Heard::UnknownEngine,
        Heard::NoConfiguration,
        Heard::Length,
        Heard::Version,
        Heard::State,
        Heard::Name,
        Heard::UnknownKey,
        Heard::WrongMac,
        Heard::Slow,
    ];

    /// The word of the metric and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Heard::Accepted => "accepted",
            Heard::Lifeline => "lifeline",
            Heard::LifelineLost => "lifeline_lost",
            Heard::Replayed => "replayed",
            Heard::UnknownEngine => "unknown_engine",
            Heard::NoConfiguration => "no_configuration",
            Heard::Length => "length",
            Heard::Version => "version",
            Heard::State => "state",
            Heard::Name => "name",
            Heard::UnknownKey => "unknown_key",
            Heard::WrongMac => "wrong_mac",
            Heard::Slow => "slow",
        }
    }
}

impl From<KeepaliveError> for Heard {
    fn from(error: KeepaliveError) -> Self {
        match error {
            KeepaliveError::Length => Heard::Length,
            KeepaliveError::Version => Heard::Version,
            KeepaliveError::State => Heard::State,
            KeepaliveError::Name => Heard::Name,
            KeepaliveError::Key(_) => Heard::UnknownKey,
            KeepaliveError::Mac => Heard::WrongMac,
        }
    }
}

/// Starts receiving on adopted sockets, on the current runtime, until `tasks` is cancelled. Call [`Router::save`] then.
///
/// # Errors
/// A socket the runtime cannot take.
pub fn run(router: &Router, udp: Vec<net::UdpSocket>, tcp: Vec<net::TcpListener>, tasks: &Tasks) -> io::Result<()> {
    let pending = lifeline::pending();
    for socket in udp {
        socket.set_nonblocking(true)?;
        tasks.spawn("keepalive", receive(router.clone(), UdpSocket::from_std(socket)?));
    }
    for listener in tcp {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        tasks.spawn("lifelines", lifeline::accept(router.clone(), listener, tasks.clone(), pending.clone()));
    }
    tasks.spawn("health publication", publish(router.clone()));
    tasks.spawn("health on disk", save(router.clone()));
    Ok(())
}

async fn receive(router: Router, socket: UdpSocket) {
    // One byte more than any keepalive, so that a longer datagram is seen to be longer.
    let mut buffer = [0; KEEPALIVE_BYTES_MAX + 1];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, sender)) => {
                let heard = router.hear(&buffer[..length]);
                if heard != Heard::Accepted {
                    tracing::debug!(%sender, result = heard.as_str(), "keepalive refused");
                }
            }
            Err(error) => {
                tracing::debug!(%error, "keepalive not received");
                tokio::time::sleep(SOCKET_RETRY).await;
            }
        }
    }
}

async fn publish(router: Router) {
    let mut ticks = tokio::time::interval(Duration::from_millis(PUBLISH_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        router.shared.vitals.publish();
    }
}

async fn save(router: Router) {
    let mut ticks = tokio::time::interval(Duration::from_millis(SAVE_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let router = router.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || router.save_when_due()).await {
            tracing::error!(%error, "health not written");
        }
    }
}

impl Router {
    pub(crate) fn hear(&self, datagram: &[u8]) -> Heard {
        let heard = match self.read_beat(datagram) {
            Ok((running, beat)) => match self.shared.vitals.hear(&beat, running.network.profile().keepalive_patience_ms()) {
                Ok(()) => Heard::Accepted,
                Err(_) => Heard::Replayed,
            },
            Err(refused) => refused,
        };
        self.shared.metrics.heard(heard);
        heard
    }

    /// A keepalive of an engine of the configuration in force, its mac checked.
    pub(crate) fn read_beat(&self, bytes: &[u8]) -> Result<(Arc<Running>, Beat), Heard> {
        let running = self.shared.running.load_full().ok_or(Heard::NoConfiguration)?;
        let keepalive = Keepalive::decode(bytes, &running.keys)?;
        if running.network.engine(&keepalive.engine).is_none() {
            return Err(Heard::UnknownEngine);
        }
        let state = match keepalive.state {
            Said::Serving => EngineState::Serving,
            Said::Leaving => EngineState::Leaving,
        };
        let Keepalive { engine, boot, sequence, stamp, .. } = keepalive;
        Ok((running, Beat { engine, state, boot, sequence, stamp, at_ms: weir_clock::monotonic_ms() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, keepalive};
    use std::net::SocketAddr;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };
    use weir_routing::{Answer, Reason};

    /// Nothing here takes longer than a scheduling delay.
    const DEADLINE: Duration = Duration::from_secs(10);

    struct Bench {
        router: Router,
        address: SocketAddr,
        _tasks: Tasks,
        _dir: tempfile::TempDir,
    }

    /// A router that has its configuration and receives on a port of its own.
    fn start() -> Bench {
        let (router, dir) = sample::router();
        router.apply(&sample::configuration()).expect("valid");
        let tcp = net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = tcp.local_addr().expect("address");
        let udp = net::UdpSocket::bind(address).expect("the same port");
        let tasks = Tasks::new();
        run(&router, vec![udp], vec![tcp], &tasks).expect("sockets");
        Bench { router, address, _tasks: tasks, _dir: dir }
    }

    impl Bench {
        async fn send(&self, bytes: &[u8]) {
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
            socket.send_to(bytes, self.address).await.expect("send");
        }

        async fn open(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.expect("connect");
            let length = u16::try_from(bytes.len()).expect("short");
            stream.write_all(&[&length.to_be_bytes()[..], bytes].concat()).await.expect("write");
            stream
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

    fn signed(engine: &str, boot: u64, sequence: u64) -> Vec<u8> {
        keepalive(engine, boot, sequence).encode(&sample::key()).expect("key")
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
        bench.send(&leaving.encode(&sample::key()).expect("key")).await;
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
        let other_key = weir_model::configuration::KeepaliveKey { id: 9, ..sample::key() };
        for (bytes, heard) in [
            (signed("east-1", 1, 1), Heard::Replayed),
            (signed("stranger", 1, 1), Heard::UnknownEngine),
            (forged, Heard::WrongMac),
            (keepalive("east-2", 1, 1).encode(&other_key).expect("key"), Heard::UnknownKey),
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
        let lifeline = bench.open(&signed("east-1", 1, 1)).await;
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
        let mut older = bench.open(&signed("east-1", 1, 1)).await;
        bench.heard(Heard::Lifeline, 1).await;
        let _newer = bench.open(&signed("east-1", 1, 2)).await;
        bench.heard(Heard::Lifeline, 2).await;
        let end = tokio::time::timeout(DEADLINE, older.read(&mut [0; 1])).await.expect("closed in time");
        assert_eq!(end.expect("an orderly end"), 0);
        assert_eq!(bench.router.shared.metrics.times_heard(Heard::LifelineLost), 0);
        bench.send(&signed("east-1", 1, 3)).await;
        bench.until("live", |router| router.engines_live() == 1).await;
    }

    #[tokio::test]
    async fn a_lifeline_that_does_not_say_who_it_is_is_closed() {
        let bench = start();
        let mut silent = TcpStream::connect(bench.address).await.expect("connect");
        for (frame, heard) in [(vec![0xff, 0xff, 1], Heard::Length), ([&[0, 100][..], &[b'x'; 100]].concat(), Heard::Version)] {
            let mut stream = TcpStream::connect(bench.address).await.expect("connect");
            stream.write_all(&frame).await.expect("write");
            bench.heard(heard, 1).await;
        }
        let mut replay = bench.open(&signed("east-1", 1, 1)).await;
        bench.heard(Heard::Lifeline, 1).await;
        let mut again = bench.open(&signed("east-1", 1, 1)).await;
        bench.heard(Heard::Replayed, 1).await;
        assert_eq!(again.read(&mut [0; 1]).await.expect("an orderly end"), 0);
        bench.heard(Heard::Slow, 1).await;
        assert_eq!(silent.read(&mut [0; 1]).await.expect("an orderly end"), 0);
        replay.write_all(b"more").await.expect("write");
        bench.heard(Heard::LifelineLost, 1).await;
    }

    #[test]
    fn words_differ() {
        let words: std::collections::BTreeSet<&str> = Heard::ALL.iter().map(|heard| heard.as_str()).collect();
        assert_eq!(words.len(), Heard::ALL.len());
    }
}
