//! How long a response stays fresh (RFC 9111 sections 4.2.1 and 4.2.2).

use crate::age::clamp;
use crate::cache_control::Directives;
use crate::{Fields, Policy, date, status};

/// Part of the time since last modification that heuristic freshness grants: one tenth (RFC 9111 section 4.2.2).
const HEURISTIC_DIVISOR: u64 = 10;
/// Longest heuristic freshness, in seconds: a day.
pub const HEURISTIC_SECONDS_MAX: u64 = 24 * 3600;
/// Longest freshness, in seconds, that a policy's default TTL grants an error: a segment asked for a moment too early
/// must not stay missing for as long as one that exists stays fresh.
pub const ERROR_DEFAULT_TTL_SECONDS_MAX: u32 = 10;

/// What a freshness lifetime rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifetimeSource {
    /// `s-maxage`.
    SMaxage,
    /// `max-age`.
    MaxAge,
    /// `Expires`; an invalid one is already expired (RFC 9111 section 5.3).
    Expires,
    /// The delivery service's default TTL.
    DefaultTtl,
    /// A part of the time since `Last-Modified`.
    Heuristic,
    /// Nothing: the lifetime is 0.
    Unstated,
}

impl LifetimeSource {
    /// Whether the origin stated the lifetime.
    pub fn is_explicit(self) -> bool {
        matches!(self, LifetimeSource::SMaxage | LifetimeSource::MaxAge | LifetimeSource::Expires)
    }
}

/// A freshness lifetime and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Length in seconds, before the age at receipt is taken off, after the policy's bound.
    pub seconds: u32,
    /// What it rests on.
    pub source: LifetimeSource,
}

impl Lifetime {
    /// The lifetime of a response received at `received_at` (seconds since 1970).
    ///
    /// `Expires` is out of the decision where a targeted field decides (RFC 9213 section 2.2).
    pub fn of<F: Fields + ?Sized>(status: u16, fields: &F, directives: &Directives, received_at: u64, policy: &Policy) -> Lifetime {
        let date = fields.first("date").and_then(date::parse).unwrap_or(received_at);
        let (seconds, source) = stated(fields, directives, date)
            .or_else(|| granted(status, fields, directives, date, policy))
            .unwrap_or((0, LifetimeSource::Unstated));
        Lifetime { seconds: policy.max_ttl_s.map_or(seconds, |max| seconds.min(max)), source }
    }
}

fn stated<F: Fields + ?Sized>(fields: &F, directives: &Directives, date: u64) -> Option<(u32, LifetimeSource)> {
    if let Some(seconds) = directives.s_maxage_s {
        return Some((seconds, LifetimeSource::SMaxage));
    }
    if let Some(seconds) = directives.max_age_s {
        return Some((seconds, LifetimeSource::MaxAge));
    }
    if directives.source.is_targeted() {
        return None;
    }
    let expires = date::parse(fields.first("expires")?).unwrap_or(0);
    Some((clamp(expires.saturating_sub(date)), LifetimeSource::Expires))
}

/// Freshness the origin did not state, for a status that allows it or a response it calls `public`.
fn granted<F: Fields + ?Sized>(
    status: u16,
    fields: &F,
    directives: &Directives,
    date: u64,
    policy: &Policy,
) -> Option<(u32, LifetimeSource)> {
    if !status::is_heuristically_cacheable(status) && !directives.public {
        return None;
    }
    if let Some(default) = policy.default_ttl_s {
        let seconds = if status < 400 { default } else { default.min(ERROR_DEFAULT_TTL_SECONDS_MAX) };
        return Some((seconds, LifetimeSource::DefaultTtl));
    }
    let last_modified = date::parse(fields.single("last-modified")?)?;
    let seconds = (date.saturating_sub(last_modified) / HEURISTIC_DIVISOR).min(HEURISTIC_SECONDS_MAX);
    Some((clamp(seconds), LifetimeSource::Heuristic))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn lifetime(status: u16, lines: &[(&str, &str)], policy: Policy) -> (u32, LifetimeSource) {
        let lines: Vec<(&str, &[u8])> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let directives = Directives::of_response(&lines[..]);
        let lifetime = Lifetime::of(status, &lines[..], &directives, NOW, &policy);
        (lifetime.seconds, lifetime.source)
    }

    #[test]
    fn precedence_of_section_4_2_1() {
        use LifetimeSource::*;
        let date = date::format(NOW);
        let later = date::format(NOW + 500);
        let earlier = date::format(NOW - 500);
        let date = ("Date", date.as_str());
        let cases: &[(Lines<'_>, (u32, LifetimeSource))] = &[
            (&[("Cache-Control", "max-age=10, s-maxage=20"), ("Expires", &later), date], (20, SMaxage)),
            (&[("Cache-Control", "max-age=10"), ("Expires", &later), date], (10, MaxAge)),
            (&[("Cache-Control", "max-age=x"), ("Expires", &later), date], (0, MaxAge)),
            (&[("Expires", &later), date], (500, Expires)),
            (&[("Expires", &later)], (500, Expires)),
            (&[("Expires", &earlier), date], (0, Expires)),
            (&[("Expires", "0"), ("Last-Modified", &earlier), date], (0, Expires)),
            (&[("CDN-Cache-Control", "max-age=0"), ("Expires", &later), date], (0, MaxAge)),
            (&[("CDN-Cache-Control", "none"), ("Cache-Control", "max-age=9"), ("Expires", &later), date], (0, Unstated)),
            (&[("Last-Modified", &earlier), date], (50, Heuristic)),
            (&[("Last-Modified", &later), date], (0, Heuristic)),
            (&[("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"), date], (86_400, Heuristic)),
            (&[("Last-Modified", "yesterday"), date], (0, Unstated)),
            (&[date], (0, Unstated)),
        ];
        for (lines, expected) in cases {
            assert_eq!(lifetime(200, lines, Policy::default()), *expected, "{lines:?}");
        }
    }

    #[test]
    fn policy_fills_in_and_bounds() {
        use LifetimeSource::*;
        let policy = Policy { default_ttl_s: Some(300), max_ttl_s: Some(200), ..Policy::default() };
        let default = Policy { default_ttl_s: Some(300), ..Policy::default() };
        assert_eq!(lifetime(200, &[], default), (300, DefaultTtl));
        assert_eq!(lifetime(200, &[], policy), (200, DefaultTtl));
        assert_eq!(lifetime(200, &[("Cache-Control", "max-age=7")], policy), (7, MaxAge));
        assert_eq!(lifetime(200, &[("Cache-Control", "max-age=700")], policy), (200, MaxAge));
        assert_eq!(lifetime(404, &[], default), (ERROR_DEFAULT_TTL_SECONDS_MAX, DefaultTtl));
        assert_eq!(lifetime(503, &[], default), (0, Unstated));
        assert_eq!(lifetime(503, &[("Cache-Control", "public")], default), (ERROR_DEFAULT_TTL_SECONDS_MAX, DefaultTtl));
    }
}
