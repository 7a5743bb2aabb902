//! Versions: `X.Y.Z-bB`, and the line `X.Y` they belong to.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A line `X.Y`: every maintenance build of it is interchangeable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line {
    /// X.
    pub major: u32,
    /// Y.
    pub minor: u32,
}

/// One build, ordered by its parts from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// X and Y.
    pub line: Line,
    /// Z.
    pub maintenance: u32,
    /// The letter before the build number.
    pub letter: char,
    /// B.
    pub build: u32,
}

/// The version of this build, as `--version`, every HELLO, page and metric show it.
pub fn version() -> &'static str {
    #[cfg(feature = "synthetic-next")]
    return crate::next::version();
    #[cfg(not(feature = "synthetic-next"))]
    env!("CARGO_PKG_VERSION")
}

/// The text is not a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a line such as 1.0")]
pub struct LineError;

/// The text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a version such as 1.0.0-b1")]
pub struct VersionError;

fn number(text: &str) -> Result<u32, VersionError> {
    let canonical = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().map_err(|_| VersionError) } else { Err(VersionError) }
}

impl FromStr for Version {
    type Err = VersionError;

    /// Reads `X.Y.Z-bB` and `X.Y.Z.b.B`.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let mut parts = text.splitn(3, '.');
        let major = number(parts.next().ok_or(VersionError)?)?;
        let minor = number(parts.next().ok_or(VersionError)?)?;
        let rest = parts.next().ok_or(VersionError)?;
        let (maintenance, tail) = rest.split_once(['-', '.']).ok_or(VersionError)?;
        let dotted = rest.as_bytes().get(maintenance.len()) == Some(&b'.');
        let letter = tail.chars().next().filter(char::is_ascii_lowercase).ok_or(VersionError)?;
        let build = if dotted { tail[1..].strip_prefix('.').ok_or(VersionError)? } else { &tail[1..] };
        Ok(Self { line: Line { major, minor }, maintenance: number(maintenance)?, letter, build: number(build)? })
    }
}

impl FromStr for Line {
    type Err = LineError;

    /// Reads `X.Y`.
    fn from_str(text: &str) -> Result<Self, LineError> {
        let (major, minor) = text.split_once('.').ok_or(LineError)?;
        let part = |text| number(text).map_err(|_| LineError);
        Ok(Self { major: part(major)?, minor: part(minor)? })
    }
}

impl Line {
    /// The line `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}-{}{}", self.line, self.maintenance, self.letter, self.build)
    }
}
impl TryFrom<String> for Line {
    type Error = LineError;
    fn try_from(text: String) -> Result<Self, LineError> {
        text.parse()
    }
}
impl From<Line> for String {
    fn from(line: Line) -> String {
        line.to_string()
    }
}
impl TryFrom<String> for Version {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}
impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

impl Version {
    /// The version of this build.
    pub fn current() -> Self {
        version().parse().expect("the workspace version is a version; a test holds it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts() -> impl Strategy<Value = (u32, u32, u32, char, u32)> {
        (0u32..3, 0u32..3, 0u32..3, prop::char::range('a', 'c'), 0u32..3)
    }

    #[test]
    fn this_build_has_a_version() {
        assert_eq!(Version::current().to_string(), version());
    }

    #[test]
    fn order_is_by_parts() {
        let sorted = ["1.0.0-b1", "1.0.0-b2", "1.0.0-b10", "1.0.1-b1", "1.1.0-a9", "1.1.0-b1", "2.0.0-b1"];
        let parsed: Vec<Version> = sorted.iter().map(|t| t.parse().expect(t)).collect();
        assert!(parsed.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "1",
            "1.0",
            "1.0.0",
            "1.0.0-",
            "1.0.0-b",
            "1.0.0-B1",
            "01.0.0-b1",
            "1.0.0-b01",
            "1.0.0.b1",
            "1.0.0-b.1",
            "1.0.0-b1 ",
            "é.0.0-b1",
            "1.0.0-é1",
        ] {
            assert_eq!(text.parse::<Version>(), Err(VersionError), "{text:?}");
        }
    }

    #[test]
    fn lines() {
        assert_eq!("2.10".parse(), Ok(Line::new(2, 10)));
        assert_eq!(Line::new(2, 10).to_string(), "2.10");
        for text in ["", "2", "2.", ".1", "2.1.0", "02.1", "2.01", "2.-1", "2.1 ", "4294967296.0"] {
            assert_eq!(text.parse::<Line>(), Err(LineError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn order_is_total_and_lexicographic(a in parts(), b in parts()) {
            let version = |(x, y, z, letter, build)| Version { line: Line::new(x, y), maintenance: z, letter, build };
            prop_assert_eq!(version(a).cmp(&version(b)), a.cmp(&b));
        }
        #[test]
        fn both_forms_read_the_same(x in 0u32..99, y in 0u32..99, z in 0u32..99, b in 0u32..9999) {
            let dashed: Version = format!("{x}.{y}.{z}-b{b}").parse().expect("dashed");
            let dotted: Version = format!("{x}.{y}.{z}.b.{b}").parse().expect("dotted");
            prop_assert_eq!(dashed, dotted);
            prop_assert_eq!(dashed.to_string().parse::<Version>().expect("own output"), dashed);
        }
        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            let _ = text.parse::<Version>();
        }
    }
}
