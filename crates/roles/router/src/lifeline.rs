//! Lifelines: one TCP connection per engine, opened with a keepalive made for it; its end says that the worker is gone.
//!
//! On it the router tells the engine which offload of it it obeys.

use crate::{
    keepalive::{Heard, SOCKET_RETRY},
    obedience::Acknowledgement,
    places::{Most, Place, Places, Whence},
    router::Router,
};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use weir_device_api::keepalive::{Channel, KEEPALIVE_BYTES_MAX, NONCE_BYTES, Nonce};
use weir_model::DeviceName;
use weir_net::{
    http1::{Gate, Phase},
    silence,
};
use weir_routing::health::LifelineId;
use weir_telemetry::Tasks;

/// How long a connection has to say who it is.
const FRAME_TIME: Duration = Duration::from_secs(2);
/// How often a lifeline looks whether its engine is to be told of an offload, or a newer one has taken its place.
const CHECK: Duration = Duration::from_millis(250);
/// Places for connections that have not said who they are. Those from addresses of the configuration's engines: what a large
/// network opens at once after a router's restart, the time of two round trips each. An engine may speak from another
/// address than it serves on, but so may anybody. One address: the engines behind a translated one, opening at once.
pub(crate) const PENDING: Most = Most { known: 256, strangers: 64, address: 16 };
/// Where a frame names its key (docs/protocols/keepalive.md).
const KEY_AT: std::ops::Range<usize> = 6..10;

/// How a lifeline ends.
enum End {
    /// The engine closed or reset it, or said something more: its worker is gone.
    Gone,
    /// Nothing comes back from the engine's machine: the network's doing, as likely as not.
    Silent,
    /// A newer one of the same engine has taken its place.
    Replaced,
}

impl End {
    fn of(error: &io::Error) -> Self {
        if silence::is_silence(error) { End::Silent } else { End::Gone }
    }
}

/// The lifelines of one router; clones share their places.
#[derive(Clone)]
pub(crate) struct Lifelines {
    router: Router,
    gate: Gate,
    tasks: Tasks,
    places: Places,
}

impl Lifelines {
    pub(crate) fn of(router: &Router, gate: &Gate, tasks: &Tasks) -> Self {
        Self { router: router.clone(), gate: gate.clone(), tasks: tasks.clone(), places: Places::new(PENDING) }
    }

    /// Accepts lifelines while the gate does.
    pub(crate) async fn accept(self, listener: TcpListener) {
        while self.gate.accepts().await {
            let accepted = tokio::select! {
                biased;
                () = self.gate.reached(Phase::Stop) => continue,
                accepted = listener.accept() => accepted,
            };
            if let Err(error) = accepted.and_then(|(stream, peer)| self.start(stream, peer)) {
                tracing::debug!(%error, "lifeline not accepted");
                tokio::time::sleep(SOCKET_RETRY).await;
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let address = peer.ip().to_canonical();
        let from = match self.router.shared.running.load().as_ref() {
            Some(running) if running.engine_addresses.contains(&address) => Whence::Known,
            Some(_) | None => Whence::Stranger,
        };
        let Some(place) = self.places.take(address, from) else {
            self.router.shared.metrics.heard(Heard::TooManyPending);
            tracing::debug!(%peer, ?from, "lifeline refused: too many have not said who they are");
            return Ok(());
        };
        silence::end_when_silent(&stream)?;
        let (router, gate) = (self.router.clone(), self.gate.clone());
        self.tasks.spawn("lifeline", async move {
            tokio::select! {
                biased;
                // Nobody hears it here any longer: the engine opens another one, to the worker that serves next.
                () = gate.reached(Phase::Stop) => {}
                () = hold(router, stream, place) => {}
            }
        });
        Ok(())
    }
}

/// A lifeline that has said whose it is.
struct Lifeline {
    engine: DeviceName,
    id: LifelineId,
    acknowledgement: Acknowledgement,
}

async fn hold(router: Router, mut stream: TcpStream, place: Place) {
    let opened = tokio::time::timeout(FRAME_TIME, open(&router, &mut stream)).await.unwrap_or(Err(Heard::Slow));
    drop(place);
    match opened {
        Ok(mut lifeline) => {
            router.shared.metrics.heard(Heard::Lifeline);
            let end = lifeline.ended(&router, &stream).await;
            tell(&router, &lifeline.engine, lifeline.id, &end);
        }
        Err(refused) => {
            router.shared.metrics.heard(refused);
            tracing::debug!(result = refused.as_str(), "lifeline refused");
        }
    }
}

/// Sends a nonce, reads a frame made for it (a length of two bytes and a keepalive) and takes it in.
async fn open(router: &Router, stream: &mut TcpStream) -> Result<Lifeline, Heard> {
    let nonce = nonce();
    stream.write_all(&nonce).await.map_err(|_| Heard::Length)?;
    let length = usize::from(stream.read_u16().await.map_err(|_| Heard::Length)?);
    let mut buffer = [0; KEEPALIVE_BYTES_MAX];
    let frame = buffer.get_mut(..length).ok_or(Heard::Length)?;
    stream.read_exact(frame).await.map_err(|_| Heard::Length)?;
    let (running, beat) = router.read_beat(frame, Channel::Lifeline(nonce))?;
    let key = frame.get(KEY_AT).and_then(|id| running.keys.iter().find(|key| key.id.to_be_bytes() == id)).ok_or(Heard::UnknownKey)?;
    let acknowledgement = Acknowledgement::new(key.clone(), Channel::Lifeline(nonce));
    let id = router.shared.vitals.open_lifeline(&beat).map_err(|_| Heard::Replayed)?;
    Ok(Lifeline { engine: beat.engine, id, acknowledgement })
}

fn nonce() -> Nonce {
    let mut nonce = [0; NONCE_BYTES];
    aws_lc_rs::rand::fill(&mut nonce).expect("the system gives random bytes");
    nonce
}

impl Lifeline {
    /// Waits until the connection ends, says anything more (an engine does not), or another one has taken its place; tells
    /// the engine meanwhile what this router obeys.
    async fn ended(&mut self, router: &Router, stream: &TcpStream) -> End {
        let mut checks = tokio::time::interval(CHECK);
        checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                end = over(stream) => return end,
                _ = checks.tick() => {}
            }
            if !router.shared.vitals.holds_lifeline(&self.engine, self.id) {
                return End::Replaced;
            }
            if self.acknowledge(router, stream).is_err() {
                return over(stream).await;
            }
        }
    }

    /// What the data path obeys, by the configuration in force and the health that is published and on disk.
    fn acknowledge(&mut self, router: &Router, stream: &TcpStream) -> io::Result<()> {
        let running = router.shared.running.load();
        let obeyed = running.as_ref().and_then(|running| router.shared.vitals.obeyed(&running.network, &self.engine));
        self.acknowledgement.tell(&router.shared.name, obeyed, stream)
    }
}

/// Waits for the end of a connection, or for a byte, which is its end too.
async fn over(stream: &TcpStream) -> End {
    loop {
        if let Err(error) = stream.readable().await {
            return End::of(&error);
        }
        match stream.try_read(&mut [0; 1]) {
            Ok(_) => return End::Gone,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return End::of(&error),
        }
    }
}

fn tell(router: &Router, engine: &DeviceName, id: LifelineId, end: &End) {
    match end {
        End::Gone => {
            if router.shared.vitals.lose_lifeline(engine, id) {
                router.shared.metrics.heard(Heard::LifelineLost);
                tracing::info!(%engine, "lifeline lost");
            }
        }
        End::Silent => {
            router.shared.vitals.silence_lifeline(engine, id);
            router.shared.metrics.heard(Heard::LifelineSilent);
            tracing::info!(%engine, "lifeline fell silent");
        }
        End::Replaced => {}
    }
}
