//! Digests: whatever is written, following it is the same as counting again; an online copy is one snapshot.

use proptest::prelude::*;
use weir_database::{
    Changeset, Database, DatabaseError, Digests, Migration, Recorder, check, dump, look,
    rusqlite::{self, Connection},
};

const SCHEMA: &str = "CREATE TABLE plain (id INTEGER PRIMARY KEY, text TEXT, real REAL, bytes BLOB, any ANY) STRICT;
    CREATE TABLE pair (a TEXT NOT NULL, word TEXT, b INTEGER NOT NULL, PRIMARY KEY (b, a)) STRICT, WITHOUT ROWID;
    CREATE TABLE \"odd \"\"name\" (\"key\"\"s\" TEXT PRIMARY KEY, n INTEGER) STRICT, WITHOUT ROWID;
    CREATE TABLE unseen (id INTEGER PRIMARY KEY) STRICT;";

const BUT: [&str; 1] = ["unseen"];

fn database() -> Connection {
    let connection = Connection::open_in_memory().expect("opens");
    connection.execute_batch(SCHEMA).expect("runs");
    connection
}

#[derive(Debug, Clone)]
enum Op {
    Plain(i64, Option<String>, f64),
    Text(i64, String),
    Any(i64, bool),
    Delete(i64),
    Pair(u8, i64, Option<String>),
    DeletePair(i64),
    Odd(String, i64),
    Unseen(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let text = || "[a-c\t'\\\\ü]{0,4}";
    prop_oneof![
        3 => (0..6i64, prop::option::of(text()), prop::num::f64::NORMAL).prop_map(|(id, text, real)| Op::Plain(id, text, real)),
        3 => (0..6i64, text()).prop_map(|(id, text)| Op::Text(id, text)),
        2 => (0..6i64, any::<bool>()).prop_map(|(id, number)| Op::Any(id, number)),
        1 => (0..6i64).prop_map(Op::Delete),
        3 => (0..3u8, 0..3i64, prop::option::of(text())).prop_map(|(a, b, word)| Op::Pair(a, b, word)),
        1 => (0..3i64).prop_map(Op::DeletePair),
        2 => (text(), 0..3i64).prop_map(|(key, n)| Op::Odd(key, n)),
        1 => (0..3i64).prop_map(Op::Unseen),
    ]
}

/// What a constraint refuses is not done.
fn act(connection: &Connection, op: &Op) {
    let done: rusqlite::Result<usize> = match op {
        Op::Plain(id, text, real) => {
            connection.execute("INSERT OR REPLACE INTO plain (id, text, real, bytes) VALUES (?1, ?2, ?3, x'00ff')", (id, text, real))
        }
        Op::Text(id, text) => connection.execute("UPDATE plain SET text = ?2 WHERE id = ?1", (id, text)),
        Op::Any(id, true) => connection.execute("UPDATE plain SET any = 1, real = 1 WHERE id = ?1", [id]),
        Op::Any(id, false) => connection.execute("UPDATE plain SET any = '1', bytes = NULL WHERE id = ?1", [id]),
        Op::Delete(id) => connection.execute("DELETE FROM plain WHERE id = ?1", [id]),
        Op::Pair(a, b, word) => connection
            .execute("INSERT INTO pair VALUES (?1, ?3, ?2) ON CONFLICT DO UPDATE SET word = excluded.word", (format!("a{a}"), b, word)),
        Op::DeletePair(b) => connection.execute("DELETE FROM pair WHERE b = ?1", [b]),
        Op::Odd(key, n) => connection.execute("INSERT OR REPLACE INTO \"odd \"\"name\" VALUES (?1, ?2)", (key, n)),
        Op::Unseen(id) => connection.execute("INSERT OR IGNORE INTO unseen VALUES (?1)", [id]),
    };
    drop(done);
}

fn recorded(connection: &mut Connection, digests: &mut Digests, act: impl FnOnce(&Connection)) -> Changeset {
    let transaction = connection.transaction().expect("begins");
    let recorder = Recorder::begin(&transaction, &BUT).expect("records");
    act(&transaction);
    let changeset = recorder.finish().expect("read");
    digests.follow(&transaction, &changeset, &BUT).expect("follows");
    transaction.commit().expect("commits");
    changeset
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn following_is_the_same_as_counting_and_an_undo_gives_back_what_was(
        transactions in prop::collection::vec(prop::collection::vec(op(), 0..12), 1..6),
    ) {
        let mut connection = database();
        let mut digests = Digests::recount(&connection, &BUT).expect("counts");
        prop_assert_eq!(&digests, &Digests::default());
        let mut log = Vec::new();
        for ops in &transactions {
            let before = digests.clone();
            let changeset = recorded(&mut connection, &mut digests, |tx| ops.iter().for_each(|op| act(tx, op)));
            prop_assert_eq!(&digests, &Digests::recount(&connection, &BUT).expect("counts"));
            prop_assert_eq!(&Digests::kept(digests.tables().map(|(table, digest)| (table.to_owned(), digest))), &digests);
            log.push((before, changeset));
        }
        for (before, changeset) in log.iter().rev() {
            let inverse = changeset.inverted().expect("inverse");
            let transaction = connection.transaction().expect("begins");
            inverse.apply(&transaction, &["plain", "pair", "odd \"name"]).expect("fits");
            digests.follow(&transaction, &inverse, &BUT).expect("follows");
            transaction.commit().expect("commits");
            prop_assert_eq!(&digests, before);
            prop_assert_eq!(digests.of_all(), before.of_all());
        }
    }
}

#[test]
fn a_row_that_something_else_changed_is_seen() {
    let mut connection = database();
    let mut digests = Digests::default();
    recorded(&mut connection, &mut digests, |tx| tx.execute_batch("INSERT INTO plain VALUES (1, 'a', 1, NULL, NULL)").expect("runs"));
    let before = digests.of_all();
    connection.execute_batch("UPDATE plain SET bytes = x'01'").expect("runs");
    assert_ne!(Digests::recount(&connection, &BUT).expect("counts").of_all(), before);
    // And without counting, by the next change of that row: here it becomes another one than where nobody interfered.
    let mut other = database();
    let mut clean = Digests::default();
    recorded(&mut other, &mut clean, |tx| tx.execute_batch("INSERT INTO plain VALUES (1, 'a', 1, NULL, NULL)").expect("runs"));
    for (connection, digests) in [(&mut connection, &mut digests), (&mut other, &mut clean)] {
        recorded(connection, digests, |tx| tx.execute_batch("UPDATE plain SET text = 'b'").expect("runs"));
    }
    assert_ne!(digests.of_all(), clean.of_all());
}

/// The bytes that go into a digest are part of the format: two versions of one line compare theirs.
#[test]
fn the_digest_is_what_it_was() {
    let connection = database();
    let rows = "INSERT INTO plain VALUES (1, 'a\tb', -0.5, x'00ff', NULL), (2, NULL, NULL, NULL, 7); INSERT INTO pair VALUES ('x', 'y', 3)";
    connection.execute_batch(rows).expect("runs");
    assert_eq!(hex::encode(Digests::recount(&connection, &BUT).expect("counts").of_all()), GOLDEN);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hex::encode(Digests::default().of_all()), empty, "nothing at all");
}

const GOLDEN: &str = "af513d4703c5b17dd371ec6f5b932acde6a8ea0aa36defbc1a84d217f8def516";

const STEPS: &[Migration] = &[Migration { id: 1, name: "tables", up_sql: SCHEMA, down_sql: None }];

#[tokio::test]
async fn an_online_copy_is_one_snapshot_while_others_write() {
    let dir = tempfile::tempdir().expect("dir");
    let database = Database::open(&dir.path().join("a.db"), STEPS, 1, "1.0.0-b1").expect("opens");
    let write =
        |id: i64| database.write(move |tx| Ok::<_, DatabaseError>(tx.execute("INSERT INTO plain (id) VALUES (?1)", [id]).map(drop)?));
    for id in 0..50 {
        write(id).await.expect("written");
    }
    let to = dir.path().join("copy.db");
    let digest = |tx: &rusqlite::Transaction<'_>| Ok::<_, DatabaseError>((Digests::recount(tx, &[])?, dump(tx)?));
    let (copied, _) = tokio::join!(database.copy(to.clone(), digest), async {
        for id in 50..60 {
            write(id).await.expect("written");
        }
    });
    let (digests, dumped) = copied.expect("copied");
    check(&to).expect("whole");
    let copy = look(&to).expect("opens");
    assert_eq!((Digests::recount(&copy, &[]).expect("counts"), dump(&copy).expect("dumps")), (digests, dumped));
    assert!(!dir.path().join("copy.db-wal").exists());
    drop(copy);
    let again = database.copy(to.clone(), |_| Ok::<_, DatabaseError>(())).await;
    assert!(matches!(again, Err(DatabaseError::File { .. })), "a file that is there is not written over");
    std::fs::write(&to, vec![1; 9000]).expect("damaged");
    assert!(matches!(check(&to), Err(DatabaseError::Damaged { .. })));
    database.close().await;
}
