//! The shape of a schema: its objects, the statement of each, and the parts a table's statement is made of.

use crate::{dump::attic_of, ledger::LEDGER};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How SQLite calls a table among the kinds of objects.
pub(crate) const TABLE: &str = "table";

/// A table, index, view or trigger.
pub(crate) struct Object {
    /// The table it is or belongs to; of a view, the view.
    pub(crate) table: String,
    /// Its statement, evened.
    pub(crate) statement: String,
}

/// Objects by kind and name.
pub(crate) type Objects = BTreeMap<(String, String), Object>;

/// Every object but the ledger and SQLite's own.
pub(crate) fn objects(connection: &Connection) -> rusqlite::Result<Objects> {
    let mut statement = connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE substr(name, 1, 7) <> 'sqlite_' AND tbl_name <> ?1")?;
    let rows = statement.query_map([LEDGER], |row| {
        let (kind, name, table, sql): (String, String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let statement = if kind == TABLE { plainly_named(evened(&sql), &name) } else { evened(&sql) };
        Ok(((kind, name), Object { table, statement }))
    })?;
    rows.collect()
}

/// SHA-256 of the lines of the canonical dump that say the schema, in hex. It is in ledgers, so what goes into it never changes.
pub(crate) fn schema_sha256(connection: &Connection) -> rusqlite::Result<String> {
    let mut digest = Sha256::new();
    for (key, object) in objects(connection)?.iter().filter(|(_, object)| attic_of(&object.table).is_none()) {
        digest.update(line(key, object));
    }
    Ok(hex::encode(digest.finalize()))
}

/// What the canonical dump says of an object.
pub(crate) fn line((kind, name): &(String, String), object: &Object) -> String {
    format!("{kind} {name}: {}\n", object.statement)
}

/// A table that was given its name afterwards has it in quotes.
fn plainly_named(statement: String, name: &str) -> String {
    match statement.strip_prefix(&format!("CREATE TABLE \"{name}\"")) {
        Some(rest) => format!("CREATE TABLE {name}{rest}"),
        None => statement,
    }
}

/// Whether a table's statement is another one's with nothing but columns that `is_added` knows between its parts.
pub(crate) fn is_grown(from: &str, to: &str, is_added: impl Fn(&str) -> bool) -> bool {
    let ((old, old_end), (new, new_end)) = (parts(from), parts(to));
    let mut kept = old.iter().peekable();
    for part in &new {
        if kept.next_if_eq(&part).is_none() && !is_added(column_of(part)) {
            return false;
        }
    }
    kept.peek().is_none() && old_end == new_end
}

/// The columns and constraints between the outer parentheses of an evened statement, and what comes after them.
fn parts(statement: &str) -> (Vec<&str>, &str) {
    let (mut parts, mut begin, mut depth, mut quote) = (Vec::new(), 0, 0_u32, None);
    for (at, c) in statement.char_indices() {
        match (quote, c) {
            (Some(open), _) => quote = (c != open).then_some(open),
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => {
                depth += 1;
                if depth == 1 {
                    begin = at + 1;
                }
            }
            (None, ',') if depth == 1 => {
                parts.push(&statement[begin..at]);
                begin = at + 1;
            }
            (None, ')') if depth == 1 => {
                parts.push(&statement[begin..at]);
                return (parts, &statement[at + 1..]);
            }
            (None, ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    (parts, "")
}

/// The name a part begins with.
fn column_of(part: &str) -> &str {
    match part.strip_prefix('"') {
        Some(rest) => rest.split('"').next().unwrap_or(rest),
        None => part.split([' ', '(']).next().unwrap_or(part),
    }
}

/// A statement with its white space evened out: taking a column away again leaves other blanks than there were before.
fn evened(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut quote = None;
    let mut blank = false;
    for c in sql.chars() {
        match quote {
            Some(open) => {
                out.push(c);
                quote = (c != open).then_some(open);
            }
            None if c.is_ascii_whitespace() => blank = true,
            None => {
                let joins = |c: char| matches!(c, '(' | ')' | ',');
                if blank && !joins(c) && !out.ends_with(joins) {
                    out.push(' ');
                }
                blank = false;
                out.push(c);
                quote = matches!(c, '\'' | '"' | '`').then_some(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_inside_quotes_stay() {
        assert_eq!(evened("CREATE  TABLE a ( x TEXT CHECK (x <> '  ') ,\n y)"), "CREATE TABLE a(x TEXT CHECK(x <> '  '),y)");
    }

    #[test]
    fn a_table_grows_by_columns_alone() {
        let old = "CREATE TABLE a(x TEXT CHECK(x IN('(',',')),y INTEGER,CHECK(y > 0))STRICT";
        let grown = |new: &str| is_grown(old, new, |column| column == "z" || column == "z z");
        for new in [
            old,
            "CREATE TABLE a(x TEXT CHECK(x IN('(',',')),y INTEGER,z TEXT,CHECK(y > 0))STRICT",
            "CREATE TABLE a(x TEXT CHECK(x IN('(',',')),y INTEGER,\"z z\" ANY,z CHECK(z > 0),CHECK(y > 0))STRICT",
        ] {
            assert!(grown(new), "{new}");
        }
        for new in [
            "CREATE TABLE a(x TEXT CHECK(x IN('(',',')),y INTEGER)STRICT",
            "CREATE TABLE a(x TEXT,y INTEGER,CHECK(y > 0))STRICT",
            "CREATE TABLE a(x TEXT CHECK(x IN('(',',')),y INTEGER NOT NULL,CHECK(y > 0))STRICT",
            "CREATE TABLE a(x TEXT CHECK(x IN('(',',')),y INTEGER,CHECK(y > 0),UNIQUE(x))STRICT",
            "CREATE TABLE a(x TEXT CHECK(x IN('(',',')),y INTEGER,CHECK(y > 0))",
            "CREATE TABLE a(x TEXT CHECK(x IN('(',',')),y INTEGER,w TEXT,CHECK(y > 0))STRICT",
        ] {
            assert!(!grown(new), "{new}");
        }
    }
}
