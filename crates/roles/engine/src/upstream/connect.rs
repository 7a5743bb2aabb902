//! Connections to upstreams.

use super::{Hop, failure::Failure, pool::Sender};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;
use weir_telemetry::Tasks;

/// How long one connection may take to be made, and how long a request waits for its upstream's name.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Bytes of a response head, and of the read buffer behind it.
const RESPONSE_BUFFER_BYTES: usize = 256 * 1024;

/// A new connection, driven by a task of `tasks` on this thread's runtime; from the hop's own address where that can be.
pub(super) async fn connect(hop: &Hop, tasks: &Tasks) -> Result<Sender, Failure> {
    let address = hop.address;
    let stream = tokio::time::timeout(CONNECT_TIME, open(address, hop.from)).await;
    let stream = stream.map_err(|_| Failure::ConnectTimeout)?.map_err(|_| Failure::Connect)?;
    stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
    let Some(tls) = &hop.tls else { return drive(stream, address, tasks).await };
    let secured = TlsConnector::from(tls.clone()).connect(ServerName::from(address.ip()), stream);
    let secured = tokio::time::timeout(CONNECT_TIME, secured).await.map_err(|_| Failure::ConnectTimeout)?;
    let secured = secured.map_err(|error| {
        tracing::warn!(%address, %error, "no TLS with a manager");
        Failure::Connect
    })?;
    drive(secured, address, tasks).await
}

/// HTTP over a stream.
async fn drive(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    tasks: &Tasks,
) -> Result<Sender, Failure> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(RESPONSE_BUFFER_BYTES);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Connect)?;
    tasks.spawn("upstream connection", async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, error = %error, "upstream connection ended");
        }
    });
    Ok(sender)
}

async fn open(address: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(from) = from.filter(|from| from.is_ipv4() == address.is_ipv4()) else { return TcpStream::connect(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Err(error) = socket.bind(SocketAddr::new(from, 0)) {
        // Behind address translation the configured address is not one of this machine.
        tracing::debug!(%from, error = %error, "own address cannot be bound");
        return TcpStream::connect(address).await;
    }
    socket.connect(address).await
}
