//! When backups are made and where they go: a replicated setting, and the task that makes what is due or ordered.

use super::{
    make, ordered,
    records::{self, ON_THE_BOX},
    room, standing,
};
use crate::{
    app::App,
    change::{Caller, Refusal},
    domain::fields,
    seal::{Seal, place},
    tables::{backups, settings},
};
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{sync::watch, time::MissedTickBehavior};
use url::{Host, Url};
use weir_database::DatabaseError;
use weir_device_api::VAULT_BYTES_MAX;
use weir_fetch::{Credentials, header_refused, header_value_refused};
use weir_model::{Role, SourceAllow};
use weir_operator_api::{AccessRole, Backup, BackupSchedule, Problem, Reason};
use zeroize::Zeroizing;

/// Who asks for the backups of the schedule.
pub(super) const ACTOR: &str = "schedule";
/// How often it is looked whether a backup is due.
const LOOK: Duration = Duration::from_secs(30);
/// After a backup of the schedule failed, the next try, in milliseconds.
const RETRY_MS: u64 = 10 * 60 * 1000;
/// Most hours between two.
const HOURS_MAX: u64 = 168;
/// Most that are kept on the box.
const KEEP_MAX: u64 = 100;
/// Kept on the box when nobody says otherwise.
const KEEP: u32 = 7;
/// Most engines that keep a copy.
const ENGINES_MAX: usize = 8;
/// Longest URL and header value, in bytes.
const TEXT_BYTES_MAX: usize = 2048;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// The schedule as the setting holds it; the header's value is sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Schedule {
    pub(super) every_hours: Option<u32>,
    pub(super) keep: u32,
    pub(super) engines: Vec<String>,
    pub(super) url: Option<String>,
    pub(super) header: Option<String>,
    pub(super) header_value: Option<String>,
    /// The value, once it was opened.
    #[serde(skip)]
    pub(super) opened: Option<Zeroizing<String>>,
}

impl Schedule {
    pub(super) fn credentials(&self) -> Credentials {
        match (&self.header, &self.opened) {
            (Some(name), Some(value)) => Credentials::Header { name: name.clone(), value: value.clone() },
            _ => Credentials::None,
        }
    }

    /// Whether it names another machine.
    pub(super) fn has_places(&self) -> bool {
        self.url.is_some() || !self.engines.is_empty()
    }

    fn shown(&self) -> BackupSchedule {
        BackupSchedule {
            every_hours: self.every_hours,
            keep: self.keep,
            engines: self.engines.clone(),
            url: self.url.clone(),
            header: self.header.clone(),
            header_value: None,
        }
    }
}

pub(super) fn stored(tx: &Transaction<'_>) -> rusqlite::Result<Schedule> {
    let Some(text) = settings::get(tx, settings::BACKUP_SCHEDULE)? else { return Ok(Schedule { keep: KEEP, ..Schedule::default() }) };
    serde_json::from_str(&text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
}

/// The schedule, without its secret.
pub(crate) async fn read(app: &App) -> Result<BackupSchedule, Problem> {
    Ok(app.config.read(|tx| Ok::<_, DatabaseError>(stored(tx)?)).await.map_err(records::refused)?.shown())
}

/// The schedule with what its server is shown.
pub(super) async fn with_secret(app: &App) -> Result<Schedule, Problem> {
    let mut schedule = app.config.read(|tx| Ok::<_, DatabaseError>(stored(tx)?)).await.map_err(records::refused)?;
    if let Some(sealed) = &schedule.header_value {
        let opened = app.network().seal.open_text(place::BACKUP_HEADER, sealed);
        schedule.opened = Some(opened.map_err(|error| Problem::new(Reason::KeyMissing, format!("the header's value: {error}")))?);
    }
    Ok(schedule)
}

/// Replaces the schedule.
///
/// # Errors
/// The first field that cannot be as it is.
pub(crate) async fn set(app: &Arc<App>, caller: Caller, wanted: BackupSchedule) -> Result<BackupSchedule, Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
    let allow = app.software.allow();
    if !wanted.engines.is_empty() {
        let database = app.directory.join("config.db");
        let bytes = tokio::task::spawn_blocking(move || room::of_database(&database)).await.unwrap_or(0);
        fits_a_vault(bytes)?;
    }
    let shown = app.change(caller, move |change| {
        let before = stored(change.tx)?;
        let engines = change.before.devices.values().filter(|device| device.role == Role::Engine);
        let engines: BTreeSet<&str> = engines.map(|device| device.name.as_str()).collect();
        let after = checked(wanted, &before, &engines, &allow, &change.before.seal)?;
        let text = serde_json::to_string(&after).expect("our own types are JSON");
        settings::set(change.tx, settings::BACKUP_SCHEDULE, &text)?;
        change.audit("change", "backup schedule", Some(&before.shown()), Some(&after.shown()))?;
        Ok::<_, Refusal>(after.shown())
    });
    let shown = shown.await?;
    standing::judge(app).await?;
    app.backups.reschedule();
    Ok(shown)
}

/// Refuses engines for a database that no vault takes.
fn fits_a_vault(bytes: u64) -> Result<(), Problem> {
    if bytes <= VAULT_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("the database has {bytes} bytes, and the vault of an engine holds {VAULT_BYTES_MAX}");
    Err(Problem::new(Reason::LimitExceeded, detail).at("engines").next_step("give a URL instead of engines"))
}

/// What is kept of a request. Pure.
fn checked(
    wanted: BackupSchedule,
    before: &Schedule,
    engines: &BTreeSet<&str>,
    allow: &SourceAllow,
    seal: &Seal,
) -> Result<Schedule, Problem> {
    if let Some(hours) = wanted.every_hours {
        fields::between("every_hours", hours.into(), 1, HOURS_MAX)?;
    }
    fields::between("keep", wanted.keep.into(), 1, KEEP_MAX)?;
    if wanted.engines.len() > ENGINES_MAX {
        return Err(Problem::new(Reason::LimitExceeded, format!("at most {ENGINES_MAX} engines keep a copy")).at("engines"));
    }
    for (index, engine) in wanted.engines.iter().enumerate() {
        if !engines.contains(engine.as_str()) {
            return Err(Problem::new(Reason::UnknownEngine, format!("there is no engine {engine}"))
                .at(format!("engines[{index}]"))
                .next_step("name engines that are enrolled"));
        }
        if wanted.engines[..index].contains(engine) {
            return Err(Problem::new(Reason::InvalidField, format!("{engine} is named twice")).at(format!("engines[{index}]")));
        }
    }
    if let Some(url) = &wanted.url {
        usable(url, allow)?;
    }
    let header_value = header_value(&wanted, before, seal)?;
    let BackupSchedule { every_hours, keep, engines, url, header, .. } = wanted;
    Ok(Schedule { every_hours, keep, engines, url, header, header_value, opened: None })
}

/// https, or http to an address inside the allowed networks.
fn usable(text: &str, allow: &SourceAllow) -> Result<(), Problem> {
    let refused = |detail: &str| Problem::new(Reason::SourceRefused, detail).at("url").next_step("give an https URL of a directory");
    let url = Url::parse(text).map_err(|error| refused(&format!("is not a URL: {error}")))?;
    if text.len() > TEXT_BYTES_MAX || url.query().is_some() || url.fragment().is_some() {
        return Err(refused("the URL of a directory has no query and no fragment, and at most 2048 bytes"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("the URL holds a user name or password; give them as `header` and `header_value`"));
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    };
    match (url.scheme(), address) {
        ("https", Some(address)) if !allow.admits(address) => Err(refused("the address is in no network of software_sources.allow")),
        ("https", _) => Ok(()),
        ("http", Some(address)) if allow.0.iter().any(|network| network.contains(&address)) => Ok(()),
        ("http", _) => Err(refused("http is taken for an address inside software_sources.allow alone")),
        (other, _) => Err(refused(&format!("{other} is not https"))),
    }
}

fn header_value(wanted: &BackupSchedule, before: &Schedule, seal: &Seal) -> Result<Option<String>, Problem> {
    let invalid = |field: &str, detail: &str| Problem::new(Reason::InvalidField, detail).at(field);
    match (&wanted.header, &wanted.header_value) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Problem::new(Reason::MissingField, "a header's value without its name").at("header")),
        (Some(_), _) if wanted.url.is_none() => Err(invalid("header", "there is no URL it could be sent to")),
        (Some(name), Some(value)) => {
            if let Some(why) = header_refused(name) {
                return Err(invalid("header", why));
            }
            if let Some(why) = header_value_refused(value).or((value.len() > TEXT_BYTES_MAX).then_some("it is too long")) {
                return Err(invalid("header_value", why));
            }
            Ok(Some(seal.seal(place::BACKUP_HEADER, value.as_bytes())))
        }
        // A secret goes to nobody it was not given for.
        (Some(name), None) if before.header.as_ref() == Some(name) && before.url == wanted.url && before.header_value.is_some() => {
            Ok(before.header_value.clone())
        }
        (Some(_), None) => Err(Problem::new(Reason::MissingField, "the header's value is new with its name or its URL").at("header_value")),
    }
}

/// Brings the records to what is on the box, then makes what is ordered and what is due, until the manager stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut stopping = app.stopping();
    // Every backup that is unknown here is read, which keeps no manager from serving; nor does a full disk or one that is unreadable.
    let begun = tokio::select! {
        () = stopped(&mut stopping) => return,
        begun = records::begin(&app) => begun,
    };
    if let Err(problem) = begun {
        tracing::error!(%problem, "backups are not known");
    }
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed_ms = None;
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => return,
            order = app.backups.next_order() => {
                let Some(order) = order else { return };
                ordered(&app, order).await;
                continue;
            }
            () = app.backups.rescheduled() => {}
            _ = looks.tick() => {}
        }
        let now_ms = weir_clock::wall_ms();
        let due = next(&app, now_ms, failed_ms).await;
        if due != Due::Nothing {
            failed_ms = (!scheduled(&app, due).await).then_some(now_ms);
        }
    }
}

/// Nothing of the channel is held while a backup is made.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// What the schedule asks for now.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    Nothing,
    /// A backup.
    Make,
    /// What the one of this name lacks: its rehearsal, a copy that is proven.
    Again(String),
}

/// Does it; whether the backup is done then.
async fn scheduled(app: &Arc<App>, due: Due) -> bool {
    let tried = match &due {
        Due::Nothing => return true,
        Due::Make => make::make(app, ACTOR, true).await,
        Due::Again(name) => make::again(app, name).await,
    };
    let failed = tried.as_ref().err().map(|problem| match &due {
        Due::Again(name) => format!("backup {name} is not done: {}", problem.detail),
        _ => format!("the backup that was due was not made: {}", problem.detail),
    });
    if let Some(failed) = &failed {
        tracing::error!(failed, "backups of the schedule");
    }
    app.backups.stand(|standing| standing.failed = failed);
    if let Err(problem) = standing::judge(app).await {
        tracing::error!(%problem, "backups not judged");
    }
    let schedule = app.config.read(|tx| Ok::<_, DatabaseError>(stored(tx)?)).await;
    matches!((tried, schedule), (Ok(backup), Ok(schedule)) if is_done(&backup, &schedule))
}

async fn next(app: &App, now_ms: u64, failed_ms: Option<u64>) -> Due {
    let read = app.config.read(|tx| Ok::<_, DatabaseError>((stored(tx)?, backups::all(tx)?)));
    match read.await {
        Ok((schedule, made)) => due(&schedule, &made, failed_ms, now_ms),
        Err(error) => {
            tracing::error!(error = %weir_telemetry::Chain(&error), "backups");
            Due::Nothing
        }
    }
}

/// Whether a backup is what the schedule promises: it would restore, and it is proven on another machine where the schedule names one.
fn is_done(backup: &Backup, schedule: &Schedule) -> bool {
    backup.rehearsed.as_ref().is_some_and(|tried| tried.passed) && (backup.proven || !schedule.has_places())
}

/// What is due. A clock that went back makes one due: the last lies in the future then. Pure.
fn due(schedule: &Schedule, made: &[Backup], failed_ms: Option<u64>, now_ms: u64) -> Due {
    let Some(hours) = schedule.every_hours else { return Due::Nothing };
    let waits = |since_ms: u64, for_ms: u64| now_ms >= since_ms && now_ms - since_ms < for_ms;
    if failed_ms.is_some_and(|failed_ms| waits(failed_ms, RETRY_MS)) {
        return Due::Nothing;
    }
    let last = made.iter().filter(|backup| backup.actor == ACTOR).max_by_key(|backup| backup.at_ms);
    let Some(last) = last.filter(|last| waits(last.at_ms, u64::from(hours) * HOUR_MS)) else { return Due::Make };
    if is_done(last, schedule) {
        return Due::Nothing;
    }
    let is_here = last.copies.iter().any(|copy| copy.place == ON_THE_BOX);
    let would_not_restore = last.rehearsed.as_ref().is_some_and(|tried| !tried.passed);
    if is_here && !would_not_restore { Due::Again(last.name.clone()) } else { Due::Make }
}

#[cfg(test)]
mod tests;
