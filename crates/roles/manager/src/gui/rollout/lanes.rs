//! The table of lanes: which of them, in which order, which page.

use super::lane::{Group, Lane};
use crate::gui::{
    figures::version_key,
    links::{Asked, link},
    order::{Columns, Order},
};
use std::{cmp::Ordering, fmt};
use weir_operator_api::Rollout;

/// Lanes of one page of the table. A table that fits on one page is sorted in the browser as well.
const PAGE_ROWS: usize = 200;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Device,
    Role,
    Location,
    Wave,
    Running,
    Told,
    Status,
    Sessions,
}

impl Columns for Column {
    const ALL: &'static [Column] =
        &[Column::Device, Column::Role, Column::Location, Column::Wave, Column::Running, Column::Told, Column::Status, Column::Sessions];

    fn word(self) -> &'static str {
        match self {
            Column::Device => "device",
            Column::Role => "role",
            Column::Location => "location",
            Column::Wave => "wave",
            Column::Running => "running",
            Column::Told => "told",
            Column::Status => "status",
            Column::Sessions => "sessions",
        }
    }
}

impl Column {
    pub(super) fn all() -> &'static [Column] {
        Self::ALL
    }

    /// Whether its cells are numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Column::Wave | Column::Sessions)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Column::Device => "Device",
            Column::Role => "Role",
            Column::Location => "Location",
            Column::Wave => "Wave",
            Column::Running => "Runs",
            Column::Told => "Told",
            Column::Status => "Where it is, and why it does not move",
            Column::Sessions => "Sessions",
        })
    }
}

/// Which lanes are shown, as the address says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) order: Order<Column>,
    /// Only these; nothing: all.
    pub(super) group: Option<Group>,
    /// From 1.
    pub(super) page: usize,
}

impl View {
    pub(super) fn read(asked: &Asked) -> Self {
        let group = Group::ALL.into_iter().find(|group| group.word() == asked.get("show"));
        Self { order: Order::read(asked), group, page: asked.read("page").unwrap_or(1) }
    }

    /// A path below which this view is kept.
    pub(super) fn at(&self, path: &str) -> String {
        let page = if self.page > 1 { self.page.to_string() } else { String::new() };
        let show = self.group.map_or("", Group::word);
        link(path, &[&[("show", show)], &self.order.query()[..], &[("page", &page)]].concat())
    }

    /// Where a column's heading leads.
    pub(super) fn by(&self, column: &Column) -> String {
        Self { order: self.order.by(column), page: 1, ..*self }.at(super::PATH)
    }

    /// The same of one group only.
    pub(super) fn of(&self, group: &Group) -> String {
        Self { group: Some(*group), page: 1, ..*self }.at(super::PATH)
    }

    /// The same of all.
    pub(super) fn of_all(&self) -> String {
        Self { group: None, page: 1, ..*self }.at(super::PATH)
    }

    /// Another page of it.
    pub(super) fn turned(&self, page: usize) -> String {
        Self { page, ..*self }.at(super::PATH)
    }

    pub(super) fn is_of(&self, group: &Group) -> bool {
        self.group.as_ref() == Some(group)
    }
}

/// The lanes of a page.
pub(super) struct Lanes {
    pub(super) view: View,
    pub(super) rows: Vec<Lane>,
    /// Lanes there are.
    pub(super) total: usize,
    /// Those in the view, on all pages.
    pub(super) matching: usize,
    pub(super) pages: usize,
    /// The groups that are not empty.
    pub(super) counts: Vec<(Group, usize)>,
}

impl Lanes {
    /// Those of this rollout that the view shows; its page is one there is.
    pub(super) fn of(rollout: Option<&Rollout>, view: View) -> Self {
        let lanes = |rollout: &Rollout| rollout.lanes.iter().map(|lane| Lane::new(lane, rollout)).collect::<Vec<_>>();
        let mut rows = rollout.map(lanes).unwrap_or_default();
        let total = rows.len();
        let counted = |group: Group| (group, rows.iter().filter(|lane| lane.group() == group).count());
        let counts = Group::ALL.map(counted).into_iter().filter(|(_, count)| *count > 0).collect();
        rows.retain(|lane| view.group.is_none_or(|group| lane.group() == group));
        rows.sort_by(|a, b| a.lane.device.cmp(&b.lane.device));
        view.order.sort(&mut rows, compare);
        let (matching, pages) = (rows.len(), rows.len().div_ceil(PAGE_ROWS).max(1));
        let page = view.page.clamp(1, pages);
        let rows = rows.into_iter().skip((page - 1) * PAGE_ROWS).take(PAGE_ROWS).collect();
        Self { view: View { page, ..view }, rows, total, matching, pages, counts }
    }

    /// Whether the browser holds every lane of the view.
    pub(super) fn is_whole(&self) -> bool {
        self.pages == 1
    }
}

impl Lane {
    /// What a column's cells are ordered by, in a browser.
    pub(super) fn key(&self, column: &Column) -> String {
        let lane = &self.lane;
        match column {
            Column::Device => lane.device.to_string(),
            Column::Role => lane.role.to_string(),
            Column::Location => lane.location.to_string(),
            Column::Wave => lane.wave.map(|wave| wave.to_string()).unwrap_or_default(),
            Column::Running => self.running().map(version_key).unwrap_or_default(),
            Column::Told => lane.told.map(version_key).unwrap_or_default(),
            Column::Status => format!("s{} {}", self.group() as u8, lane.stage),
            Column::Sessions => lane.sessions.to_string(),
        }
    }
}

/// What is not known comes last.
fn compare(a: &Lane, b: &Lane, column: Column) -> Ordering {
    match column {
        Column::Wave => (a.lane.wave.is_none(), a.lane.wave).cmp(&(b.lane.wave.is_none(), b.lane.wave)),
        Column::Sessions => a.lane.sessions.cmp(&b.lane.sessions),
        _ => {
            let (own, theirs) = (a.key(&column), b.key(&column));
            (own.is_empty(), own).cmp(&(theirs.is_empty(), theirs))
        }
    }
}
