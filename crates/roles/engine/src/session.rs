//! Viewer sessions: who is watching what, as far as an engine can tell without cookies.
//!
//! A session is a client address, a user agent and a directory of a delivery service. It lasts as long as media bytes were
//! served to it within the profile's session window. Requests of other engines never count.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Sessions remembered at once; viewers beyond it are served but not counted.
const SESSIONS_MAX: usize = 100_000;
/// Shards, so that cores seldom meet.
const SHARDS: usize = 16;

/// When a session was served, monotonic milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
}

impl Served {
    fn is_within(self, now_ms: u64, window_ms: u64) -> bool {
        now_ms.saturating_sub(self.last_ms) < window_ms
    }
}

type Shard = HashMap<u64, Served>;

/// Sessions and when each was served.
pub(crate) struct Sessions {
    shards: [Mutex<Shard>; SHARDS],
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shard of a session. The low bits choose it; the map hashes the whole number again.
    fn shard_of(&self, session: u64) -> MutexGuard<'_, Shard> {
        self.shard(usize::try_from(session % SHARDS as u64).expect("fewer than 16"))
    }

    /// Media bytes were served to a session.
    pub(crate) fn served(&self, session: u64, now_ms: u64, window_ms: u64) {
        let mut shard = self.shard_of(session);
        if let Some(served) = shard.get_mut(&session) {
            if !served.is_within(now_ms, window_ms) {
                served.first_ms = now_ms;
            }
            served.last_ms = now_ms;
            return;
        }
        if shard.len() >= SESSIONS_MAX / SHARDS {
            shard.retain(|_, served| served.is_within(now_ms, window_ms));
            if shard.len() >= SESSIONS_MAX / SHARDS {
                return;
            }
        }
        shard.insert(session, Served { first_ms: now_ms, last_ms: now_ms });
    }

    /// When a session within the window was served.
    pub(crate) fn served_at(&self, session: u64, now_ms: u64, window_ms: u64) -> Option<Served> {
        self.shard_of(session).get(&session).copied().filter(|served| served.is_within(now_ms, window_ms))
    }

    /// Sessions within the window; forgets the others.
    pub(crate) fn count(&self, now_ms: u64, window_ms: u64) -> u32 {
        self.count_begun(now_ms, window_ms, u64::MAX).0
    }

    /// Sessions within the window, and those of them that began at `from_ms` or later; forgets the others.
    pub(crate) fn count_begun(&self, now_ms: u64, window_ms: u64, from_ms: u64) -> (u32, u32) {
        let (mut all, mut begun) = (0u32, 0u32);
        for index in 0..SHARDS {
            self.shard(index).retain(|_, served| {
                let is_within = served.is_within(now_ms, window_ms);
                all += u32::from(is_within);
                begun += u32::from(is_within && served.first_ms >= from_ms);
                is_within
            });
        }
        (all, begun)
    }
}

/// The session a request belongs to. The same number for the same viewer and stream in every process and release, so that
/// records of several engines can be joined; `docs/protocols/access-record.md` says how it is made.
pub(crate) fn session_of(client: IpAddr, user_agent: &[u8], domain: &str, path: &str) -> u64 {
    let address = match client.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let directory = &path[..=path.rfind('/').unwrap_or(0)];
    fnv1a([&address.octets(), user_agent, domain.as_bytes(), directory.as_bytes()])
}

/// FNV-1a, 64 bits, of parts with a zero byte after each: no part but the first, which has a fixed length, can
/// contain one.
fn fnv1a(parts: [&[u8]; 4]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = parts.into_iter().flat_map(|part| part.iter().copied().chain([0]));
    bytes.fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 5_000;

    fn session(client: u8, agent: &str, path: &str) -> u64 {
        session_of(IpAddr::from([127, 0, 0, client]), agent.as_bytes(), "demo.weir.test", path)
    }

    #[test]
    fn one_viewer_of_one_stream_is_one_session() {
        let sessions = Sessions::new();
        for (client, agent, path) in
            [(1, "a", "/s/1.ts"), (1, "a", "/s/2.ts"), (2, "a", "/s/1.ts"), (1, "b", "/s/1.ts"), (1, "a", "/t/1.ts")]
        {
            sessions.served(session(client, agent, path), 1_000, WINDOW);
        }
        assert_eq!(sessions.count(1_000, WINDOW), 4);
    }

    #[test]
    fn a_sessions_number_is_part_of_the_record_format() {
        assert_eq!(session(1, "player/1.0", "/live/1.ts"), 0x6807_6834_975b_4f74);
        let mapped = session_of("::ffff:127.0.0.1".parse().expect("address"), b"player/1.0", "demo.weir.test", "/live/2.ts");
        assert_eq!(mapped, session(1, "player/1.0", "/live/1.ts"));
    }

    #[test]
    fn a_session_ends_after_its_window() {
        let sessions = Sessions::new();
        sessions.served(1, 1_000, WINDOW);
        sessions.served(2, 4_000, WINDOW);
        assert_eq!(sessions.count(5_999, WINDOW), 2);
        assert_eq!([4_000, 4_001].map(|from_ms| sessions.count_begun(5_999, WINDOW, from_ms)), [(2, 1), (2, 0)]);
        assert_eq!(sessions.count(6_000, WINDOW), 1);
        assert_eq!(sessions.count(9_000, WINDOW), 0);
    }

    #[test]
    fn a_session_that_comes_back_after_its_window_begins_anew() {
        let sessions = Sessions::new();
        for now_ms in [1_000, 4_000, 8_000] {
            sessions.served(1, now_ms, WINDOW);
        }
        assert_eq!(sessions.served_at(1, 9_000, WINDOW), Some(Served { first_ms: 1_000, last_ms: 8_000 }));
        assert_eq!(sessions.served_at(1, 13_000, WINDOW), None);
        sessions.served(1, 13_000, WINDOW);
        assert_eq!(sessions.served_at(1, 13_000, WINDOW), Some(Served { first_ms: 13_000, last_ms: 13_000 }));
    }

    #[test]
    fn the_table_is_bounded_and_makes_room_for_the_living() {
        let sessions = Sessions::new();
        for session in 0..u64::try_from(SESSIONS_MAX).expect("small") + 1_000 {
            sessions.served(session, 0, WINDOW);
        }
        assert_eq!(sessions.count(0, WINDOW), u32::try_from(SESSIONS_MAX).expect("small"));
        sessions.served(u64::MAX, WINDOW, WINDOW);
        assert_eq!(sessions.count(WINDOW, WINDOW), 1);
    }
}
