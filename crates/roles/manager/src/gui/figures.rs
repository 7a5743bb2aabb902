//! How figures are written: times, durations, bytes, counts.

use jiff::Timestamp;
use std::fmt;
use weir_model::Version;

/// A moment, milliseconds since 1970, shown relative to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    at_ms: u64,
    now_ms: u64,
}

impl Moment {
    /// The moment `at_ms` for somebody who looks now.
    pub(super) fn at(at_ms: u64) -> Self {
        Self { at_ms, now_ms: weir_clock::wall_ms() }
    }

    fn timestamp(&self) -> Timestamp {
        let millis = i64::try_from(self.at_ms).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// RFC 3339, to the second.
    pub(super) fn iso(&self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// For people who do not ask how long ago.
    pub(super) fn text(&self) -> String {
        self.timestamp().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    /// For people who do.
    pub(super) fn ago(&self) -> String {
        match self.now_ms.checked_sub(self.at_ms) {
            Some(0..1_000) => "now".to_owned(),
            Some(past) => format!("{} ago", Span(past)),
            None => format!("in {}", Span(self.at_ms - self.now_ms)),
        }
    }
}

/// A duration in milliseconds: the two largest units that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Span(millis) = *self;
        let (days, hours, minutes, seconds) = (millis / 86_400_000, millis / 3_600_000 % 24, millis / 60_000 % 60, millis / 1_000 % 60);
        match (days, hours, minutes, seconds) {
            (0, 0, 0, 0) => write!(f, "{millis} ms"),
            (0, 0, 0, s) => write!(f, "{s} s"),
            (0, 0, m, 0) => write!(f, "{m} min"),
            (0, 0, m, s) if m < 10 => write!(f, "{m} min {s} s"),
            (0, 0, m, _) => write!(f, "{m} min"),
            (0, h, 0, _) => write!(f, "{h} h"),
            (0, h, m, _) => write!(f, "{h} h {m} min"),
            (1, 0, _, _) => f.write_str("1 day"),
            (1, h, _, _) => write!(f, "1 day {h} h"),
            (d, _, _, _) => write!(f, "{d} days"),
        }
    }
}

/// A count with its thousands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                // A narrow space that does not break.
                f.write_str("\u{202f}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Bytes in decimal units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = ("B", 1_u64);
        for next in [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("PB", 1_000_000_000_000_000)] {
            if self.0 >= next.1 {
                unit = next;
            }
        }
        let (name, size) = unit;
        let (whole, tenth) = (self.0 / size, self.0 % size * 10 / size);
        if size == 1 || whole >= 100 { write!(f, "{whole} {name}") } else { write!(f, "{whole}.{tenth} {name}") }
    }
}

/// A share in thousandths, as percent.
pub(in crate::gui) fn percent(permille: &u16) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// A version as text that is in the order of versions: wide enough for every number.
pub(super) fn version_key(version: Version) -> String {
    let Version { line, maintenance, letter, build } = version;
    format!("v{:010}.{:010}.{maintenance:010}.{letter}.{build:010}", line.major, line.minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (60_000, "1 min"),
            (61_000, "1 min 1 s"),
            (659_000, "10 min"),
            (3_600_000, "1 h"),
            (5_400_000, "1 h 30 min"),
            (86_400_000, "1 day"),
            (90_000_000, "1 day 1 h"),
            (200_000_000, "2 days"),
        ] {
            assert_eq!(Span(millis).to_string(), text);
        }
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_550, "1.5 kB"), (99_900_000, "99.9 MB"), (u64::MAX, "18446 PB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        for (permille, text) in [(0, "0.0 %"), (5, "0.5 %"), (333, "33.3 %"), (1000, "100.0 %")] {
            assert_eq!(percent(&permille), text);
        }
        assert_eq!(Count(1_234_567).to_string(), "1\u{202f}234\u{202f}567");
        assert_eq!(Count(999).to_string(), "999");
    }

    #[test]
    fn moments_are_told_from_now() {
        let moment = Moment { at_ms: 1_700_000_000_000, now_ms: 1_700_000_061_000 };
        assert_eq!((moment.iso().as_str(), moment.ago().as_str()), ("2023-11-14T22:13:20Z", "1 min 1 s ago"));
        assert_eq!(moment.text(), "2023-11-14 22:13:20 UTC");
        assert_eq!(Moment { at_ms: 5_000, now_ms: 2_000 }.ago(), "in 3 s");
        assert_eq!(Moment { at_ms: 5_000, now_ms: 5_400 }.ago(), "now");
    }
}
