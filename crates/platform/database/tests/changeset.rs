//! Changesets: what is recorded is what happened, taking it back gives what was, and what does not fit changes nothing.

use proptest::prelude::*;
use weir_database::{
    ApplyError, Changeset, Conflict, ConflictKind, Recorder, RowKind, dump,
    rusqlite::{self, Connection, types::Value},
};

const TABLES: [&str; 3] = ["parent", "child", "pair"];

fn database() -> Connection {
    let connection = Connection::open_in_memory().expect("opens");
    let sql = "PRAGMA foreign_keys = ON;
        CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size REAL, bytes BLOB) STRICT;
        CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent (id) ON DELETE CASCADE) STRICT;
        CREATE TABLE pair (a TEXT NOT NULL, b INTEGER NOT NULL, word TEXT, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID;
        CREATE TABLE unseen (id INTEGER PRIMARY KEY) STRICT;";
    connection.execute_batch(sql).expect("runs");
    connection
}

/// The changeset of what `act` does in one transaction.
fn recorded(connection: &mut Connection, act: impl FnOnce(&Connection)) -> Changeset {
    let transaction = connection.transaction().expect("begins");
    let recorder = Recorder::begin(&transaction, &["unseen"]).expect("records");
    act(&transaction);
    let changeset = recorder.finish().expect("is read");
    transaction.commit().expect("commits");
    changeset
}

fn run(connection: &Connection, sql: &str) {
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn apply(connection: &mut Connection, changeset: &Changeset) -> Result<(), ApplyError> {
    let transaction = connection.transaction().expect("begins");
    changeset.apply(&transaction, &TABLES)?;
    transaction.commit().expect("commits");
    Ok(())
}

#[test]
fn a_changeset_says_what_happened_to_which_row() {
    let mut connection = database();
    run(&connection, "INSERT INTO parent VALUES (1, 'one', 0.5, x'00ff'), (2, 'two', NULL, NULL); INSERT INTO pair VALUES ('a', 1, 'w')");
    let changeset = recorded(&mut connection, |tx| {
        run(
            tx,
            "UPDATE parent SET name = 'uno' WHERE id = 1; INSERT INTO child VALUES (7, 2); DELETE FROM pair; INSERT INTO unseen VALUES (1)",
        );
    });
    let mut rows = changeset.rows().expect("rows");
    rows.sort_by_key(|row| row.key());
    let said: Vec<_> = rows.iter().map(|row| (row.table.as_str(), row.kind)).collect();
    assert_eq!(said, [("child", RowKind::Inserted), ("pair", RowKind::Deleted), ("parent", RowKind::Updated)]);
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let [child, pair, parent] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&parent.columns[1].old, &parent.columns[1].new), (&text("one"), &text("uno")));
    assert_eq!((parent.columns[0].in_key, &parent.columns[0].old), (true, &Some(Value::Integer(1))));
    assert_eq!((&parent.columns[3].old, &parent.columns[3].new), (&None, &None), "what did not change is not there");
    assert_eq!((pair.columns.iter().map(|c| c.in_key).collect::<Vec<_>>(), &pair.columns[2].old), (vec![true, true, false], &text("w")));
    assert_eq!(child.columns[1].new, Some(Value::Integer(2)));
    assert!(changeset.any(|row| row.table == "pair").expect("rows") && !changeset.any(|row| row.table == "unseen").expect("rows"));
    assert_eq!((pair.key_of(1) == pair.key(), parent.key_of(1) == parent.key()), (false, true));
    assert!(recorded(&mut connection, |_| {}).is_empty());
    let unseen = recorded(&mut connection, |tx| run(tx, "INSERT INTO unseen VALUES (2)"));
    assert!(unseen.is_empty());
}

#[test]
fn every_kind_of_value_comes_back_as_it_was() {
    let mut connection = database();
    let before = dump(&connection).expect("dump");
    let changeset = recorded(&mut connection, |tx| {
        run(tx, "INSERT INTO parent VALUES (1, '', -0.0, x''), (2, 'ü', 1e300, x'0001'), (-9223372036854775808, NULL, NULL, NULL)");
    });
    let after = dump(&connection).expect("dump");
    apply(&mut connection, &changeset.inverted().expect("inverse")).expect("fits");
    assert_eq!(dump(&connection).expect("dump"), before);
    apply(&mut connection, &Changeset::from_bytes(changeset.as_bytes().to_vec())).expect("fits");
    assert_eq!(dump(&connection).expect("dump"), after);
}

#[test]
fn what_does_not_fit_is_named_and_changes_nothing() {
    let insert = "INSERT INTO parent VALUES (1, 'one', NULL, NULL)";
    let row = [
        (insert, "UPDATE parent SET name = 'x'", "parent", ConflictKind::Changed),
        (insert, "DELETE FROM parent", "parent", ConflictKind::Gone),
        (insert, "INSERT INTO child VALUES (1, 1)", "", ConflictKind::Reference),
    ];
    for (done, since, table, kind) in row {
        let mut connection = database();
        let changeset = recorded(&mut connection, |tx| run(tx, done));
        run(&connection, since);
        let before = dump(&connection).expect("dump");
        // A child does not go along with its parent, although it would if somebody deleted that.
        match apply(&mut connection, &changeset.inverted().expect("inverse")) {
            Err(ApplyError::Conflict(found)) => assert_eq!(found, Conflict { table: table.to_owned(), kind }, "{since}"),
            other => panic!("{since}: {other:?}"),
        }
        assert_eq!(dump(&connection).expect("dump"), before, "{since}");
    }
    let mut connection = database();
    let changeset = recorded(&mut connection, |tx| run(tx, insert));
    for (since, kind) in [("UPDATE parent SET size = 1", ConflictKind::Taken), ("UPDATE parent SET id = 2", ConflictKind::Constraint)] {
        run(&connection, since);
        let Err(ApplyError::Conflict(found)) = apply(&mut connection, &changeset) else { panic!("{since}") };
        assert_eq!((found.table.as_str(), found.kind), ("parent", kind));
        assert!(found.to_string().contains("parent"), "{found}");
    }
}

#[test]
fn only_the_tables_that_are_named_are_changed() {
    let mut connection = database();
    let changeset = recorded(&mut connection, |tx| {
        run(tx, "INSERT INTO parent VALUES (1, 'one', NULL, NULL); INSERT INTO pair VALUES ('a', 1, NULL)");
    });
    let transaction = connection.transaction().expect("begins");
    changeset.inverted().expect("inverse").apply(&transaction, &["pair"]).expect("fits");
    let count =
        |table: &str| transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).expect("count");
    assert_eq!((count("parent"), count("pair")), (1, 0));
}

#[test]
fn bytes_that_are_no_changeset_are_refused() {
    let mut connection = database();
    let good = recorded(&mut connection, |tx| run(tx, "INSERT INTO parent VALUES (1, 'one', 2.0, x'01')"));
    for bytes in [vec![0], b"no changeset at all".to_vec(), good.as_bytes()[..good.as_bytes().len() - 3].to_vec()] {
        let bad = Changeset::from_bytes(bytes);
        assert!(bad.rows().is_err() && bad.inverted().is_err(), "{bad:?}");
        assert!(apply(&mut connection, &bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_table_with_other_columns_is_not_passed_over() {
    let mut connection = database();
    let changeset = recorded(&mut connection, |tx| run(tx, "INSERT INTO parent VALUES (1, 'one', NULL, NULL)"));
    run(&connection, "DELETE FROM parent; ALTER TABLE parent ADD COLUMN more TEXT");
    let refused = apply(&mut connection, &changeset);
    assert!(matches!(&refused, Err(ApplyError::OtherSchema { table }) if table == "parent"), "{refused:?}");
}

#[derive(Debug, Clone)]
enum Op {
    Parent(i64, Option<u8>),
    DeleteParent(i64),
    Child(i64, i64),
    Pair(u8, i64, u8),
    DeletePair(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..6i64, prop::option::of(0..9u8)).prop_map(|(id, name)| Op::Parent(id, name)),
        1 => (0..6i64).prop_map(Op::DeleteParent),
        3 => (0..6i64, 0..6i64).prop_map(|(id, parent)| Op::Child(id, parent)),
        3 => (0..3u8, 0..3i64, 0..9u8).prop_map(|(a, b, word)| Op::Pair(a, b, word)),
        1 => (0..3u8).prop_map(Op::DeletePair),
    ]
}

/// What a constraint refuses is not done.
fn act(connection: &Connection, op: &Op) {
    let done: rusqlite::Result<usize> = match op {
        Op::Parent(id, name) => {
            let name = name.map(|name| format!("n{name}"));
            connection.execute("INSERT INTO parent (id, name) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET name = ?2", (id, name))
        }
        Op::DeleteParent(id) => connection.execute("DELETE FROM parent WHERE id = ?1", [id]),
        Op::Child(id, parent) => connection.execute("INSERT OR REPLACE INTO child VALUES (?1, ?2)", (id, parent)),
        Op::Pair(a, b, word) => {
            connection.execute("INSERT OR REPLACE INTO pair VALUES (?1, ?2, ?3)", (format!("a{a}"), b, format!("w{word}")))
        }
        Op::DeletePair(a) => connection.execute("DELETE FROM pair WHERE a = ?1", [format!("a{a}")]),
    };
    drop(done);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn there_and_back_over_any_transactions(transactions in prop::collection::vec(prop::collection::vec(op(), 0..12), 1..6)) {
        let (mut primary, mut standby) = (database(), database());
        let mut log = Vec::new();
        for ops in &transactions {
            let before = dump(&primary).expect("dump");
            let changeset = recorded(&mut primary, |tx| ops.iter().for_each(|op| act(tx, op)));
            apply(&mut standby, &changeset).expect("a copy in step takes it");
            prop_assert_eq!(dump(&standby).expect("dump"), dump(&primary).expect("dump"));
            log.push((before, changeset));
        }
        for (before, changeset) in log.iter().rev() {
            apply(&mut standby, &changeset.inverted().expect("inverse")).expect("the last one can be taken back");
            prop_assert_eq!(&dump(&standby).expect("dump"), before);
        }
    }
}
