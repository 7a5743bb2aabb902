//! The schema of a database: up to the newest step of this build, or down to a step below.

use crate::{
    DatabaseError, Migration, copy,
    disk::{Disk, FileSystem, keep_private, with_suffix},
    dump,
    flip::{self, PREVIOUS},
    law::Law,
    ledger, open,
    program::Programs,
    shape,
};
use rusqlite::{Connection, ErrorCode};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// The copy a plan is tried on, before the numbers that make it that plan's alone.
const SCRATCH: &str = ".plan";
/// Plans of this process so far: two at once must not try theirs on one copy.
static PLANS: AtomicU64 = AtomicU64::new(0);

/// Who applies steps, and when.
#[derive(Clone, Copy)]
pub(crate) struct Stamp<'a> {
    pub(crate) now_ms: u64,
    pub(crate) written_by: &'a str,
}

/// Opens or creates the database and takes it to the newest step; refuses a ledger this build does not understand.
pub(crate) fn bring_up(disk: &mut impl Disk, path: &Path, migrations: &[Migration], stamp: Stamp<'_>) -> Result<Connection, DatabaseError> {
    debug_assert!(migrations.windows(2).all(|w| w[0].id < w[1].id), "steps are listed in order");
    flip::clear(disk, path)?;
    keep_private(path)?;
    let mut writer = open::writer(path)?;
    let applied = ledger::read(&writer)?;
    ledger::check(&applied, migrations)?;
    let pending: Vec<_> = migrations.iter().filter(|m| !applied.iter().any(|a| a.id == m.id)).collect();
    if pending.is_empty() {
        let transaction = writer.transaction()?;
        ledger::prepare(&transaction, migrations)?;
        transaction.commit()?;
        return Ok(writer);
    }
    if ledger::is_new(&writer)? {
        let programs = Programs::on(&mut writer)?;
        let transaction = writer.transaction()?;
        apply(&transaction, &mut |program| programs.run(&transaction, program, || Ok(())), migrations, &pending, stamp)?;
        transaction.commit()?;
        programs.off(&mut writer)?;
        return Ok(writer);
    }
    drop(writer);
    let steps: Vec<u32> = pending.iter().map(|step| step.id).collect();
    flip::flip(disk, path, |change| {
        apply(change.copy, &mut |program| change.run(program), migrations, &pending, stamp)?;
        Law::between(change.before, change.copy, &steps)?.up()
    })?;
    open::writer(path)
}

fn apply(
    connection: &Connection,
    run: &mut dyn FnMut(&str) -> rusqlite::Result<()>,
    migrations: &[Migration],
    pending: &[&Migration],
    stamp: Stamp<'_>,
) -> Result<(), DatabaseError> {
    ledger::prepare(connection, migrations)?;
    for step in pending {
        let ran = run(step.up_sql).and_then(|()| ledger::note(connection, step, stamp.now_ms, stamp.written_by));
        ran.map_err(failed(step.id, step.name))?;
        tracing::info!(step = step.id, name = step.name, "schema step applied");
    }
    Ok(())
}

/// What [`downgrade`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downgraded {
    /// The newest step before.
    pub from: u32,
    /// The newest step now.
    pub to: u32,
    /// The steps that were taken back, newest first.
    pub undone: Vec<Undone>,
    /// The database as it was; `None` when there was nothing to take back.
    pub previous: Option<PathBuf>,
}

/// A step that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The version that applied it; `None` when it did not say.
    pub written_by: Option<String>,
    /// SHA-256 of the way back, verified before it ran; hex.
    pub down_sha256: String,
    /// Rows it parked, by attic table.
    pub parked: BTreeMap<String, u64>,
}

/// Takes a database back to the step `to_step`, by the ways back in its own ledger: the build that runs this need not know
/// the steps above. Nothing else may have the database open. Blocks.
///
/// # Errors
/// [`DatabaseError::NoWayBack`] and [`DatabaseError::WayBackDamaged`] name the step; [`DatabaseError::UnknownStep`] when the
/// database never was at `to_step`; [`DatabaseError::Touched`] when a way back would lose something. The database is as it was.
pub fn downgrade(path: &Path, to_step: u32) -> Result<Downgraded, DatabaseError> {
    downgrade_on(&mut FileSystem, path, to_step)
}

pub(crate) fn downgrade_on(disk: &mut impl Disk, path: &Path, to_step: u32) -> Result<Downgraded, DatabaseError> {
    if !path.is_file() {
        return Err(DatabaseError::Absent { path: path.to_owned() });
    }
    let mut applied = ledger::read(&open::writer(path)?)?;
    let from = applied.last().map_or(0, |step| step.id);
    if !applied.iter().any(|step| step.id == to_step) {
        return Err(DatabaseError::UnknownStep { step: to_step, newest: from });
    }
    let schema = applied.iter().find(|step| step.id == to_step).and_then(|step| step.schema_sha256.clone());
    applied.retain(|step| step.id > to_step);
    applied.reverse();
    if applied.is_empty() {
        return Ok(Downgraded { from, to: to_step, undone: Vec::new(), previous: None });
    }
    // All of them are looked at before any is run.
    let ways = applied.iter().map(|step| Ok((step, step.way_back()?))).collect::<Result<Vec<_>, DatabaseError>>()?;
    let ids: Vec<u32> = applied.iter().map(|step| step.id).collect();
    let mut undone = Vec::with_capacity(applied.len());
    flip::flip(disk, path, |change| {
        for (step, way) in ways {
            let ran = change.run(way.program).and_then(|()| ledger::forget(change.copy, step.id));
            ran.map_err(failed(step.id, &step.name))?;
            tracing::info!(step = step.id, name = step.name, "schema step taken back");
            undone.push(Undone {
                id: step.id,
                name: step.name.clone(),
                written_by: step.written_by.clone(),
                down_sha256: way.sha256.to_owned(),
                parked: parked(change.copy, step.id)?,
            });
        }
        Law::between(change.before, change.copy, &ids)?.down()?;
        let now = shape::schema_sha256(change.copy)?;
        if schema.is_none_or(|then| then == now) { Ok(()) } else { Err(DatabaseError::OtherSchema { step: to_step }) }
    })?;
    Ok(Downgraded { from, to: to_step, undone, previous: Some(with_suffix(path, PREVIOUS)) })
}

/// How many rows the attics of a step hold.
fn parked(connection: &Connection, step: u32) -> rusqlite::Result<BTreeMap<String, u64>> {
    let tables = dump::tables(connection)?.into_keys().filter(|table| dump::attic_of(table).is_some_and(|(of, _)| of == step));
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {}", dump::quoted(table));
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    };
    tables.map(|table| count(&table).map(|rows| (table, rows))).collect()
}

/// What [`downgrade`] would do, found by doing it to a copy that is thrown away; the database may be in use meanwhile. Takes three
/// times the room of the database beside it. Blocks.
///
/// # Errors
/// As [`downgrade`].
pub fn downgrade_plan(path: &Path, to_step: u32) -> Result<Downgraded, DatabaseError> {
    if !path.is_file() {
        return Err(DatabaseError::Absent { path: path.to_owned() });
    }
    let scratch = with_suffix(path, &format!("{SCRATCH}-{}-{}", std::process::id(), PLANS.fetch_add(1, Ordering::Relaxed)));
    flip::throw_away(&scratch)?;
    let outcome = tried_on(path, &scratch, to_step);
    // What cannot be removed now is for whoever starts next on this database.
    flip::throw_away(&scratch).or_else(|error| outcome.is_err().then_some(()).ok_or(error))?;
    outcome
}

fn tried_on(path: &Path, scratch: &Path, to_step: u32) -> Result<Downgraded, DatabaseError> {
    let mut reader = open::reader(path)?;
    let snapshot = reader.transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    copy::copy(&snapshot, scratch)?;
    Ok(Downgraded { previous: None, ..downgrade(scratch, to_step)? })
}

/// A step is at fault only where SQLite's reason is one it would have every time: an unreadable disk, a full one (a quota
/// shows as an I/O error), want of memory or a lock say nothing of the step or of the file.
fn failed(id: u32, name: &str) -> impl FnOnce(rusqlite::Error) -> DatabaseError {
    use ErrorCode::{
        ApiMisuse, AuthorizationForStatementDenied, ConstraintViolation, DatabaseCorrupt, NotADatabase, ParameterOutOfRange, TooBig,
        TypeMismatch, Unknown,
    };
    let name = name.to_owned();
    move |source| match source.sqlite_error_code() {
        // `Unknown` is what a statement that makes no sense here is called.
        None
        | Some(
            ApiMisuse
            | AuthorizationForStatementDenied
            | ConstraintViolation
            | DatabaseCorrupt
            | NotADatabase
            | ParameterOutOfRange
            | TooBig
            | TypeMismatch
            | Unknown,
        ) => DatabaseError::Migration { id, name, source },
        Some(_) => source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn only_a_step_that_fails_every_time_is_at_fault() {
        let of = |code| failed(7, "words")(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [ffi::SQLITE_ERROR, ffi::SQLITE_CONSTRAINT_CHECK, ffi::SQLITE_AUTH, ffi::SQLITE_MISMATCH, ffi::SQLITE_CORRUPT] {
            assert!(matches!(of(code), DatabaseError::Migration { id: 7, .. }), "{code}");
        }
        assert!(matches!(of(ffi::SQLITE_FULL), DatabaseError::DiskFull));
        let passing = [
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_NOMEM,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_PERM,
            ffi::SQLITE_INTERRUPT,
            ffi::SQLITE_PROTOCOL,
        ];
        for code in passing {
            assert!(matches!(of(code), DatabaseError::Sqlite(_)), "{code}");
        }
    }
}
