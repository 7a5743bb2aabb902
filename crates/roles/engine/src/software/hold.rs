//! Archives a manager asks this engine to keep: fetched in the background, through the engine's own store.

use super::outgoing;
use crate::{
    engine::Inner,
    fill::{self, Audience, Lead, Order},
    flight::Seat,
    here::Here,
    upstream::{Ask, Origin},
};
use bytes::Bytes;
use http::Method;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use weir_caching::{FieldLines, Policy, key::write_primary_key};
use weir_model::{delivery, service::CachePolicy};
use weir_routing::{Key, parents};

/// How long a fetch that failed is not begun again, however often it is asked for.
const HOLD_PAUSE: Duration = Duration::from_secs(10);
/// Archives fetched at once, and failures remembered.
const HOLDS_MAX: usize = 16;

/// What became of an archive that is to be kept.
enum Hold {
    Fetching,
    Failed { why: String, at: Instant },
}

/// Archives under way, and those that could not be kept, by SHA-256.
#[derive(Default)]
pub(crate) struct Holds {
    table: Mutex<HashMap<String, Hold>>,
}

impl Holds {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Hold>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a fetch is to be begun now; why not, if one failed a moment ago.
    fn begin(&self, sha256: &str, now: Instant) -> Result<bool, String> {
        let mut table = self.lock();
        match table.get(sha256) {
            Some(Hold::Fetching) => return Ok(false),
            Some(Hold::Failed { why, at }) if now.saturating_duration_since(*at) < HOLD_PAUSE => return Err(why.clone()),
            Some(Hold::Failed { .. }) | None => {}
        }
        let is_past = |hold: &Hold| matches!(hold, Hold::Failed { at, .. } if now.saturating_duration_since(*at) >= HOLD_PAUSE);
        table.retain(|_, hold| !is_past(hold));
        if table.len() >= HOLDS_MAX {
            return Err(format!("fetches {HOLDS_MAX} archives already"));
        }
        table.insert(sha256.to_owned(), Hold::Fetching);
        Ok(true)
    }

    fn ended(&self, sha256: &str, outcome: Result<(), String>, now: Instant) {
        let mut table = self.lock();
        match outcome {
            Ok(()) => drop(table.remove(sha256)),
            Err(why) => drop(table.insert(sha256.to_owned(), Hold::Failed { why, at: now })),
        }
    }
}

/// Keeps the archive at a path; bytes that are there, all of them only once it is whole.
pub(crate) fn hold(engine: &Arc<Inner>, path: &str) -> Result<u64, String> {
    let sha256 = delivery::archive_at(path).ok_or("no archive is at this path")?;
    let here = engine.here.load();
    let here = here.as_ref().ok_or("has no configuration yet")?;
    let order = order(engine, here, sha256, path).ok_or("carries no archives")?;
    if let Some(object) = engine.store.find(&order.key, |_| true)
        && object.aborted().is_none()
    {
        let length = object.length().unwrap_or(u64::MAX);
        return Ok(if object.whole().is_some() { length } else { object.held_bytes().min(length.saturating_sub(1)) });
    }
    if engine.holds.begin(sha256, weir_clock::monotonic())? {
        let (engine, sha256) = (engine.clone(), sha256.to_owned());
        engine.clone().tasks.spawn("hold", async move {
            let outcome = fetch(&engine, order).await;
            if let Err(why) = &outcome {
                tracing::warn!(sha256, reason = why, "release archive not kept");
            }
            engine.holds.ended(&sha256, outcome, weir_clock::monotonic());
        });
    }
    Ok(0)
}

/// The fill that nobody's request asked for.
fn order(engine: &Inner, here: &Here, sha256: &str, path: &str) -> Option<Order> {
    let carried = here.network.services().iter().find(|service| delivery::is_reserved_name(&service.service.name))?;
    let (service, delivery) = (&carried.service, &here.delivery);
    let key_start = here.key_start(&service.name)?;
    let CachePolicy { ignore_query, store_set_cookie, .. } = service.caching;
    let policy = Policy { ignore_query, store_set_cookie, ..Policy::default() };
    let mut key = String::new();
    write_primary_key(&mut key, key_start, path, None, &policy);
    let up = |name: &_| here.network.engine(name).is_some_and(|e| !engine.upstream.is_down(e.http, service.domain.as_str()));
    let above = parents(&here.network, &here.name, carried, Key::of(&service.domain, path), up);
    let ask = Ask {
        method: Method::GET,
        domain: service.domain.to_string(),
        target: path.to_owned(),
        fields: outgoing(None),
        body: Bytes::new(),
        hops: 0,
        from: here.address,
        parents: above.engines.into_iter().map(Into::into).collect(),
        origin: Origin::Archive(delivery.source(sha256)),
    };
    Some(Order {
        flight_key: key.clone(),
        key,
        service: service.name.clone(),
        policy,
        request: FieldLines::new(),
        ask,
        stale: None,
        #[cfg(feature = "synthetic-next")]
        detail: None,
    })
}

/// From the disk, if it is there, else from upstream.
async fn fetch(engine: &Arc<Inner>, order: Order) -> Result<(), String> {
    let key = order.key.clone();
    if engine.store.load(&key, |_| true).await.is_some() {
        return Ok(());
    }
    let refused = match engine.flights.join_or_start(&key) {
        Seat::Follow(follower) => {
            drop(follower.verdict().await);
            None
        }
        Seat::Lead(flight) => {
            let (holder, told) = oneshot::channel();
            let filling = fill::run(engine.clone(), order, Some(flight), Audience::Holder(holder));
            // What the lead holds is let go of at once: a reader would hold back a body that passes through.
            let (refused, ()) = tokio::join!(async { told.await.ok().and_then(why_not) }, filling);
            refused
        }
    };
    match (refused, engine.store.find(&key, |_| true)) {
        (Some(why), _) => Err(why),
        (None, Some(object)) if object.aborted().is_none() => Ok(()),
        (None, _) => Err("it did not come whole, or there was no room to keep it".into()),
    }
}

/// Why an answer is not kept.
fn why_not(lead: Lead) -> Option<String> {
    match lead {
        Lead::Stored { .. } => None,
        Lead::Relay(relayed, _) if !matches!(relayed.fetched.status, 200 | 206) => {
            Some(format!("{} answered {}", relayed.fetched.source.as_str(), relayed.fetched.status))
        }
        Lead::Relay(_, why) => Some(format!("its store does not take it: {}", why.as_str())),
        Lead::Shared(error, _) => Some(format!("{} answered {}", error.source.as_str(), error.status)),
        Lead::Failed(failure) => Some(failure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fetch_at_a_time_and_a_pause_after_a_failure() {
        let (holds, now) = (Holds::default(), weir_clock::monotonic());
        assert_eq!(holds.begin("a", now), Ok(true));
        assert_eq!(holds.begin("a", now), Ok(false), "under way");
        holds.ended("a", Err("no".into()), now);
        assert_eq!(holds.begin("a", now + HOLD_PAUSE - Duration::from_millis(1)), Err("no".into()));
        assert_eq!(holds.begin("a", now + HOLD_PAUSE), Ok(true));
        holds.ended("a", Ok(()), now);
        assert!(holds.lock().is_empty());
    }

    #[test]
    fn the_table_is_bounded_and_forgets_old_failures() {
        let (holds, now) = (Holds::default(), weir_clock::monotonic());
        for index in 0..HOLDS_MAX {
            assert_eq!(holds.begin(&index.to_string(), now), Ok(true));
        }
        assert!(holds.begin("one more", now).is_err());
        holds.ended("0", Err("no".into()), now);
        assert!(holds.begin("one more", now).is_err());
        assert_eq!(holds.begin("one more", now + HOLD_PAUSE), Ok(true));
    }
}
