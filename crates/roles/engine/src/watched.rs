//! Who still watches an engine that Server Offload holds. Kept only then: the hit path of an engine in service pays nothing.

use crate::{
    engine::Inner,
    session::{Served, Sessions},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use weir_device_api::{DrainSession, report::DRAIN_SESSIONS_MAX};

/// Sessions whose viewer is known at once; more are counted and not listed.
const WATCHED_MAX: usize = 10_000;

/// What is known of one session besides when it was served.
struct Viewer {
    client: IpAddr,
    domain: String,
    /// When it first asked since it is watched, monotonic milliseconds.
    seen_ms: u64,
    active: u32,
}

/// Sessions that asked for something since the offload.
#[derive(Default)]
pub(crate) struct Watched {
    viewers: Mutex<HashMap<u64, Viewer>>,
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Viewer>> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, session: u64, client: IpAddr, domain: &str, now_ms: u64) -> bool {
        let mut viewers = self.lock();
        let has_room = viewers.len() < WATCHED_MAX;
        match viewers.entry(session) {
            Entry::Occupied(viewer) => viewer.into_mut().active += 1,
            Entry::Vacant(free) if has_room => {
                let client = client.to_canonical();
                free.insert(Viewer { client, domain: domain.to_owned(), seen_ms: now_ms, active: 1 });
            }
            Entry::Vacant(_) => return false,
        }
        true
    }

    fn end(&self, session: u64) {
        if let Some(viewer) = self.lock().get_mut(&session) {
            viewer.active = viewer.active.saturating_sub(1);
        }
    }

    /// The engine is in service again.
    pub(crate) fn clear(&self) {
        self.lock().retain(|_, viewer| viewer.active > 0);
    }

    /// Those that still run, begun last first, and the requests of all of them that began at `late_from_ms` or later; forgets
    /// the others.
    pub(crate) fn newest(&self, sessions: &Sessions, (now_ms, window_ms): (u64, u64), late_from_ms: u64) -> (Vec<DrainSession>, u32) {
        let (mut running, mut late_requests) = (Vec::new(), 0u32);
        self.lock().retain(|session, viewer| {
            let served = sessions.served_at(*session, now_ms, window_ms);
            let runs = viewer.active > 0 || served.is_some();
            if runs {
                let Served { first_ms, last_ms } = served.unwrap_or(Served { first_ms: viewer.seen_ms, last_ms: viewer.seen_ms });
                if first_ms >= late_from_ms {
                    late_requests = late_requests.saturating_add(viewer.active);
                }
                running.push(DrainSession {
                    client: viewer.client,
                    domain: viewer.domain.clone(),
                    age_ms: now_ms.saturating_sub(first_ms),
                    idle_ms: now_ms.saturating_sub(last_ms),
                    active_requests: viewer.active,
                });
            }
            runs
        });
        running.sort_by_key(|session| session.age_ms);
        running.truncate(DRAIN_SESSIONS_MAX);
        (running, late_requests)
    }
}

/// A request of a watched session, being answered until this is dropped.
pub(crate) struct Watching {
    engine: Arc<Inner>,
    session: u64,
}

impl Watching {
    /// `None` when too many are watched already.
    pub(crate) fn begin(engine: &Arc<Inner>, session: u64, client: IpAddr, domain: &str) -> Option<Self> {
        let watched = engine.watched.begin(session, client, domain, weir_clock::monotonic_ms());
        watched.then(|| Self { engine: engine.clone(), session })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.engine.watched.end(self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 5_000;

    fn begin(watched: &Watched, session: u64, now_ms: u64) -> bool {
        watched.begin(session, IpAddr::from([192, 0, 2, 1]), "demo.weir.test", now_ms)
    }

    #[test]
    fn a_session_runs_while_it_is_served_or_asks() {
        let (watched, sessions) = (Watched::default(), Sessions::new());
        sessions.served(1, 1_000, WINDOW);
        for session in [1, 2, 2] {
            assert!(begin(&watched, session, 3_000));
        }
        sessions.served(1, 3_500, WINDOW);
        watched.end(1);
        let seen = |now_ms| -> Vec<_> {
            let (newest, _) = watched.newest(&sessions, (now_ms, WINDOW), u64::MAX);
            newest.into_iter().map(|s| (s.age_ms, s.idle_ms, s.active_requests)).collect()
        };
        assert_eq!(seen(4_000), [(1_000, 1_000, 2), (3_000, 500, 0)], "begun last first; the first began before the offload");
        watched.end(2);
        watched.end(2);
        assert_eq!(seen(4_000), [(3_000, 500, 0)], "the second was given nothing");
        assert_eq!(seen(8_500), []);
        assert_eq!(seen(4_000), [], "what has ended is forgotten");
    }

    #[test]
    fn what_is_kept_and_listed_is_bounded() {
        let (watched, sessions) = (Watched::default(), Sessions::new());
        let most = u64::try_from(WATCHED_MAX).expect("small");
        assert!((0..most).all(|session| begin(&watched, session, session)));
        assert!(!begin(&watched, most, most));
        assert!(begin(&watched, 0, most), "one that is known");
        let (newest, late_requests) = watched.newest(&sessions, (most, WINDOW), 1_000);
        assert_eq!((newest.len(), newest[0].age_ms), (DRAIN_SESSIONS_MAX, 1));
        assert_eq!(u64::from(late_requests), most - 1_000, "the late ones that are not listed count too");
    }

    #[test]
    fn the_return_forgets_all_but_what_is_being_answered() {
        let watched = Watched::default();
        assert!(begin(&watched, 1, 0) && begin(&watched, 2, 0));
        watched.end(1);
        watched.clear();
        assert_eq!(watched.lock().keys().copied().collect::<Vec<_>>(), [2]);
    }
}
