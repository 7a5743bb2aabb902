//! One validation: the archive is fetched, or taken as it was uploaded, then checked, and the outcome is kept.

use super::{
    archives::{self, Part, is_full},
    board::Board,
    newest::{self, Newest},
    outcome::{Ended, standing_after, withdrawn},
    record::{Origin, Record, Secret, SourceSecret, Standing},
    shelf::Shelf,
    verify::{self, Wanted},
};
use crate::{
    app::App,
    change::{Caller, Change, Refusal},
    seal::SealError,
    tables,
};
use serde_json::json;
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use weir_fetch::{Credentials, FetchError, Limits, Sink, Source, Watch};
use weir_model::{InvalidReason, OwnReason, SoftwareCheck, SoftwareReason, SoftwareState, Version};
use weir_operator_api::{Problem, SoftwareCheckRow, SoftwareProgress};
use weir_release::ARCHIVE_MAX_BYTES;

/// What a download may cost.
fn limits(profile: &str) -> Limits {
    let archives = Limits::for_archives(ARCHIVE_MAX_BYTES);
    match profile {
        // The same machinery, shorter waits.
        "rehearsal" => Limits {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(5),
            total: Duration::from_secs(5 * 60),
            slow_window: Duration::from_secs(5),
            ..archives
        },
        _ => archives,
    }
}

/// What a validation found.
pub(super) struct Outcome {
    ended: Ended,
    checks: Vec<SoftwareCheckRow>,
    /// What was fetched.
    part: Option<Part>,
}

/// Makes every check of a software file. Cancelled, it leaves nothing behind but newer metadata.
pub(super) async fn examine(app: &Arc<App>, record: &Record) -> Outcome {
    let board = Arc::new(Board::begin(&app.software, record.id, record.is_upload()));
    let part = match &record.registration.origin {
        Origin::Upload { .. } => None,
        Origin::Url { url, secret } => match fetch(app, record, url, secret.as_ref(), &board).await {
            Ok(part) => Some(part),
            Err(ended) => return Outcome { ended, checks: board.rows(), part: None },
        },
    };
    let path = part.as_ref().map_or_else(|| archives::held(&app.software.archives, record.id), |part| part.path().to_owned());
    let ended = verified(app, record, path, &board).await;
    Outcome { ended, checks: board.rows(), part }
}

/// Keeps what cannot be said of the checks because they were cut off.
pub(super) fn interrupted(record: &Record) -> Outcome {
    let detail = "the checks were cut off".to_owned();
    let ended = Ended::Failed { reason: OwnReason::Interrupted.into(), detail };
    Outcome { ended, checks: super::board::rows(record.is_upload()), part: None }
}

async fn verified(app: &Arc<App>, record: &Record, path: PathBuf, board: &Arc<Board>) -> Ended {
    let before = record.release.as_ref().filter(|_| !record.is_upload());
    let wanted = Wanted {
        bytes: record.registration.bytes,
        version: record.registration.version,
        image_sha256: before.map(|release| release.image_sha256.clone()),
        arch: std::env::consts::ARCH.to_owned(),
        running: Version::current(),
        now: weir_clock::wall_seconds(),
    };
    let (learning, shown) = (Learning(Arc::clone(&app.software)), Arc::clone(board));
    let checked = tokio::task::spawn_blocking(move || verify::check(&path, &learning.0.trust, &wanted, &shown)).await;
    checked.unwrap_or_else(|_| {
        let detail = "the checks ended by a fault of the manager's own; its log has the particulars".to_owned();
        Ended::Failed { reason: OwnReason::Interrupted.into(), detail }
    })
}

/// Checks that may bring newer metadata. They go on when nobody waits for them any more, and then the shelf learns it from here.
struct Learning(Arc<Shelf>);

impl Drop for Learning {
    fn drop(&mut self) {
        newest::learn(&self.0);
    }
}

/// Where a download goes; it learns of the announced size on the way.
struct Reserving {
    part: Part,
    announced: Arc<Announced>,
    reserved: bool,
}

impl Sink for Reserving {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !std::mem::replace(&mut self.reserved, true) {
            self.part.reserve(self.announced.total().unwrap_or(0))?;
        }
        self.part.take(bytes)
    }
}

/// What is shown of a download.
struct Announced {
    board: Arc<Board>,
    total: std::sync::Mutex<Option<u64>>,
}

impl Announced {
    fn total(&self) -> Option<u64> {
        *self.total.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Watch for Announced {
    fn passed(&self, check: SoftwareCheck, detail: String) {
        self.board.pass(check, detail);
    }

    fn skipped(&self, check: SoftwareCheck, detail: String) {
        self.board.skip(check, detail);
    }

    fn progress(&self, done: u64, total: Option<u64>) {
        if total.is_some() {
            *self.total.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = total;
        }
        self.board.progress(Some(SoftwareProgress { done, total }));
    }
}

async fn fetch(app: &App, record: &Record, url: &str, secret: Option<&SourceSecret>, board: &Arc<Board>) -> Result<Part, Ended> {
    let kept = |error: io::Error| {
        let (reason, text) = unkept(&error);
        board.end(SoftwareCheck::Download, reason, text)
    };
    let stated = record.registration.bytes;
    let mut part = Part::begin(&app.software.archives, record.id).map_err(kept)?;
    part.reserve(stated.unwrap_or(0)).map_err(kept)?;
    let announced = Arc::new(Announced { board: Arc::clone(board), total: std::sync::Mutex::new(stated) });
    let mut sink = Reserving { part, announced: Arc::clone(&announced), reserved: false };
    let opened = secret.map(|secret| secret.opened(&app.network().seal)).transpose();
    let unopened =
        |error: SealError| board.end(SoftwareCheck::Download, InvalidReason::Unreadable.into(), format!("the kept secret: {error}"));
    let source = Source { url: url.to_owned(), credentials: credentials(opened.map_err(unopened)?) };
    let limits = limits(&app.network().profile.name);
    // Once an image was verified, another one must be found even where its size tells already that it is another.
    let expected = stated.filter(|_| record.release.is_none());
    let fetched = weir_fetch::fetch(&source, &app.software.allow(), expected, &limits, &mut sink, &*announced).await;
    board.progress(None);
    match fetched {
        Ok(_) => {}
        Err(FetchError::Source { check, reason, detail }) => return Err(board.end(check, reason.into(), detail)),
        Err(FetchError::Sink(error)) => return Err(kept(error)),
    }
    let synced = tokio::task::spawn_blocking(move || sink.part.sync().map(|()| sink.part)).await;
    synced.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())).map_err(kept)
}

fn credentials(secret: Option<SourceSecret>) -> Credentials {
    match secret {
        None => Credentials::None,
        Some(SourceSecret::Basic { username, password: Secret(password) }) => Credentials::Basic { username, password },
        Some(SourceSecret::Header { name, value: Secret(value) }) => Credentials::Header { name, value },
    }
}

/// Why bytes could not be kept.
fn unkept(error: &io::Error) -> (SoftwareReason, String) {
    if is_full(error) {
        return (OwnReason::NoSpace.into(), archives::no_room(error));
    }
    (InvalidReason::Unreadable.into(), format!("the manager cannot keep it: {error}"))
}

/// Keeps the outcome of a validation, unless the software file is gone; withdraws those that newer metadata does not list.
pub(super) async fn keep(app: &Arc<App>, id: i64, outcome: Outcome) -> Result<(), Problem> {
    let shelf = Arc::clone(&app.software);
    app.change(Caller::manager(), move |change| write(change, &shelf, id, outcome)).await
}

fn write(change: &Change<'_>, shelf: &Shelf, id: i64, outcome: Outcome) -> Result<(), Refusal> {
    let Outcome { ended, checks, part } = outcome;
    // Not what the validation judged by: another one may have brought newer metadata meanwhile.
    let newest = shelf.newest();
    let records = tables::software_files::all(change.tx)?;
    change.software_changed();
    if let Some(newest) = newest.as_deref() {
        for other in records.iter().filter(|other| other.id != id) {
            withdraw(change, other, newest)?;
        }
    }
    // It may have been deleted, or another validation of it was asked for since.
    let Some(before) = records.into_iter().find(|record| record.id == id && record.state() == SoftwareState::Validating) else {
        return Ok(());
    };
    let proven = matches!(ended, Ended::Proven(_));
    let (standing, release) = standing_after(&before, ended, newest.as_deref().map(|newest| &newest.images));
    let after = Record { standing, release, checks, queued_ms: None, validated_ms: Some(change.now_ms), ..before.clone() };
    tables::software_files::update(change.tx, &after)?;
    audit(change, "check", &before, &after)?;
    if let Some(part) = part.filter(|_| proven) {
        // Last: what is verified is kept even if this transaction is not, and then it is fetched again.
        part.keep().map_err(|error| Problem::new(weir_operator_api::Reason::Internal, format!("the archive cannot be kept: {error}")))?;
    }
    log(&after);
    Ok(())
}

fn withdraw(change: &Change<'_>, before: &Record, newest: &Newest) -> Result<(), Refusal> {
    let Some(standing) = withdrawn(before.state(), before.release.as_ref(), &newest.images) else { return Ok(()) };
    let after = Record { standing, ..before.clone() };
    tables::software_files::update(change.tx, &after)?;
    audit(change, "withdraw", before, &after)?;
    log(&after);
    Ok(())
}

/// Withdraws what the newest metadata does not list: a validation, or a manager, that ended between learning it and keeping it left
/// that.
pub(super) async fn withdraw_all(app: &Arc<App>) -> Result<(), Problem> {
    let Some(newest) = app.software.newest() else { return Ok(()) };
    let work = move |change: &Change<'_>| {
        change.software_changed();
        let records = tables::software_files::all(change.tx)?;
        records.iter().try_for_each(|record| withdraw(change, record, &newest))
    };
    app.change(Caller::manager(), work).await
}

fn audit(change: &Change<'_>, verb: &str, before: &Record, after: &Record) -> Result<(), Refusal> {
    let said = |record: &Record| {
        let Standing { state, reason } = &record.standing;
        let (reason, detail) = reason.as_ref().map(|(reason, detail)| (reason.as_str(), detail.as_str())).unzip();
        let image = record.release.as_ref().map(|release| &release.image_sha256);
        json!({ "state": state, "reason": reason, "detail": detail, "version": record.version(), "image_sha256": image })
    };
    Ok(change.audit(verb, format_args!("software file {}", after.id), Some(&said(before)), Some(&said(after)))?)
}

fn log(record: &Record) {
    let reason = record.standing.reason.as_ref().map(|(reason, _)| reason.as_str());
    let version = record.version().map(|version| version.to_string());
    tracing::info!(software_file = record.id, state = record.state().as_str(), reason, version, "software file checked");
}

#[cfg(test)]
mod tests;
