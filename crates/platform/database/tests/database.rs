//! What is promised: commits last, anything else leaves no trace, and a schema this build does not know is refused.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};
use weir_database::{Database, DatabaseError, Migration};

const STEPS: &[Migration] = &[
    Migration {
        id: 1,
        name: "notes",
        up_sql: "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT",
        down_sql: None,
    },
    Migration {
        id: 2,
        name: "tags",
        up_sql: "CREATE TABLE tag (note INTEGER NOT NULL REFERENCES note (id), word TEXT NOT NULL, PRIMARY KEY (note, word)) STRICT",
        down_sql: None,
    },
];

fn open(path: &Path) -> Database {
    Database::open(path, STEPS, 1, "1.0.0-b1").expect("opens")
}

async fn add(database: &Database, text: &str) -> Result<(), DatabaseError> {
    let text = text.to_owned();
    database
        .write(move |t| {
            t.execute("INSERT INTO note (text) VALUES (?1)", [text])?;
            Ok(())
        })
        .await
}

async fn count(database: &Database) -> i64 {
    let read = database.read(|t| Ok::<i64, DatabaseError>(t.query_row("SELECT count(*) FROM note", [], |r| r.get(0))?));
    read.await.expect("reads")
}

#[tokio::test]
async fn what_is_rehearsed_is_told_and_taken_back() {
    let dir = tempfile::tempdir().expect("dir");
    let database = open(&dir.path().join("a.db"));
    let rehearse = |text: Option<&'static str>| {
        database.rehearse(move |t| Ok::<_, DatabaseError>(t.execute("INSERT INTO note (text) VALUES (?1)", [text])?))
    };
    assert_eq!(rehearse(Some("one")).await.expect("fits"), 1);
    assert!(matches!(rehearse(None).await, Err(DatabaseError::Sqlite(_))));
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn a_write_lasts_and_an_error_leaves_no_trace() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("a.db");
    let database = open(&path);
    add(&database, "one").await.expect("written");
    let refused: Result<(), DatabaseError> = database
        .write(|t| {
            t.execute("INSERT INTO note (text) VALUES ('two')", [])?;
            t.execute("INSERT INTO note (text) VALUES ('one')", [])?;
            Ok(())
        })
        .await;
    assert!(matches!(refused, Err(DatabaseError::Sqlite(_))), "{refused:?}");
    assert_eq!(count(&database).await, 1);
    let dangling: Result<(), DatabaseError> = database
        .write(|t| {
            t.execute("INSERT INTO tag (note, word) VALUES (99, 'x')", [])?;
            Ok(())
        })
        .await;
    assert!(dangling.is_err(), "foreign keys are enforced");
    database.close().await;
    assert!(matches!(add(&database, "late").await, Err(DatabaseError::Closed)));
    drop(database);
    assert!(!dir.path().join("a.db-wal").exists(), "a clean close folds the log in");
    assert_eq!(count(&open(&path)).await, 1);
}

#[tokio::test]
async fn a_panic_in_a_write_rolls_back_and_the_writer_lives_on() {
    let dir = tempfile::tempdir().expect("dir");
    let database = open(&dir.path().join("a.db"));
    let outcome: Result<(), DatabaseError> = database
        .write(|t| {
            t.execute("INSERT INTO note (text) VALUES ('half')", [])?;
            panic!("on purpose")
        })
        .await;
    assert!(matches!(outcome, Err(DatabaseError::Closed)));
    add(&database, "whole").await.expect("written");
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn readers_see_only_what_is_committed_and_cannot_write() {
    let dir = tempfile::tempdir().expect("dir");
    let database = open(&dir.path().join("a.db"));
    let (inside, entered) = std::sync::mpsc::sync_channel(1);
    let (go, proceed) = std::sync::mpsc::sync_channel::<()>(1);
    let writer = database.clone();
    let write = async move {
        writer
            .write(move |t| {
                t.execute("INSERT INTO note (text) VALUES ('slow')", [])?;
                inside.send(()).expect("the test listens");
                proceed.recv().expect("the test answers");
                Ok::<(), DatabaseError>(())
            })
            .await
    };
    let watch = async {
        tokio::task::spawn_blocking(move || entered.recv()).await.expect("joined").expect("the write began");
        let during = count(&database).await;
        go.send(()).expect("the write waits");
        during
    };
    let (written, during) = tokio::join!(write, watch);
    written.expect("committed");
    assert_eq!((during, count(&database).await), (0, 1));
    let refused: Result<(), DatabaseError> = database
        .read(|t| {
            t.execute("INSERT INTO note (text) VALUES ('sneaky')", [])?;
            Ok(())
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn a_full_disk_is_said_and_reads_go_on() {
    let dir = tempfile::tempdir().expect("dir");
    let database = open(&dir.path().join("a.db"));
    add(&database, "before").await.expect("written");
    let full: Result<(), DatabaseError> = database
        .write(|t| {
            t.query_row("PRAGMA max_page_count = 1", [], |_| Ok(()))?;
            for n in 0..1000 {
                t.execute("INSERT INTO note (text) VALUES (?1)", [format!("{n}{}", "x".repeat(2000))])?;
            }
            Ok(())
        })
        .await;
    assert!(matches!(full, Err(DatabaseError::DiskFull)), "{full:?}");
    assert_eq!(count(&database).await, 1);
}

#[test]
fn schemas_are_refused_for_a_reason() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("a.db");
    drop(open(&path));
    drop(open(&path));
    let behind = Database::open(&path, &STEPS[..1], 1, "1.0.0-b1").map(|_| ());
    assert!(matches!(&behind, Err(DatabaseError::SchemaAhead { id: 2, .. })), "{behind:?}");
    assert!(behind.expect_err("refused").to_string().starts_with("schema is ahead of this build"));
    let changed = [Migration { up_sql: "CREATE TABLE other (id INTEGER PRIMARY KEY) STRICT", ..STEPS[0] }, STEPS[1]];
    assert!(matches!(Database::open(&path, &changed, 1, "1.0.0-b1").map(|_| ()), Err(DatabaseError::SchemaChanged { id: 1, .. })));
    let broken =
        [STEPS[0], STEPS[1], Migration { id: 3, name: "broken", up_sql: "CREATE TABLE three (id INTEGER); NONSENSE", down_sql: None }];
    assert!(matches!(Database::open(&path, &broken, 1, "1.0.0-b1").map(|_| ()), Err(DatabaseError::Migration { id: 3, .. })));
    drop(open(&path));
}

#[test]
fn damage_says_restore() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("a.db");
    fs::write(&path, b"this is not a database, and long enough to be taken for a header.....................................")
        .expect("file");
    let error = Database::open(&path, STEPS, 1, "1.0.0-b1").map(|_| ()).expect_err("refused");
    assert!(matches!(error, DatabaseError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("restore"));
}

const CHILD: &str = "WEIR_DATABASE_CHILD";

/// The child of the next test: writes for ever and says each row once it is acknowledged.
#[tokio::test]
async fn child_writes_until_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let database = open(Path::new(&path));
    for n in 0..1_000_000 {
        add(&database, &format!("row {n}")).await.expect("written");
        println!("acknowledged {n}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_before_kill_9_is_there_after() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("a.db");
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child_writes_until_killed", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("child");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let acknowledged = |line: &str| line.rsplit_once("acknowledged ").and_then(|(_, n)| n.trim().parse::<i64>().ok());
    let mut last = -1;
    while last < 40 {
        let line = lines.next().expect("the child writes").expect("text");
        last = acknowledged(&line).unwrap_or(last);
    }
    child.kill().expect("killed");
    child.wait().expect("reaped");
    last = lines.map_while(Result::ok).filter_map(|l| acknowledged(&l)).last().unwrap_or(last);
    assert!(count(&open(&path)).await > last, "acknowledged up to {last}");
}

const LIMITED: &str = "WEIR_DATABASE_LIMITED";

/// The child of the next test: goes up where files may not grow, and says how it ends.
#[test]
fn child_goes_up_where_files_may_not_grow() {
    let Some(path) = std::env::var_os(LIMITED) else { return };
    let big = Migration {
        id: 3,
        name: "big",
        // More than SQLite keeps in memory, so it is written while the step runs.
        up_sql: "CREATE TABLE big (x BLOB) STRICT; INSERT INTO big VALUES (zeroblob(16000000))",
        down_sql: None,
    };
    let outcome = Database::open(Path::new(&path), &[STEPS[0], STEPS[1], big], 1, "1.0.0-b1").map(|_| ());
    println!("outcome {outcome:?}");
}

/// How a schema step ends where no file grows beyond `kib`: like a quota, that is an I/O error.
fn outcome_under(path: &Path, kib: u32) -> String {
    // A child ignores the signal that goes with the limit as the shell does. The unit is 512 bytes, or 1024 in some shells.
    let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" --exact child_goes_up_where_files_may_not_grow --nocapture", 2 * kib);
    let test = std::env::current_exe().expect("this test");
    let child = Command::new("sh").args(["-c", &limited]).arg(test).env(LIMITED, path).output().expect("child");
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let outcome = said.lines().find_map(|line| line.split_once("outcome ")).unwrap_or_else(|| panic!("{child:?}"));
    outcome.1.to_owned()
}

#[test]
fn an_error_of_the_disk_is_not_the_steps_nor_somebody_elses() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("a.db");
    drop(open(&path));
    let in_step = outcome_under(&path, 1024);
    assert!(in_step.starts_with("Err(Sqlite(") && in_step.contains("SystemIoFailure"), "{in_step}");
    // Rows that are in the log alone, more than the limit: its writer never folds it in.
    let writer = rusqlite::Connection::open(&path).expect("opens");
    writer
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; INSERT INTO note (text) VALUES (hex(zeroblob(2000000)))")
        .expect("written");
    let killed = dir.path().join("killed.db");
    for suffix in ["", "-wal"] {
        fs::copy(format!("{}{suffix}", path.display()), format!("{}{suffix}", killed.display())).expect("copied");
    }
    let folding = outcome_under(&killed, 1024);
    assert!(folding.starts_with("Err(Sqlite(") && folding.contains("SystemIoFailure"), "{folding}");
    for path in [&path, &killed] {
        let rows: i64 = rusqlite::Connection::open(path)
            .and_then(|c| c.query_row("SELECT count(*) FROM note", [], |row| row.get(0)))
            .expect("it is as it was");
        assert_eq!(rows, 1);
    }
}
