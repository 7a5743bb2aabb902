//! Accepts connections from one listening socket, within the gate's phase and the limits.

use super::{
    Gate, Limits, Phase, Service,
    connection::{Connection, Listener},
};
use rustix::io::Errno;
use std::{io, sync::Arc, sync::atomic::Ordering, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use weir_telemetry::Tasks;

/// Pause after an accept that failed for lack of file descriptors or memory: nothing tells when they are back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long tasks whose connection has ended may take to end themselves.
const JOIN_TIME: Duration = Duration::from_secs(1);

/// Serves one listening socket on the current runtime until the gate releases it and every connection of the gate has ended.
///
/// Dropping the future cuts the connections. Fails when the socket cannot be taken over or can no longer be accepted
/// from; its connections are cut then too.
pub async fn serve<S: Service>(listener: std::net::TcpListener, service: S, limits: Limits, gate: Gate) -> io::Result<()> {
    serve_socket(adopt(listener)?, service, limits, gate).await
}

/// Registers a listening socket with the current runtime.
pub(crate) fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// As [`serve`], with a socket this runtime has.
pub(crate) async fn serve_socket<S: Service>(socket: TcpListener, service: S, limits: Limits, gate: Gate) -> io::Result<()> {
    let listener = Arc::new(Listener { service, limits, lane: gate.add_lane(), gate });
    let tasks = Tasks::new();
    loop {
        let state = listener.gate.state();
        match state.phase() {
            Phase::Hold | Phase::Stop => listener.gate.changed_since(state).await,
            Phase::Accept => tokio::select! {
                biased;
                () = listener.gate.changed_since(state) => {}
                error = accept_all(&socket, &listener, &tasks) => return Err(error),
            },
            Phase::Release | Phase::Closed => break,
        }
    }
    drop(socket);
    drain(&listener, &tasks).await;
    Ok(())
}

/// Accepts until dropped, or until the socket itself fails.
async fn accept_all<S: Service>(socket: &TcpListener, listener: &Arc<Listener<S>>, tasks: &Tasks) -> io::Error {
    loop {
        room(listener).await;
        match socket.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = start(listener, tasks, stream, peer) {
                    tracing::debug!(%peer, %error, "connection lost at accept");
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) if is_of_the_socket(&error) => return error,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Waits until the process has fewer connections open than its limit.
async fn room<S>(listener: &Listener<S>) {
    loop {
        let ended = listener.gate.ends().notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        if listener.gate.open_connections() < listener.limits.connections as u64 {
            return;
        }
        ended.await;
    }
}

fn start<S: Service>(listener: &Arc<Listener<S>>, tasks: &Tasks, stream: TcpStream, peer: std::net::SocketAddr) -> io::Result<()> {
    let Some(admission) = listener.gate.admit(&listener.lane, peer.ip(), listener.limits.connections_per_address) else {
        listener.lane.turned_away.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    };
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    tasks.spawn("http1 connection", Connection::new(listener.clone(), stream, peer, local, admission).run());
    Ok(())
}

/// Waits for the connections of all listeners, since another core's client may read what this runtime fetches; cuts this
/// listener's when the gate closes.
async fn drain<S>(listener: &Listener<S>, tasks: &Tasks) {
    loop {
        let ended = listener.gate.ends().notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        let state = listener.gate.state();
        if state.phase() == Phase::Closed {
            tasks.cancel();
        }
        if state.phase() == Phase::Closed || listener.gate.open_connections() == 0 {
            tasks.join(JOIN_TIME).await;
            return;
        }
        tokio::select! { () = ended => {}, () = listener.gate.changed_since(state) => {} }
    }
}

/// Errors of a connection that was gone before it was accepted; the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted
    )
}

/// Errors that stay: the socket is closed, shut down, or none that listens.
fn is_of_the_socket(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK))
}
