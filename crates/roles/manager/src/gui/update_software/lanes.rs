//! The columns of the table of lanes.

use super::Lane;
use crate::gui::{
    figures::version_key,
    order::{Columns, Order},
};
use std::{cmp::Ordering, fmt};
use weir_model::Version;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Device,
    Location,
    Version,
    Status,
    Sessions,
}

impl Columns for Column {
    const ALL: &'static [Column] = &[Column::Device, Column::Location, Column::Version, Column::Status, Column::Sessions];

    fn word(self) -> &'static str {
        match self {
            Column::Device => "device",
            Column::Location => "location",
            Column::Version => "version",
            Column::Status => "status",
            Column::Sessions => "sessions",
        }
    }
}

impl Column {
    /// Whether its cells are numbers.
    pub(super) fn is_number(self) -> bool {
        self == Column::Sessions
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Column::Device => "Device",
            Column::Location => "Location",
            Column::Version => "Version",
            Column::Status => "Where it is",
            Column::Sessions => "Sessions",
        })
    }
}

/// The lanes in their order; those with equal cells by name.
pub(super) fn sorted(order: Order<Column>, mut lanes: Vec<Lane>) -> Vec<Lane> {
    lanes.sort_by(|a, b| a.update.device.cmp(&b.update.device));
    order.sort(&mut lanes, compare);
    lanes
}

impl Lane {
    /// The version it was assigned, else the one it runs.
    fn version(&self) -> Option<Version> {
        self.assigned().map(|assigned| assigned.version).or_else(|| self.running())
    }

    /// What a column's cells are ordered by, in a browser.
    pub(super) fn key(&self, column: &Column) -> String {
        match column {
            Column::Device => self.update.device.to_string(),
            Column::Location => self.location().to_owned(),
            Column::Version => self.version().map(version_key).unwrap_or_default(),
            Column::Status => format!("s{:020}", self.rank()),
            Column::Sessions => self.update.sessions.to_string(),
        }
    }
}

/// What is not known comes last.
fn compare(a: &Lane, b: &Lane, column: Column) -> Ordering {
    let words = |own: &str, theirs: &str| own.is_empty().cmp(&theirs.is_empty()).then_with(|| own.cmp(theirs));
    match column {
        Column::Device => a.update.device.cmp(&b.update.device),
        Column::Location => words(a.location(), b.location()),
        Column::Version => a.version().is_none().cmp(&b.version().is_none()).then_with(|| a.version().cmp(&b.version())),
        Column::Status => a.rank().cmp(&b.rank()),
        Column::Sessions => a.update.sessions.cmp(&b.update.sessions),
    }
}
