//! A fill: one fetch on behalf of everyone who waits for a key, and the body's way into the store.
//!
//! It is a task of the engine, not of the client that started it: the client may leave. Its verdict on the head goes to the
//! flight (see [`crate::flight`]) and, with the response itself when it is not stored, to the client that leads.

use crate::{
    engine::Inner,
    fields::Received,
    flight::{Flight, Verdict},
    head::StoredHead,
    upstream::{Ask, Fetched, Source, body::UpstreamBody, failure::Failure},
};
use http::{HeaderName, HeaderValue};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use weir_caching::{
    FieldLines, NoStoreReason, Policy, RequestFacts, ResponseFacts, State, UpstreamFailure,
    conditional::revalidation_fields,
    status::is_server_failure,
    storage::may_store,
    update::{Freshened, freshen},
};
use weir_model::ServiceName;
use weir_store::{AbortReason, Fill, Object, Reader, Refused};

/// How long a fill may go on without a reader before it is judged abandoned.
const ABANDONED_TIME: Duration = Duration::from_secs(1);
/// An abandoned fill goes on all the same when no more than this is missing (or less than half of the object is).
const ABANDONED_MISSING_BYTES: u64 = 4 * 1024 * 1024;

/// What is fetched, and what is known before.
pub(crate) struct Order {
    pub(crate) key: String,
    pub(crate) service: ServiceName,
    pub(crate) policy: Policy,
    /// The client's fields: they select the variant.
    pub(crate) request: FieldLines,
    pub(crate) ask: Ask,
    /// What is held and no longer fresh.
    pub(crate) stale: Option<Arc<Object<StoredHead>>>,
}

/// Why a response is passed on without being stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unstored {
    /// The caching rules forbid it.
    Rule(NoStoreReason),
    /// The store refuses it.
    Store(Refused),
}

impl Unstored {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Unstored::Rule(reason) => reason.as_str(),
            Unstored::Store(Refused::TooLarge) => "too-large",
            Unstored::Store(Refused::Full) => "store-full",
        }
    }
}

/// What the client that leads is told.
pub(crate) enum Lead {
    /// Answer from the store: what, how it came to be usable, and the status upstream gave.
    Stored {
        object: Arc<Object<StoredHead>>,
        how: How,
        upstream_status: Option<u16>,
        source: Option<Source>,
        /// Keeps the first bytes, should the object begin to pass through, until the client has a reader of its own.
        hold: Option<Reader>,
    },
    /// Pass the response on.
    Relay(Box<Fetched>, Unstored),
    /// Nothing came.
    Failed(Failure),
}

/// How an object came to be usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It is new.
    New,
    /// Upstream confirmed it.
    Confirmed,
    /// Upstream failed and it stands in.
    StandsIn,
}

/// Who waits, besides the followers of the flight.
pub(crate) enum Audience {
    /// A client.
    Client(oneshot::Sender<Lead>),
    /// Nobody: a revalidation in the background.
    Background,
}

/// Runs one fill to its end.
pub(crate) async fn run(engine: Arc<Inner>, mut order: Order, flight: Option<Flight>, audience: Audience) {
    engine.counters.fills_active.inc();
    let _counted = Counted(engine.clone());
    let lead = fetch(&engine, &mut order).await;
    let (lead, pump) = match lead {
        Judged::Answer(lead) => (lead, None),
        Judged::Filling(fill, body, source) => {
            let (object, status) = (fill.object().clone(), fill.object().head().status);
            let hold = object.read(0, u64::MAX).ok();
            (Lead::Stored { object, how: How::New, upstream_status: Some(status), source: Some(source), hold }, Some((fill, body)))
        }
    };
    land(&engine, &order.key, flight, &lead);
    let wanted = match audience {
        Audience::Client(client) => {
            // A client that has left does not end the fill.
            drop(client.send(lead));
            false
        }
        Audience::Background => {
            // Its reader would hold back a body that passes through.
            drop(lead);
            true
        }
    };
    if let Some((fill, body)) = pump {
        pour(fill, body, wanted).await;
    }
}

struct Counted(Arc<Inner>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counters.fills_active.dec();
    }
}

/// Tells the followers. What may not be used without validation is the leader's alone (RFC 9111 section 5.2.2.4).
fn land(engine: &Inner, key: &str, flight: Option<Flight>, lead: &Lead) {
    let now = weir_clock::wall_seconds();
    let verdict = match lead {
        // An error or a full store passes: the next response may well be stored.
        Lead::Relay(fetched, why) => Verdict::Uncacheable { remember: fetched.status < 400 && *why != Unstored::Store(Refused::Full) },
        Lead::Failed(failure) => Verdict::Failed(*failure),
        Lead::Stored { object, how: How::StandsIn, .. } => Verdict::Stale(object.clone()),
        Lead::Stored { object, .. } if !matches!(object.head().freshness.state(now), State::Fresh | State::StaleServable) => {
            Verdict::Uncacheable { remember: true }
        }
        Lead::Stored { object, how: How::Confirmed, .. } => Verdict::Freshened(object.clone()),
        Lead::Stored { object, how: How::New, .. } => Verdict::Stored(object.clone()),
    };
    match flight {
        Some(flight) => flight.land(verdict),
        None => engine.flights.learn(key, &verdict),
    }
}

enum Judged {
    Answer(Lead),
    Filling(Fill<StoredHead>, UpstreamBody, Source),
}

async fn fetch(engine: &Inner, order: &mut Order) -> Judged {
    // Only a whole body can be confirmed.
    let held = order.stale.clone().filter(|object| object.whole().is_some());
    let mut ask = order.ask.clone();
    if let Some(object) = &held {
        for (name, value) in revalidation_fields(&object.head().block) {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                ask.fields.insert(HeaderName::from_static(name), value);
            }
        }
    }
    let conditional = held.filter(|object| !revalidation_fields(&object.head().block).is_empty());
    let fetched = engine.fetch(&order.service, &ask).await;
    match (fetched, conditional) {
        (Ok(fetched), Some(object)) if fetched.status == 304 => match confirm(engine, order, &object, &fetched) {
            Some(lead) => Judged::Answer(lead),
            None => {
                // The 304 speaks of something else (RFC 9111 section 4.3.3): ask again, without conditions.
                engine.store.remove(&order.key);
                order.stale = None;
                let fetched = engine.fetch(&order.service, &order.ask).await;
                judge(engine, order, fetched)
            }
        },
        (fetched, _) => judge(engine, order, fetched),
    }
}

/// Puts a 304's fields on what is held; `None` when the 304 is about another representation.
fn confirm(engine: &Inner, order: &Order, object: &Arc<Object<StoredHead>>, fetched: &Fetched) -> Option<Lead> {
    let received = Received(&fetched.fields);
    let response = ResponseFacts { status: 304, fields: &received, requested_at: fetched.asked_at, received_at: fetched.came_at };
    let request = RequestFacts::new("GET", &order.request);
    let head = object.head();
    let (fresh, kept) = match freshen(&request, head.status, &head.block, &response, &order.policy) {
        Freshened::Kept(storable) => (StoredHead::new(head.status, storable), true),
        Freshened::ServedOnce(fields, _) => (head.with_fields(&fields), false),
        Freshened::OtherRepresentation => return None,
    };
    let bytes = fresh.bytes();
    // No room for the new head, or purged meanwhile: this one answer is served with the old one.
    let object = engine.store.refresh(object, fresh, bytes).unwrap_or_else(|| object.clone());
    if !kept {
        engine.store.remove(&order.key);
    }
    Some(Lead::Stored { object, how: How::Confirmed, upstream_status: Some(304), source: Some(fetched.source.clone()), hold: None })
}

fn judge(engine: &Inner, order: &Order, fetched: Result<Fetched, Failure>) -> Judged {
    let now = weir_clock::wall_seconds();
    let stands_in = |failure| order.stale.clone().filter(|o| o.whole().is_some() && o.head().freshness.serves_on(failure, now));
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(failure) => {
            return Judged::Answer(match stands_in(UpstreamFailure::Disconnected) {
                Some(object) => Lead::Stored { object, how: How::StandsIn, upstream_status: None, source: None, hold: None },
                None => Lead::Failed(failure),
            });
        }
    };
    if is_server_failure(fetched.status)
        && let Some(object) = stands_in(UpstreamFailure::Status(fetched.status))
    {
        let (upstream_status, source) = (Some(fetched.status), Some(fetched.source));
        return Judged::Answer(Lead::Stored { object, how: How::StandsIn, upstream_status, source, hold: None });
    }
    store(engine, order, fetched)
}

/// Begins to store a response, if it may be stored.
fn store(engine: &Inner, order: &Order, fetched: Fetched) -> Judged {
    let received = Received(&fetched.fields);
    let response =
        ResponseFacts { status: fetched.status, fields: &received, requested_at: fetched.asked_at, received_at: fetched.came_at };
    let request = RequestFacts::new("GET", &order.request);
    let begun = may_store(&request, &response, &order.policy).map_err(Unstored::Rule).and_then(|storable| {
        let head = StoredHead::new(fetched.status, storable);
        let bytes = head.bytes();
        let replaces = |old: &StoredHead| old.answers(&order.request);
        engine.store.begin(&order.key, head, bytes, fetched.body.length(), replaces).map_err(|(_, refused)| Unstored::Store(refused))
    });
    match begun {
        Ok(fill) => Judged::Filling(fill, fetched.body, fetched.source),
        Err(why) => {
            if !is_server_failure(fetched.status) {
                // What was held is no longer what the origin says.
                engine.store.remove(&order.key);
            }
            Judged::Answer(Lead::Relay(Box::new(fetched), why))
        }
    }
}

/// Moves the body into the store.
async fn pour(mut fill: Fill<StoredHead>, mut body: UpstreamBody, wanted: bool) {
    let mut alone_since: Option<Instant> = None;
    loop {
        if let Err(reason) = fill.room().await {
            return fill.abort(reason);
        }
        match body.next().await {
            Ok(Some(bytes)) => {
                fill.append(bytes);
            }
            Ok(None) => {
                if let Err(reason) = fill.finish() {
                    tracing::debug!(reason = %reason, "fill not stored");
                }
                return;
            }
            Err(reason) => {
                tracing::debug!(key = fill.object().key(), reason = %reason, "fill aborted");
                return fill.abort(reason);
            }
        }
        if !wanted && is_abandoned(&fill, &mut alone_since) {
            return fill.abort(AbortReason::Abandoned);
        }
    }
}

fn is_abandoned(fill: &Fill<StoredHead>, alone_since: &mut Option<Instant>) -> bool {
    if fill.readers() > 0 {
        *alone_since = None;
        return false;
    }
    let now = weir_clock::monotonic();
    if now.saturating_duration_since(*alone_since.get_or_insert(now)) < ABANDONED_TIME {
        return false;
    }
    // Of an unknown length, what could still come is bounded by the store's own limit for an object.
    fill.object().length().is_some_and(|length| {
        let missing = length.saturating_sub(fill.length());
        missing > ABANDONED_MISSING_BYTES && missing > length / 2
    })
}
