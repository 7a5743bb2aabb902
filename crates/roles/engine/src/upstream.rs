//! Fetching: parent engines up the location tree, nearest first, then the origin, which is a manager for release archives.
//!
//! A request goes to one **origin** address once: Weir repeats it only when the connection it was given to had been closed
//! by the other end already. Certain that is when nothing was sent yet; for GET and HEAD it is also taken for granted of a
//! kept connection that rested at least [`STALE_AFTER`] and broke before a response. An address that cannot be connected to
//! is followed by the name's next one. (What [`crate::fill`] and [`crate::serve`] ask for again is another request: without
//! the conditions, or for the part only.)
//!
//! A **parent** that cannot be reached, breaks before its response head or does not know the service is passed over for the
//! next one, and in the end for the origin, unless the request is unsafe and may have arrived. What a parent answers
//! otherwise is the answer, errors included: it has asked the origin already.
//!
//! Interim responses (1xx) are swallowed for now.

pub(crate) mod body;
mod connect;
mod down;
pub(crate) mod failure;
mod names;
mod places;
mod pool;

use crate::{metrics::Counters, software::ArchiveSource};
use arc_swap::ArcSwapOption;
use body::{Lease, UpstreamBody};
use bytes::Bytes;
use down::Down;
use failure::Failure;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use names::Names;
use places::Places;
use pool::{Pool, Sender};
use rustls::ClientConfig;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use weir_caching::{Fields, ResponseFacts};
use weir_model::{DeviceName, OriginUrl};
use weir_routing::Engine;
use weir_telemetry::Tasks;

/// How long the origin may take in all: its name, connections to its addresses in turn, and the response head.
const ORIGIN_TIME: Duration = Duration::from_secs(12);
/// How long a parent may take from the request to its response head: longer than it waits for the origin itself, so that
/// its answer, if only a 504, comes first. A parent silent for longer hangs, or waits for a parent of its own that does.
const PARENT_HEAD_TIME: Duration = Duration::from_secs(15);
const _: () = assert!(PARENT_HEAD_TIME.as_secs() > ORIGIN_TIME.as_secs());
/// How long one manager may take to its response head: two of them fit the time an origin has.
const MANAGER_HEAD_TIME: Duration = Duration::from_secs(5);
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

impl From<&Engine> for Parent {
    fn from(engine: &Engine) -> Self {
        Self { name: engine.name.clone(), address: engine.http }
    }
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
    /// This engine's own address, which parents know it by.
    pub(crate) from: Option<IpAddr>,
    /// Whom to ask before the origin.
    pub(crate) parents: Vec<Parent>,
    pub(crate) origin: Origin,
}

/// Where content comes from when no parent has it.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A server of the operator's.
    Url(OriginUrl),
    /// The managers: it is a release archive.
    Archive(ArchiveSource),
}

impl Origin {
    /// The SHA-256 of the release archive it has, if it has one.
    pub(crate) fn archive(&self) -> Option<&str> {
        match self {
            Origin::Url(_) => None,
            Origin::Archive(source) => Some(source.sha256()),
        }
    }
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
    /// When the head came, monotonic seconds.
    pub(crate) arrived_at: u64,
}

impl Fetched {
    /// The response as the caching rules see it; `fields` are its own, in the rules' words.
    pub(crate) fn facts<'f, F: Fields + ?Sized>(&self, fields: &'f F) -> ResponseFacts<'f, F> {
        let Self { status, asked_at, came_at, arrived_at, .. } = *self;
        ResponseFacts { status, fields, requested_at: asked_at, received_at: came_at, arrived_at }
    }
}

/// The way up.
pub(crate) struct Upstream {
    pool: Arc<Pool>,
    places: Places,
    names: Names,
    down: Down,
    tasks: Tasks,
    counters: Arc<Counters>,
    /// How managers are spoken to: with this device's identity.
    identity: ArcSwapOption<ClientConfig>,
}

/// Where one request goes, and from where.
struct Hop {
    address: SocketAddr,
    from: Option<IpAddr>,
    patience: Duration,
    /// With TLS. Such a connection is nobody's but this request's: it speaks in this device's name.
    tls: Option<Arc<ClientConfig>>,
}

impl Upstream {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        let (pool, places, names, down, tasks) = (Arc::default(), Places::default(), Names::new(), Down::default(), Tasks::new());
        Self { pool, places, names, down, tasks, counters, identity: ArcSwapOption::empty() }
    }

    /// Shows this identity to the managers.
    pub(crate) fn show(&self, mut identity: ClientConfig) {
        identity.alpn_protocols = vec![b"http/1.1".to_vec()];
        self.identity.store(Some(Arc::new(identity)));
    }

    /// Whether a parent is passed over now for the service of this domain.
    pub(crate) fn is_down(&self, address: SocketAddr, domain: &str) -> bool {
        self.down.holds(address, domain, weir_clock::monotonic())
    }

    /// Closes what is open.
    pub(crate) fn close(&self) {
        self.pool.clear();
        self.tasks.cancel();
    }

    /// Fetches: the first parent that answers, else the origin.
    pub(crate) async fn fetch(&self, ask: &Ask) -> Result<Fetched, Failure> {
        for parent in &ask.parents {
            if !self.down.admits(parent.address, &ask.domain, weir_clock::monotonic()) {
                continue;
            }
            match self.ask_parent(ask, parent).await {
                Ok(fetched) => {
                    self.down.answered(parent.address, &ask.domain);
                    if !declines(&fetched) {
                        return Ok(fetched);
                    }
                    tracing::debug!(parent = %parent.name, status = fetched.status, "parent declines");
                }
                Err(Unanswered { failure: failure @ Failure::Unsendable, .. }) => return Err(failure),
                Err(Unanswered { failure, sent }) => {
                    tracing::debug!(parent = %parent.name, reason = failure.as_str(), "parent passed over");
                    self.blame(parent.address, &ask.domain, failure);
                    if sent && !ask.method.is_safe() {
                        return Err(failure);
                    }
                }
            }
        }
        let asked = async {
            match &ask.origin {
                Origin::Url(url) => self.ask_origin(ask, url).await,
                Origin::Archive(source) => self.ask_managers(ask, source).await,
            }
        };
        match tokio::time::timeout(ORIGIN_TIME, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::HeadTimeout),
        }
    }

    fn blame(&self, parent: SocketAddr, domain: &str, failure: Failure) {
        let now = weir_clock::monotonic();
        match failure {
            Failure::HeadTimeout => self.down.was_silent(parent, domain, now),
            failure if failure.blames_upstream() => self.down.broke(parent, now),
            _ => {}
        }
    }

    async fn ask_parent(&self, ask: &Ask, parent: &Parent) -> Result<Fetched, Unanswered> {
        self.counters.upstream_parent.requests.inc();
        let target = format!("/{}{}", ask.domain, ask.target);
        let mut request = build(ask, &target, &parent.address.to_string()).map_err(Unanswered::before)?;
        request.headers_mut().insert(HOPS, HeaderValue::from(ask.hops + 1));
        let hop = Hop { address: parent.address, from: ask.from, patience: PARENT_HEAD_TIME, tls: None };
        self.exchange(&hop, request, Source::Parent(parent.name.clone())).await
    }

    async fn ask_origin(&self, ask: &Ask, origin: &OriginUrl) -> Result<Fetched, Failure> {
        let addresses = self.names.resolve(origin, &self.tasks).await?;
        self.counters.upstream_origin.requests.inc();
        let target = format!("{}{}", origin.prefix(), ask.target);
        let mut last = Failure::Connect;
        for address in addresses {
            let request = build(ask, &target, &origin.authority())?;
            match self.exchange(&Hop { address, from: None, patience: ORIGIN_TIME, tls: None }, request, Source::Origin).await {
                Ok(fetched) => return Ok(fetched),
                // Nothing was sent yet: the next address is not a repetition.
                Err(Unanswered { failure: failure @ (Failure::Connect | Failure::ConnectTimeout), .. }) => last = failure,
                Err(Unanswered { failure, .. }) => return Err(failure),
            }
        }
        Err(last)
    }

    /// The first manager that has an answer: one that is not the primary, or fails, leaves it to the next one.
    async fn ask_managers(&self, ask: &Ask, source: &ArchiveSource) -> Result<Fetched, Failure> {
        let tls = self.identity.load_full().ok_or(Failure::Unidentified)?;
        let mut last = Failure::Connect;
        for &address in &source.managers {
            self.counters.upstream_origin.requests.inc();
            let request = build(ask, &source.target(), &address.to_string())?;
            let hop = Hop { address, from: ask.from, patience: MANAGER_HEAD_TIME, tls: Some(tls.clone()) };
            match self.exchange(&hop, request, Source::Origin).await {
                Ok(fetched) if fetched.status == 421 || fetched.status >= 500 => last = Failure::Refused,
                Ok(fetched) => return Ok(Fetched { fields: source.fields(fetched.status, &fetched.fields), ..fetched }),
                Err(Unanswered { failure: failure @ Failure::Unsendable, .. }) => return Err(failure),
                Err(Unanswered { failure, .. }) => last = failure,
            }
        }
        Err(last)
    }

    /// Sends one request to one address, on a kept connection if there is one.
    async fn exchange(&self, hop: &Hop, request: Request<Full<Bytes>>, source: Source) -> Result<Fetched, Unanswered> {
        let place = self.places.take(hop.address).ok_or(Unanswered::before(Failure::Busy))?;
        let repeatable = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut kept = if hop.tls.is_none() { self.pool.take(hop.address) } else { None };
        loop {
            let (sender, rested) = match kept.take() {
                Some((sender, rested)) => (sender, Some(rested)),
                None => (connect::connect(hop, &self.tasks).await.map_err(Unanswered::before)?, None),
            };
            match send(sender, request.clone(), hop.patience).await {
                Err(Unanswered { failure: Failure::Broken, sent })
                    if rested.is_some_and(|rested| !sent || (repeatable && rested >= STALE_AFTER)) => {}
                Err(unanswered) => return Err(unanswered),
                Ok(Answer { response, sender, asked_at }) => {
                    let pool = hop.tls.is_none().then(|| self.pool.clone());
                    let lease = Lease { pool, address: hop.address, sender, place };
                    return Ok(self.fetched(source, response, lease, asked_at));
                }
            }
        }
    }

    fn fetched(&self, source: Source, response: Response<Incoming>, lease: Lease, asked_at: u64) -> Fetched {
        let (head, incoming) = response.into_parts();
        let side = match source {
            Source::Parent(_) => &self.counters.upstream_parent,
            Source::Origin => &self.counters.upstream_origin,
        };
        Fetched {
            source,
            status: head.status.as_u16(),
            fields: head.headers,
            body: UpstreamBody::new(incoming, lease, side.bytes.clone()),
            asked_at,
            came_at: weir_clock::wall_seconds(),
            arrived_at: weir_clock::monotonic_seconds(),
        }
    }
}

/// A response, and the connection it comes on.
struct Answer {
    response: Response<Incoming>,
    sender: Sender,
    asked_at: u64,
}

/// A request that got no response, and whether it may have reached the upstream.
struct Unanswered {
    failure: Failure,
    sent: bool,
}

impl Unanswered {
    fn before(failure: Failure) -> Self {
        Self { failure, sent: false }
    }
}

async fn send(mut sender: Sender, request: Request<Full<Bytes>>, patience: Duration) -> Result<Answer, Unanswered> {
    if sender.ready().await.is_err() {
        return Err(Unanswered::before(Failure::Broken));
    }
    let asked_at = weir_clock::wall_seconds();
    match tokio::time::timeout(patience, sender.try_send_request(request)).await {
        Err(_) => Err(Unanswered { failure: Failure::HeadTimeout, sent: true }),
        Ok(Err(mut error)) => {
            let sent = error.take_message().is_none();
            let malformed = error.error().is_parse();
            Err(Unanswered { failure: if malformed { Failure::Malformed } else { Failure::Broken }, sent })
        }
        Ok(Ok(response)) => Ok(Answer { response, sender, asked_at }),
    }
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
