//! The life of a request: place, look, decide, answer from the store or go up.

use crate::{
    answer::{Found, answer},
    engine::{Engine, Inner},
    exchange::Exchange,
    fields::{Forward, Received, owned},
    fill::{self, Audience, How, Lead, Order, Unstored},
    flight::{Flight, Seat, Verdict},
    head::StoredHead,
    place::{Place, Way},
    refusal::Refusal,
    relay::relay,
    upstream::{Fetched, failure::Failure},
};
use std::{cell::RefCell, sync::Arc};
use tokio::sync::oneshot;
use weir_caching::{
    CacheOutcome,
    decision::{BypassReason, Candidate, Decision, decide},
    invalidation::{invalidates, named_targets},
};
use weir_net::http1::{Body, Request, ResponseHead, Service};
use weir_store::{Object, Refused};

/// How often a request joins a flight of its key before it goes alone: each time the answer was another variant.
const JOINS_MAX: u32 = 2;

type Stored = Arc<Object<StoredHead>>;

thread_local! {
    static KEY: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Service for Engine {
    async fn respond(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> Body {
        let inner = self.inner();
        let here = inner.here.load();
        let mut exchange = Exchange::open(inner, request);
        let body = match &*here {
            None => refuse(inner, &mut exchange, Refusal::NoConfiguration, head),
            Some(here) => match Place::of(here, request) {
                Err(refusal) => refuse(inner, &mut exchange, refusal, head),
                Ok(place) => {
                    exchange.placed(place.service.name.as_str(), place.service.domain.as_str(), place.path, place.window_ms());
                    serve(inner, &place, &mut exchange, head).await
                }
            },
        };
        exchange.close(head.current_status(), body)
    }
}

fn refuse(engine: &Inner, exchange: &mut Exchange<'_>, refusal: Refusal, head: &mut ResponseHead<'_>) -> Body {
    exchange.refused(refusal.as_str());
    refusal.write(engine.name.as_str(), exchange.outcome(), head)
}

/// What the store holds for a request, and what to do with it.
fn look(engine: &Inner, place: &Place<'_>, exchange: &Exchange<'_>) -> (Decision, Option<Stored>) {
    KEY.with_borrow_mut(|key| {
        place.write_key(key);
        let object = engine.store.find(key, |head| head.answers(&exchange.asked));
        let candidate = match &object {
            Some(object) => Candidate::Stored(&object.head().freshness),
            None if engine.store.find(key, |_| true).is_some() => Candidate::OtherVariant,
            None => Candidate::Absent,
        };
        (decide(&exchange.facts(), candidate, exchange.now), object)
    })
}

async fn serve(engine: &Arc<Inner>, place: &Place<'_>, exchange: &mut Exchange<'_>, head: &mut ResponseHead<'_>) -> Body {
    let (decision, object) = look(engine, place, exchange);
    let outcome = decision.outcome();
    match (decision, object) {
        (Decision::Hit | Decision::StaleWhileRevalidate, Some(object)) => {
            if decision == Decision::StaleWhileRevalidate {
                revalidate(engine, place, exchange, &object);
            }
            match answer(engine.name.as_str(), exchange, &Found::held(object, outcome), head) {
                Ok(body) => body,
                Err(_) => pass(engine, place, exchange, Way::Tree, CacheOutcome::UriMiss, head).await,
            }
        }
        (Decision::NotCached, _) => {
            exchange.went(outcome, None);
            refuse(engine, exchange, Refusal::OnlyIfCached, head)
        }
        (Decision::Bypass(BypassReason::Method | BypassReason::Content), _) => {
            pass(engine, place, exchange, Way::Origin, outcome, head).await
        }
        (_, object) if exchange.request.method == "GET" => through(engine, place, exchange, object, outcome, head).await,
        // HEAD of what is not held goes up as HEAD; nothing is stored of it.
        (_, _) => pass(engine, place, exchange, Way::Tree, outcome, head).await,
    }
}

/// Revalidates in the background, once however many are served stale meanwhile (RFC 5861 section 3).
fn revalidate(engine: &Arc<Inner>, place: &Place<'_>, exchange: &Exchange<'_>, object: &Stored) {
    let key = place.key();
    if let Seat::Lead(flight) = engine.flights.join_or_start(&key)
        && let Ok(order) = order(engine, place, exchange, key, Some(object.clone()))
    {
        engine.tasks.spawn("revalidation", fill::run(engine.clone(), order, Some(flight), Audience::Background));
    }
}

fn order(engine: &Inner, place: &Place<'_>, exchange: &Exchange<'_>, key: String, stale: Option<Stored>) -> Result<Order, Refusal> {
    let ask = place.ask(engine, exchange, Forward::Whole, Way::Tree)?;
    Ok(Order { key, service: place.service.name.clone(), policy: place.policy, request: owned(exchange.request), ask, stale })
}

/// A GET the store cannot answer: joins or starts the key's fetch, or goes alone where waiting is known to be in vain.
async fn through(
    engine: &Arc<Inner>,
    place: &Place<'_>,
    exchange: &mut Exchange<'_>,
    stale: Option<Stored>,
    outcome: CacheOutcome,
    head: &mut ResponseHead<'_>,
) -> Body {
    let key = place.key();
    exchange.went(outcome, None);
    for _ in 0..JOINS_MAX {
        if engine.flights.is_uncacheable(&key, weir_clock::monotonic()) {
            break;
        }
        let verdict = match engine.flights.join_or_start(&key) {
            Seat::Follow(follower) => follower.verdict().await,
            // Somebody may have landed between our look into the store and now.
            Seat::Lead(flight) => match look(engine, place, exchange) {
                (Decision::Hit, Some(object)) => {
                    flight.land(Verdict::Stored(object.clone()));
                    Verdict::Stored(object)
                }
                _ => return lead(engine, place, exchange, Some(flight), stale, outcome, head).await,
            },
        };
        let (object, outcome) = match verdict {
            Verdict::Stored(object) => (object, outcome),
            Verdict::Freshened(object) => (object, CacheOutcome::Revalidated),
            Verdict::Stale(object) => (object, CacheOutcome::StaleOnError),
            Verdict::Uncacheable { .. } => break,
            Verdict::Failed(failure) => return refuse(engine, exchange, Refusal::Upstream(failure), head),
        };
        if object.head().answers(&exchange.asked) {
            let found = Found { collapsed: true, ..Found::held(object, outcome) };
            match answer(engine.name.as_str(), exchange, &found, head) {
                Ok(body) => return body,
                Err(_) => break,
            }
        }
    }
    if exchange.asks_for_part && stale.is_none() {
        return pass(engine, place, exchange, Way::Tree, outcome, head).await;
    }
    lead(engine, place, exchange, None, stale, outcome, head).await
}

/// Starts a fill and answers with what comes of it.
async fn lead(
    engine: &Arc<Inner>,
    place: &Place<'_>,
    exchange: &mut Exchange<'_>,
    flight: Option<Flight>,
    stale: Option<Stored>,
    outcome: CacheOutcome,
    head: &mut ResponseHead<'_>,
) -> Body {
    let order = match order(engine, place, exchange, place.key(), stale) {
        Ok(order) => order,
        Err(refusal) => return refuse(engine, exchange, refusal, head),
    };
    let (client, told) = oneshot::channel();
    engine.tasks.spawn("fill", fill::run(engine.clone(), order, flight, Audience::Client(client)));
    match told.await {
        Ok(Lead::Stored { object, how, upstream_status, source, hold }) => {
            let outcome = match how {
                How::New => outcome,
                How::Confirmed => CacheOutcome::Revalidated,
                How::StandsIn => CacheOutcome::StaleOnError,
            };
            let found = Found { object, outcome, upstream_status, stored: how == How::New, collapsed: false };
            exchange.came_from(source);
            let answered = answer(engine.name.as_str(), exchange, &found, head);
            drop(hold);
            match answered {
                Ok(body) => body,
                Err(_) => pass(engine, place, exchange, Way::Tree, outcome, head).await,
            }
        }
        // Of what is too large to store only the range asked for is fetched.
        Ok(Lead::Relay(fetched, Unstored::Store(Refused::TooLarge))) if exchange.asks_for_part => {
            drop(fetched);
            pass(engine, place, exchange, Way::Tree, outcome, head).await
        }
        Ok(Lead::Relay(fetched, why)) => relay(engine.name.as_str(), exchange, *fetched, outcome, Some(why.as_str()), head),
        Ok(Lead::Failed(failure)) => refuse(engine, exchange, Refusal::Upstream(failure), head),
        Err(_) => refuse(engine, exchange, Refusal::Upstream(Failure::Cancelled), head),
    }
}

/// Passes a request through as it is.
async fn pass(
    engine: &Arc<Inner>,
    place: &Place<'_>,
    exchange: &mut Exchange<'_>,
    way: Way,
    outcome: CacheOutcome,
    head: &mut ResponseHead<'_>,
) -> Body {
    exchange.went(outcome, None);
    let ask = match place.ask(engine, exchange, Forward::All, way) {
        Ok(ask) => ask,
        Err(refusal) => return refuse(engine, exchange, refusal, head),
    };
    match engine.fetch(&place.service.name, &ask).await {
        Ok(fetched) => {
            if invalidates(exchange.request.method, fetched.status) {
                invalidate(engine, place, &fetched);
            }
            relay(engine.name.as_str(), exchange, fetched, outcome, None, head)
        }
        Err(failure) => refuse(engine, exchange, Refusal::Upstream(failure), head),
    }
}

/// Removes what an unsafe request made unusable: its own key, and the targets its answer names (RFC 9111 section 4.4).
fn invalidate(engine: &Inner, place: &Place<'_>, fetched: &Fetched) {
    let mut key = place.key();
    engine.store.remove(&key);
    let origin = &place.service.origin;
    for target in named_targets(&Received(&fetched.fields), &origin.authority()) {
        if let Some(path) = target.path.strip_prefix(origin.prefix()) {
            place.write_key_of(&mut key, path, target.query);
            engine.store.remove(&key);
        }
    }
}
