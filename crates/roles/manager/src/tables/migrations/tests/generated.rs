//! `down(up(db)) == db`, and back with edits between, on generated databases of the real schema with rows in every table.
//!
//! A database begins with a row or two in each table, and grows by edits drawn at random: rows copied with other values, values
//! changed, rows deleted. What a constraint refuses is not done; the rest is as odd as the schema allows.

use super::{
    ways_back::{Tables, columns, extra},
    *,
};
use proptest::{prelude::*, strategy::ValueTree};
use rusqlite::{Connection, ToSql, types::Value};
use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};
use weir_database::{Database, downgrade, dump};

/// Edits of one part of a case.
const EDITS_MAX: usize = 40;

#[derive(Debug, Clone)]
enum Kind {
    Copy,
    Set,
    Delete,
}

/// One edit: of which table, row and column, and with which values.
#[derive(Debug, Clone)]
struct Edit {
    kind: Kind,
    table: prop::sample::Index,
    row: prop::sample::Index,
    column: prop::sample::Index,
    number: i64,
    text: String,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let kind = prop_oneof![4 => Just(Kind::Copy), 4 => Just(Kind::Set), 1 => Just(Kind::Delete)];
    let number = prop_oneof![0..20_i64, any::<i64>()];
    let text =
        prop_oneof![Just("said".to_owned()), "[a-z0-9]{1,8}", prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter)];
    let index = any::<prop::sample::Index>;
    let edit = (kind, index(), index(), index(), number, text);
    let edit = edit.prop_map(|(kind, table, row, column, number, text)| Edit { kind, table, row, column, number, text });
    prop::collection::vec(edit, 0..EDITS_MAX)
}

/// A database file with the steps of its schema.
struct Generated {
    _dir: tempfile::TempDir,
    path: PathBuf,
    /// Steps without a way back.
    oldest: Vec<Migration>,
    all: Vec<Migration>,
}

impl Generated {
    /// The oldest schema, with rows in every table. `extra` is the same for every database of these steps.
    fn new(steps: &[Migration], rows: &str, made: &OnceLock<Migration>) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("a.db");
        let oldest: Vec<_> = steps.iter().filter(|step| step.down_sql.is_none()).copied().collect();
        drop(Database::open(&path, &oldest, 1, "1.0.0-b1").expect("the oldest opens"));
        let connection = Connection::open(&path).expect("opens");
        connection.execute_batch(rows).expect("rows");
        let all = steps.iter().copied().chain([*made.get_or_init(|| extra(&connection))]).collect();
        Self { _dir: dir, path, oldest, all }
    }

    fn oldest_id(&self) -> u32 {
        self.oldest.last().expect("a first step").id
    }

    fn up(&self) {
        drop(Database::open(&self.path, &self.all, 2, "1.1.0-b1").expect("goes up"));
    }

    fn down(&self) {
        downgrade(&self.path, self.oldest_id()).expect("goes back");
    }

    fn dump(&self) -> String {
        dump(&Connection::open(&self.path).expect("opens")).expect("dumps")
    }

    fn edit(&self, edits: &[Edit]) {
        let connection = Connection::open(&self.path).expect("opens");
        connection.execute_batch("PRAGMA foreign_keys = ON; BEGIN").expect("begins");
        let tables = columns(&connection);
        for edit in edits {
            // A constraint may refuse it.
            let _ = apply(&connection, &tables, edit);
        }
        connection.execute_batch("COMMIT").expect("commits");
    }

    /// What only the steps above know, by table and key: values of the columns that the extra step adds.
    fn above(&self, tables: &Tables) -> BTreeMap<String, Option<String>> {
        let connection = Connection::open(&self.path).expect("opens");
        let mut found = BTreeMap::new();
        for (table, columns) in tables {
            let keys: Vec<_> = columns.iter().filter(|(_, _, is_key)| *is_key).map(|(name, ..)| format!("quote({name})")).collect();
            let sql = format!("SELECT {}, extra FROM {table}", keys.join(" || ' ' || "));
            let mut statement = connection.prepare(&sql).expect("prepares");
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).expect("queries");
            found.extend(rows.map(|row| row.expect("a row")).map(|(key, extra)| (format!("{table} {key}"), extra)));
        }
        found
    }
}

fn apply(connection: &Connection, tables: &Tables, edit: &Edit) -> rusqlite::Result<()> {
    let (table, columns) = tables.iter().nth(edit.table.index(tables.len())).expect("an index of it");
    let count: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    if count == 0 {
        return Ok(());
    }
    let offset = edit.row.index(usize::try_from(count).expect("few"));
    let keys: Vec<&str> = columns.iter().filter(|(_, _, is_key)| *is_key).map(|(name, ..)| name.as_str()).collect();
    let one = format!("({0}) = (SELECT {0} FROM {table} ORDER BY {0} LIMIT 1 OFFSET {offset})", keys.join(", "));
    let chosen = &columns[edit.column.index(columns.len())].0;
    match edit.kind {
        Kind::Delete if count > 1 => connection.execute(&format!("DELETE FROM {table} WHERE {one}"), []).map(drop),
        Kind::Delete => Ok(()),
        Kind::Set => {
            let value = other(connection, table, chosen, edit)?;
            connection.execute(&format!("UPDATE OR IGNORE {table} SET {chosen} = ?1 WHERE {one}"), [value]).map(drop)
        }
        Kind::Copy => {
            let (mut taken, mut values) = (Vec::new(), Vec::new());
            for (name, ..) in columns {
                if keys.contains(&name.as_str()) || name == chosen || is_unique(connection, table, name)? {
                    values.push(other(connection, table, name, edit)?);
                    taken.push(format!("?{}", values.len()));
                } else {
                    taken.push(name.clone());
                }
            }
            let names: Vec<_> = columns.iter().map(|(name, ..)| name.as_str()).collect();
            let sql = format!("INSERT OR IGNORE INTO {table} ({}) SELECT {} FROM {table} WHERE {one}", names.join(", "), taken.join(", "));
            let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
            connection.execute(&sql, values.as_slice()).map(drop)
        }
    }
}

/// Another value of the column's type.
fn other(connection: &Connection, table: &str, column: &str, edit: &Edit) -> rusqlite::Result<Value> {
    let sql = "SELECT type FROM pragma_table_info(?1) WHERE name = ?2";
    let of: String = connection.query_row(sql, [table, column], |row| row.get(0))?;
    Ok(match of.as_str() {
        "INTEGER" | "INT" => Value::Integer(edit.number),
        "REAL" => Value::Real(edit.number as f64 / 3.0),
        "BLOB" => Value::Blob(edit.text.as_bytes().iter().copied().cycle().take(32).collect()),
        _ => Value::Text(edit.text.clone()),
    })
}

fn is_unique(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) AS i JOIN pragma_index_info(i.name) AS c WHERE i.\"unique\" AND c.name = ?2)";
    connection.query_row(sql, [table, column], |row| row.get(0))
}

/// The three parts of a case: edits as the older build, as the newer one, as the older one again.
type Parts = (Vec<Edit>, Vec<Edit>, Vec<Edit>);

fn nothing_is_lost(database: &Generated, (before, above, between): &Parts) -> Result<(), TestCaseError> {
    database.edit(before);
    let old = database.dump();
    let tables = columns(&Connection::open(&database.path).expect("opens"));
    database.up();
    database.down();
    prop_assert_eq!(database.dump(), old.clone(), "there and back");
    database.up();
    database.edit(above);
    let new = database.dump();
    let known_above = database.above(&tables);
    database.down();
    let seen = database.dump();
    drop(Database::open(&database.path, &database.oldest, 3, "1.0.0-b1").expect("the older build opens it"));
    database.up();
    prop_assert_eq!(database.dump(), new, "back, and there again");
    database.down();
    prop_assert_eq!(database.dump(), seen);
    database.edit(between);
    let edited = database.dump();
    database.up();
    // What the newer build alone knows of a row that is still there is as it was.
    for (row, extra) in database.above(&tables) {
        let then = known_above.get(&row).cloned().flatten();
        prop_assert_eq!(extra, then, "{}", row);
    }
    database.down();
    prop_assert_eq!(database.dump(), edited, "what was edited in between stays");
    Ok(())
}

#[test]
fn edits_reach_most_tables() {
    static MADE: OnceLock<Migration> = OnceLock::new();
    let database = Generated::new(CONFIG, include_str!("config-rows.sql"), &MADE);
    let rows = |path: &Path| {
        let connection = Connection::open(path).expect("opens");
        let count = |table: &String| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
        columns(&connection).into_keys().map(|table| (table.clone(), count(&table).expect("counts"))).collect::<BTreeMap<_, _>>()
    };
    let before = rows(&database.path);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..50 {
        database.edit(&edits().new_tree(&mut runner).expect("drawn").current());
    }
    let grown = rows(&database.path).iter().filter(|(table, count)| **count > before[*table]).count();
    assert!(grown * 2 > before.len(), "{grown} of {} tables grew", before.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn config_db_goes_there_and_back(parts in (edits(), edits(), edits())) {
        static MADE: OnceLock<Migration> = OnceLock::new();
        nothing_is_lost(&Generated::new(CONFIG, include_str!("config-rows.sql"), &MADE), &parts)?;
    }

    #[test]
    fn state_db_goes_there_and_back(parts in (edits(), edits(), edits())) {
        static MADE: OnceLock<Migration> = OnceLock::new();
        nothing_is_lost(&Generated::new(STATE, include_str!("state-rows.sql"), &MADE), &parts)?;
    }
}
