//! Software files: registered, fetched or uploaded, checked, and offered on the Update Software page. API and pages call these.
//!
//! ```text
//! request ──> registration ──> a row at `validating`, or at `draft` until `upload` has its bytes
//! runner: each row at `validating` ──> validation: fetch (weir-fetch) or what was uploaded ──> verify (weir-release) ──> outcome ──> row
//! copies: engines are asked to hold what is verified; of a file for copies alone the last one makes it ready
//! shelf: all rows in memory, and what moves ──> list, show, choices, open pages
//! ```
//! None of it is configuration: no change here raises the generation, no document changes.

mod advice;
pub(crate) mod archives;
mod board;
mod choices;
pub(crate) mod copies;
mod newest;
mod outcome;
pub(crate) mod record;
mod removal;
mod request;
pub(crate) mod root;
pub(crate) mod runner;
pub(crate) mod shelf;
mod upload;
mod validation;
mod verify;

pub(crate) use root::begin;
pub(crate) use shelf::{Kept, Shelf};
pub(crate) use upload::upload;

use crate::{
    app::App,
    change::{Caller, Change, NOTHING, Refusal},
    domain::fields,
    tables::{self, settings},
};
use record::{Origin, Record, Registration, Standing};
use removal::Installable;
use std::sync::Arc;
use weir_model::{AlarmReason, OwnReason, SoftwareState, SourceAllow, source::AllowError};
use weir_operator_api::{
    AccessRole, Problem, Reason, SoftwareChoices, SoftwareFile, SoftwareFileRequest, SoftwareRemoval, SoftwareSources,
    software::SOFTWARE_FILES_MAX,
};

/// Every software file, by number.
pub(crate) fn list(app: &App) -> Vec<SoftwareFile> {
    app.software.map(Record::view)
}

/// One software file.
pub(crate) fn show(app: &App, id: i64) -> Result<SoftwareFile, Problem> {
    list(app).into_iter().find(|file| file.id == id).ok_or_else(|| absent(id))
}

/// Rises with everything these functions show: what open pages are told of.
pub(crate) fn version(app: &App) -> u64 {
    app.software.version()
}

fn absent(id: i64) -> Problem {
    fields::absent("software file", &id.to_string())
}

fn find(records: &[Record], id: i64) -> Result<&Record, Problem> {
    records.iter().find(|record| record.id == id).ok_or_else(|| absent(id))
}

fn named(id: i64) -> String {
    format!("software file {id}")
}

/// Registers a software file; of a URL its checks begin at once, of an upload when the bytes have come.
pub(crate) async fn register(app: &Arc<App>, caller: Caller, request: SoftwareFileRequest) -> Result<SoftwareFile, Problem> {
    let registration = request::registration(request)?;
    let id = app.change(caller, move |change| insert(change, registration)).await?;
    show(app, id)
}

fn insert(change: &Change<'_>, registration: Registration) -> Result<i64, Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let records = tables::software_files::all(change.tx)?;
    if records.len() >= SOFTWARE_FILES_MAX {
        return Err(fields::too_many("software files", SOFTWARE_FILES_MAX).into());
    }
    if let Origin::Url { url, .. } = &registration.origin
        && let Some(other) = records.iter().find(|r| r.registration.version == registration.version && r.name() == url && !r.is_upload())
    {
        let detail = format!("software file {} has this URL and this version", other.id);
        return Err(Problem::new(Reason::NameTaken, detail)
            .at("url")
            .next_step(format!("validate software file {} again", other.id))
            .into());
    }
    let (standing, queued_ms) = match registration.origin {
        Origin::Url { .. } => (outcome::validating(None), Some(change.now_ms)),
        Origin::Upload { .. } => {
            let reason = Some((OwnReason::AwaitingUpload.into(), "the file has not been sent yet".to_owned()));
            (Standing { state: SoftwareState::Draft, reason }, None)
        }
    };
    let checks = board::rows(matches!(registration.origin, Origin::Upload { .. }));
    let record = Record {
        id: 0,
        registration: registration.sealed(&change.before.seal),
        standing,
        checks,
        release: None,
        created_ms: change.now_ms,
        created_by: change.actor().to_string(),
        queued_ms,
        validated_ms: None,
    };
    let id = tables::software_files::insert(change.tx, &record)?;
    change.software_changed();
    change.audit("register", named(id), NOTHING, Some(&Record { id, ..record }.view(None)))?;
    Ok(id)
}

/// Begins the checks again.
pub(crate) async fn validate(app: &Arc<App>, caller: Caller, id: i64) -> Result<SoftwareFile, Problem> {
    app.change(caller, move |change| queue(change, id, "validate")).await?;
    show(app, id)
}

/// Puts a software file to `validating`.
fn queue(change: &Change<'_>, id: i64, verb: &str) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let records = tables::software_files::all(change.tx)?;
    let before = find(&records, id)?;
    match before.state() {
        SoftwareState::Validating => return Err(not_now(before, "its checks are being made already").into()),
        SoftwareState::Draft if verb == "validate" => return Err(not_now(before, "its file has not been sent yet").into()),
        _ => {}
    }
    let checks = board::rows(before.is_upload());
    let after = Record { standing: outcome::validating(Some(&before.standing)), checks, queued_ms: Some(change.now_ms), ..before.clone() };
    tables::software_files::update(change.tx, &after)?;
    change.software_changed();
    let state = |record: &Record| serde_json::json!({ "state": record.state() });
    change.audit(verb, named(id), Some(&state(before)), Some(&state(&after)))?;
    Ok(())
}

/// A verb that the state of a software file does not allow.
fn not_now(record: &Record, why: &str) -> Problem {
    Problem::new(Reason::SoftwareState, format!("software file {} is {}: {why}", record.id, record.state()))
}

/// Deletes a software file and what the manager keeps of it.
pub(crate) async fn delete(app: &Arc<App>, caller: Caller, id: i64, removal: SoftwareRemoval) -> Result<(), Problem> {
    let running = removal::running(app);
    let shelf = Arc::clone(&app.software);
    app.change(caller, move |change| {
        change.access().everywhere(AccessRole::Operator)?;
        let records = tables::software_files::all(change.tx)?;
        let record = find(&records, id)?;
        removal::not_assigned(id, &tables::device_updates::orders(change.tx)?)?;
        if !removal.overrides {
            let newest = shelf.newest();
            let installable = Installable::now(&shelf.archives, newest.as_deref().map(|newest| &newest.images));
            let unread = |error| Problem::new(Reason::Internal, format!("the archives that are held cannot be read: {error}"));
            removal::admit(record, &records, &running, &installable.map_err(unread)?)?;
        }
        tables::software_files::delete(change.tx, id)?;
        change.software_changed();
        change.audit("delete", named(id), Some(&record.view(None)), NOTHING)?;
        Ok(())
    })
    .await
}

/// The rows of the Update Software page.
pub(crate) fn choices(app: &App) -> SoftwareChoices {
    choices::choices(weir_model::Version::current(), &app.software.lineage(), &app.software.records())
}

/// Networks that software may be fetched from beside public ones.
pub(crate) fn sources(app: &App) -> SoftwareSources {
    SoftwareSources { allow: app.software.allow().0.clone() }
}

/// Replaces them.
pub(crate) async fn set_sources(app: &Arc<App>, caller: Caller, sources: SoftwareSources) -> Result<SoftwareSources, Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
    let after = SoftwareSources { allow: SourceAllow::checked(sources.allow).map_err(|error| not_allowed(&error))?.0 };
    let written = after.clone();
    app.change(caller, move |change| {
        let before = SoftwareSources { allow: source_allow(change.tx)?.0 };
        if before != written {
            let text = serde_json::to_string(&written.allow).expect("networks are JSON");
            settings::set(change.tx, settings::SOURCE_ALLOW, &text)?;
            change.software_changed();
            change.audit("change", "software sources", Some(&before), Some(&written))?;
        }
        Ok(())
    })
    .await?;
    Ok(after)
}

/// A list of networks that is not taken.
fn not_allowed(error: &AllowError) -> Problem {
    let reason = match error {
        AllowError::TooMany => Reason::LimitExceeded,
        AllowError::Twice { .. } => Reason::DuplicateNetwork,
        AllowError::CarriesV4 { .. } | AllowError::TooWide { .. } => Reason::InvalidField,
    };
    let field = error.index().map_or_else(|| "allow".to_owned(), |index| format!("allow[{index}]"));
    Problem::new(reason, error.to_string()).at(field).next_step(error.next_step())
}

/// What is kept of software.
pub(crate) fn kept(tx: &rusqlite::Transaction<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept { records: tables::software_files::all(tx)?, allow: source_allow(tx)? })
}

fn source_allow(tx: &rusqlite::Transaction<'_>) -> rusqlite::Result<SourceAllow> {
    let Some(text) = settings::get(tx, settings::SOURCE_ALLOW)? else { return Ok(SourceAllow::default()) };
    serde_json::from_str(&text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
}

/// IMAGE_QUARANTINED: the objects it is about, with their texts.
pub(crate) fn alarms(app: &App) -> Vec<(crate::alarms::Key, String)> {
    let quarantined = app.software.records().into_iter().filter(|record| outcome::is_quarantined(&record.standing));
    let alarm = |record: Arc<Record>| {
        let key = crate::alarms::Key { reason: AlarmReason::ImageQuarantined, device: app.name.clone(), object: named(record.id) };
        let detail = record.standing.reason.as_ref().map_or("", |(_, detail)| detail);
        (key, format!("{}: {detail}", record.shown_name()))
    };
    quarantined.map(alarm).collect()
}
