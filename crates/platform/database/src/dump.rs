//! The canonical dump: the same text for every database that holds the same, whatever the order it was written in.
//!
//! First every table, index, view and trigger with its statement, white space evened out, by kind and name; then the
//! counters of the tables that never use an id again; then every row of every table in the order of its columns. Left out are
//! the ledger, which says how the database came to be, attic tables, which no build reads, and SQLite's own tables.

use crate::{ledger::LEDGER, shape};
use rusqlite::{Connection, types::ValueRef};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write};

/// How the name of an attic table begins; the step's id, `_` and the table's name follow.
const ATTIC: &str = "attic_";

/// What an attic table is for: the step that parks and the table whose rows they are.
pub(crate) fn attic_of(table: &str) -> Option<(u32, &str)> {
    let (step, of) = table.strip_prefix(ATTIC)?.split_once('_')?;
    Some((step.parse().ok()?, of))
}

/// The canonical dump of a database, as text: for tests and for an operator who compares two.
///
/// # Errors
/// What SQLite says; the database is not changed.
pub fn dump(connection: &Connection) -> rusqlite::Result<String> {
    let mut text = String::new();
    write_dump(connection, &mut |line| text.push_str(line))?;
    Ok(text)
}

/// SHA-256 of the canonical dump, in hex; it takes no more memory than one row.
///
/// # Errors
/// As [`dump`].
pub fn dump_sha256(connection: &Connection) -> rusqlite::Result<String> {
    let mut digest = Sha256::new();
    write_dump(connection, &mut |line| digest.update(line))?;
    Ok(hex::encode(digest.finalize()))
}

fn write_dump(connection: &Connection, sink: &mut dyn FnMut(&str)) -> rusqlite::Result<()> {
    for (key, object) in shape::objects(connection)?.iter().filter(|(_, object)| is_dumped(&object.table)) {
        sink(&shape::line(key, object));
    }
    for (table, last) in counters(connection)? {
        sink(&format!("counter {table}: {last}\n"));
    }
    for (table, columns) in tables(connection)?.iter().filter(|(table, _)| is_dumped(table)) {
        write_rows(connection, table, columns, sink)?;
    }
    Ok(())
}

pub(crate) fn is_dumped(table: &str) -> bool {
    table != LEDGER && attic_of(table).is_none()
}

/// Every table but the ledger and SQLite's own, with its columns in their order.
pub(crate) fn tables(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<String>>> {
    let sql = "SELECT t.name, c.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
        WHERE t.type = 'table' AND substr(t.name, 1, 7) <> 'sqlite_' AND t.name <> ?1 ORDER BY t.name, c.cid";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([LEDGER])?;
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    while let Some(row) = rows.next()? {
        tables.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(tables)
}

/// The last id given out by each table that never uses one again.
pub(crate) fn counters(connection: &Connection) -> rusqlite::Result<BTreeMap<String, i64>> {
    let there: bool =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence')", [], |row| row.get(0))?;
    if !there {
        return Ok(BTreeMap::new());
    }
    let mut statement = connection.prepare("SELECT name, seq FROM sqlite_sequence")?;
    let all: BTreeMap<String, i64> = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|(table, _)| is_dumped(table)).collect())
}

/// Digest of a table's rows as far as `columns` go.
pub(crate) fn rows_digest(connection: &Connection, table: &str, columns: &[String]) -> rusqlite::Result<[u8; 32]> {
    let mut digest = Sha256::new();
    write_rows(connection, table, columns, &mut |line| digest.update(line))?;
    Ok(digest.finalize().into())
}

fn write_rows(connection: &Connection, table: &str, columns: &[String], sink: &mut dyn FnMut(&str)) -> rusqlite::Result<()> {
    let quoted: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
    let ordered: Vec<_> = quoted.iter().map(|column| format!("{column} COLLATE BINARY")).collect();
    let sql = format!("SELECT {} FROM {} ORDER BY {}", quoted.join(", "), self::quoted(table), ordered.join(", "));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut line = String::new();
    while let Some(row) = rows.next()? {
        line.clear();
        line.push_str(table);
        for index in 0..columns.len() {
            line.push('\t');
            write_value(&mut line, row.get_ref(index)?);
        }
        line.push('\n');
        sink(&line);
    }
    Ok(())
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn write_value(line: &mut String, value: ValueRef<'_>) {
    let written = match value {
        ValueRef::Null => write!(line, "null"),
        ValueRef::Integer(number) => write!(line, "{number}"),
        // The bits: two numbers that print alike are not the same.
        ValueRef::Real(number) => write!(line, "real {:016x}", number.to_bits()),
        ValueRef::Blob(bytes) => write!(line, "blob {}", hex::encode(bytes)),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => write!(line, "'{}'", escaped(text)),
            Err(_) => write!(line, "text {}", hex::encode(bytes)),
        },
    };
    written.expect("a string takes what it is given");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> String {
        let connection = Connection::open_in_memory().expect("opens");
        connection.execute_batch(sql).expect("runs");
        let text = dump(&connection).expect("dumps");
        assert_eq!(dump_sha256(&connection).expect("dumps"), hex::encode(Sha256::digest(&text)));
        text
    }

    #[test]
    fn the_order_of_writing_does_not_matter_and_everything_else_does() {
        let made = "CREATE TABLE b (id INTEGER PRIMARY KEY AUTOINCREMENT, x ANY) STRICT; CREATE TABLE a (y TEXT) STRICT;";
        let same = of(&format!("{made} INSERT INTO b VALUES (2, 'two'), (1, x'00'); INSERT INTO a VALUES ('q')"));
        let other_order = "CREATE TABLE a (y  TEXT ) STRICT; CREATE TABLE b (id INTEGER PRIMARY KEY AUTOINCREMENT,\n x ANY) STRICT;";
        assert_eq!(same, of(&format!("{other_order} INSERT INTO a VALUES ('q'); INSERT INTO b VALUES (1, x'00'), (2, 'two')")));
        let differing = [
            "INSERT INTO b VALUES (2, 'two'), (1, '00'); INSERT INTO a VALUES ('q')",
            "INSERT INTO b VALUES (2, 'two'), (1, x'00'); INSERT INTO a VALUES ('q'), ('q')",
            "INSERT INTO b VALUES (2, 'two'), (1, x'00'), (3, 0); DELETE FROM b WHERE id = 3; INSERT INTO a VALUES ('q')",
            "INSERT INTO b VALUES (2, 'two'), (1, x'00'); INSERT INTO a VALUES ('q'); CREATE INDEX a_y ON a (y)",
        ];
        for sql in differing {
            assert_ne!(same, of(&format!("{made} {sql}")), "{sql}");
        }
        assert_ne!(
            of("CREATE TABLE a (y TEXT, z ANY) STRICT; INSERT INTO a VALUES ('1', 1)"),
            of("CREATE TABLE a (y TEXT, z ANY) STRICT; INSERT INTO a VALUES ('1', '1')")
        );
    }

    #[test]
    fn ledger_and_attic_are_left_out() {
        let plain = of("CREATE TABLE a (y TEXT) STRICT");
        let extra = "CREATE TABLE a (y TEXT) STRICT; CREATE TABLE schema_ledger (id INTEGER); CREATE TABLE attic_7_a (y TEXT); INSERT INTO attic_7_a VALUES ('x');";
        assert_eq!(plain, of(extra));
        assert_eq!(attic_of("attic_12_delivery_service"), Some((12, "delivery_service")));
        assert_eq!((attic_of("attic_x_a"), attic_of("attic"), attic_of("a")), (None, None, None));
    }
}
