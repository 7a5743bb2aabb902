//! Down gives what was there, and up again what down parked: over every table of both databases, with rows in each.
//!
//! One more step than there are goes along, because line 1.0 has no way back yet: it adds a column to every table there is, and a
//! table of its own.

use super::*;
use rusqlite::Connection;
use std::path::Path;
use weir_database::{Database, downgrade, dump};

/// An id no step has.
const EXTRA: u32 = 9000;

#[test]
fn each_way_back_of_config_db() {
    there_and_back(CONFIG, include_str!("config-rows.sql"));
}

#[test]
fn each_way_back_of_state_db() {
    there_and_back(STATE, include_str!("state-rows.sql"));
}

fn there_and_back(steps: &[Migration], rows: &str) {
    let oldest: Vec<_> = steps.iter().filter(|step| step.down_sql.is_none()).copied().collect();
    let oldest_id = oldest.last().expect("a first step").id;
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("a.db");
    drop(Database::open(&path, &oldest, 1, "1.0.0-b1").expect("the oldest opens"));
    let opened = || Connection::open(&path).expect("opens");
    opened().execute_batch(rows).expect("rows");
    let tables = columns(&opened());
    assert!(tables.len() > 6, "{tables:?}");
    for table in tables.keys() {
        let count: i64 = opened().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("counts");
        assert!(count > 0, "{table} needs rows in this test");
    }
    let all: Vec<_> = steps.iter().copied().chain([extra(&opened())]).collect();
    assert_eq!(only_adds(EXTRA, all.last().expect("it is there").up_sql), Ok(()));
    let dumped = || dump(&opened()).expect("dumps");
    let old = dumped();
    drop(Database::open(&path, &all, 2, "1.0.0-b1").expect("goes up"));
    fill(&path, &tables);
    let new = dumped();
    for table in tables.keys() {
        assert!(new.lines().any(|line| line.starts_with(&format!("{table}\t")) && line.contains("'said'")), "{table}: {new}");
    }
    let undone: Vec<u32> = all.iter().rev().map(|step| step.id).filter(|id| *id > oldest_id).collect();
    assert!(downgrade(&path, oldest_id).expect("goes back").undone.iter().map(|step| step.id).eq(undone));
    assert_eq!(dumped(), old);
    drop(Database::open(&path, &oldest, 3, "1.0.0-b1").expect("the oldest build opens it"));
    drop(Database::open(&path, &all, 4, "1.0.0-b1").expect("goes up again"));
    assert_eq!(dumped(), new);
    // One step at a time leads there too.
    for id in all.iter().rev().map(|step| step.id).skip(1).take_while(|id| *id >= oldest_id) {
        assert_eq!(downgrade(&path, id).expect("goes back").undone.len(), 1, "to {id}");
    }
    assert_eq!(dumped(), old);
}

/// Each table of ours with its columns: name, whether text that may be null, whether of the primary key.
pub(super) type Tables = BTreeMap<String, Vec<(String, bool, bool)>>;

pub(super) fn columns(connection: &Connection) -> Tables {
    let sql = "SELECT t.name, c.name, c.type = 'TEXT' AND NOT c.\"notnull\" AND c.pk = 0, c.pk > 0
        FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
        WHERE t.type = 'table' AND t.name <> 'schema_ledger' AND substr(t.name, 1, 7) <> 'sqlite_' ORDER BY t.name, c.cid";
    let mut statement = connection.prepare(sql).expect("prepares");
    let mut rows = statement.query([]).expect("queries");
    let mut tables = Tables::new();
    while let Some(row) = rows.next().expect("a row") {
        let column = (row.get(1).expect("name"), row.get(2).expect("flag"), row.get(3).expect("flag"));
        tables.entry(row.get(0).expect("table")).or_default().push(column);
    }
    tables
}

/// A step that adds a column to each table, and a table with an index and rows, and parks all of it on the way back.
pub(super) fn extra(connection: &Connection) -> Migration {
    let mut up = "CREATE TABLE extra (id INTEGER PRIMARY KEY AUTOINCREMENT, said TEXT) STRICT; CREATE INDEX extra_said ON extra (said);
        CREATE TABLE IF NOT EXISTS attic_9000_extra (id INTEGER, said TEXT);
        INSERT INTO extra SELECT id, said FROM attic_9000_extra; DROP TABLE attic_9000_extra;"
        .to_owned();
    let mut down = "CREATE TABLE attic_9000_extra (id INTEGER, said TEXT);
        INSERT INTO attic_9000_extra SELECT id, said FROM extra; DROP TABLE extra;"
        .to_owned();
    for (table, columns) in columns(connection) {
        let key: Vec<&str> = columns.iter().filter(|(_, _, is_key)| *is_key).map(|(name, ..)| name.as_str()).collect();
        assert!(!key.is_empty(), "{table} has no primary key: a step cannot park a column of it this way");
        let attic = format!("attic_{EXTRA}_{table}");
        let (keys, same) = (key.join(", "), key.iter().map(|k| format!("attic.{k} = {table}.{k}")).collect::<Vec<_>>().join(" AND "));
        up += &format!(
            "ALTER TABLE {table} ADD COLUMN extra TEXT CHECK (length(extra) < 10); CREATE TABLE IF NOT EXISTS {attic} ({keys}, extra TEXT);
            UPDATE {table} SET extra = attic.extra FROM {attic} AS attic WHERE {same}; DROP TABLE {attic};"
        );
        down += &format!(
            "CREATE TABLE {attic} ({keys}, extra TEXT); INSERT INTO {attic} SELECT {keys}, extra FROM {table} WHERE extra IS NOT NULL;
            ALTER TABLE {table} DROP COLUMN extra;"
        );
    }
    Migration { id: EXTRA, name: "extra", up_sql: String::leak(up), down_sql: Some(String::leak(down)) }
}

/// Gives a value to every text that the oldest schema does not have, and a row to the extra table.
fn fill(path: &Path, oldest: &Tables) {
    let connection = Connection::open(path).expect("opens");
    connection.execute("INSERT INTO extra (said) VALUES ('x'), ('y')", []).expect("inserts");
    for (table, columns) in columns(&connection) {
        for (column, ..) in columns.iter().filter(|(name, is_text, _)| *is_text && !knows(oldest, &table, name)) {
            connection.execute(&format!("UPDATE {table} SET {column} = 'said'"), []).expect("updates");
        }
    }
}

fn knows(tables: &Tables, table: &str, column: &str) -> bool {
    tables.get(table).is_some_and(|columns| columns.iter().any(|(name, ..)| name == column))
}
