//! What is found of a `config.db` that this build cannot open.

use super::*;
use rusqlite::Connection;
use weir_database::Migration;

const NEXT: Migration = Migration {
    id: 9_000,
    name: "notes",
    up_sql: "ALTER TABLE location ADD COLUMN note TEXT",
    down_sql: Some("ALTER TABLE location DROP COLUMN note"),
};

#[tokio::test]
async fn what_a_newer_build_wrote_says_its_term_and_what_is_damaged_says_nothing() {
    let name = "manager-1".parse().expect("name");
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("config.db");
    let all: Vec<_> = migrations::CONFIG.iter().copied().chain([NEXT]).collect();
    drop(Database::open(&path, &all, 1, "9.1.0-b1").expect("made"));
    let sql = "INSERT INTO setting (name, value) VALUES ('primary', 'manager-1'), ('term', '5')";
    Connection::open(&path).expect("opens").execute_batch(sql).expect("runs");
    let found = look(dir.path(), &name).await;
    assert!(matches!(found.config, Config::Ahead(_)), "{:?}", found.config);
    let known = found.known.expect("it is read");
    assert_eq!((known.primary, known.term, known.step), (name.clone(), 5, 9_000));

    let dir = tempfile::tempdir().expect("dir");
    std::fs::write(dir.path().join("config.db"), [0x5a; 8192]).expect("written");
    let found = look(dir.path(), &name).await;
    assert!(matches!(found.config, Config::Damaged(_)) && found.known.is_none(), "{:?}", found.config);
}
