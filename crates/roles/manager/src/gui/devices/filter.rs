//! Which devices the table shows, and in which order: what its address says.

use super::row::Row;
use crate::gui::links::{Asked, link};
use std::{fmt, str::FromStr};
use weir_model::{DeviceStatus, Role};

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gui) enum Column {
    Name,
    Role,
    Status,
    Location,
    Version,
    Sessions,
    Generation,
    Address,
}

impl Column {
    /// In the order of the table.
    pub(super) const ALL: [Column; 8] = [
        Column::Name,
        Column::Role,
        Column::Status,
        Column::Location,
        Column::Version,
        Column::Sessions,
        Column::Generation,
        Column::Address,
    ];

    /// The word of the address.
    pub(super) fn word(self) -> &'static str {
        match self {
            Column::Name => "name",
            Column::Role => "role",
            Column::Status => "status",
            Column::Location => "location",
            Column::Version => "version",
            Column::Sessions => "sessions",
            Column::Generation => "generation",
            Column::Address => "address",
        }
    }

    /// Whether its cells are numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Column::Sessions | Column::Generation)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Column::Name => "Name",
            Column::Role => "Role",
            Column::Status => "Status",
            Column::Location => "Location",
            Column::Version => "Version",
            Column::Sessions => "Sessions",
            Column::Generation => "Configuration",
            Column::Address => "Address",
        })
    }
}

impl FromStr for Column {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Column::ALL.into_iter().find(|c| c.word() == word).ok_or(())
    }
}

/// What is shown.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// Every word of it is somewhere in the row.
    pub(super) text: String,
    pub(super) role: Option<Role>,
    pub(super) status: Option<DeviceStatus>,
    /// A location's name; empty for all.
    pub(super) location: String,
    pub(super) sort: Column,
    pub(super) descending: bool,
}

impl Filter {
    pub(super) fn read(asked: &Asked) -> Self {
        Self {
            text: asked.get("q").to_owned(),
            role: asked.read("role"),
            status: DeviceStatus::ALL.into_iter().find(|s| s.as_str() == asked.get("status")),
            location: asked.get("location").to_owned(),
            sort: asked.read("sort").unwrap_or(Column::Name),
            descending: asked.get("order") == "descending",
        }
    }

    /// Whether anything is left out.
    pub(super) fn narrows(&self) -> bool {
        !self.text.is_empty() || self.role.is_some() || self.status.is_some() || !self.location.is_empty()
    }

    pub(super) fn is_role(&self, role: &Role) -> bool {
        self.role.as_ref() == Some(role)
    }

    pub(super) fn is_status(&self, status: &DeviceStatus) -> bool {
        self.status.as_ref() == Some(status)
    }

    /// The rows that are shown, in their order.
    pub(super) fn apply(&self, mut rows: Vec<Row>) -> Vec<Row> {
        let text = self.text.to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        rows.retain(|row| {
            self.role.is_none_or(|r| r == row.device.role)
                && self.status.is_none_or(|s| s == row.device.status)
                && (self.location.is_empty() || self.location == row.location())
                && (words.is_empty() || holds_all(&row.text(), &words))
        });
        // Stable, and by name before: equal cells keep the order of the names.
        rows.sort_by(|a, b| if self.descending { b.compare(a, self.sort) } else { a.compare(b, self.sort) });
        rows
    }

    fn at(&self, path: &str, sort: Column, descending: bool, page: usize) -> String {
        let order = if descending { "descending" } else { "" };
        let sort = if sort == Column::Name { "" } else { sort.word() };
        let page = if page > 1 { page.to_string() } else { String::new() };
        let (role, status) = (self.role.map_or("", Role::as_str), self.status.map_or("", DeviceStatus::as_str));
        let query = [("q", self.text.as_str()), ("role", role), ("status", status), ("location", &self.location)];
        link(path, &[&query[..], &[("sort", sort), ("order", order), ("page", &page)]].concat())
    }

    /// The address of a page of this view.
    pub(super) fn page(&self, number: usize) -> String {
        self.at("/devices", self.sort, self.descending, number)
    }

    /// The same rows as CSV.
    pub(super) fn csv(&self) -> String {
        self.at("/devices.csv", self.sort, self.descending, 1)
    }

    /// The same rows by another column, or the other way round.
    pub(super) fn by(&self, column: &Column) -> String {
        self.at("/devices", *column, *column == self.sort && !self.descending, 1)
    }

    /// The same rows of one status.
    pub(super) fn of(&self, status: &DeviceStatus) -> String {
        Self { status: Some(*status), ..self.clone() }.at("/devices", self.sort, self.descending, 1)
    }

    /// `aria-sort` of a column; empty when it is not the one.
    pub(super) fn aria(&self, column: &Column) -> &'static str {
        match (*column == self.sort, self.descending) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }
}

fn holds_all(text: &str, words: &[&str]) -> bool {
    words.iter().all(|w| text.contains(w))
}
