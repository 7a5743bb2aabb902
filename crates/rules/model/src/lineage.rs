//! Which lines of the product are one step apart, and the way from one version to another.
//!
//! The lineage is signed with the release metadata: the released lines and, for each `X.0`, its *bridges*, the lines of
//! major X-1 one step away from it. Where none are stated the bridge is the last minor of X-1 that was released when X.0
//! was; a later minor of X-1 becomes a bridge only when a later lineage says so. Maintenance, letter and build never count.

use crate::{Line, Version};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Most lines in one lineage: at four lines a year this is 64 years.
pub const LINES_MAX: usize = 256;

/// The released lines and their bridges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Lineage {
    lines: BTreeSet<Line>,
    /// By `X.0`; every released `X.0` whose major X-1 was released has an entry.
    bridges: BTreeMap<Line, BTreeSet<Line>>,
}

/// A lineage as it is written.
#[derive(Clone, Serialize, Deserialize)]
struct Written {
    lines: BTreeSet<Line>,
    #[serde(default)]
    bridges: BTreeMap<Line, BTreeSet<Line>>,
}

/// How far apart two lines are, for two devices that meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skew {
    /// The same line.
    Same,
    /// One minor, or one major across a bridge.
    OneStep,
    /// One major without a bridge: serves if the keepalive ranges overlap, is alarmed, is never a step of a plan.
    Unproven,
    /// Anything further: speaks rescue only, and is never sent a client.
    Quarantined,
}

/// Why a lineage may not be acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineageError {
    /// More than [`LINES_MAX`].
    #[error("a lineage has at most {LINES_MAX} lines")]
    TooManyLines,
    /// Bridges of a line that is not the first of its major.
    #[error("line {0} is not the first of its major and has no bridges")]
    NotFirst(Line),
    /// A bridge that is not of the major before.
    #[error("line {from} is not of the major before {to} and cannot be its bridge")]
    NotBefore {
        /// The line bridged to.
        to: Line,
        /// The alleged bridge.
        from: Line,
    },
    /// A line that is spoken of but not listed.
    #[error("line {0} is not in the lineage")]
    Unlisted(Line),
}

impl Skew {
    /// The word on pages, in JSON and in alarms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::OneStep => "one_step",
            Self::Unproven => "unproven",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Lineage {
    /// The released lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        self.lines.iter().copied()
    }

    /// Whether `line` was released.
    pub fn contains(&self, line: Line) -> bool {
        self.lines.contains(&line)
    }

    /// The lines of major X-1 one step from `X.0`.
    pub fn bridges(&self, first: Line) -> impl Iterator<Item = Line> + '_ {
        self.bridges.get(&first).into_iter().flatten().copied()
    }

    /// Takes a released line in. `bridges` replaces what an `X.0` has; without it a new `X.0` gets the last minor of X-1
    /// released so far, and one that is known keeps what it has.
    ///
    /// # Errors
    /// [`LineageError`]; the lineage is unchanged.
    pub fn release(&mut self, line: Line, bridges: Option<&BTreeSet<Line>>) -> Result<(), LineageError> {
        let mut written = Written::from(self.clone());
        written.lines.insert(line);
        if let Some(bridges) = bridges {
            written.bridges.insert(line, bridges.clone());
        }
        *self = Self::try_from(written)?;
        Ok(())
    }

    /// 0 for the same line, 1 for lines one step apart, otherwise none: steps are never summed. The order of the two
    /// does not matter.
    pub fn step(&self, a: Line, b: Line) -> Option<u8> {
        let (low, high) = (a.min(b), a.max(b));
        let minor = low.major == high.major && low.minor.checked_add(1) == Some(high.minor);
        let bridged = || self.bridges.get(&high).is_some_and(|from| from.contains(&low));
        match low == high {
            true => Some(0),
            false if minor || bridged() => Some(1),
            false => None,
        }
    }

    /// How two devices on these lines stand to each other.
    pub fn skew(&self, a: Line, b: Line) -> Skew {
        match self.step(a, b) {
            Some(0) => Skew::Same,
            Some(_) => Skew::OneStep,
            None if a.major.abs_diff(b.major) == 1 => Skew::Unproven,
            None => Skew::Quarantined,
        }
    }

    /// Whether devices on these versions work together. Reflexive and symmetric, not transitive.
    pub fn compat(&self, v: Version, w: Version) -> bool {
        self.step(v.line, w.line).is_some()
    }

    /// Whether every pair of these versions is compatible; otherwise a pair that is not.
    ///
    /// # Errors
    /// The lowest version that has an incompatible one, and the highest such.
    pub fn fleet_ok(&self, versions: impl IntoIterator<Item = Version>) -> Result<(), (Version, Version)> {
        // One version of each line stands for all of it.
        let of_line: BTreeMap<Line, Version> = versions.into_iter().map(|version| (version.line, version)).collect();
        for (low, version) in &of_line {
            if let Some((_, other)) = of_line.iter().rev().find(|(high, _)| self.step(*low, **high).is_none()) {
                return Err((*version, *other));
            }
        }
        Ok(())
    }

    /// The shortest chain of released lines from one to the other, both included, whose hops are each one step and none of
    /// which leads away from the end. Either end may be unlisted; `None` when there is no chain.
    pub fn path(&self, from: Line, to: Line) -> Option<Vec<Line>> {
        if from > to {
            let mut chain = self.path(to, from)?;
            chain.reverse();
            return Some(chain);
        }
        let mut chain = vec![from];
        let mut at = from;
        while at != to {
            // The first bridge met is the shortest way: every chain passes X+1.0, and is the same from there.
            let over = Line { major: at.major.checked_add(1)?, minor: 0 };
            let next = match at.major < to.major && self.step(at, over) == Some(1) {
                true => over,
                false => Line { minor: at.minor.checked_add(1)?, ..at },
            };
            if next > to || (next != to && !self.contains(next)) {
                return None;
            }
            chain.push(next);
            at = next;
        }
        Some(chain)
    }

    /// The line after `from` on the way to `to`; `None` when no released lines lead there, or it is there.
    pub fn next_towards(&self, from: Line, to: Line) -> Option<Line> {
        self.path(from, to)?.get(1).copied()
    }

    /// The versions a device on `from` runs one after the other until it runs `to`: the highest released one of each line
    /// on the way, and `to`. `None` when there is no path or a line on it has no released version.
    pub fn stops(&self, from: Version, to: Version, released: &BTreeSet<Version>) -> Option<Vec<Version>> {
        let path = self.path(from.line, to.line)?;
        let highest = |line: Line| released.iter().rev().copied().find(|version| version.line == line);
        let between = path.get(1..path.len().saturating_sub(1)).unwrap_or_default();
        let mut stops = between.iter().map(|line| highest(*line)).collect::<Option<Vec<_>>>()?;
        if from != to {
            stops.push(to);
        }
        Some(stops)
    }
}

impl From<Lineage> for Written {
    fn from(lineage: Lineage) -> Self {
        Self { lines: lineage.lines, bridges: lineage.bridges }
    }
}

impl TryFrom<Written> for Lineage {
    type Error = LineageError;

    fn try_from(written: Written) -> Result<Self, LineageError> {
        let Written { lines, mut bridges } = written;
        if lines.len() > LINES_MAX {
            return Err(LineageError::TooManyLines);
        }
        for (&to, from) in &bridges {
            if to.minor != 0 {
                return Err(LineageError::NotFirst(to));
            }
            if let Some(&line) = [&to].into_iter().chain(from).find(|line| !lines.contains(line)) {
                return Err(LineageError::Unlisted(line));
            }
            if let Some(&from) = from.iter().find(|from| from.major.checked_add(1) != Some(to.major)) {
                return Err(LineageError::NotBefore { to, from });
            }
        }
        for &first in lines.iter().filter(|line| line.minor == 0) {
            if let Some(last) = lines.iter().rev().find(|line| line.major.checked_add(1) == Some(first.major)) {
                bridges.entry(first).or_insert_with(|| BTreeSet::from([*last]));
            }
        }
        Ok(Self { lines, bridges })
    }
}

#[cfg(test)]
mod tests;
