//! One request and its answer, as the engine accounts for them: record, metrics, session.

use crate::{
    access::Record, engine::Inner, fields::Asked, outcome::Outcome, refusal::Refusal, session::session_of, upstream::Source,
    watched::Watching,
};
use bytes::Bytes;
use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use weir_caching::{CacheOutcome, RequestFacts};
use weir_net::http1::{Body, BodyError, BodySource, Request};

/// Answers from memory above this many bytes are given piece by piece, so that who takes one slowly counts to its end, also when
/// an offload begins meanwhile; below it the connection's send buffer takes the whole at once.
const WATCHED_BYTES: u64 = 64 * 1024;

/// The `detail` of an answer that was read from disk.
const DISK: &str = "disk";

/// What the record says of a request besides what was sent.
struct Entry<'r> {
    client: IpAddr,
    method: Cow<'r, str>,
    host: Cow<'r, str>,
    service: Option<Cow<'r, str>>,
    path: Cow<'r, str>,
    query: Option<Cow<'r, str>>,
    range: Option<Cow<'r, str>>,
    source: Option<Source>,
    outcome: Outcome,
    detail: Option<&'static str>,
    hops: u32,
    session: Option<u64>,
    /// While the engine is offloaded.
    watching: Option<Watching>,
    window_ms: u64,
    status: u16,
    started: Instant,
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

impl Entry<'_> {
    fn into_owned(self) -> Entry<'static> {
        Entry {
            method: owned(self.method),
            host: owned(self.host),
            service: self.service.map(owned),
            path: owned(self.path),
            query: self.query.map(owned),
            range: self.range.map(owned),
            source: self.source,
            client: self.client,
            outcome: self.outcome,
            detail: self.detail,
            hops: self.hops,
            session: self.session,
            watching: self.watching,
            window_ms: self.window_ms,
            status: self.status,
            started: self.started,
        }
    }

    /// Time since the request's head.
    fn waited(&self) -> Duration {
        weir_clock::monotonic().saturating_duration_since(self.started)
    }

    fn finish(&self, engine: &Inner, duration: Duration, bytes: u64, complete: bool) {
        engine.counters.request(self.outcome, duration);
        engine.access.record(&Record {
            clock_ms: weir_clock::wall_ms(),
            client: self.client,
            method: &self.method,
            host: &self.host,
            service: self.service.as_deref(),
            path: &self.path,
            query: self.query.as_deref(),
            status: self.status,
            bytes,
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            range: self.range.as_deref(),
            outcome: self.outcome.as_str(),
            detail: self.detail,
            parent: self.source.as_ref().map(Source::as_str),
            hops: self.hops,
            session: self.session.map(|id| format!("{id:016x}")),
            complete,
        });
    }

    /// Counts bytes given to a viewer or another engine, and the session they belong to.
    fn gave(&self, engine: &Inner, bytes: u64) {
        let counters = &engine.counters;
        let given = if self.hops == 0 { &counters.client_bytes } else { &counters.peer_bytes };
        given.inc_by(bytes);
        if let Some(session) = self.session.filter(|_| bytes > 0 && matches!(self.status, 200 | 206)) {
            engine.sessions.served(session, weir_clock::monotonic_ms(), self.window_ms);
        }
    }
}

/// A request being answered. Dropped before [`Exchange::close`] (the client left while it waited) it is recorded with
/// status 0.
pub(crate) struct Exchange<'r> {
    engine: &'r Arc<Inner>,
    pub(crate) request: &'r Request<'r>,
    pub(crate) asked: Asked<'r>,
    /// Whether it carries a range or precondition.
    pub(crate) asks_for_part: bool,
    /// Monotonic seconds when it came: what freshness is judged by.
    pub(crate) now: u64,
    pub(crate) hops: u32,
    /// What answers it had to be read from disk.
    pub(crate) is_from_disk: bool,
    /// A streamed body goes on counting as the request.
    handed_over: bool,
    /// It is refused for no defect of this engine.
    is_excused: bool,
    entry: Option<Entry<'r>>,
}

impl<'r> Exchange<'r> {
    pub(crate) fn open(engine: &'r Arc<Inner>, request: &'r Request<'r>, hops: u32) -> Self {
        engine.counters.began(hops);
        let entry = Entry {
            client: request.peer.ip(),
            method: request.method.into(),
            host: request.authority.into(),
            service: None,
            path: request.target.path.into(),
            query: request.target.query.map(Cow::from),
            range: request.fields.text("range").map(Cow::from),
            source: None,
            outcome: Outcome::Refused,
            detail: None,
            hops,
            session: None,
            watching: None,
            window_ms: 0,
            status: 0,
            started: weir_clock::monotonic(),
        };
        let asked = Asked::of(request.fields);
        let asks_for_part = asked.asks_for_part();
        let now = weir_clock::monotonic_seconds();
        let (is_from_disk, handed_over, is_excused) = (false, false, false);
        Self { engine, request, asked, asks_for_part, now, hops, is_from_disk, handed_over, is_excused, entry: Some(entry) }
    }

    fn entry(&mut self) -> &mut Entry<'r> {
        self.entry.as_mut().expect("taken by close, which consumes the exchange")
    }

    /// The request as the caching rules see it.
    pub(crate) fn facts(&self) -> RequestFacts<'_, Asked<'r>> {
        RequestFacts { method: self.request.method, fields: &self.asked, has_content: !self.request.body.is_empty() }
    }

    /// It is for this service and content path. Only a viewer's GET belongs to a session, never another engine's.
    pub(crate) fn placed(&mut self, service: &'r str, domain: &str, path: &str, window_ms: u64) {
        let viewer = self.hops == 0 && self.request.method == "GET";
        let agent = self.request.fields.get("user-agent").unwrap_or_default();
        let session = viewer.then(|| session_of(self.request.peer.ip(), agent, domain, path));
        let entry = self.entry();
        entry.service = Some(service.into());
        entry.session = session;
        entry.window_ms = window_ms;
    }

    /// The engine is offloaded: its manager is told whom it still serves.
    pub(crate) fn watch(&mut self, domain: &str) {
        let (engine, client) = (self.engine, self.request.peer.ip());
        let entry = self.entry();
        entry.watching = entry.session.and_then(|session| Watching::begin(engine, session, client, domain));
    }

    /// It was sent to a router instead.
    pub(crate) fn steered(&mut self) {
        self.entry().outcome = Outcome::Steered;
    }

    /// What the cache did, for record and metrics.
    pub(crate) fn went(&mut self, outcome: CacheOutcome, detail: Option<&'static str>) {
        let entry = self.entry();
        entry.outcome = Outcome::Cache(outcome);
        entry.detail = detail;
    }

    /// Why it was refused.
    pub(crate) fn refused(&mut self, refusal: Refusal) {
        self.is_excused = !refusal.is_own();
        self.entry().detail = Some(refusal.as_str());
    }

    pub(crate) fn outcome(&self) -> Option<CacheOutcome> {
        match self.entry.as_ref()?.outcome {
            Outcome::Cache(outcome) => Some(outcome),
            Outcome::Refused | Outcome::Steered => None,
        }
    }

    /// The word for an answer from the cache that had to be read from disk.
    pub(crate) fn tier(&self, outcome: CacheOutcome) -> Option<&'static str> {
        (self.is_from_disk && outcome.is_served_from_cache()).then_some(DISK)
    }

    /// Counts an answer whose `Cache-Status` carries a detail of the delivery service.
    #[cfg(feature = "synthetic-next")]
    pub(crate) fn detailed(&self, status: &weir_caching::CacheStatus<'_>) {
        if status.detail.is_some() && status.outcome.detail().is_none() {
            self.engine.counters.detailed.inc();
        }
    }

    /// Where the answer came from.
    pub(crate) fn came_from(&mut self, source: Option<Source>) {
        self.entry().source = source;
    }

    /// Accounts for the answer: short bodies in memory at once, all others when they end.
    pub(crate) fn close(mut self, status: u16, body: Body) -> Body {
        if self.outcome().is_some_and(|outcome| self.tier(outcome).is_some()) {
            self.engine.counters.disk_hits.inc();
        }
        let mut entry = self.entry.take().expect("closed once");
        entry.status = status;
        let waited = entry.waited();
        self.engine.counters.first_bytes.observe(waited);
        if status >= 500 && (self.is_excused || entry.source.is_some()) {
            self.engine.counters.excused_errors.fetch_add(1, Ordering::Relaxed);
        }
        let body = match body {
            Body::Slices(slices) if slices.len() > WATCHED_BYTES && self.request.method != "HEAD" => {
                Body::Stream { length: Some(slices.len()), source: Box::new(slices) }
            }
            body => body,
        };
        let bytes = match &body {
            Body::Slices(slices) if self.request.method != "HEAD" => slices.len(),
            Body::Stream { .. } | Body::Slices(_) | Body::Empty | Body::Omitted(_) => 0,
        };
        match body {
            Body::Stream { length, source } => {
                self.handed_over = true;
                let counting = Counting { source, engine: self.engine.clone(), entry: entry.into_owned(), length, bytes: 0, ended: false };
                Body::Stream { length, source: Box::new(counting) }
            }
            body => {
                entry.gave(self.engine, bytes);
                entry.finish(self.engine, waited, bytes, true);
                body
            }
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.handed_over {
            self.engine.counters.ended(self.hops);
        }
        if let Some(entry) = self.entry.take() {
            entry.finish(self.engine, entry.waited(), 0, false);
        }
    }
}

/// A streamed body, counted as it is read; recorded when it ends or is dropped.
struct Counting {
    source: Box<dyn BodySource>,
    engine: Arc<Inner>,
    entry: Entry<'static>,
    length: Option<u64>,
    bytes: u64,
    ended: bool,
}

impl BodySource for Counting {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let next = self.source.poll_next(cx);
        match &next {
            Poll::Ready(Ok(Some(bytes))) => {
                self.bytes += bytes.len() as u64;
                self.entry.gave(&self.engine, bytes.len() as u64);
            }
            Poll::Ready(Ok(None)) => self.ended = true,
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        next
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.engine.counters.ended(self.entry.hops);
        let complete = self.ended || self.length == Some(self.bytes);
        self.entry.finish(&self.engine, self.entry.waited(), self.bytes, complete);
    }
}
