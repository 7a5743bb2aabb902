//! Undo: a changeset is taken back by its inverse, as a changeset of its own, when nothing it did was changed since.

use super::{delivery_services, zones};
use crate::{
    access::Access,
    change::{Change, Refusal},
    snapshot::Snapshot,
    tables::{
        changesets::{self, Record},
        columns::signed,
        locations, migrations, published, settings, tokens,
    },
};
use rusqlite::{Transaction, types::Value};
use serde::Serialize;
use std::collections::BTreeSet;
use weir_database::{ApplyError, Conflict, ConflictKind, RowChange, RowKey, RowKind};
use weir_operator_api::{AccessRole, Problem, Reason};

/// Tables whose rows an undo brings back. What is written to others has verbs of its own that take it back, with their rules.
pub(crate) const UNDONE: [&str; 4] = ["location", "delivery_service", "delivery_service_engine", "coverage_zone"];
/// Settings that say how the configuration stands and go on from there: not what somebody decided.
const CARRIED: [&str; 5] = [settings::TERM, settings::GENERATION, settings::ZONES_REVISION, settings::UPDATE_NUMBER, settings::CONFIRMED];
/// What is written along with a delivery service, and again when that is brought back.
const FOLLOWS: &str = "published_service";
/// Of the tables above, those whose rows hold the generation they were written with.
const REVISED: [&str; 2] = ["location", "delivery_service"];
/// An undo reaches back over this many changesets of these tables: each of them is looked at.
const REACH: u64 = 1_000;
/// And over so many bytes of them.
const REACH_BYTES: u64 = 64 * 1024 * 1024;
/// Later changesets that a refusal names.
const NAMED_MAX: usize = 5;

/// Takes a changeset back.
///
/// # Errors
/// The first reason against it; then nothing is changed.
pub(crate) fn undo(change: &Change<'_>, rev: u64) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let record = found(change.tx, rev)?;
    let rows = possible(change.tx, &record, change.now_ms)?;
    change.undoes(rev);
    apply(change, rev, &rows)?;
    if rows.iter().any(|row| row.table == "coverage_zone") {
        change.zones_changed()?;
    }
    let network = Snapshot::load(change.tx, &change.before.seal, Some(change.before))?;
    allowed(&network, change.access(), &rows, rev)?;
    if renames_in_zones(change, &network, &rows)? {
        change.zones_changed()?;
    }
    tell(change, &network, &rows, is_undo(change.tx, &record)?)
}

/// Brings the rows back, with this change's generation.
fn apply(change: &Change<'_>, rev: u64, rows: &[RowChange]) -> Result<(), Refusal> {
    // Undone and done again, a row is as it was but for this.
    for table in REVISED {
        changesets::set_revisions(change.tx, table, &revisions(change.tx, rows, table)?)?;
    }
    // A location that was made goes: tokens whose time has passed are not in its way.
    for made in rows.iter().filter(|row| row.table == "location" && row.kind == RowKind::Inserted).filter_map(id) {
        tokens::delete_expired_into(change.tx, made, change.now_ms)?;
    }
    for made in rows.iter().filter(|row| row.table == "delivery_service" && row.kind == RowKind::Inserted).filter_map(id) {
        published::forget(change.tx, made)?;
    }
    match changesets::changeset(change.tx, rev)?.inverted()?.apply(change.tx, &UNDONE) {
        Ok(()) => {}
        Err(ApplyError::Conflict(conflict)) => return Err(conflicting(rev, &why(&conflict)).into()),
        Err(ApplyError::OtherSchema { table }) => return Err(schema_between(rev, &format!("table {table} has other columns now")).into()),
        Err(ApplyError::Sqlite(error)) => return Err(error.into()),
    }
    let revision = signed(change.revision());
    for table in REVISED {
        let all: Vec<_> = rows.iter().filter(|row| row.table == table).filter_map(id).map(|id| (id, revision)).collect();
        changesets::set_revisions(change.tx, table, &all)?;
    }
    Ok(())
}

/// What other verbs check of a request, and a table does not.
fn allowed(network: &Snapshot, access: &Access, rows: &[RowChange], rev: u64) -> Result<(), Problem> {
    let below_itself =
        |location: &&weir_operator_api::Location| location.parent.as_ref().is_some_and(|p| network.is_under(p, &location.name));
    if let Some(location) = network.locations.values().find(below_itself) {
        return Err(conflicting(rev, &format!("location {} would be below itself", location.name)));
    }
    let back = ids(rows, "delivery_service");
    network
        .services
        .iter()
        .filter(|service| back.contains(&service.id))
        .try_for_each(|service| delivery_services::may_return(network, access, service))
}

/// Whether coverage zones name a location that has another name now.
fn renames_in_zones(change: &Change<'_>, network: &Snapshot, rows: &[RowChange]) -> rusqlite::Result<bool> {
    let name = |network: &Snapshot, id: i64| network.locations.values().find(|l| l.id == id).map(|l| l.name.clone());
    for id in ids(rows, "location") {
        if name(change.before, id) != name(network, id) && locations::zones_using(change.tx, id)? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes what became of each object, as it was before this change and as it is after it.
fn tell(change: &Change<'_>, network: &Snapshot, rows: &[RowChange], again: bool) -> Result<(), Refusal> {
    for id in ids(rows, "location") {
        let side = |network: &Snapshot| network.locations.values().find(|l| l.id == id).cloned();
        audit(change, again, "location", |l| l.name.to_string(), side(change.before), side(network))?;
    }
    for id in ids(rows, "delivery_service") {
        let side = |network: &Snapshot| network.services.iter().find(|s| s.id == id).cloned();
        audit(change, again, "delivery service", |s| s.name.to_string(), side(change.before), side(network))?;
    }
    if rows.iter().any(|row| row.table == "coverage_zone") {
        let (before, after) = (zones::audited(&change.before.zones), zones::audited(&network.zones));
        change.audit(verb(again, "change"), "coverage zones", Some(&before), Some(&after))?;
    }
    Ok(())
}

fn audit<T: Serialize>(
    change: &Change<'_>,
    again: bool,
    kind: &str,
    name: impl Fn(&T) -> String,
    before: Option<T>,
    after: Option<T>,
) -> rusqlite::Result<()> {
    let Some(object) = before.as_ref().or(after.as_ref()).map(name) else { return Ok(()) };
    let done = match (before.is_some(), after.is_some(), again) {
        // What was done is the opposite of what is done now, unless it is done again.
        (false, true, false) | (true, false, true) => "delete",
        (true, false, false) | (false, true, true) => "create",
        _ => "change",
    };
    change.audit(verb(again, done), format_args!("{kind} {object}"), before.as_ref(), after.as_ref())
}

fn verb(again: bool, done: &str) -> &'static str {
    match (again, done) {
        (false, "create") => "undo create",
        (false, "delete") => "undo delete",
        (false, _) => "undo change",
        (true, "create") => "redo create",
        (true, "delete") => "redo delete",
        (true, _) => "redo change",
    }
}

/// Whether a changeset takes one back: taken back itself, it does that one again.
fn is_undo(tx: &Transaction<'_>, record: &Record) -> rusqlite::Result<bool> {
    let (mut links, mut undoes) = (0, record.undoes);
    while let Some(before) = undoes.filter(|_| links < REACH) {
        links += 1;
        undoes = changesets::get(tx, before)?.and_then(|record| record.undoes);
    }
    Ok(links % 2 == 1)
}

/// Why a changeset cannot be taken back, as far as that is seen without trying.
pub(crate) fn refused(tx: &Transaction<'_>, record: &Record, now_ms: u64) -> Result<Option<Problem>, Refusal> {
    match possible(tx, record, now_ms) {
        Ok(_) => Ok(None),
        Err(Refusal::Problem(problem)) => Ok(Some(*problem)),
        Err(error) => Err(error),
    }
}

/// The changeset at this place in the log.
pub(crate) fn found(tx: &Transaction<'_>, rev: u64) -> Result<Record, Refusal> {
    let absent = || {
        Problem::new(Reason::NotFound, format!("there is no changeset {rev}")).next_step("see which there are with `weir changesets list`")
    };
    Ok(changesets::get(tx, rev)?.ok_or_else(absent)?)
}

/// The rows that an undo of a changeset brings back, if nothing speaks against it.
fn possible(tx: &Transaction<'_>, record: &Record, now_ms: u64) -> Result<Vec<RowChange>, Refusal> {
    let (rev, step) = (record.rev, u64::from(migrations::newest()));
    if record.step != step {
        return Err(schema_between(rev, &format!("it was made on schema step {}, and this is step {step}", record.step)).into());
    }
    if changesets::other_step_since(tx, record)? {
        return Err(schema_between(rev, "the schema was another one in between").into());
    }
    let (count, bytes) = changesets::undoable_after(tx, rev)?;
    if count > REACH || bytes > REACH_BYTES {
        let detail = format!("{count} changesets of the configuration came after changeset {rev}, more than an undo reaches back over");
        return Err(Problem::new(Reason::NotUndoable, detail).next_step("edit the object instead").into());
    }
    let mut rows = changesets::changeset(tx, rev)?.rows()?;
    let expires = changesets::column(tx, "enrolment_token", "expires_ms")?;
    rows.retain(|row| row.table != FOLLOWS && !is_carried(row) && !was_expired(row, expires, now_ms));
    if let Some(other) = rows.iter().find(|row| !UNDONE.contains(&row.table.as_str())) {
        let (what, next) = other_way(&other.table);
        return Err(Problem::new(Reason::NotUndoable, format!("changeset {rev} {what}")).next_step(next).into());
    }
    if rows.is_empty() {
        let detail = format!("changeset {rev} changed nothing that can be brought back");
        return Err(Problem::new(Reason::NotUndoable, detail).next_step("nothing needs to be taken back").into());
    }
    let later = overlapping(tx, rev, &rows.iter().map(object).collect())?;
    if !later.is_empty() {
        return Err(conflicting(rev, &format!("what it did was changed since, by {}", later.join("; "))).into());
    }
    Ok(rows)
}

fn is_carried(row: &RowChange) -> bool {
    let named = |column: &weir_database::ColumnChange| column.old.as_ref().or(column.new.as_ref()).cloned();
    let name = row.columns.iter().find(|column| column.in_key).and_then(named);
    row.table == "setting" && matches!(name, Some(Value::Text(name)) if CARRIED.contains(&name.as_str()))
}

/// A token whose time has passed is nothing to bring back.
fn was_expired(row: &RowChange, expires: usize, now_ms: u64) -> bool {
    let at = row.columns.get(expires).and_then(|column| column.old.as_ref());
    row.table == "enrolment_token" && row.kind == RowKind::Deleted && matches!(at, Some(Value::Integer(at)) if *at <= signed(now_ms))
}

/// What a row is part of: a coverage zone is all rows of its network.
fn object(row: &RowChange) -> RowKey {
    if row.table == "coverage_zone" { row.key_of(1) } else { row.key() }
}

/// What a changeset did to a table that an undo does not bring back, and what takes it back.
fn other_way(table: &str) -> (&'static str, &'static str) {
    match table {
        "device" => ("changed a device", "use `weir device activate`, `weir device deactivate`, or enrol it again"),
        "offload" | "offload_lease" => {
            ("took a device out of service or returned it", "use `weir offload DEVICE` or `weir unoffload DEVICE`")
        }
        "device_update" | "device_image" | "unburned" => {
            ("is about an update of a device", "use `weir upgrade device` or `weir downgrade device`")
        }
        "software_file" => ("changed a software file", "register or delete the file"),
        "user" | "api_token" | "enrolment_token" | "keepalive_key" => ("made, changed or deleted a secret", "make a new one, or delete it"),
        "setting" => ("changed a setting of the network", "set it again"),
        _ => ("changed what cannot be taken back", "edit the object instead"),
    }
}

/// Later changesets that changed one of the same objects, newest first: what they did.
fn overlapping(tx: &Transaction<'_>, rev: u64, objects: &BTreeSet<RowKey>) -> Result<Vec<String>, Refusal> {
    let mut later = Vec::new();
    for record in changesets::standing_after(tx, rev)? {
        if changesets::changeset(tx, record.rev)?.any(|row| objects.contains(&object(row)))? {
            let did = changesets::words(tx, record.rev, record.rev)?.remove(&record.rev).unwrap_or_default();
            later.push(format!("changeset {} ({} by {})", record.rev, did.join(", "), record.actor));
        }
        if later.len() == NAMED_MAX {
            break;
        }
    }
    Ok(later)
}

fn why(conflict: &Conflict) -> String {
    match (conflict.kind, conflict.table.as_str()) {
        (ConflictKind::Constraint | ConflictKind::Taken, "location") => "another location has the name now".to_owned(),
        (ConflictKind::Constraint | ConflictKind::Taken, "delivery_service") => {
            "another delivery service has the name or the domain now".to_owned()
        }
        (ConflictKind::Reference, _) => "something that came later uses what it made, or it uses what is gone".to_owned(),
        _ => conflict.to_string(),
    }
}

fn conflicting(rev: u64, why: &str) -> Problem {
    Problem::new(Reason::UndoConflict, format!("changeset {rev} cannot be undone: {why}"))
}

fn schema_between(rev: u64, why: &str) -> Problem {
    Problem::new(Reason::SchemaBetween, format!("changeset {rev} cannot be undone: {why}"))
}

/// The id of a row.
fn id(row: &RowChange) -> Option<i64> {
    let key = row.columns.iter().find(|column| column.in_key)?;
    if let Some(Value::Integer(id)) = key.old.as_ref().or(key.new.as_ref()) { Some(*id) } else { None }
}

/// The ids of the rows of a table.
fn ids(rows: &[RowChange], table: &str) -> BTreeSet<i64> {
    rows.iter().filter(|row| row.table == table).filter_map(id).collect()
}

/// The generations that rows of a table, by id, were given by a changeset.
fn revisions(tx: &Transaction<'_>, rows: &[RowChange], table: &str) -> rusqlite::Result<Vec<(i64, i64)>> {
    let at = changesets::column(tx, table, "revision")?;
    let given = |row: &RowChange| match row.columns.get(at)?.new {
        Some(Value::Integer(revision)) => Some((id(row)?, revision)),
        _ => None,
    };
    Ok(rows.iter().filter(|row| row.table == table).filter_map(given).collect())
}
