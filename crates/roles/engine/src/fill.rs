//! A fill: one fetch on behalf of everyone who waits for a key, and the body's way into the store.
//!
//! It is a task of the engine, not of the client that started it: the client may leave. Its verdict on the head goes to the
//! flight (see [`crate::flight`]) and, with the response itself when it is not stored, to the client that leads.

use crate::{
    engine::Inner,
    fields::Received,
    flight::{Flight, Verdict},
    head::StoredHead,
    pace::{self, Alone},
    shared::{Gathered, Relayed, SharedError, gather},
    software::Digested,
    upstream::{Ask, Fetched, Source, body::UpstreamBody, failure::Failure},
};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use tokio::sync::oneshot;
use weir_caching::{
    FieldLines, NoStoreReason, Policy, RequestFacts, UpstreamFailure,
    collapse::{Sharing, shares_error, sharing},
    conditional::revalidation_fields,
    status::is_server_failure,
    storage::{may_store, supersedes},
    update::{Freshened, freshen},
};
use weir_model::ServiceName;
use weir_store::{AbortReason, Fill, Object, Reader, Refused};

/// What is fetched, and what is known before.
pub(crate) struct Order {
    pub(crate) key: String,
    /// What others wait by; see [`crate::through::flight_key`].
    pub(crate) flight_key: String,
    pub(crate) service: ServiceName,
    pub(crate) policy: Policy,
    /// The client's end-to-end fields: they select the variant.
    pub(crate) request: FieldLines,
    pub(crate) ask: Ask,
    /// What is held and no longer fresh.
    pub(crate) stale: Option<Arc<Object<StoredHead>>>,
    /// The delivery service's detail: what is stored is stored under it.
    #[cfg(feature = "synthetic-next")]
    pub(crate) detail: Option<weir_model::Detail>,
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

    /// Whether the next response will not be stored either, as far as one can tell: an error passes, and so does a full store.
    fn lasts(self, status: u16) -> bool {
        status < 400 && self != Unstored::Store(Refused::Full)
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
        /// Fields of the response that are not kept: for this client only.
        withheld: FieldLines,
        /// Keeps the first bytes, should the object begin to pass through, until the client has a reader of its own.
        hold: Option<Reader>,
    },
    /// Pass the response on.
    Relay(Box<Relayed>, Unstored),
    /// Pass this error on, as everyone does who waited.
    Shared(Arc<SharedError>, Unstored),
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
    /// Upstream confirmed it for this client only: it may not be kept like this.
    ConfirmedOnce,
    /// Upstream failed and it stands in.
    StandsIn,
}

/// Who waits, besides the followers of the flight.
pub(crate) enum Audience {
    /// A client.
    Client(oneshot::Sender<Lead>),
    /// Nobody: a revalidation in the background.
    Background,
    /// Nobody reads, and somebody wants to know what becomes of it.
    Holder(oneshot::Sender<Lead>),
}

/// Runs one fill to its end.
pub(crate) async fn run(engine: Arc<Inner>, mut order: Order, flight: Option<Flight>, audience: Audience) {
    let digested = order.ask.origin.archive().map(Digested::new);
    engine.counters.fills_active.inc();
    let _counted = Counted(engine.clone());
    let (lead, pump) = match fetch(&engine, &mut order).await {
        Judged::Answer(Lead::Relay(relayed, why)) if flight.is_some() => (share(&order, *relayed, why).await, None),
        Judged::Answer(lead) => (lead, None),
        Judged::Filling(fill, body, source, withheld) => {
            let (object, status) = (fill.object().clone(), fill.object().head().status);
            let hold = object.read(0, u64::MAX).ok();
            let (upstream_status, source) = (Some(status), Some(source));
            (Lead::Stored { object, how: How::New, upstream_status, source, withheld, hold }, Some((fill, body)))
        }
    };
    land(&engine, &order.flight_key, flight, &lead);
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
        Audience::Holder(holder) => {
            drop(holder.send(lead));
            true
        }
    };
    if let Some((fill, body)) = pump {
        pour(fill, body, wanted, digested).await;
    }
}

struct Counted(Arc<Inner>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counters.fills_active.dec();
    }
}

/// Tells the followers.
fn land(engine: &Inner, key: &str, flight: Option<Flight>, lead: &Lead) {
    let now = weir_clock::monotonic_seconds();
    let verdict = match lead {
        Lead::Relay(relayed, why) => Verdict::Uncacheable { remember: why.lasts(relayed.fetched.status) },
        Lead::Shared(error, _) => Verdict::Shared(error.clone()),
        Lead::Failed(failure) => Verdict::Failed(*failure),
        Lead::Stored { object, how: How::StandsIn, .. } => Verdict::Stale(object.clone()),
        Lead::Stored { how: How::ConfirmedOnce, .. } => Verdict::Uncacheable { remember: true },
        Lead::Stored { object, how, .. } => {
            let freshness = &object.head().freshness;
            match (sharing(freshness, freshness.state(now)), how) {
                (Sharing::Leader, _) => Verdict::Uncacheable { remember: true },
                (Sharing::All, How::Confirmed) => Verdict::Freshened(object.clone()),
                (Sharing::All, _) => Verdict::Stored(object.clone()),
            }
        }
    };
    match flight {
        Some(flight) => flight.land(verdict),
        None => engine.flights.learn(key, &verdict),
    }
}

enum Judged {
    Answer(Lead),
    Filling(Fill<StoredHead>, UpstreamBody, Source, FieldLines),
}

/// Reads an error whole, where it answers everyone who waits.
async fn share(order: &Order, relayed: Relayed, why: Unstored) -> Lead {
    let received = Received(&relayed.fetched.fields);
    let Some(variant) = shares_error(&RequestFacts::new(order.ask.method.as_str(), &order.request), &relayed.fetched.facts(&received))
    else {
        return Lead::Relay(Box::new(relayed), why);
    };
    match gather(relayed, variant).await {
        Gathered::Shared(error) => Lead::Shared(Arc::new(error), why),
        Gathered::Relayed(relayed) => Lead::Relay(Box::new(relayed), why),
        Gathered::Broken => Lead::Failed(Failure::Broken),
    }
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
                forget(engine, order);
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
    let response = fetched.facts(&received);
    let request = RequestFacts::new(order.ask.method.as_str(), &order.request);
    let head = object.head();
    let confirmed = |object, how, withheld| {
        let (upstream_status, source) = (Some(304), Some(fetched.source.clone()));
        Lead::Stored { object, how, upstream_status, source, withheld, hold: None }
    };
    match freshen(&request, head.status, &head.block, &response, &order.policy) {
        Freshened::OtherRepresentation => None,
        Freshened::Kept(mut storable) => {
            let withheld = std::mem::take(&mut storable.withheld);
            let fresh = StoredHead::new(head.status, storable);
            #[cfg(feature = "synthetic-next")]
            let fresh = fresh.under(order.detail.clone());
            let bytes = fresh.bytes();
            // No room for the new head, or purged meanwhile: this one answer is served with the old one.
            Some(confirmed(engine.store.refresh(object, fresh, bytes).unwrap_or_else(|| object.clone()), How::Confirmed, withheld))
        }
        // For others it stays as it is: this 304 was for one client.
        Freshened::ServedOnce(_, reason) if reason.blames_request() => {
            Some(confirmed(object.clone(), How::ConfirmedOnce, FieldLines::new()))
        }
        Freshened::ServedOnce(fields, _) => {
            let once = head.with_fields(&fields);
            let bytes = once.bytes();
            let object = engine.store.refresh(object, once, bytes).unwrap_or_else(|| object.clone());
            forget(engine, order);
            Some(confirmed(object, How::ConfirmedOnce, FieldLines::new()))
        }
    }
}

/// Removes what answers the order's request; other variants are another matter.
fn forget(engine: &Inner, order: &Order) {
    engine.store.remove_where(&order.key, |held| held.answers(&order.request));
}

fn judge(engine: &Inner, order: &Order, fetched: Result<Fetched, Failure>) -> Judged {
    let now = weir_clock::monotonic_seconds();
    let stands_in = |failure| order.stale.clone().filter(|o| o.whole().is_some() && o.head().freshness.serves_on(failure, now));
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(failure) => {
            return Judged::Answer(match stands_in(UpstreamFailure::Disconnected) {
                Some(object) => stand_in(object, None, None),
                None => Lead::Failed(failure),
            });
        }
    };
    if is_server_failure(fetched.status)
        && let Some(object) = stands_in(UpstreamFailure::Status(fetched.status))
    {
        return Judged::Answer(stand_in(object, Some(fetched.status), Some(fetched.source)));
    }
    store(engine, order, fetched)
}

fn stand_in(object: Arc<Object<StoredHead>>, upstream_status: Option<u16>, source: Option<Source>) -> Lead {
    Lead::Stored { object, how: How::StandsIn, upstream_status, source, withheld: FieldLines::new(), hold: None }
}

/// Begins to store a response, if it may be stored.
fn store(engine: &Inner, order: &Order, fetched: Fetched) -> Judged {
    let received = Received(&fetched.fields);
    let response = fetched.facts(&received);
    let request = RequestFacts::new(order.ask.method.as_str(), &order.request);
    let begun = may_store(&request, &response, &order.policy).map_err(Unstored::Rule).and_then(|mut storable| {
        let withheld = std::mem::take(&mut storable.withheld);
        let head = StoredHead::new(fetched.status, storable);
        #[cfg(feature = "synthetic-next")]
        let head = head.under(order.detail.clone());
        let bytes = head.bytes();
        let replaces = |old: &StoredHead| old.answers(&order.request);
        let fill = engine.store.begin(&order.key, head, bytes, fetched.body.length(), replaces);
        fill.map(|fill| (fill, withheld)).map_err(|(_, refused)| Unstored::Store(refused))
    });
    match begun {
        Ok((fill, withheld)) => Judged::Filling(fill, fetched.body, fetched.source, withheld),
        Err(why) => {
            let reason = if let Unstored::Rule(reason) = why { Some(reason) } else { None };
            if supersedes(fetched.status, reason) {
                forget(engine, order);
            }
            Judged::Answer(Lead::Relay(Box::new(fetched.into()), why))
        }
    }
}

/// Moves the body into the store.
async fn pour(mut fill: Fill<StoredHead>, mut body: UpstreamBody, wanted: bool, mut digested: Option<Digested>) {
    let mut alone = Alone::new(wanted);
    loop {
        if let Err(reason) = pace::room(&fill).await {
            return fill.abort(reason);
        }
        match body.next().await {
            Ok(Some(bytes)) => {
                if let Some(digested) = &mut digested {
                    digested.take(&bytes);
                }
                fill.append(bytes);
            }
            Ok(None) if digested.is_some_and(|digested| !digested.ends_right()) => {
                tracing::warn!(key = fill.object().key(), "release archive dropped: its digest is another one");
                return fill.abort(AbortReason::Upstream);
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
        if alone.is_abandoned(&fill, weir_clock::monotonic()) {
            return fill.abort(AbortReason::Abandoned);
        }
    }
}
