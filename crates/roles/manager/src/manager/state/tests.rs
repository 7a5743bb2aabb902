//! When `state.db` is begun anew, and when it is not; a directory from before secrets were sealed.

use super::*;
use std::io;

fn sqlite(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}

#[test]
fn only_a_file_or_a_step_at_fault_begins_it_anew() {
    let (path, id, name) = (PathBuf::from("state.db"), 2, "words".to_owned());
    let at_fault = [
        DatabaseError::Damaged { path: path.clone(), detail: String::new() },
        DatabaseError::Migration { id, name: name.clone(), source: sqlite(rusqlite::ffi::SQLITE_CONSTRAINT) },
        DatabaseError::SchemaAhead { id, name: name.clone(), written_by: None },
        DatabaseError::SchemaChanged { id, name },
        DatabaseError::Unsound { path: path.clone(), detail: String::new() },
    ];
    for error in at_fault {
        assert!(is_unusable(&error), "{error:?}");
    }
    let passing = [
        DatabaseError::DiskFull,
        DatabaseError::Sqlite(sqlite(rusqlite::ffi::SQLITE_IOERR_READ)),
        DatabaseError::Open { path: path.clone(), source: sqlite(rusqlite::ffi::SQLITE_CANTOPEN) },
        DatabaseError::InUse { path: path.clone() },
        DatabaseError::File { what: "create", path, source: io::ErrorKind::PermissionDenied.into() },
        DatabaseError::Closed,
    ];
    for error in passing {
        assert!(!is_unusable(&error), "{error:?}");
    }
}

#[tokio::test]
async fn beginning_anew_leaves_what_was_before_the_last_step() {
    let dir = tempfile::tempdir().expect("dir");
    let (config, kept) = databases(dir.path().to_owned(), None).await.expect("opens");
    drop((config, kept));
    let path = dir.path().join("state.db");
    let sql = "INSERT INTO schema_ledger (id, name, sha256, applied_ms) VALUES (9999, 'of a later build', '', 1)";
    rusqlite::Connection::open(&path).expect("opens").execute(sql, []).expect("written");
    let previous = dir.path().join("state.db.previous");
    fs::write(&previous, "what was before").expect("written");
    let (_config, kept) = databases(dir.path().to_owned(), None).await.expect("opens all the same");
    let count =
        kept.read(|tx| Ok::<i64, DatabaseError>(tx.query_row("SELECT count(*) FROM schema_ledger WHERE id = 9999", [], |r| r.get(0))?));
    assert_eq!(count.await.expect("reads"), 0, "begun anew");
    assert_eq!(fs::read_to_string(previous).expect("still there"), "what was before");
}

fn settings(data: &Path) -> ManagerSettings {
    ManagerSettings {
        data: data.to_owned(),
        name: "manager-1".parse().expect("name"),
        network_name: "demo".into(),
        profile: "rehearsal".into(),
        listeners: Listeners::default(),
        addresses: vec![],
        metrics: weir_telemetry::Metrics::new("1.0.0-b1", "manager", "manager-1"),
        keeper: None,
        own: crate::OwnAnswers { boot: 1, worker_crashes: 0, last_exit: None, logs: Arc::new(|_| Ok(vec![])) },
    }
}

/// What a build before sealing left: the CA in two files, everything else plain in `config.db`.
async fn of_a_build_before_sealing(state: &Path) -> (Database, Authority) {
    let authority = Authority::create("demo", weir_clock::wall()).expect("made");
    fs::write(state.join("ca.pem"), authority.certificate_pem()).expect("written");
    fs::write(state.join("ca.key"), authority.key_pem()).expect("written");
    let config = Database::open(&state.join("config.db"), migrations::CONFIG, 1, "1.0.0-b1").expect("opens");
    let plain =
        "INSERT INTO setting (name, value) VALUES ('network', 'demo'), ('primary', 'manager-1'), ('term', '1'), ('generation', '9');
        INSERT INTO keepalive_key (secret, created_ms) VALUES ('k33p-plain', 1);
        INSERT INTO software_file (url, username, password, header, header_value, auto_reload, method, comment, state, checks, release,
            created_ms, created_by) VALUES ('https://a.example.com/b', 'ann', 'p4ss-plain', 'X-Key', 'h34d-plain', 0, 'default', '', 'new',
            '[]', '{}', 1, 'local');";
    config.write(move |tx| Ok::<_, DatabaseError>(tx.execute_batch(plain)?)).await.expect("written");
    (config, authority)
}

#[tokio::test]
async fn a_directory_from_before_sealing_is_sealed_at_its_first_start() {
    let dir = tempfile::tempdir().expect("dir");
    let state = dir.path();
    let (config, before) = of_a_build_before_sealing(state).await;
    let (seal, authority) = network(state, &config, &settings(state)).await.expect("sealed");
    assert_eq!(authority.fingerprint(), before.fingerprint(), "devices know this CA");
    assert!(!state.join("ca.key").exists() && state.join("ca.pem").exists());
    let columns = [
        ("SELECT value FROM setting WHERE name = 'ca_key'", place::CA_KEY, before.key_pem()),
        ("SELECT secret FROM keepalive_key", place::KEEPALIVE, "k33p-plain".to_owned()),
        ("SELECT password FROM software_file", place::SOURCE_PASSWORD, "p4ss-plain".to_owned()),
        ("SELECT header_value FROM software_file", place::SOURCE_HEADER, "h34d-plain".to_owned()),
    ];
    for (sql, place, plain) in columns {
        let read = config.read(move |tx| Ok::<String, DatabaseError>(tx.query_row(sql, [], |row| row.get(0))?));
        let sealed = read.await.expect("reads");
        assert!(sealed.starts_with(crate::seal::PREFIX) && !sealed.contains("plain"), "{sql}: {sealed}");
        assert_eq!(seal.open_text(place, &sealed).expect("opens").as_str(), plain, "{sql}");
    }
    let again = network(state, &config, &settings(state)).await.expect("nothing to do");
    assert_eq!((again.0.fingerprint(), again.1.fingerprint()), (seal.fingerprint(), before.fingerprint()));
    // Another key is none, and neither is no key.
    NetworkKey::create(state).expect("another one");
    assert!(matches!(network(state, &config, &settings(state)).await, Err(ManagerError::KeyMissing(_))));
    fs::remove_file(state.join("network.key")).expect("removed");
    assert!(matches!(network(state, &config, &settings(state)).await, Err(ManagerError::KeyMissing(_))));
}

/// A row that grows leaves its old bytes on a page, and a backup is a copy of pages.
#[tokio::test]
async fn no_byte_of_what_was_plain_is_left_in_a_directory_from_before_sealing() {
    let dir = tempfile::tempdir().expect("dir");
    let state = dir.path();
    let (config, _) = of_a_build_before_sealing(state).await;
    let many = |tx: &rusqlite::Transaction<'_>| {
        let sql = "INSERT INTO software_file (url, username, password, header, header_value, auto_reload, method, comment, state, checks,
            release, created_ms, created_by) VALUES (?1, 'ann', 'p4ss-plain-' || ?1, 'X-Key', 'h34d-plain-' || ?1, 0, 'default', '', 'new',
            '[]', '{}', 1, 'local')";
        for number in 0..30 {
            tx.execute(sql, [format!("https://a.example.com/{number}")])?;
        }
        Ok::<_, DatabaseError>(())
    };
    config.write(many).await.expect("written");
    network(state, &config, &settings(state)).await.expect("sealed");
    let copy = state.join("copy.db");
    config.copy(copy.clone(), |_| Ok::<_, DatabaseError>(())).await.expect("copied");
    let files = fs::read_dir(state).expect("read").map(|entry| entry.expect("read").path());
    let files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
    assert!(files.contains(&copy) && files.contains(&state.join("config.db")), "{files:?}");
    for path in files {
        let bytes = fs::read(&path).expect("read");
        assert!(!bytes.windows(6).any(|bytes| bytes == b"-plain"), "{}", path.display());
    }
}

#[tokio::test]
async fn a_directory_from_before_sealing_without_its_ca_key_begins_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let (config, _) = of_a_build_before_sealing(dir.path()).await;
    fs::remove_file(dir.path().join("ca.key")).expect("removed");
    let lost = network(dir.path(), &config, &settings(dir.path())).await;
    assert!(matches!(lost, Err(ManagerError::AuthorityLost(path)) if path.ends_with("ca.key")));
}
