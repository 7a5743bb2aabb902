//! The life of a request: place, look, decide, answer from the store or go up.

use crate::{
    answer::{Found, answer},
    disk::look_further,
    engine::Inner,
    exchange::Exchange,
    fields::{Forward, Received},
    fill::{self, Audience},
    flight::{Flight, Seat},
    head::StoredHead,
    place::Place,
    refusal::Refusal,
    relay::relay,
    steer::Steered,
    through::{flight_key, order, through},
    upstream::Fetched,
};
use std::{cell::RefCell, sync::Arc};
use weir_caching::{
    CacheOutcome, UpstreamFailure,
    decision::{BypassReason, Candidate, Decision, decide},
    invalidation::{below, invalidates, named_targets},
};
use weir_net::http1::{Body, Request, ResponseHead, Service};
use weir_store::Object;

/// What the store holds.
pub(crate) type Stored = Arc<Object<StoredHead>>;

thread_local! {
    static KEY: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Service for crate::Engine {
    async fn respond(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> Body {
        let inner = self.inner();
        let here = inner.here.load();
        let mut hops = here.as_ref().map_or(0, |here| here.hops(request));
        let placed = here.as_ref().map(|here| Place::of(here, request, hops));
        if matches!(&placed, Some(Ok(place)) if place.archive.is_some()) {
            // A device is no viewer.
            hops = hops.max(1);
        }
        let mut exchange = Exchange::open(inner, request, hops);
        let body = match here.as_ref().zip(placed) {
            None => refuse(inner, &mut exchange, Refusal::NoConfiguration, head),
            Some((here, placed)) => match placed {
                Err(refusal) => refuse(inner, &mut exchange, refusal, head),
                Ok(place) => {
                    exchange.placed(place.service.name.as_str(), place.service.domain.as_str(), place.path, place.window_ms());
                    match Steered::of(inner, here, &place, request, hops) {
                        Some(steered) => {
                            exchange.steered();
                            steered.write(inner.name.as_str(), head)
                        }
                        None => {
                            if here.offload.is_some() {
                                exchange.watch(place.service.domain.as_str());
                            }
                            serve(inner, &place, &mut exchange, head).await
                        }
                    }
                }
            },
        };
        if here.as_ref().is_some_and(|here| here.closes(hops)) {
            head.close();
        }
        exchange.close(head.current_status(), body)
    }
}

pub(crate) fn refuse(engine: &Inner, exchange: &mut Exchange<'_>, refusal: Refusal, head: &mut ResponseHead<'_>) -> Body {
    exchange.refused(refusal);
    refusal.write(engine.name.as_str(), exchange.outcome(), head)
}

/// What the store holds for a request, and what to do with it.
pub(crate) struct Looked {
    pub(crate) decision: Decision,
    /// What answers it, fresh or not.
    pub(crate) held: Option<Stored>,
    /// Where nothing does: another variant.
    pub(crate) sibling: Option<Stored>,
}

impl Looked {
    /// A response that tells what the key varies on.
    pub(crate) fn known(&self) -> Option<&Stored> {
        self.held.as_ref().or(self.sibling.as_ref())
    }
}

/// Looks into the store.
pub(crate) fn look(engine: &Inner, place: &Place<'_>, exchange: &Exchange<'_>) -> Looked {
    KEY.with_borrow_mut(|key| {
        place.write_key(key);
        let held = engine.store.find(key, |head| head.answers(&exchange.asked));
        let sibling = if held.is_some() { None } else { engine.store.find(key, |_| true) };
        let candidate = match (&held, &sibling) {
            (Some(object), _) => Candidate::Stored(&object.head().freshness),
            (None, Some(_)) => Candidate::OtherVariant,
            (None, None) => Candidate::Absent,
        };
        Looked { decision: decide(&exchange.facts(), candidate, exchange.now), held, sibling }
    })
}

async fn serve(engine: &Arc<Inner>, place: &Place<'_>, exchange: &mut Exchange<'_>, head: &mut ResponseHead<'_>) -> Body {
    let looked = look(engine, place, exchange);
    let looked = look_further(engine, place, exchange, looked).await;
    let outcome = looked.decision.outcome();
    let (held, outcome) = match (looked.decision, &looked.held) {
        (Decision::Hit, Some(object)) => (object, outcome),
        (Decision::StaleWhileRevalidate, Some(object)) => {
            revalidate(engine, place, exchange, object, None);
            (object, outcome)
        }
        (Decision::Revalidate, Some(object)) if stands_in(engine, place, exchange, object) => {
            probe(engine, place, exchange, object);
            (object, CacheOutcome::StaleOnError)
        }
        (Decision::NotCached, _) => {
            exchange.went(outcome, None);
            return refuse(engine, exchange, Refusal::OnlyIfCached, head);
        }
        (Decision::Bypass(BypassReason::Method | BypassReason::Content), _) => return pass(engine, place, exchange, outcome, head).await,
        (_, _) if exchange.request.method == "GET" => return through(engine, place, exchange, looked, outcome, head).await,
        // HEAD of what is not held goes up as HEAD; nothing is stored of it.
        (_, _) => return pass(engine, place, exchange, outcome, head).await,
    };
    match answer(engine.name.as_str(), exchange, &Found::held(held.clone(), outcome), head) {
        Ok(body) => body,
        Err(_) => pass(engine, place, exchange, CacheOutcome::UriMiss, head).await,
    }
}

/// Whether what is held is served at once although it is stale: the service's origin has failed several times in a row, so
/// that each request would only find out the same, after the whole time a request may take.
fn stands_in(engine: &Inner, place: &Place<'_>, exchange: &Exchange<'_>, object: &Stored) -> bool {
    object.whole().is_some()
        && object.head().freshness.serves_on(UpstreamFailure::Disconnected, exchange.now)
        && engine.is_failing(&place.service.name)
}

/// Revalidates in the background, once however many are served stale meanwhile (RFC 5861 section 3).
fn revalidate(engine: &Arc<Inner>, place: &Place<'_>, exchange: &Exchange<'_>, object: &Stored, probe: Option<Flight>) {
    let key = flight_key(place, exchange, Some(object.head()));
    if let Seat::Lead(flight) = engine.flights.join_or_start(&key)
        && let Ok(order) = order(engine, place, exchange, key, Some(object.clone()))
    {
        let fill = fill::run(engine.clone(), order, Some(flight), Audience::Background);
        engine.tasks.spawn("revalidation", async move {
            fill.await;
            drop(probe);
        });
    }
}

/// Revalidates where the origin fails: one request of the service at a time, to learn when it answers again.
fn probe(engine: &Arc<Inner>, place: &Place<'_>, exchange: &Exchange<'_>, object: &Stored) {
    // No cache key begins like this.
    if let Seat::Lead(probe) = engine.flights.join_or_start(&format!("\0{}", place.service.name)) {
        revalidate(engine, place, exchange, object, Some(probe));
    }
}

/// Passes a request through as it is, up the tree: what an unsafe one makes unusable is removed at every level.
pub(crate) async fn pass(
    engine: &Arc<Inner>,
    place: &Place<'_>,
    exchange: &mut Exchange<'_>,
    outcome: CacheOutcome,
    head: &mut ResponseHead<'_>,
) -> Body {
    exchange.went(outcome, None);
    let ask = match place.ask(engine, exchange, Forward::All) {
        Ok(ask) => ask,
        Err(refusal) => return refuse(engine, exchange, refusal, head),
    };
    match engine.fetch(&place.service.name, &ask).await {
        Ok(fetched) => {
            if invalidates(exchange.request.method, fetched.status) {
                invalidate(engine, place, exchange.request.authority, &fetched);
            }
            relay(engine.name.as_str(), exchange, fetched.into(), outcome, None, head)
        }
        Err(failure) => refuse(engine, exchange, Refusal::Upstream(failure), head),
    }
}

/// Removes what an unsafe request made unusable: its own key, and the targets its answer names (RFC 9111 section 4.4).
///
/// An origin may name them as it knows them, below its prefix, or as clients do; both are removed.
fn invalidate(engine: &Inner, place: &Place<'_>, asked: &str, fetched: &Fetched) {
    let mut key = place.key();
    engine.store.remove(&key);
    let (origin, domain) = (&place.service.origin, place.service.domain.as_str());
    let authority = origin.authority();
    let in_path = format!("/{domain}");
    for target in named_targets(&Received(&fetched.fields), &[asked, domain, &authority]) {
        let paths = [Some(target.path), below(target.path, origin.prefix()), below(target.path, &in_path)];
        for path in paths.into_iter().flatten() {
            place.write_key_of(&mut key, path, target.query);
            engine.store.remove(&key);
        }
    }
}
