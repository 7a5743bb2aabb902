//! Addresses of origins, and connections to upstreams.

use super::{failure::Failure, pool::Sender};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::net::{TcpStream, lookup_host};
use weir_model::{OriginUrl, origin::address_allowed};
use weir_telemetry::Tasks;

/// How long one connection may take to be made, name resolution included.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(2);
/// Bytes of a response head, and of the read buffer behind it.
const RESPONSE_BUFFER_BYTES: usize = 256 * 1024;
/// Addresses of one name tried in turn.
const ADDRESSES_MAX: usize = 4;
/// How long resolved addresses are used before the name is asked for again.
const RESOLVED_TIME: Duration = Duration::from_secs(10);
/// Names whose addresses are remembered.
const RESOLVED_MAX: usize = 4096;

type Resolved = HashMap<(String, u16), (Vec<SocketAddr>, Instant)>;

/// Addresses of origins by name.
#[derive(Default)]
pub(crate) struct Names {
    resolved: Mutex<Resolved>,
}

impl Names {
    fn lock(&self) -> std::sync::MutexGuard<'_, Resolved> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where an origin is. Addresses no origin may have are left out: a name that points at one reaches nothing.
    pub(crate) async fn resolve(&self, origin: &OriginUrl) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(address) = origin.host().parse() {
            return if address_allowed(address) { Ok(vec![SocketAddr::new(address, origin.port())]) } else { Err(Failure::Forbidden) };
        }
        let key = (origin.host().to_owned(), origin.port());
        let now = weir_clock::monotonic();
        if let Some((addresses, at)) = self.lock().get(&key)
            && now.saturating_duration_since(*at) < RESOLVED_TIME
        {
            return Ok(addresses.clone());
        }
        let found = tokio::time::timeout(CONNECT_TIME, lookup_host((origin.host(), origin.port()))).await;
        let found: Vec<SocketAddr> = found.map_err(|_| Failure::ConnectTimeout)?.map_err(|_| Failure::Resolve)?.collect();
        if found.is_empty() {
            return Err(Failure::Resolve);
        }
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|a| address_allowed(a.ip())).take(ADDRESSES_MAX).collect();
        if allowed.is_empty() {
            return Err(Failure::Forbidden);
        }
        let mut resolved = self.lock();
        if resolved.len() >= RESOLVED_MAX {
            resolved.clear();
        }
        resolved.insert(key, (allowed.clone(), now));
        Ok(allowed)
    }
}

/// A new connection, driven by a task of `tasks` on this thread's runtime.
pub(crate) async fn connect(address: SocketAddr, tasks: &Tasks) -> Result<Sender, Failure> {
    let stream = tokio::time::timeout(CONNECT_TIME, TcpStream::connect(address)).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_no_origin_may_have_are_refused_and_names_resolve() {
        let names = Names::default();
        let origin = |text: &str| text.parse::<OriginUrl>().expect("valid");
        assert_eq!(names.resolve(&origin("http://127.0.0.1:81")).await, Ok(vec!["127.0.0.1:81".parse().expect("address")]));
        let found = names.resolve(&origin("http://localhost:82")).await.expect("resolves");
        assert!(found.iter().all(|a| a.ip().is_loopback() && a.port() == 82));
        assert_eq!(names.resolve(&origin("http://nothing.invalid")).await, Err(Failure::Resolve));
    }
}
