//! In which order the two managers change their version: a table, because it is one rule and not a calculation.
//!
//! N is the lower and N+1 the higher of the two versions between which the pair moves.
//!
//! | direction | driver | standby | primary | next |
//! |---|---|---|---|---|
//! | up | any | N | N | standby |
//! | up | any | N+1 | N | primary |
//! | up | any | N | N+1 | standby (a promotion in the middle) |
//! | down | page | N+1 | N+1 | standby |
//! | down | page | N | N+1 | primary |
//! | down | page | N+1 | N | standby (a promotion in the middle) |
//! | down | command line | N+1 | N+1 | primary |
//! | down | command line | N+1 | N | standby |
//! | down | command line | N | N+1 | primary (a promotion or a take-over in the middle) |
//!
//! Where both are there already nothing is next; a primary without a standby goes by itself.

use serde::{Deserialize, Serialize};
use std::fmt;
use weir_model::Version;

/// Which way the network's version goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To a later version: engines and routers first, then the standby, then the primary.
    Up,
    /// To an earlier version: the managers first, then routers, then engines.
    Down,
}

impl Direction {
    /// The word of JSON and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The other one.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who takes the managers' steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// The rollout itself; it was started on a page.
    Gui,
    /// An operator at each box's command line; the rollout waits for them.
    Cli,
}

impl Driver {
    /// The word of JSON and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gui => "gui",
            Self::Cli => "cli",
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One of the two managers, by what it is now: a promotion swaps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seat {
    /// The standby manager.
    Standby,
    /// The primary manager.
    Primary,
}

impl Seat {
    /// The word of JSON and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Primary => "primary",
        }
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which of the two versions a manager runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// N, the earlier one.
    Lower,
    /// N+1, the later one.
    Higher,
}

/// Where the pair stands between the two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairAt {
    /// The standby; absent: this network has none.
    pub standby: Option<At>,
    /// The primary.
    pub primary: At,
}

impl PairAt {
    /// Whether both run the same version.
    pub fn is_matched(self) -> bool {
        self.standby.is_none_or(|standby| standby == self.primary)
    }

    /// Whether everybody is where `direction` leads.
    pub fn is_there(self, direction: Direction) -> bool {
        let end = end_of(direction);
        self.primary == end && self.standby.is_none_or(|standby| standby == end)
    }

    /// Reads it off the versions. `lower` is N, `higher` N+1.
    ///
    /// # Errors
    /// [`PairReason::OtherVersion`] with the manager that runs neither.
    pub fn of(lower: Version, higher: Version, standby: Option<Version>, primary: Version) -> Result<Self, PairRefused> {
        let at = |seat: Seat, version: Version| match version {
            version if version == higher => Ok(At::Higher),
            version if version == lower => Ok(At::Lower),
            version => Err(PairRefused {
                reason: PairReason::OtherVersion,
                next: None,
                text: format!("the {seat} runs {version}, which is neither {lower} nor {higher}"),
                step: format!("say which version the network is to run; this rollout moves between {lower} and {higher}"),
            }),
        };
        let standby = standby.map(|version| at(Seat::Standby, version)).transpose()?;
        Ok(Self { standby, primary: at(Seat::Primary, primary)? })
    }
}

/// Why a manager may not change its version now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairReason {
    /// The other manager is next.
    NotNext,
    /// The pair is there already.
    Finished,
    /// A manager runs a version that is neither of the two.
    OtherVersion,
    /// This network has no such manager.
    NoStandby,
}

/// A manager's switch that is against the order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct PairRefused {
    /// Which rule.
    pub reason: PairReason,
    /// Who is next instead, if anybody.
    pub next: Option<Seat>,
    /// What exactly, one sentence.
    pub text: String,
    /// What the operator does next, one sentence.
    pub step: String,
}

/// One row of the table.
struct Row {
    direction: Direction,
    /// Absent: any.
    driver: Option<Driver>,
    standby: At,
    primary: At,
    next: Seat,
}

/// The rows where the pair is not there yet.
const TABLE: [Row; 9] = {
    use {At::*, Direction::*, Driver::*, Seat::*};
    const fn row(direction: Direction, driver: Option<Driver>, standby: At, primary: At, next: Seat) -> Row {
        Row { direction, driver, standby, primary, next }
    }
    [
        row(Up, None, Lower, Lower, Standby),
        row(Up, None, Higher, Lower, Primary),
        row(Up, None, Lower, Higher, Standby),
        row(Down, Some(Gui), Higher, Higher, Standby),
        row(Down, Some(Gui), Lower, Higher, Primary),
        row(Down, Some(Gui), Higher, Lower, Standby),
        row(Down, Some(Cli), Higher, Higher, Primary),
        row(Down, Some(Cli), Higher, Lower, Standby),
        row(Down, Some(Cli), Lower, Higher, Primary),
    ]
};

fn end_of(direction: Direction) -> At {
    match direction {
        Direction::Up => At::Higher,
        Direction::Down => At::Lower,
    }
}

/// Who changes its version next; nobody when the pair is there.
pub fn legal_next(direction: Direction, driver: Driver, pair: PairAt) -> Option<Seat> {
    let Some(standby) = pair.standby else {
        return (pair.primary != end_of(direction)).then_some(Seat::Primary);
    };
    let driven = |row: &Row| row.driver.is_none_or(|by| by == driver);
    let found = TABLE.iter().find(|row| row.direction == direction && driven(row) && row.standby == standby && row.primary == pair.primary);
    found.map(|row| row.next)
}

/// Whether `seat` may change its version now.
///
/// # Errors
/// [`PairRefused`], with who is next.
pub fn may_switch(direction: Direction, driver: Driver, pair: PairAt, seat: Seat) -> Result<(), PairRefused> {
    let refused = |reason, next, text: String, step: String| Err(PairRefused { reason, next, text, step });
    if seat == Seat::Standby && pair.standby.is_none() {
        let step = "update the primary; without a standby the backup must be on another machine".to_owned();
        return refused(PairReason::NoStandby, Some(Seat::Primary), "this network has no standby manager".to_owned(), step);
    }
    match legal_next(direction, driver, pair) {
        Some(next) if next == seat => Ok(()),
        Some(next) => {
            let text = format!("the {seat} does not go before the {next}: {}", because(direction, driver));
            refused(PairReason::NotNext, Some(next), text, format!("switch the {next} first"))
        }
        None => {
            let text = format!("both managers are where this {direction}ward rollout leads");
            refused(PairReason::Finished, None, text, "nothing is left to switch".to_owned())
        }
    }
}

fn because(direction: Direction, driver: Driver) -> &'static str {
    match (direction, driver) {
        (Direction::Up, _) => "the pages live on the primary, so it goes last",
        (Direction::Down, Driver::Gui) => "the primary drives this downgrade, so it goes last",
        (Direction::Down, Driver::Cli) => "the standby keeps the newer database until the primary has left it",
    }
}

#[cfg(test)]
mod tests;
