//! What engines say of themselves: signed datagrams, and lifelines whose end says that a worker is gone.
//!
//! `docs/protocols/keepalive.md`. Nothing is answered, so a forged sender address gains nothing.

use crate::{
    lifeline::Lifelines,
    router::{Router, Running},
    vitals::{PANIC_LOOK_MS, PUBLISH_MS, SAVE_MS},
};
use std::{io, net, sync::Arc, time::Duration};
use tokio::net::{TcpListener, UdpSocket};
use weir_device_api::keepalive::{Audience, Channel, EngineState as Said, KEEPALIVE_BYTES_MAX, Keepalive, KeepaliveError};
use weir_net::http1::{Gate, Phase};
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
    /// A lifeline ended because nothing came back from its engine's machine; the datagrams decide.
    LifelineSilent,
    /// Its (boot, sequence) does not rise on its channel.
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
    /// The mac does not match: forged, changed, or made for another router, channel or connection.
    WrongMac,
    /// A lifeline that did not say who it is in time.
    Slow,
    /// A lifeline closed at accept: too many have not said who they are.
    TooManyPending,
}

impl Heard {
    /// Every result.
    pub const ALL: [Heard; 15] = [
        Heard::Accepted,
        Heard::Lifeline,
        Heard::LifelineLost,
        Heard::LifelineSilent,
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
        Heard::TooManyPending,
    ];

    /// The word of the metric and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Heard::Accepted => "accepted",
            Heard::Lifeline => "lifeline",
            Heard::LifelineLost => "lifeline_lost",
            Heard::LifelineSilent => "lifeline_silent",
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
            Heard::TooManyPending => "too_many_pending",
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

/// Starts receiving on adopted sockets, on the current runtime, while `gate` accepts and until `tasks` is cancelled. The sockets
/// are shared with other processes: what a gate that does not accept leaves unread is another worker's. [`Router::take_over`]
/// comes before the gate accepts, [`Router::hand_over`] once it is stopped.
///
/// # Errors
/// A socket the runtime cannot take.
pub fn run(router: &Router, udp: Vec<net::UdpSocket>, tcp: Vec<net::TcpListener>, gate: &Gate, tasks: &Tasks) -> io::Result<()> {
    let lifelines = Lifelines::of(router, gate, tasks);
    for socket in udp {
        socket.set_nonblocking(true)?;
        tasks.spawn("keepalive", receive(router.clone(), UdpSocket::from_std(socket)?, gate.clone()));
    }
    for listener in tcp {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        tasks.spawn("lifelines", lifelines.clone().accept(listener));
    }
    tasks.spawn("health publication", publish(router.clone()));
    tasks.spawn("panic", panic(router.clone(), gate.clone()));
    tasks.spawn("health on disk", save(router.clone()));
    Ok(())
}

async fn receive(router: Router, socket: UdpSocket, gate: Gate) {
    // One byte more than any keepalive, so that a longer datagram is seen to be longer.
    let mut buffer = [0; KEEPALIVE_BYTES_MAX + 1];
    while gate.accepts().await {
        let received = tokio::select! {
            biased;
            () = gate.reached(Phase::Stop) => continue,
            received = socket.recv_from(&mut buffer) => received,
        };
        match received {
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

/// A worker that does not accept hears nobody, which is no reason to panic.
async fn panic(router: Router, gate: Gate) {
    let mut ticks = tokio::time::interval(Duration::from_millis(PANIC_LOOK_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while gate.accepts().await {
        ticks.tick().await;
        router.look_for_panic();
    }
}

async fn save(router: Router) {
    let mut ticks = tokio::time::interval(Duration::from_millis(SAVE_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = router.shared.vitals.urgent() => {}
        }
        let router = router.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || router.save_when_due()).await {
            tracing::error!(%error, "health not written");
        }
    }
}

impl Router {
    pub(crate) fn hear(&self, datagram: &[u8]) -> Heard {
        let heard = match self.read_beat(datagram, Channel::Datagram) {
            Ok((running, beat)) => match self.shared.vitals.hear(&beat, &running.network) {
                Ok(()) => Heard::Accepted,
                Err(_) => Heard::Replayed,
            },
            Err(refused) => refused,
        };
        self.shared.metrics.heard(heard);
        heard
    }

    /// A keepalive for this router, of an engine of the configuration in force, its mac checked.
    pub(crate) fn read_beat(&self, bytes: &[u8], channel: Channel) -> Result<(Arc<Running>, Beat), Heard> {
        let running = self.shared.running.load_full().ok_or(Heard::NoConfiguration)?;
        let keepalive = Keepalive::decode(bytes, &running.keys, &Audience { router: &self.shared.name, channel })?;
        if running.network.engine(&keepalive.engine).is_none() {
            return Err(Heard::UnknownEngine);
        }
        let state = match keepalive.state {
            Said::Serving => EngineState::Serving,
            Said::Leaving => EngineState::Leaving,
            Said::Offloading => EngineState::Offloading,
        };
        let Keepalive { engine, boot, sequence, stamp, share_permille, .. } = keepalive;
        Ok((running, Beat { engine, state, boot, sequence, stamp, share_permille, at_ms: weir_clock::monotonic_ms() }))
    }
}

#[cfg(test)]
mod tests;
