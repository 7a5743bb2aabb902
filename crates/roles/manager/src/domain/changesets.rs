//! Undo: a changeset is taken back by its inverse, as a changeset of its own, when nothing it did was changed since.

use crate::{
    change::{Change, Refusal},
    compile,
    snapshot::Snapshot,
    tables::{
        audit,
        changesets::{self, Record},
        columns::signed,
        migrations,
    },
};
use rusqlite::{Transaction, types::Value};
use std::collections::BTreeSet;
use weir_database::{ApplyError, RowChange, RowKey, keys};
use weir_operator_api::{AuditEntry, Problem, Reason};

/// Tables whose rows an undo brings back. What is written to others has verbs of its own that take it back, with their rules.
const UNDONE: [&str; 4] = ["location", "delivery_service", "delivery_service_engine", "coverage_zone"];
/// Tables that say how the configuration stands and go on from there: not what somebody decided.
const CARRIED: [&str; 1] = ["setting"];
/// Of those, the tables whose rows hold the generation they were written with.
const REVISED: [&str; 2] = ["location", "delivery_service"];
/// An undo reaches back this many changesets: each of them is looked at.
const REACH: u64 = 1_000;
/// Later changesets that a refusal names.
const NAMED_MAX: usize = 5;

/// Takes a changeset back.
///
/// # Errors
/// The first reason against it; then nothing is changed.
pub(crate) fn undo(change: &Change<'_>, rev: u64) -> Result<(), Refusal> {
    let record = found(change.tx, rev)?;
    let rows = possible(change.tx, &record)?;
    change.undoes(rev);
    // Undone and done again, a row is as it was but for this.
    for table in REVISED {
        changesets::set_revisions(change.tx, table, &revisions(change.tx, &rows, table)?)?;
    }
    let inverse = record.changeset.inverted()?;
    match inverse.apply(change.tx, &UNDONE) {
        Ok(()) => {}
        Err(ApplyError::Conflict(conflict)) => return Err(conflicting(rev, &conflict.to_string(), &[]).into()),
        Err(ApplyError::Sqlite(error)) => return Err(error.into()),
    }
    let revision = signed(change.revision());
    for table in REVISED {
        let all: Vec<_> = rows.iter().filter(|row| row.table == table).filter_map(id).map(|id| (id, revision)).collect();
        changesets::set_revisions(change.tx, table, &all)?;
    }
    if rows.iter().any(|row| row.table == "coverage_zone" || row.table == "location") {
        change.zones_changed()?;
    }
    let network = Snapshot::load(change.tx, None)?;
    if let Some(location) = network.locations.values().find(|l| l.parent.as_ref().is_some_and(|parent| network.is_under(parent, &l.name))) {
        let detail = format!("location {} would be below itself", location.name);
        return Err(conflicting(rev, &detail, &[]).into());
    }
    compile::check(&network).map_err(|error| Problem::new(Reason::DoesNotCompile, error.to_string()))?;
    for AuditEntry { verb, object, before, after, .. } in audit::of(change.tx, rev)?.iter().rev() {
        change.audit(&taking_back(verb), object, after.as_ref(), before.as_ref())?;
    }
    Ok(())
}

/// The verb of an undo: `undo create`; of an undo that is taken back: `redo create`.
fn taking_back(verb: &str) -> String {
    match (verb.strip_prefix("undo "), verb.strip_prefix("redo ")) {
        (Some(first), _) => format!("redo {first}"),
        (None, Some(first)) => format!("undo {first}"),
        (None, None) => format!("undo {verb}"),
    }
}

/// Why a changeset cannot be taken back, as far as that is seen without trying.
pub(crate) fn refused(tx: &Transaction<'_>, record: &Record) -> Result<Option<Problem>, Refusal> {
    match possible(tx, record) {
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

/// The rows of the configuration that a changeset changed, if nothing speaks against taking it back.
fn possible(tx: &Transaction<'_>, record: &Record) -> Result<Vec<RowChange>, Refusal> {
    let (rev, newest) = (record.rev, changesets::last(tx)?);
    if record.step != u64::from(migrations::newest()) {
        let detail = format!("changeset {rev} was made on schema step {}, and this is step {}", record.step, migrations::newest());
        return Err(Problem::new(Reason::SchemaBetween, detail).into());
    }
    if newest - rev > REACH {
        let detail = format!("changeset {rev} is {} changesets old, and an undo reaches back {REACH}", newest - rev);
        return Err(Problem::new(Reason::NotUndoable, detail).next_step("edit the object instead").into());
    }
    let mut rows = record.changeset.rows()?;
    rows.retain(|row| !CARRIED.contains(&row.table.as_str()));
    if let Some(other) = rows.iter().find(|row| !UNDONE.contains(&row.table.as_str())) {
        let (what, next) = other_way(&other.table);
        return Err(Problem::new(Reason::NotUndoable, format!("changeset {rev} {what}")).next_step(next).into());
    }
    if rows.is_empty() {
        return Err(Problem::new(Reason::NotUndoable, format!("changeset {rev} changed nothing an operator decides"))
            .next_step("nothing needs to be taken back")
            .into());
    }
    let later = overlapping(tx, rev, &keys(&rows))?;
    if !later.is_empty() {
        return Err(conflicting(rev, "what it did was changed since", &later).into());
    }
    Ok(rows)
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
        _ => ("changed what cannot be taken back", "edit the object instead"),
    }
}

/// Later changesets that changed one of the same rows, newest first: what they did. One that was taken back, and the one that
/// did, are none.
fn overlapping(tx: &Transaction<'_>, rev: u64, rows: &BTreeSet<RowKey>) -> Result<Vec<String>, Refusal> {
    let (mut later, mut taken_back) = (Vec::new(), BTreeSet::new());
    let records = changesets::page(tx, rev, u32::try_from(REACH).expect("a thousand"))?;
    for record in records.into_iter().rev() {
        if taken_back.contains(&record.rev) {
            continue;
        }
        if let Some(undone) = record.undoes.filter(|undone| *undone > rev) {
            taken_back.insert(undone);
            continue;
        }
        if !keys(&record.changeset.rows()?).is_disjoint(rows) {
            let did = changesets::words(tx, record.rev, record.rev)?.remove(&record.rev).unwrap_or_default();
            later.push(format!("changeset {} ({} by {})", record.rev, did.join(", "), record.actor));
        }
    }
    Ok(later)
}

fn conflicting(rev: u64, why: &str, later: &[String]) -> Problem {
    let named = later.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = later.len().saturating_sub(NAMED_MAX);
    let detail = match (later.is_empty(), more) {
        (true, _) => format!("changeset {rev} cannot be undone: {why}"),
        (false, 0) => format!("changeset {rev} cannot be undone: {why}, by {named}"),
        (false, more) => format!("changeset {rev} cannot be undone: {why}, by {named} and {more} more"),
    };
    Problem::new(Reason::UndoConflict, detail)
}

/// The id of a row.
fn id(row: &RowChange) -> Option<i64> {
    let key = row.columns.iter().find(|column| column.in_key)?;
    if let Some(Value::Integer(id)) = key.old.as_ref().or(key.new.as_ref()) { Some(*id) } else { None }
}

/// The generations that rows of a table, by id, were given by a changeset.
fn revisions(tx: &Transaction<'_>, rows: &[RowChange], table: &str) -> rusqlite::Result<Vec<(i64, i64)>> {
    let at = changesets::revision_column(tx, table)?;
    let given = |row: &RowChange| match row.columns.get(at)?.new {
        Some(Value::Integer(revision)) => Some((id(row)?, revision)),
        _ => None,
    };
    Ok(rows.iter().filter(|row| row.table == table).filter_map(given).collect())
}
