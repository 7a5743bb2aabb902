//! Whether a stored response may be used now (RFC 9111 section 4.2, RFC 5861).

use crate::age::{self, clamp};
use crate::cache_control::Directives;
use crate::{Fields, Lifetime, ResponseFacts, status};

/// Longest time past its freshness, in seconds, a response is served because nobody upstream can be reached: an hour.
///
/// RFC 9111 section 4.2.4 lets a disconnected cache serve stale responses and leaves the bound to it.
pub const DISCONNECTED_STALE_SECONDS_MAX: u32 = 3600;

/// What the origin allows to be done with a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Fresh: use; stale: inside the windows it grants.
    Windows,
    /// Fresh: use; stale: only after validation (`must-revalidate`, `proxy-revalidate`, `s-maxage`).
    FreshOnly,
    /// Only after validation (`no-cache`).
    ValidatedOnly,
}

/// Everything a cache must remember of a stored response to judge it later; kept beside its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// When it was received, or last validated, in seconds of a clock that never jumps. Not the wall clock: set back by an
    /// hour, that would keep a live playlist fresh for an hour.
    pub arrived_at: u64,
    /// Its age at that moment, in seconds.
    pub initial_age_s: u32,
    /// Its freshness lifetime, in seconds of age.
    pub lifetime_s: u32,
    /// Seconds past the lifetime in which it may be served while it is revalidated (RFC 5861 section 3).
    pub stale_while_revalidate_s: u32,
    /// Seconds past the lifetime in which it may be served in place of an error (RFC 5861 section 4).
    pub stale_if_error_s: u32,
    /// What may be done with it at all.
    pub reuse: Reuse,
}

/// State of a stored response at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Usable as it is.
    Fresh,
    /// Usable while it is revalidated in the background.
    StaleServable,
    /// To be validated first; [`Freshness::serves_on`] says whether it may stand in when that fails.
    Stale,
    /// To be validated first, and never to be used without.
    MustRevalidate,
}

/// Why upstream gave no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// No complete response: connect, send or receive failed, or a timeout passed.
    Disconnected,
    /// A response with this status.
    Status(u16),
}

impl Freshness {
    /// Freshness of a response just received.
    pub fn of<F: Fields + ?Sized>(response: &ResponseFacts<'_, F>, directives: &Directives, lifetime: Lifetime) -> Freshness {
        let reuse = match () {
            () if directives.no_cache.is_whole() => Reuse::ValidatedOnly,
            () if directives.forbids_stale() => Reuse::FreshOnly,
            () => Reuse::Windows,
        };
        Freshness {
            arrived_at: response.arrived_at,
            initial_age_s: age::at_receipt(response),
            lifetime_s: lifetime.seconds,
            stale_while_revalidate_s: directives.stale_while_revalidate_s.unwrap_or(0),
            stale_if_error_s: directives.stale_if_error_s.unwrap_or(0),
            reuse,
        }
    }

    /// Age in seconds at `now`, on the clock of [`Freshness::arrived_at`]: the `Age` a hit carries.
    pub fn age_at(&self, now: u64) -> u32 {
        clamp(u64::from(self.initial_age_s).saturating_add(now.saturating_sub(self.arrived_at)))
    }

    /// Seconds of freshness left at `now`; negative when stale.
    pub fn ttl_at(&self, now: u64) -> i64 {
        i64::from(self.lifetime_s) - i64::from(self.age_at(now))
    }

    /// Its state at `now`.
    ///
    /// Fresh while the lifetime exceeds the age (RFC 9111 section 4.2), so a lifetime of 0 never is.
    pub fn state(&self, now: u64) -> State {
        if self.reuse == Reuse::ValidatedOnly {
            return State::MustRevalidate;
        }
        if self.ttl_at(now) > 0 {
            return State::Fresh;
        }
        match self.reuse {
            Reuse::Windows if self.is_within(self.stale_while_revalidate_s, now) => State::StaleServable,
            Reuse::Windows => State::Stale,
            Reuse::FreshOnly | Reuse::ValidatedOnly => State::MustRevalidate,
        }
    }

    /// Whether it may be served at `now` in place of what upstream failed to give.
    ///
    /// An error status needs `stale-if-error`; a disconnection is also covered for [`DISCONNECTED_STALE_SECONDS_MAX`].
    pub fn serves_on(&self, failure: UpstreamFailure, now: u64) -> bool {
        let window = match failure {
            UpstreamFailure::Disconnected => self.stale_if_error_s.max(DISCONNECTED_STALE_SECONDS_MAX),
            UpstreamFailure::Status(code) if status::is_server_failure(code) => self.stale_if_error_s,
            UpstreamFailure::Status(_) => return false,
        };
        match self.state(now) {
            State::Fresh | State::StaleServable => true,
            State::Stale => self.is_within(window, now),
            State::MustRevalidate => false,
        }
    }

    /// Whether a window past the lifetime is open at `now`; a window of 0 never is.
    fn is_within(&self, window_s: u32, now: u64) -> bool {
        window_s > 0 && -self.ttl_at(now) <= i64::from(window_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRESH_100: Freshness = Freshness {
        arrived_at: 1000,
        initial_age_s: 10,
        lifetime_s: 100,
        stale_while_revalidate_s: 0,
        stale_if_error_s: 0,
        reuse: Reuse::Windows,
    };

    #[test]
    fn age_grows_and_ttl_falls() {
        assert_eq!((FRESH_100.age_at(1000), FRESH_100.ttl_at(1000)), (10, 90));
        assert_eq!((FRESH_100.age_at(1090), FRESH_100.ttl_at(1090)), (100, 0));
        assert_eq!((FRESH_100.age_at(500), FRESH_100.ttl_at(500)), (10, 90), "before it arrived it was no younger");
        assert_eq!(FRESH_100.age_at(u64::MAX), crate::cache_control::SECONDS_MAX);
    }

    #[test]
    fn windows_open_and_close_to_the_second() {
        let swr = Freshness { stale_while_revalidate_s: 30, ..FRESH_100 };
        let fresh_only = Freshness { reuse: Reuse::FreshOnly, stale_if_error_s: 30, ..swr };
        let validated = Freshness { reuse: Reuse::ValidatedOnly, stale_if_error_s: 30, ..swr };
        let cases = [
            (FRESH_100, 1089, State::Fresh),
            (FRESH_100, 1090, State::Stale),
            (swr, 1090, State::StaleServable),
            (swr, 1120, State::StaleServable),
            (swr, 1121, State::Stale),
            (fresh_only, 1089, State::Fresh),
            (fresh_only, 1090, State::MustRevalidate),
            (validated, 1000, State::MustRevalidate),
            (Freshness { lifetime_s: 0, initial_age_s: 0, ..FRESH_100 }, 1000, State::Stale),
        ];
        for (freshness, now, expected) in cases {
            assert_eq!(freshness.state(now), expected, "{freshness:?} at {now}");
        }
    }

    #[test]
    fn failures_are_covered_as_far_as_allowed() {
        use UpstreamFailure::{Disconnected, Status};
        let sie = Freshness { stale_if_error_s: 30, ..FRESH_100 };
        let long_sie = Freshness { stale_if_error_s: 10_000, ..FRESH_100 };
        let closed = u64::from(DISCONNECTED_STALE_SECONDS_MAX);
        let cases = [
            (FRESH_100, Status(503), 1090, false),
            (sie, Status(503), 1120, true),
            (sie, Status(503), 1121, false),
            (sie, Status(404), 1100, false),
            (sie, Status(501), 1100, false),
            (FRESH_100, Disconnected, 1090 + closed, true),
            (FRESH_100, Disconnected, 1091 + closed, false),
            (long_sie, Disconnected, 1090 + 10_000, true),
            (long_sie, Disconnected, 1091 + 10_000, false),
            (Freshness { reuse: Reuse::FreshOnly, ..sie }, Disconnected, 1100, false),
            (Freshness { reuse: Reuse::ValidatedOnly, ..sie }, Disconnected, 1000, false),
        ];
        for (freshness, failure, now, expected) in cases {
            assert_eq!(freshness.serves_on(failure, now), expected, "{freshness:?} {failure:?} at {now}");
        }
    }

    #[test]
    fn a_wall_clock_that_jumps_neither_keeps_nor_spoils_what_is_held() {
        let now = 1_800_000_000;
        let fields: crate::FieldLines = [("date".to_owned(), crate::date::format(now).into_bytes())].into();
        for wall in [now, now + 3600, now - 3600] {
            let response = ResponseFacts { status: 200, fields: &fields, requested_at: wall, received_at: wall, arrived_at: 50 };
            let directives = crate::cache_control::Directives::default();
            let lifetime = Lifetime { seconds: 4000, ..Lifetime::of(200, &fields, &directives, wall, &crate::Policy::default()) };
            let freshness = Freshness::of(&response, &directives, lifetime);
            assert_eq!(u64::from(freshness.initial_age_s), wall.saturating_sub(now), "Date is compared with the wall clock");
            assert_eq!(freshness.age_at(51), freshness.initial_age_s + 1, "residence is not");
        }
    }

    proptest! {
        #[test]
        fn never_fresh_again_as_time_passes(lifetime in any::<u32>(), age in any::<u32>(), at in 0u64..1 << 40, step in 0u64..1 << 33) {
            let freshness = Freshness { lifetime_s: lifetime, initial_age_s: age, stale_while_revalidate_s: 60, ..FRESH_100 };
            let rank = |state| [State::Fresh, State::StaleServable, State::Stale].iter().position(|known| *known == state);
            prop_assert!(rank(freshness.state(at)) <= rank(freshness.state(at + step)));
        }
    }
}
