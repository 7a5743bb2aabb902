//! Fetching: parent engines up the location tree, nearest first, then the origin.
//!
//! A request goes to the **origin** once: it is never repeated by Weir itself, with one exception that cannot be told from
//! a connection the origin had already closed: GET or HEAD on a kept connection that rested at least [`STALE_AFTER`] and
//! broke before a response. A **parent** that cannot be reached, breaks before its response head or does not know the
//! service is passed over for the next one, and in the end for the origin. What a parent answers otherwise is the answer,
//! errors included: it has asked the origin already.
//!
//! Interim responses (1xx) are swallowed for now.

pub(crate) mod body;
mod connect;
mod down;
pub(crate) mod failure;
mod pool;

use crate::metrics::Counters;
use body::{Lease, UpstreamBody};
use bytes::Bytes;
use connect::Names;
use down::Down;
use failure::Failure;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use pool::{Pool, Sender};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use weir_model::{DeviceName, OriginUrl};
use weir_telemetry::Tasks;

/// How long an origin may take from the request to its response head.
const ORIGIN_HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a parent may take: longer than its own wait for the origin, so that its answer arrives.
const PARENT_HEAD_TIME: Duration = Duration::from_secs(15);
/// A kept connection that rested this long and breaks before a response was closed by the other end meanwhile.
const STALE_AFTER: Duration = Duration::from_secs(1);
/// The field that counts engines a request has passed.
pub(crate) const HOPS: HeaderName = HeaderName::from_static("weir-hops");
/// The field that names why an engine itself refuses.
pub(crate) const REASON: HeaderName = HeaderName::from_static("weir-reason");

/// Where a response came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// An engine nearer the origin.
    Parent(DeviceName),
    /// The origin.
    Origin,
}

impl Source {
    /// The engine's name, or `origin`.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Source::Parent(name) => name.as_str(),
            Source::Origin => "origin",
        }
    }
}

/// An engine that may be asked.
#[derive(Debug, Clone)]
pub(crate) struct Parent {
    pub(crate) name: DeviceName,
    pub(crate) address: SocketAddr,
}

/// One request to send upstream.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Domain of the service: the first segment of a parent's URL.
    pub(crate) domain: String,
    /// Content path and query.
    pub(crate) target: String,
    /// End-to-end fields; Host and Weir-Hops are set here.
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
    /// Engines the request has passed, this one not counted.
    pub(crate) hops: u32,
    /// Whom to ask before the origin.
    pub(crate) parents: Vec<Parent>,
    pub(crate) origin: OriginUrl,
}

/// A response: its head, and its body still to come.
pub(crate) struct Fetched {
    pub(crate) source: Source,
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: UpstreamBody,
    /// When the request was sent and when the head came, seconds since 1970.
    pub(crate) asked_at: u64,
    pub(crate) came_at: u64,
}

/// The way up.
pub(crate) struct Upstream {
    pool: Arc<Pool>,
    names: Names,
    down: Down,
    tasks: Tasks,
    counters: Arc<Counters>,
}

impl Upstream {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self { pool: Arc::default(), names: Names::default(), down: Down::default(), tasks: Tasks::new(), counters }
    }

    /// Whether a parent may be asked now.
    pub(crate) fn is_down(&self, address: SocketAddr) -> bool {
        self.down.holds(address, weir_clock::monotonic())
    }

    /// Closes what is open.
    pub(crate) fn close(&self) {
        self.pool.clear();
        self.tasks.cancel();
    }

    /// Fetches: the first parent that answers, else the origin.
    pub(crate) async fn fetch(&self, ask: &Ask) -> Result<Fetched, Failure> {
        for parent in &ask.parents {
            if self.is_down(parent.address) {
                continue;
            }
            match self.ask_parent(ask, parent).await {
                Ok(fetched) if !declines(&fetched) => return Ok(fetched),
                Ok(fetched) => tracing::debug!(parent = %parent.name, status = fetched.status, "parent declines"),
                Err(Failure::Unsendable) => return Err(Failure::Unsendable),
                Err(failure) => {
                    tracing::debug!(parent = %parent.name, reason = failure.as_str(), "parent passed over");
                    self.down.mark(parent.address, weir_clock::monotonic());
                }
            }
        }
        self.ask_origin(ask).await
    }

    async fn ask_parent(&self, ask: &Ask, parent: &Parent) -> Result<Fetched, Failure> {
        self.counters.upstream_parent.requests.inc();
        let target = format!("/{}{}", ask.domain, ask.target);
        let mut request = build(ask, &target, &parent.address.to_string())?;
        request.headers_mut().insert(HOPS, HeaderValue::from(ask.hops + 1));
        self.exchange(parent.address, request, PARENT_HEAD_TIME, Source::Parent(parent.name.clone())).await
    }

    async fn ask_origin(&self, ask: &Ask) -> Result<Fetched, Failure> {
        let addresses = self.names.resolve(&ask.origin).await?;
        self.counters.upstream_origin.requests.inc();
        let target = format!("{}{}", ask.origin.prefix(), ask.target);
        let mut failure = Failure::Connect;
        for address in addresses {
            let request = build(ask, &target, &ask.origin.authority())?;
            match self.exchange(address, request, ORIGIN_HEAD_TIME, Source::Origin).await {
                // Nothing was sent yet: the next address is not a repetition.
                Err(f @ (Failure::Connect | Failure::ConnectTimeout)) => failure = f,
                done => return done,
            }
        }
        Err(failure)
    }

    /// Sends one request to one address, on a kept connection if there is one.
    async fn exchange(
        &self,
        address: SocketAddr,
        request: Request<Full<Bytes>>,
        patience: Duration,
        source: Source,
    ) -> Result<Fetched, Failure> {
        let repeatable = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut kept = self.pool.take(address);
        loop {
            let (sender, rested) = match kept.take() {
                Some((sender, rested)) => (sender, Some(rested)),
                None => (connect::connect(address, &self.tasks).await?, None),
            };
            match self.send(sender, address, request.clone(), patience, &source).await {
                Err(Unanswered { failure: Failure::Broken, sent })
                    if rested.is_some_and(|rested| !sent || (repeatable && rested >= STALE_AFTER)) => {}
                Err(Unanswered { failure, .. }) => return Err(failure),
                Ok(fetched) => return Ok(fetched),
            }
        }
    }

    async fn send(
        &self,
        mut sender: Sender,
        address: SocketAddr,
        request: Request<Full<Bytes>>,
        patience: Duration,
        source: &Source,
    ) -> Result<Fetched, Unanswered> {
        if sender.ready().await.is_err() {
            return Err(Unanswered { failure: Failure::Broken, sent: false });
        }
        let asked_at = weir_clock::wall_seconds();
        let response = match tokio::time::timeout(patience, sender.try_send_request(request)).await {
            Err(_) => return Err(Unanswered { failure: Failure::HeadTimeout, sent: true }),
            Ok(Err(mut error)) => {
                let sent = error.take_message().is_none();
                let malformed = error.error().is_parse();
                return Err(Unanswered { failure: if malformed { Failure::Malformed } else { Failure::Broken }, sent });
            }
            Ok(Ok(response)) => response,
        };
        let (head, incoming) = response.into_parts();
        let side = match source {
            Source::Parent(_) => &self.counters.upstream_parent,
            Source::Origin => &self.counters.upstream_origin,
        };
        let lease = Lease { pool: self.pool.clone(), address, sender };
        Ok(Fetched {
            source: source.clone(),
            status: head.status.as_u16(),
            fields: head.headers,
            body: UpstreamBody::new(incoming, lease, side.bytes.clone()),
            asked_at,
            came_at: weir_clock::wall_seconds(),
        })
    }
}

/// A request that got no response, and whether it may have reached the upstream.
struct Unanswered {
    failure: Failure,
    sent: bool,
}

/// Whether a parent says that it cannot serve this service at all, so that the next one should be asked.
fn declines(fetched: &Fetched) -> bool {
    let word = fetched.fields.get(REASON).and_then(|v| v.to_str().ok());
    word.is_some_and(|word| crate::refusal::Refusal::declining().any(|r| r.as_str() == word))
}

fn build(ask: &Ask, target: &str, host: &str) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request =
        Request::builder().method(ask.method.clone()).uri(target).body(Full::new(ask.body.clone())).map_err(|_| Failure::Unsendable)?;
    *request.headers_mut() = ask.fields.clone();
    let host = HeaderValue::from_str(host).map_err(|_| Failure::Unsendable)?;
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}
