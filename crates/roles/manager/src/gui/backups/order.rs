//! The columns of the table of backups.

use super::{PATH, shown::Listed};
use crate::gui::{
    links::link,
    order::{Columns, Order},
};
use std::fmt;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Made,
    Name,
    Changeset,
    Version,
    Size,
    Proof,
    Actor,
}

impl Columns for Column {
    const ALL: &'static [Column] =
        &[Column::Made, Column::Name, Column::Changeset, Column::Version, Column::Size, Column::Proof, Column::Actor];

    fn word(self) -> &'static str {
        match self {
            Column::Made => "made",
            Column::Name => "name",
            Column::Changeset => "changeset",
            Column::Version => "version",
            Column::Size => "size",
            Column::Proof => "proof",
            Column::Actor => "actor",
        }
    }
}

impl Column {
    /// Whether its cells are numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Column::Changeset | Column::Size)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Column::Made => "Made",
            Column::Name => "Name",
            Column::Changeset => "Changeset",
            Column::Version => "Version",
            Column::Size => "Size",
            Column::Proof => "Proof",
            Column::Actor => "Asked by",
        })
    }
}

/// The rows in their order; those with equal cells newest first.
pub(super) fn sorted(order: Order<Column>, mut rows: Vec<Listed>) -> Vec<Listed> {
    rows.sort_by_key(|row| std::cmp::Reverse(row.backup.at_ms));
    order.sort(&mut rows, |a, b, column| match column {
        // The newest first, unless it is turned round.
        Column::Made => b.backup.at_ms.cmp(&a.backup.at_ms),
        Column::Name => a.backup.name.cmp(&b.backup.name),
        Column::Changeset => a.backup.manifest.rev.cmp(&b.backup.manifest.rev),
        Column::Version => a.backup.manifest.version.cmp(&b.backup.manifest.version),
        Column::Size => a.backup.bytes.cmp(&b.backup.bytes),
        Column::Proof => a.proof().cmp(&b.proof()),
        Column::Actor => a.backup.actor.cmp(&b.backup.actor),
    });
    rows
}

/// The address of the list in this order.
pub(super) fn address(order: Order<Column>) -> String {
    link(PATH, &order.query())
}
