//! The columns of the table of software files.

use super::shown::Listed;
use crate::gui::{
    figures::version_key,
    links::link,
    order::{Columns, Order},
};
use std::{cmp::Ordering, fmt};

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Number,
    Source,
    Version,
    State,
    Method,
    Size,
    Validated,
    Comment,
}

impl Columns for Column {
    const ALL: &'static [Column] =
        &[Column::Number, Column::Source, Column::Version, Column::State, Column::Method, Column::Size, Column::Validated, Column::Comment];

    fn word(self) -> &'static str {
        match self {
            Column::Number => "number",
            Column::Source => "source",
            Column::Version => "version",
            Column::State => "state",
            Column::Method => "method",
            Column::Size => "size",
            Column::Validated => "validated",
            Column::Comment => "comment",
        }
    }
}

impl Column {
    /// Whether its cells are numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Column::Number | Column::Size)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Column::Number => "No.",
            Column::Source => "Source",
            Column::Version => "Version",
            Column::State => "State",
            Column::Method => "Method",
            Column::Size => "Size",
            Column::Validated => "Validated",
            Column::Comment => "Comment",
        })
    }
}

/// The rows in their order; those with equal cells by number.
pub(super) fn sorted(order: Order<Column>, mut files: Vec<Listed>) -> Vec<Listed> {
    files.sort_by_key(|f| f.file.id);
    order.sort(&mut files, compare);
    files
}

/// The address of the list in this order.
pub(super) fn address(order: Order<Column>) -> String {
    link("/software-files", &order.query())
}

impl Listed {
    /// What a column's cells are ordered by, in a browser.
    pub(super) fn key(&self, column: &Column) -> String {
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let key = match column {
            Column::Number => self.file.id.to_string(),
            Column::Source => self.name().to_owned(),
            Column::Version => self.version().map(version_key).unwrap_or_default(),
            Column::State => format!("{} {}", self.file.state as u8, self.file.state),
            Column::Method => self.method().to_owned(),
            Column::Size => number(self.bytes()),
            Column::Validated => number(self.file.validated_ms),
            Column::Comment => self.file.comment.to_lowercase(),
        };
        // `|` stands between the keys of a row.
        key.replace('|', " ")
    }
}

/// What is not known comes last.
fn compare(a: &Listed, b: &Listed, column: Column) -> Ordering {
    fn known<T: Ord>(a: Option<T>, b: Option<T>) -> Ordering {
        a.is_none().cmp(&b.is_none()).then_with(|| a.cmp(&b))
    }
    match column {
        Column::Number => a.file.id.cmp(&b.file.id),
        Column::Source => a.name().cmp(b.name()),
        Column::Version => known(a.version(), b.version()),
        Column::State => a.file.state.cmp(&b.file.state),
        Column::Method => a.file.method.as_str().cmp(b.file.method.as_str()),
        Column::Size => known(a.bytes(), b.bytes()),
        Column::Validated => known(a.file.validated_ms, b.file.validated_ms),
        Column::Comment => {
            let comment = |l: &Listed| Some(l.file.comment.to_lowercase()).filter(|c| !c.is_empty());
            known(comment(a), comment(b))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::software_files::shown::tests::file;

    #[test]
    fn rows_come_in_the_order_that_is_asked_for() {
        let rows = || {
            let mut files = vec![file(1), file(2), file(3)];
            files[0].version = Some("1.10.0-b1".parse().expect("version"));
            files[1].version = Some("1.9.0-b12".parse().expect("version"));
            files[2].version = None;
            files[1].comment = "Newer".into();
            files.into_iter().map(Listed::new).collect::<Vec<_>>()
        };
        for (sort, descending, expected) in [
            (Column::Number, true, [3, 2, 1]),
            (Column::Version, false, [2, 1, 3]),
            (Column::Comment, false, [2, 1, 3]),
            (Column::State, false, [1, 2, 3]),
        ] {
            let ids: Vec<_> = sorted(Order::new(sort, descending), rows()).iter().map(|l| l.file.id).collect();
            assert_eq!(ids, expected, "{sort} {descending}");
        }
    }

    #[test]
    fn an_address_leads_the_other_way_round() {
        let order = Order::new(Column::Version, false);
        assert_eq!(address(order), "/software-files?sort=version");
        assert_eq!(address(order.by(&Column::Version)), "/software-files?sort=version&order=descending");
        assert_eq!((address(order.by(&Column::Number)).as_str(), order.aria(&Column::Version)), ("/software-files", "ascending"));
    }
}
