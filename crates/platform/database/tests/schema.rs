//! Steps up and down: what they may do, what is refused, and that nothing is lost on the way.

use proptest::prelude::*;
use rusqlite::Connection;
use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use weir_database::{Database, DatabaseError, Downgraded, Migration, Touch, downgrade, downgrade_plan, dump};

const FIRST: Migration = Migration {
    id: 1,
    name: "notes",
    up_sql: "CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL) STRICT;
        CREATE TABLE tag (note INTEGER NOT NULL REFERENCES note (id) ON DELETE CASCADE, tag TEXT NOT NULL, PRIMARY KEY (note, tag)) STRICT",
    down_sql: None,
};
/// A column and a table, each with an attic.
const SECOND: Migration = Migration {
    id: 2,
    name: "words",
    up_sql: "ALTER TABLE note ADD COLUMN word TEXT CHECK (length(word) < 100);
        CREATE TABLE IF NOT EXISTS attic_2_note (id INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
        UPDATE note SET word = attic.word FROM attic_2_note AS attic WHERE attic.id = note.id;
        DROP TABLE attic_2_note;
        CREATE TABLE extra (id INTEGER PRIMARY KEY AUTOINCREMENT, value ANY) STRICT;
        CREATE TABLE IF NOT EXISTS attic_2_extra (id INTEGER PRIMARY KEY, value ANY) STRICT;
        INSERT INTO extra SELECT id, value FROM attic_2_extra;
        DROP TABLE attic_2_extra",
    down_sql: Some(
        "CREATE TABLE attic_2_note (id INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
        INSERT INTO attic_2_note SELECT id, word FROM note WHERE word IS NOT NULL;
        ALTER TABLE note DROP COLUMN word;
        CREATE TABLE attic_2_extra (id INTEGER PRIMARY KEY, value ANY) STRICT;
        INSERT INTO attic_2_extra SELECT id, value FROM extra;
        DROP TABLE extra",
    ),
};
const THIRD: Migration =
    Migration { id: 3, name: "an index", up_sql: "CREATE INDEX note_text ON note (text)", down_sql: Some("DROP INDEX note_text") };
const ALL: &[Migration] = &[FIRST, SECOND, THIRD];

struct Kept {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Kept {
    fn at(steps: &[Migration]) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("a.db");
        drop(Database::open(&path, steps, 1, "1.0.0-b1").expect("opens"));
        Self { _dir: dir, path }
    }

    fn sql(&self, sql: &str) -> &Self {
        Connection::open(&self.path).expect("opens").execute_batch(sql).expect("runs");
        self
    }

    fn dump(&self) -> String {
        dump(&Connection::open(&self.path).expect("opens")).expect("dumps")
    }

    fn up(&self, steps: &[Migration]) -> Result<(), DatabaseError> {
        Database::open(&self.path, steps, 2, "1.1.0-b1").map(|_| ())
    }

    /// What lies in its directory.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path.parent().expect("a directory")).expect("read");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.path.display()))
    }
}

fn ids(done: &Downgraded) -> Vec<u32> {
    done.undone.iter().map(|step| step.id).collect()
}

#[test]
fn up_and_down_keep_the_file_before() {
    let kept = Kept::at(&[FIRST]);
    kept.sql("INSERT INTO note (text) VALUES ('one'), ('two'); DELETE FROM note WHERE id = 2; INSERT INTO tag VALUES (1, 'x')");
    let old = kept.dump();
    kept.up(ALL).expect("goes up");
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&kept.path), mode(&kept.beside(".previous"))), (0o600, 0o600), "what is in it is its owner's alone");
    assert_eq!(dump(&Connection::open(kept.beside(".previous")).expect("opens")).expect("dumps"), old);
    kept.sql("INSERT INTO extra (value) VALUES (7); UPDATE note SET word = 'said'");
    let new = kept.dump();
    let planned = downgrade_plan(&kept.path, 1).expect("planned");
    assert_eq!(kept.dump(), new, "a plan changes nothing");
    assert_eq!(planned.undone[1].parked, BTreeMap::from([("attic_2_extra".to_owned(), 1), ("attic_2_note".to_owned(), 1)]));
    let second = &planned.undone[1];
    assert_eq!((second.name.as_str(), second.written_by.as_deref()), ("words", Some("1.1.0-b1")));
    assert_eq!(Some(second.down_sha256.clone()), SECOND.down_sha256());
    let done = downgrade(&kept.path, 1).expect("goes back");
    assert_eq!((ids(&done), done.from, done.to), (vec![3, 2], 3, 1));
    assert_eq!(done, Downgraded { previous: Some(kept.beside(".previous")), ..planned });
    assert_eq!(kept.dump(), old, "counters and all");
    kept.up(&[FIRST]).expect("the older build opens it");
    assert_eq!(dump(&Connection::open(kept.beside(".previous")).expect("opens")).expect("dumps"), new, "no flip, so still there");
    kept.up(ALL).expect("goes up again");
    assert_eq!(kept.dump(), new, "what was parked is back");
}

#[test]
fn one_step_back_is_enough() {
    let kept = Kept::at(ALL);
    assert_eq!(downgrade(&kept.path, 3).expect("nothing to do").undone, []);
    assert!(!kept.beside(".previous").exists());
    assert_eq!(ids(&downgrade(&kept.path, 2).expect("goes back")), [3]);
    kept.up(&ALL[..2]).expect("the build before opens it");
}

#[test]
fn a_way_back_is_refused_for_a_reason() {
    let kept = Kept::at(ALL);
    let old = kept.dump();
    let refused = |step, says: fn(&DatabaseError) -> bool| {
        let error = downgrade(&kept.path, step).expect_err("refused");
        assert!(says(&error), "{step}: {error}");
        let error = downgrade_plan(&kept.path, step).expect_err("refused");
        assert!(says(&error), "plan {step}: {error}");
        assert_eq!(kept.names(), ["a.db"], "nothing is left of the plan");
        assert_eq!(kept.dump(), old);
    };
    refused(4, |e| matches!(e, DatabaseError::UnknownStep { step: 4, newest: 3 }));
    refused(0, |e| matches!(e, DatabaseError::UnknownStep { step: 0, .. }));
    kept.sql("UPDATE schema_ledger SET down_sql = down_sql || ' ' WHERE id = 2");
    refused(1, |e| matches!(e, DatabaseError::WayBackDamaged { id: 2, .. }));
    kept.sql("UPDATE schema_ledger SET down_sql = NULL WHERE id = 2");
    refused(1, |e| matches!(e, DatabaseError::WayBackDamaged { id: 2, .. }));
    kept.sql("UPDATE schema_ledger SET down_sha256 = NULL WHERE id = 2");
    refused(1, |e| matches!(e, DatabaseError::NoWayBack { id: 2, name } if name == "words"));
    let absent = downgrade(&kept.beside("-other"), 1);
    assert!(matches!(absent, Err(DatabaseError::Absent { .. })) && !kept.beside("-other").exists(), "{absent:?}");
}

#[test]
fn a_ledger_of_before_learns_the_ways_back() {
    let kept = Kept::at(ALL);
    kept.sql(
        "CREATE TABLE l (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT;
        INSERT INTO l SELECT id, name, sha256, applied_ms FROM schema_ledger; DROP TABLE schema_ledger; ALTER TABLE l RENAME TO schema_ledger",
    );
    let lacking = downgrade(&kept.path, 2);
    assert!(matches!(lacking, Err(DatabaseError::NoWayBack { id: 3, .. })), "{lacking:?}");
    kept.up(ALL).expect("opens");
    assert_eq!(ids(&downgrade(&kept.path, 1).expect("goes back")), [3, 2]);
}

#[test]
fn a_schema_ahead_says_who_wrote_it() {
    let kept = Kept::at(&[FIRST]);
    kept.up(ALL).expect("goes up");
    let error = kept.up(&[FIRST]).expect_err("refused").to_string();
    let says = "schema is ahead of this build: step 2 (words), written by version 1.1.0-b1, is not known here; run version 1.1.0-b1 or a later one of its line";
    assert_eq!(error, says);
    let other_way = [FIRST, Migration { down_sql: Some("DROP TABLE extra"), ..SECOND }, THIRD];
    assert!(matches!(kept.up(&other_way), Err(DatabaseError::SchemaChanged { id: 2, .. })));
}

#[test]
fn steps_that_would_lose_something_change_nothing() {
    let step = |up_sql, down_sql| Migration { id: 2, name: "bad", up_sql, down_sql: Some(down_sql) };
    let rows = "INSERT INTO note (text) VALUES ('one'); INSERT INTO tag VALUES (1, 'x')";
    let up: &[(&'static str, Touch, &str)] = &[
        ("DROP TABLE tag", Touch::TableDropped, "tag"),
        ("ALTER TABLE note DROP COLUMN text", Touch::ColumnDropped, "note"),
        ("ALTER TABLE note RENAME COLUMN text TO words", Touch::ColumnDropped, "note"),
        ("UPDATE note SET text = 'other'", Touch::RowsChanged, "note"),
        ("DELETE FROM tag", Touch::RowsChanged, "tag"),
        ("UPDATE sqlite_sequence SET seq = 99 WHERE name = 'note'", Touch::RowsChanged, "note"),
    ];
    for (sql, how, of) in up {
        let kept = Kept::at(&[FIRST]);
        let old = kept.sql(rows).dump();
        let error = kept.up(&[FIRST, step(sql, "")]).expect_err(sql);
        assert!(matches!(&error, DatabaseError::Touched { table, how: h } if h == how && table == of), "{sql}: {error}");
        assert_eq!(kept.dump(), old);
        assert!(!kept.beside(".next").exists() && !kept.beside(".previous").exists(), "{sql}");
    }
    let down: &[(&'static str, Touch)] = &[
        ("DROP TABLE extra", Touch::NotParked),
        ("ALTER TABLE note DROP COLUMN word", Touch::NotParked),
        ("CREATE TABLE other (x)", Touch::Made),
        ("CREATE TABLE attic_7_note (x)", Touch::Made),
        ("DELETE FROM tag", Touch::RowsChanged),
    ];
    for (sql, how) in down {
        let bad = step("ALTER TABLE note ADD COLUMN word TEXT; CREATE TABLE extra (x) ", sql);
        let kept = Kept::at(&[FIRST, bad]);
        let old = kept.sql(rows).sql("INSERT INTO extra VALUES (1)").dump();
        let error = downgrade(&kept.path, 1).expect_err(sql);
        assert!(matches!(&error, DatabaseError::Touched { how: h, .. } if h == how), "{sql}: {error}");
        assert_eq!(kept.dump(), old);
    }
}

#[test]
fn a_program_changes_tables_and_nothing_else() {
    let programs: &[&'static str] = &[
        "COMMIT",
        "SAVEPOINT s",
        "PRAGMA user_version = 7",
        "ATTACH ':memory:' AS other",
        "DELETE FROM schema_ledger",
        "UPDATE schema_ledger SET name = 'x'",
        "DROP TABLE schema_ledger",
        "CREATE TRIGGER t AFTER UPDATE ON schema_ledger BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE v USING fts5 (x)",
    ];
    for sql in programs {
        let kept = Kept::at(&[FIRST]);
        let old = kept.dump();
        let error = kept.up(&[FIRST, Migration { id: 2, name: "bad", up_sql: sql, down_sql: None }]).expect_err(sql);
        assert!(matches!(error, DatabaseError::Migration { id: 2, .. }), "{sql}: {error}");
        assert_eq!(kept.dump(), old, "{sql}");
        kept.up(&[FIRST]).expect(sql);
    }
}

#[test]
fn references_hold_after_the_steps() {
    let dangling = Migration {
        id: 2,
        name: "dangling",
        up_sql: "CREATE TABLE deep (note INTEGER REFERENCES note (id)); INSERT INTO deep VALUES (9)",
        down_sql: None,
    };
    let kept = Kept::at(&[FIRST]);
    let error = kept.up(&[FIRST, dangling]).expect_err("refused");
    assert!(matches!(&error, DatabaseError::Unsound { path, detail } if *path == kept.path && detail.contains("deep")), "{error}");
    kept.up(&[FIRST]).expect("as it was");
    // A table made anew for a way back does not take along what refers to it.
    let remade = Migration {
        id: 2,
        name: "remade",
        up_sql: "ALTER TABLE note ADD COLUMN word TEXT",
        down_sql: Some(
            "CREATE TABLE attic_2_note (id INTEGER, word TEXT);
            CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL) STRICT;
            INSERT INTO n SELECT id, text FROM note; DROP TABLE note; ALTER TABLE n RENAME TO note",
        ),
    };
    let old = kept.sql("INSERT INTO note (text) VALUES ('one'); INSERT INTO tag VALUES (1, 'x')").dump();
    kept.up(&[FIRST, remade]).expect("goes up");
    downgrade(&kept.path, 1).expect("goes back");
    assert_eq!(kept.dump(), old);
    // What was wrong before is not the steps' doing.
    kept.sql("PRAGMA foreign_keys = OFF; INSERT INTO tag VALUES (9, 'x')");
    let error = kept.up(ALL).expect_err("refused");
    assert!(matches!(&error, DatabaseError::Damaged { path, detail } if *path == kept.path && detail.contains("tag")), "{error}");
}

/// A table with one of everything, and what may not become of it.
const FURNISHED: Migration = Migration {
    id: 1,
    name: "furnished",
    up_sql: "CREATE TABLE shelf (id INTEGER PRIMARY KEY) STRICT;
        CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, shelf INTEGER REFERENCES shelf (id), CHECK (title <> '')) STRICT;
        CREATE INDEX book_shelf ON book (shelf);
        CREATE VIEW titles AS SELECT title FROM book;
        CREATE TRIGGER book_kept BEFORE DELETE ON shelf BEGIN SELECT 1; END;
        INSERT INTO shelf VALUES (1); INSERT INTO book VALUES (1, 'a', 1)",
    down_sql: None,
};
const ATTIC: &str = "CREATE TABLE attic_2_book (id INTEGER, word TEXT); INSERT INTO attic_2_book SELECT id, word FROM book;";

/// `book` made anew with other words between the parentheses.
fn made_anew(columns: &str) -> String {
    format!(
        "CREATE TABLE b ({columns}) STRICT; INSERT INTO b SELECT id, title, shelf FROM book; DROP VIEW titles; DROP TABLE book;
        ALTER TABLE b RENAME TO book; CREATE INDEX book_shelf ON book (shelf); CREATE VIEW titles AS SELECT title FROM book;"
    )
}

fn step(up: String, down: String) -> Migration {
    Migration { id: 2, name: "other", up_sql: String::leak(up), down_sql: Some(String::leak(down)) }
}

const SAME: &str = "id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, shelf INTEGER REFERENCES shelf (id), CHECK (title <> '')";
const OTHER: [&str; 4] = [
    "id INTEGER PRIMARY KEY, title TEXT NOT NULL, shelf INTEGER REFERENCES shelf (id), CHECK (title <> '')",
    "id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, shelf INTEGER, CHECK (title <> '')",
    "id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, shelf INTEGER REFERENCES shelf (id)",
    "id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, shelf INTEGER REFERENCES shelf (id), CHECK (title <> ''), UNIQUE (shelf)",
];

#[test]
fn steps_up_keep_every_constraint_index_trigger_and_view() {
    let mut refused = vec![
        ("DROP INDEX book_shelf".to_owned(), Touch::ObjectDropped),
        ("DROP TRIGGER book_kept".to_owned(), Touch::ObjectDropped),
        ("DROP VIEW titles".to_owned(), Touch::ObjectDropped),
        ("DROP INDEX book_shelf; CREATE INDEX book_shelf ON book (title)".to_owned(), Touch::SchemaChanged),
    ];
    refused.extend(OTHER.map(|columns| (made_anew(columns), Touch::SchemaChanged)));
    for (sql, how) in refused {
        let kept = Kept::at(&[FURNISHED]);
        let old = kept.dump();
        let error = kept.up(&[FURNISHED, step(sql.clone(), String::new())]).expect_err(&sql);
        assert!(matches!(&error, DatabaseError::Touched { how: h, .. } if *h == how), "{sql}: {error}");
        assert_eq!(kept.dump(), old);
    }
    let kept = Kept::at(&[FURNISHED]);
    let added = format!("{} ALTER TABLE book ADD COLUMN word TEXT CHECK (word <> ',)')", made_anew(SAME));
    kept.up(&[FURNISHED, step(added, String::new())]).expect("nothing is lost");
}

#[test]
fn ways_back_lead_to_the_schema_there_was() {
    let up = "ALTER TABLE book ADD COLUMN word TEXT; CREATE INDEX book_word ON book (title, shelf)";
    let down = format!("{ATTIC} DROP INDEX book_word; ALTER TABLE book DROP COLUMN word;");
    let back = |down: String, forgotten: bool| {
        let kept = Kept::at(&[FURNISHED]);
        kept.up(&[FURNISHED, step(up.to_owned(), down)]).expect("goes up");
        if forgotten {
            kept.sql("UPDATE schema_ledger SET schema_sha256 = NULL");
        }
        let new = kept.dump();
        let outcome = downgrade(&kept.path, 1);
        assert!(outcome.is_ok() || kept.dump() == new);
        outcome
    };
    back(down.clone(), false).expect("goes back");
    for lost in ["DROP INDEX book_shelf", "DROP TRIGGER book_kept", "DROP VIEW titles"] {
        let outcome = back(format!("{down} {lost}"), false);
        assert!(matches!(outcome, Err(DatabaseError::OtherSchema { step: 1 })), "{lost}: {outcome:?}");
        // A ledger of before cannot tell.
        back(format!("{down} {lost}"), true).expect(lost);
    }
    let left = back(format!("{ATTIC} ALTER TABLE book DROP COLUMN word;"), false);
    assert!(matches!(left, Err(DatabaseError::OtherSchema { step: 1 })), "{left:?}");
    let made = back(format!("{down} CREATE INDEX other ON book (title)"), true);
    assert!(matches!(made, Err(DatabaseError::Touched { how: Touch::Made, .. })), "{made:?}");
    back(format!("{ATTIC} {}", made_anew(SAME)), false).expect("made anew as it was");
    for columns in OTHER {
        let other = back(format!("{ATTIC} {}", made_anew(columns)), true);
        assert!(matches!(other, Err(DatabaseError::Touched { how: Touch::SchemaChanged, .. })), "{columns}: {other:?}");
    }
}

#[test]
fn what_was_before_the_last_flip_outlasts_what_came_after() {
    let kept = Kept::at(&[FIRST]);
    kept.up(ALL).expect("goes up");
    let before = std::fs::read(kept.beside(".previous")).expect("kept");
    let bad = Migration { id: 4, name: "bad", up_sql: "DROP TABLE tag", down_sql: None };
    kept.up(&[FIRST, SECOND, THIRD, bad]).expect_err("refused");
    assert_eq!(std::fs::read(kept.beside(".previous")).expect("still there"), before);
    weir_database::remove(&kept.path).expect("removed");
    assert!(!kept.path.exists());
    assert_eq!(std::fs::read(kept.beside(".previous")).expect("still there"), before, "begun anew is not begun without it");
}

#[test]
fn a_database_in_use_keeps_its_schema() {
    let kept = Kept::at(&[FIRST]);
    let other = Connection::open(&kept.path).expect("opens");
    other.execute_batch("BEGIN; SELECT count(*) FROM note").expect("reads");
    let error = kept.up(ALL).expect_err("refused");
    assert!(matches!(error, DatabaseError::InUse { .. }), "{error}");
    assert_eq!(downgrade_plan(&kept.path, 1).expect("a plan only reads").undone, []);
    other.execute_batch("COMMIT").expect("ends");
    drop(other);
    kept.up(ALL).expect("goes up once nobody has it open");
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::char::any(), 0..12).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// `down(up(db)) == db`, up again gives back what down parked, and edits made in between stay.
    #[test]
    fn nothing_is_lost(notes in proptest::collection::vec((text(), proptest::option::of(text())), 0..8),
                       extra in proptest::collection::vec(any::<Option<i64>>(), 0..6)) {
        let kept = Kept::at(&[FIRST]);
        let connection = Connection::open(&kept.path).expect("opens");
        for (text, _) in &notes {
            connection.execute("INSERT INTO note (text) VALUES (?1)", [text]).expect("written");
        }
        let old = kept.dump();
        drop(connection);
        kept.up(ALL).expect("goes up");
        let connection = Connection::open(&kept.path).expect("opens");
        for (id, (_, word)) in (1i64..).zip(&notes) {
            connection.execute("UPDATE note SET word = ?1 WHERE id = ?2", rusqlite::params![word, id]).expect("written");
        }
        for value in &extra {
            connection.execute("INSERT INTO extra (value) VALUES (?1)", [value]).expect("written");
        }
        drop(connection);
        let new = kept.dump();
        downgrade(&kept.path, 1).expect("goes back");
        prop_assert_eq!(kept.dump(), old);
        kept.up(ALL).expect("goes up again");
        prop_assert_eq!(kept.dump(), new);
        downgrade(&kept.path, 1).expect("goes back");
        kept.sql("INSERT INTO note (text) VALUES ('in between')").up(ALL).expect("goes up again");
        prop_assert!(kept.dump().contains("'in between'\tnull"));
    }
}
