//! A GET the store cannot answer: it joins the fetch that answers it, or starts it, or goes alone where waiting is in vain.

use crate::{
    answer::{Found, answer},
    engine::Inner,
    exchange::Exchange,
    fields::Forward,
    fill::{self, Audience, How, Lead, Order},
    flight::{Flight, Seat, Verdict},
    head::StoredHead,
    place::Place,
    refusal::Refusal,
    relay::{relay, relay_shared},
    serve::{Looked, Stored, look, pass, refuse},
    upstream::failure::Failure,
};
use std::sync::Arc;
use tokio::sync::oneshot;
use weir_caching::{CacheOutcome, CacheStatus, FieldLines, Fields, decision::Decision};
use weir_net::http1::{Body, ResponseHead};
use weir_store::Refused;

/// How often a request joins a flight before it goes alone. The second time it knows its variant; more often only while
/// answers turn out to be somebody's own or an origin changes what it varies on.
const JOINS_MAX: u32 = 4;

/// What requests wait for one another by: the key, the variant as far as a response `known` under the key tells, and whether
/// there are credentials, which may make a response its client's own.
pub(crate) fn flight_key(place: &Place<'_>, exchange: &Exchange<'_>, known: Option<&StoredHead>) -> String {
    let mut key = place.key();
    if let Some(variant) = known.and_then(|head| head.variant_of(&exchange.asked)).filter(|variant| !variant.is_empty()) {
        key.push('\n');
        key.push_str(&variant);
    }
    if exchange.asked.has("authorization") {
        key.push('\0');
    }
    key
}

/// What a fill for this request fetches, and where others wait for it.
pub(crate) fn order(
    engine: &Inner,
    place: &Place<'_>,
    exchange: &Exchange<'_>,
    flight_key: String,
    stale: Option<Stored>,
) -> Result<Order, Refusal> {
    let ask = place.ask(engine, exchange, Forward::Whole)?;
    let (key, request) = (place.key(), exchange.asked.owned());
    Ok(Order {
        key,
        flight_key,
        service: place.service.name.clone(),
        policy: place.policy,
        request,
        ask,
        stale,
        #[cfg(feature = "synthetic-next")]
        detail: place.service.detail.clone(),
    })
}

/// What came of waiting.
enum Waited {
    Answered(Body),
    /// Ask again, together with those who select the same variant as this object does.
    Again(Option<Stored>),
    /// Waiting is in vain.
    Alone,
}

/// Joins or starts the fetch that answers a request, or goes alone.
pub(crate) async fn through(
    engine: &Arc<Inner>,
    place: &Place<'_>,
    exchange: &mut Exchange<'_>,
    looked: Looked,
    outcome: CacheOutcome,
    head: &mut ResponseHead<'_>,
) -> Body {
    exchange.went(outcome, None);
    let mut key = flight_key(place, exchange, looked.known().map(|object| object.head()));
    for _ in 0..JOINS_MAX {
        if engine.flights.is_uncacheable(&key, weir_clock::monotonic()) {
            break;
        }
        let verdict = match engine.flights.join_or_start(&key) {
            Seat::Follow(follower) => follower.verdict().await,
            // Somebody may have landed between our look into the store and now.
            Seat::Lead(flight) => match look(engine, place, exchange) {
                Looked { decision: Decision::Hit, held: Some(object), .. } => {
                    flight.land(Verdict::Stored(object.clone()));
                    Verdict::Stored(object)
                }
                looked => {
                    return lead(engine, place, exchange, Start { key, flight: Some(flight), stale: looked.held, outcome }, head).await;
                }
            },
        };
        match follow(engine, exchange, verdict, outcome, head) {
            Waited::Answered(body) => return body,
            Waited::Again(None) => {}
            Waited::Again(Some(object)) => key = flight_key(place, exchange, Some(object.head())),
            Waited::Alone => break,
        }
    }
    let looked = look(engine, place, exchange);
    if let Looked { decision: Decision::Hit, held: Some(object), .. } = &looked
        && let Waited::Answered(body) = follow(engine, exchange, Verdict::Stored(object.clone()), outcome, head)
    {
        return body;
    }
    if exchange.asks_for_part && looked.held.is_none() {
        return pass(engine, place, exchange, outcome, head).await;
    }
    lead(engine, place, exchange, Start { key, flight: None, stale: looked.held, outcome }, head).await
}

/// Answers a request that waited, if the verdict answers it.
fn follow(engine: &Inner, exchange: &mut Exchange<'_>, verdict: Verdict, outcome: CacheOutcome, head: &mut ResponseHead<'_>) -> Waited {
    let (object, outcome) = match verdict {
        Verdict::Stored(object) => (object, outcome),
        Verdict::Freshened(object) => (object, CacheOutcome::Revalidated),
        Verdict::Stale(object) => (object, CacheOutcome::StaleOnError),
        Verdict::Shared(error) if error.answers(&exchange.asked) => {
            let (name, fwd_status) = (engine.name.as_str(), Some(error.status));
            let status = CacheStatus { fwd_status, collapsed: true, ..CacheStatus::new(name, outcome) };
            return Waited::Answered(relay_shared(exchange, &error, &status, head));
        }
        Verdict::Shared(_) | Verdict::Uncacheable { remember: false } => return Waited::Again(None),
        Verdict::Uncacheable { remember: true } => return Waited::Alone,
        Verdict::Failed(failure) => return Waited::Answered(refuse(engine, exchange, Refusal::Upstream(failure), head)),
    };
    if !object.head().answers(&exchange.asked) {
        return Waited::Again(Some(object));
    }
    let found = Found { collapsed: true, ..Found::held(object, outcome) };
    answer(engine.name.as_str(), exchange, &found, head).map_or(Waited::Alone, Waited::Answered)
}

/// How a fill starts.
struct Start {
    /// The flight's key.
    key: String,
    flight: Option<Flight>,
    stale: Option<Stored>,
    outcome: CacheOutcome,
}

/// Starts a fill and answers with what comes of it.
async fn lead(engine: &Arc<Inner>, place: &Place<'_>, exchange: &mut Exchange<'_>, start: Start, head: &mut ResponseHead<'_>) -> Body {
    let Start { key, flight, stale, outcome } = start;
    let order = match order(engine, place, exchange, key, stale) {
        Ok(order) => order,
        Err(refusal) => return refuse(engine, exchange, refusal, head),
    };
    let (client, told) = oneshot::channel();
    engine.tasks.spawn("fill", fill::run(engine.clone(), order, flight, Audience::Client(client)));
    let name = engine.name.as_str();
    match told.await {
        Ok(Lead::Stored { object, how, upstream_status, source, withheld, hold }) => {
            let found = led(object, how, outcome, upstream_status, withheld);
            exchange.came_from(source);
            let answered = answer(name, exchange, &found, head);
            drop(hold);
            match answered {
                Ok(body) => body,
                Err(_) => pass(engine, place, exchange, outcome, head).await,
            }
        }
        // Of what is too large to store only the range asked for is fetched.
        Ok(Lead::Relay(relayed, fill::Unstored::Store(Refused::TooLarge))) if exchange.asks_for_part => {
            drop(relayed);
            pass(engine, place, exchange, outcome, head).await
        }
        Ok(Lead::Relay(relayed, why)) => relay(name, exchange, *relayed, outcome, Some(why.as_str()), head),
        Ok(Lead::Shared(error, why)) => {
            let status = CacheStatus { fwd_status: Some(error.status), detail: Some(why.as_str()), ..CacheStatus::new(name, outcome) };
            relay_shared(exchange, &error, &status, head)
        }
        Ok(Lead::Failed(failure)) => refuse(engine, exchange, Refusal::Upstream(failure), head),
        Err(_) => refuse(engine, exchange, Refusal::Upstream(Failure::Cancelled), head),
    }
}

/// What answers the one who led.
fn led(object: Stored, how: How, outcome: CacheOutcome, upstream_status: Option<u16>, withheld: FieldLines) -> Found {
    let outcome = match how {
        How::New => outcome,
        How::Confirmed | How::ConfirmedOnce => CacheOutcome::Revalidated,
        How::StandsIn => CacheOutcome::StaleOnError,
    };
    Found { object, outcome, upstream_status, stored: how == How::New, collapsed: false, withheld }
}
