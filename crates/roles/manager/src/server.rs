//! HTTP/1.1 and HTTP/2 behind our own accept loops: TLS or the local socket, named limits, a stop that finishes requests.

mod body;
mod linger;
mod slots;

pub(crate) use slots::{CONNECTIONS_MAX, Limits};

use axum::{Router, body::Body};
use body::{Patience, TimedBody};
use hyper::{Version, body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use linger::{Lingering, Unread};
use slots::{OfAddress, Slots};
use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use weir_net::identity::{Subject, fingerprint_of, subject_of};
use weir_telemetry::Tasks;

/// Connections of the local socket; more wait to be accepted.
const LOCAL_MAX: usize = 64;
/// From accept to the end of the TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// From the first byte of an HTTP/1.1 head to its end.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Requests one HTTP/2 connection may have open.
const STREAMS_MAX: u32 = 64;
/// An HTTP/2 connection is asked whether it lives after this silence, and closed after [`PING_PATIENCE`] without an answer.
const PING_PERIOD: Duration = Duration::from_secs(15);
const PING_PATIENCE: Duration = Duration::from_secs(15);
/// Header bytes of one request.
const HEADER_BYTES_MAX: u32 = 32 * 1024;
/// Pause after the system refused to accept (it is out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// Whoever may open the local socket.
    Local,
    /// A TLS connection.
    Tls {
        address: SocketAddr,
        /// The client certificate TLS has verified, if one was shown.
        certificate: Option<Arc<PeerCertificate>>,
    },
}

/// A verified client certificate.
#[derive(Debug)]
pub(crate) struct PeerCertificate {
    pub(crate) subject: Subject,
    /// Hex.
    pub(crate) sha256: String,
}

/// What every connection of a listener needs.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) tasks: Tasks,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Accepts TLS connections until the stop.
pub(crate) fn serve_tls(
    listener: std::net::TcpListener,
    tls: Arc<rustls::ServerConfig>,
    service: Service,
    limits: Limits,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let acceptor = TlsAcceptor::from(tls);
    let tasks = service.tasks.clone();
    tasks.spawn("accept-tls", async move {
        let slots = Slots::new(limits);
        let mut stopping = service.stopping.clone();
        while let Some(slot) = unless_stopped(slots.slot(), &mut stopping).await {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopped(&mut stopping) => break,
            };
            match accepted {
                Ok((stream, address)) => {
                    let Some(of_address) = slots.of(address.ip()) else {
                        tracing::debug!(%address, "connection closed: its address has as many as it may");
                        continue;
                    };
                    let (acceptor, served) = (acceptor.clone(), service.clone());
                    let held = Held { _slot: slot, of_address };
                    service.tasks.spawn("tls-connection", tls_connection(stream, address, acceptor, served, held));
                }
                Err(error) => pause(&error).await,
            }
        }
    });
    Ok(())
}

/// Accepts connections of the local socket until the stop; `keep` lives as long.
pub(crate) fn serve_local<K: Send + 'static>(listener: UnixListener, keep: K, service: Service) {
    let tasks = service.tasks.clone();
    tasks.spawn("accept-local", async move {
        let _keep = keep;
        let slots = Arc::new(Semaphore::new(LOCAL_MAX));
        let mut stopping = service.stopping.clone();
        let slot = async || Arc::clone(&slots).acquire_owned().await.ok();
        while let Some(slot) = unless_stopped(slot(), &mut stopping).await {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopped(&mut stopping) => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let served = service.clone();
                    service.tasks.spawn("local-connection", async move {
                        connection(stream, Peer::Local, served).await;
                        drop(slot);
                    });
                }
                Err(error) => pause(&error).await,
            }
        }
    });
}

/// What is waited for; `None` when the server stops.
async fn unless_stopped<T>(wait: impl Future<Output = Option<T>>, stopping: &mut watch::Receiver<bool>) -> Option<T> {
    tokio::select! {
        got = wait => got,
        () = stopped(stopping) => None,
    }
}

/// What a connection holds of its listener.
struct Held {
    _slot: OwnedSemaphorePermit,
    of_address: OfAddress,
}

/// Waits for the stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that whoever would stop it is gone, which is a stop.
    let _ = stopping.wait_for(|s| *s).await;
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "connection not accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn tls_connection(stream: TcpStream, address: SocketAddr, acceptor: TlsAcceptor, service: Service, held: Held) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%address, %error, "TLS handshake failed"),
        Err(_) => return tracing::debug!(%address, "TLS handshake took too long"),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).and_then(|der| {
        let subject = subject_of(der).ok()?;
        Some(Arc::new(PeerCertificate { subject, sha256: hex::encode(fingerprint_of(der)) }))
    });
    // Devices behind one address are told apart by their certificates: only strangers count together.
    let Held { _slot, of_address } = held;
    let _of_address = certificate.is_none().then_some(of_address);
    connection(stream, Peer::Tls { address, certificate }, service).await;
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer, service: Service) {
    let Service { router, tasks, mut stopping } = service;
    let unread = Unread::default();
    let told = unread.clone();
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let patience = Patience::of(request.method(), request.uri().path());
        // A stream of HTTP/2 ends by itself.
        let told = (request.version() < Version::HTTP_2).then(|| told.clone());
        let mut request = request.map(|body| Body::new(TimedBody::new(body, patience, told)));
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(OwnedTasks(tasks));
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(PING_PERIOD)
        .keep_alive_timeout(PING_PATIENCE);
    let mut served = pin!(builder.serve_connection(TokioIo::new(Lingering::new(stream, unread)), answer));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = async { drop(stopping.wait_for(|s| *s).await) } => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "connection ended");
    }
}

/// Runs the tasks of HTTP/2 connections as tasks of ours.
#[derive(Clone)]
struct OwnedTasks(Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for OwnedTasks {
    fn execute(&self, future: F) {
        self.0.spawn("http2-stream", future);
    }
}
