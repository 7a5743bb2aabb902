//! Lifelines: one TCP connection per engine, opened with a keepalive in a frame; its end says that the worker is gone.

use crate::{
    keepalive::{Heard, SOCKET_RETRY},
    router::Router,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use weir_device_api::keepalive::KEEPALIVE_BYTES_MAX;
use weir_model::DeviceName;
use weir_routing::health::LifelineId;
use weir_telemetry::Tasks;

/// Connections that have not said who they are yet; more are closed at once. Those that have are bounded by the
/// configuration's engines.
const PENDING_MAX: usize = 256;
/// How long a connection has to say who it is.
const FRAME_TIME: Duration = Duration::from_secs(2);
/// How often a lifeline looks whether a newer one of its engine has taken its place.
const REPLACED_CHECK: Duration = Duration::from_secs(1);

/// Permits for connections that have not said who they are yet.
pub(crate) fn pending() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(PENDING_MAX))
}

/// Accepts lifelines for as long as the task lives.
pub(crate) async fn accept(router: Router, listener: TcpListener, tasks: Tasks, pending: Arc<Semaphore>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Ok(permit) = pending.clone().try_acquire_owned() {
                    tasks.spawn("lifeline", hold(router.clone(), stream, permit));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "lifeline not accepted");
                tokio::time::sleep(SOCKET_RETRY).await;
            }
        }
    }
}

async fn hold(router: Router, mut stream: TcpStream, permit: OwnedSemaphorePermit) {
    let opened = tokio::time::timeout(FRAME_TIME, open(&router, &mut stream)).await.unwrap_or(Err(Heard::Slow));
    drop(permit);
    let metrics = &router.shared.metrics;
    match opened {
        Ok((engine, id)) => {
            metrics.heard(Heard::Lifeline);
            ended(&router, &mut stream, &engine, id).await;
            if router.shared.vitals.lose_lifeline(&engine, id) {
                metrics.heard(Heard::LifelineLost);
                tracing::info!(%engine, "lifeline lost");
            }
        }
        Err(refused) => {
            metrics.heard(refused);
            tracing::debug!(result = refused.as_str(), "lifeline refused");
        }
    }
}

/// Reads the frame, a length of two bytes and a keepalive, and takes it in.
async fn open(router: &Router, stream: &mut TcpStream) -> Result<(DeviceName, LifelineId), Heard> {
    let length = usize::from(stream.read_u16().await.map_err(|_| Heard::Length)?);
    let mut buffer = [0; KEEPALIVE_BYTES_MAX];
    let frame = buffer.get_mut(..length).ok_or(Heard::Length)?;
    stream.read_exact(frame).await.map_err(|_| Heard::Length)?;
    let (running, beat) = router.read_beat(frame)?;
    let patience_ms = running.network.profile().keepalive_patience_ms();
    let id = router.shared.vitals.open_lifeline(&beat, patience_ms).map_err(|_| Heard::Replayed)?;
    Ok((beat.engine, id))
}

/// Waits until the connection ends, says anything more (an engine does not), or another one has taken its place.
async fn ended(router: &Router, stream: &mut TcpStream, engine: &DeviceName, id: LifelineId) {
    let mut byte = [0; 1];
    let read = stream.read(&mut byte);
    tokio::pin!(read);
    while tokio::time::timeout(REPLACED_CHECK, read.as_mut()).await.is_err() {
        if !router.shared.vitals.holds_lifeline(engine, id) {
            return;
        }
    }
}
