//! A connection to one of the checked addresses, with TLS when the URL says so.

use crate::{
    Failure,
    budget::{Budget, Late, seconds},
    target::{Peer, Target},
};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::ServerName;
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use weir_model::FetchReason;

/// TCP or TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What a request goes over.
pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    peer: SocketAddr,
    tls: Option<&'static str>,
}

impl Connection {
    /// To whom, and how.
    pub(crate) fn told(&self) -> String {
        format!("{}, {}", self.peer, self.tls.unwrap_or("without TLS"))
    }
}

/// Connects to the first of `addresses` that accepts; all of them and TLS share `limit`, so that one that is silent leaves time for
/// the next. Nothing else is tried when TLS fails: the server is there and is not the one that was meant.
pub(crate) async fn connect(target: &Target, addresses: &[SocketAddr], limit: Duration, budget: &Budget) -> Result<Connection, Failure> {
    let end = weir_clock::monotonic() + limit;
    let (stream, peer) = accepted(addresses, end, budget).await?;
    if !target.is_tls() {
        return Ok(Connection { stream: Box::new(stream), peer, tls: None });
    }
    match budget.within(left(end), secured(target, stream)).await {
        Ok(secured) => secured.map(|(stream, tls)| Connection { stream, peer, tls: Some(tls) }),
        Err(Late::Step) => Err(Failure::new(FetchReason::Timeout, format!("no TLS with {peer} within {}", seconds(limit)))),
        Err(Late::Total) => Err(Failure::new(FetchReason::Timeout, budget.told())),
    }
}

fn left(end: Instant) -> Duration {
    end.saturating_duration_since(weir_clock::monotonic())
}

async fn accepted(addresses: &[SocketAddr], end: Instant, budget: &Budget) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut last = Failure::new(FetchReason::ConnectFailed, "no address");
    for (tried, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let why = match budget.within(left(end) / untried, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => error.kind().to_string(),
            Err(Late::Step) => "no answer".to_owned(),
            Err(Late::Total) => return Err(Failure::new(FetchReason::Timeout, budget.told())),
        };
        last.detail = format!("{address}: {why}");
    }
    Err(last)
}

async fn secured(target: &Target, stream: TcpStream) -> Result<(Box<dyn Stream>, &'static str), Failure> {
    let failed = |why: &str| Failure::new(FetchReason::TlsFailed, format!("{}: {why}", target.authority()));
    let name = match target.peer() {
        Peer::Address(address) => ServerName::from(address),
        Peer::Name(name) => ServerName::try_from(name.to_owned()).map_err(|_| failed("no name of a certificate"))?,
    };
    let connector = TlsConnector::from(trust().await.map_err(|why| failed(&why))?);
    let stream = connector.connect(name, stream).await.map_err(|error| failed(&unsecured(&error)))?;
    let tls = match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS",
    };
    Ok((Box::new(stream), tls))
}

fn unsecured(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => "the server does not speak TLS".to_owned(),
        Some(error) => error.to_string(),
        None => format!("no TLS: {}", error.kind()),
    }
}

/// The system's trusted certificates, read anew each time: an operator who adds one need not restart anything.
async fn trust() -> Result<Arc<ClientConfig>, String> {
    let fault = |_| "the system's trusted certificates cannot be read".to_owned();
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await.map_err(fault)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        return Err("the system has no trusted certificates".to_owned());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
    let mut config = builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
