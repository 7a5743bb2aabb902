//! The order of a table, as its address asks for it: `sort` names a column, `order=descending` turns it round.

use super::links::Asked;
use std::cmp::Ordering;

/// The columns of a table.
pub(super) trait Columns: Copy + Eq + 'static {
    /// In the order of the table; the first is what it is ordered by when nobody asks for another one.
    const ALL: &'static [Self];

    /// The word of the address.
    fn word(self) -> &'static str;
}

/// How a table is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order<C> {
    sort: C,
    descending: bool,
}

impl<C: Columns> Order<C> {
    pub(super) fn new(sort: C, descending: bool) -> Self {
        Self { sort, descending }
    }

    pub(super) fn read(asked: &Asked) -> Self {
        let named = C::ALL.iter().copied().find(|column| column.word() == asked.get("sort"));
        Self::new(named.unwrap_or(C::ALL[0]), asked.get("order") == "descending")
    }

    /// Puts rows into this order; equal ones keep theirs.
    pub(super) fn sort<T>(self, rows: &mut [T], compare: impl Fn(&T, &T, C) -> Ordering) {
        rows.sort_by(|a, b| if self.descending { compare(b, a, self.sort) } else { compare(a, b, self.sort) });
    }

    /// What it adds to a table's address.
    pub(super) fn query(self) -> [(&'static str, &'static str); 2] {
        let sort = if self.sort == C::ALL[0] { "" } else { self.sort.word() };
        [("sort", sort), ("order", if self.descending { "descending" } else { "" })]
    }

    /// The order by another column, or the other way round.
    pub(super) fn by(self, column: &C) -> Self {
        Self::new(*column, *column == self.sort && !self.descending)
    }

    /// `aria-sort` of a column; empty when it is not the one.
    pub(super) fn aria(self, column: &C) -> &'static str {
        match (*column == self.sort, self.descending) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }
}
