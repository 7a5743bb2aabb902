//! Connections to upstreams.

use super::{failure::Failure, pool::Sender};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::net::{TcpSocket, TcpStream};
use weir_telemetry::Tasks;

/// How long one connection may take to be made, and how long a request waits for its upstream's name.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Bytes of a response head, and of the read buffer behind it.
const RESPONSE_BUFFER_BYTES: usize = 256 * 1024;

/// A new connection, driven by a task of `tasks` on this thread's runtime; from the address `from` where that can be.
pub(crate) async fn connect(address: SocketAddr, from: Option<IpAddr>, tasks: &Tasks) -> Result<Sender, Failure> {
    let stream = tokio::time::timeout(CONNECT_TIME, open(address, from)).await;
    let stream = stream.map_err(|_| Failure::ConnectTimeout)?.map_err(|_| Failure::Connect)?;
    stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
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
