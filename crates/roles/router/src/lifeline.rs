//! Lifelines: one TCP connection per engine, opened with a keepalive made for it; its end says that the worker is gone.

use crate::{
    keepalive::{Heard, SOCKET_RETRY},
    pending::{Pending, Place, Whence},
    router::Router,
};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use weir_device_api::keepalive::{Channel, KEEPALIVE_BYTES_MAX, NONCE_BYTES, Nonce};
use weir_model::DeviceName;
use weir_net::silence;
use weir_routing::health::LifelineId;
use weir_telemetry::Tasks;

/// How long a connection has to say who it is.
const FRAME_TIME: Duration = Duration::from_secs(2);
/// How often a lifeline looks whether a newer one of its engine has taken its place.
const REPLACED_CHECK: Duration = Duration::from_secs(1);

/// How a lifeline ends.
enum End {
    /// The engine closed or reset it, or said something more: its worker is gone.
    Gone,
    /// Nothing comes back from the engine's machine: the network's doing, as likely as not.
    Silent,
    /// A newer one of the same engine has taken its place.
    Replaced,
}

/// Accepts lifelines for as long as the task lives.
pub(crate) async fn accept(router: Router, listener: TcpListener, tasks: Tasks, pending: Pending) {
    loop {
        let accepted = listener.accept().await;
        if let Err(error) = accepted.and_then(|(stream, peer)| start(&router, stream, peer, &pending, &tasks)) {
            tracing::debug!(%error, "lifeline not accepted");
            tokio::time::sleep(SOCKET_RETRY).await;
        }
    }
}

fn start(router: &Router, stream: TcpStream, peer: SocketAddr, pending: &Pending, tasks: &Tasks) -> io::Result<()> {
    let address = peer.ip().to_canonical();
    let from = match router.shared.running.load().as_ref() {
        Some(running) if running.engine_addresses.contains(&address) => Whence::Engine,
        Some(_) | None => Whence::Stranger,
    };
    let Some(place) = pending.take(address, from) else {
        router.shared.metrics.heard(Heard::TooManyPending);
        tracing::debug!(%peer, ?from, "lifeline refused: too many have not said who they are");
        return Ok(());
    };
    silence::end_when_silent(&stream)?;
    tasks.spawn("lifeline", hold(router.clone(), stream, place));
    Ok(())
}

async fn hold(router: Router, mut stream: TcpStream, place: Place) {
    let opened = tokio::time::timeout(FRAME_TIME, open(&router, &mut stream)).await.unwrap_or(Err(Heard::Slow));
    drop(place);
    match opened {
        Ok((engine, id)) => {
            router.shared.metrics.heard(Heard::Lifeline);
            let end = ended(&router, &mut stream, &engine, id).await;
            tell(&router, &engine, id, &end);
        }
        Err(refused) => {
            router.shared.metrics.heard(refused);
            tracing::debug!(result = refused.as_str(), "lifeline refused");
        }
    }
}

/// Sends a nonce, reads a frame made for it (a length of two bytes and a keepalive) and takes it in.
async fn open(router: &Router, stream: &mut TcpStream) -> Result<(DeviceName, LifelineId), Heard> {
    let nonce = nonce();
    stream.write_all(&nonce).await.map_err(|_| Heard::Length)?;
    let length = usize::from(stream.read_u16().await.map_err(|_| Heard::Length)?);
    let mut buffer = [0; KEEPALIVE_BYTES_MAX];
    let frame = buffer.get_mut(..length).ok_or(Heard::Length)?;
    stream.read_exact(frame).await.map_err(|_| Heard::Length)?;
    let (_, beat) = router.read_beat(frame, Channel::Lifeline(nonce))?;
    let id = router.shared.vitals.open_lifeline(&beat).map_err(|_| Heard::Replayed)?;
    Ok((beat.engine, id))
}

fn nonce() -> Nonce {
    let mut nonce = [0; NONCE_BYTES];
    aws_lc_rs::rand::fill(&mut nonce).expect("the system gives random bytes");
    nonce
}

/// Waits until the connection ends, says anything more (an engine does not), or another one has taken its place.
async fn ended(router: &Router, stream: &mut TcpStream, engine: &DeviceName, id: LifelineId) -> End {
    let mut byte = [0; 1];
    let read = stream.read(&mut byte);
    tokio::pin!(read);
    loop {
        match tokio::time::timeout(REPLACED_CHECK, read.as_mut()).await {
            Ok(Err(error)) if silence::is_silence(&error) => return End::Silent,
            Ok(Ok(_) | Err(_)) => return End::Gone,
            Err(_) if !router.shared.vitals.holds_lifeline(engine, id) => return End::Replaced,
            Err(_) => {}
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
