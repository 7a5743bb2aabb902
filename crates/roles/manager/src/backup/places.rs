//! Copies of a backup on other machines, each read back: a server by URL, the vaults of engines.

use super::{
    records::{self, note_copy},
    schedule::Schedule,
    shelf::{Returned, UnderWay, Wanted},
};
use crate::{app::App, ask::Unanswered};
use sha2::{Digest, Sha256};
use std::{io, path::Path, time::Duration};
use weir_device_api::{Answer, Ask, VAULT_BYTES_MAX};
use weir_fetch::{FetchError, Limits, Sink, Source, Watch};
use weir_model::{DeviceName, Role, SoftwareCheck};
use weir_operator_api::{Backup, BackupCopy, Problem};

/// How long an engine may take to begin, and to answer when it is done.
const ENGINE_PATIENCE: Duration = Duration::from_secs(30);
/// Slowest rate between a manager and an engine that is waited for, in bytes per second.
const ENGINE_SLOWEST: u64 = 1 << 20;

/// Puts the backup everywhere the schedule says and no proven copy is yet, reads each copy back, and keeps what came of it.
pub(super) async fn fill(app: &App, schedule: &Schedule, name: &str, stages: &UnderWay<'_>) -> Result<Backup, Problem> {
    let (path, mut backup) = records::file_of(app, name).await?;
    if let Some(base) = &schedule.url {
        let place = format!("url {}", host(base));
        if !is_proven(&backup, &place) {
            stages.stage(place.as_str());
            let proven = at_url(app, schedule, base, &path, &backup).await;
            backup = noted(app, name, place, proven).await?;
        }
    }
    for engine in &schedule.engines {
        let place = format!("engine {engine}");
        if !is_proven(&backup, &place) {
            stages.stage(place.as_str());
            let proven = in_vault(app, engine, &backup).await;
            backup = noted(app, name, place, proven).await?;
        }
    }
    Ok(backup)
}

fn is_proven(backup: &Backup, place: &str) -> bool {
    backup.copies.iter().any(|copy| copy.place == place && copy.proven)
}

async fn noted(app: &App, name: &str, place: String, proven: Result<(), String>) -> Result<Backup, Problem> {
    let copy = copy(place, proven);
    records::change(app, name, move |backup| note_copy(backup, copy)).await
}

fn copy(place: String, proven: Result<(), String>) -> BackupCopy {
    if let Err(why) = &proven {
        tracing::warn!(place, why, "a copy of the backup is not proven");
    }
    BackupCopy { place, elsewhere: true, proven: proven.is_ok(), detail: proven.err() }
}

fn host(url: &str) -> String {
    url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "nowhere".to_owned())
}

/// Hashes what comes and keeps nothing.
struct Hash {
    hash: Sha256,
}

impl Sink for Hash {
    fn begin(&mut self, _at: u64) -> io::Result<()> {
        self.hash = Sha256::new();
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        Ok(())
    }
}

/// Nobody watches the transfer itself.
struct Unwatched;

impl Watch for Unwatched {
    fn passed(&self, _check: SoftwareCheck, _detail: String) {}

    fn progress(&self, _done: u64, _total: Option<u64>) {}
}

/// PUT below the URL, then GET, then the hash.
async fn at_url(app: &App, schedule: &Schedule, base: &str, path: &Path, backup: &Backup) -> Result<(), String> {
    let source = Source { url: format!("{}/{}", base.trim_end_matches('/'), backup.name), credentials: schedule.credentials() };
    let allow = app.software.allow();
    let limits = Limits { redirects_max: 0, ..Limits::for_archives(backup.bytes) };
    weir_fetch::put(&source, &allow, &limits, path).await.map_err(|error| error.to_string())?;
    let mut sink = Hash { hash: Sha256::new() };
    let fetched = weir_fetch::fetch(&source, &allow, Some(backup.bytes), &limits, &mut sink, &Unwatched).await;
    fetched.map_err(|error| match error {
        FetchError::Source { detail, .. } => format!("it took the backup and did not give it back: {detail}"),
        FetchError::Sink(error) => error.to_string(),
    })?;
    let read = hex::encode(sink.hash.finalize());
    if read == backup.sha256 { Ok(()) } else { Err(format!("what it gave back has SHA-256 {read}, and not {}", backup.sha256)) }
}

/// The engine fetches it, keeps it, and gives it back.
async fn in_vault(app: &App, engine: &str, backup: &Backup) -> Result<(), String> {
    let network = app.network();
    let record = engine.parse::<DeviceName>().ok().and_then(|name| network.devices.get(&name));
    let Some(record) = record.filter(|record| record.role == Role::Engine) else {
        return Err(format!("there is no engine {engine}"));
    };
    if backup.bytes > VAULT_BYTES_MAX {
        return Err(format!("the backup has {} bytes, and a vault holds {VAULT_BYTES_MAX}", backup.bytes));
    }
    let patience = patience(backup.bytes);
    let (sha256, name) = (backup.sha256.clone(), backup.name.clone());
    let _lent = app.backups.lend(&record.name, &sha256);
    let keep = Ask::VaultKeep { sha256: sha256.clone(), bytes: backup.bytes, name: name.clone() };
    held(app.asks.ask(&record.name, keep, patience).await, backup.bytes)?;
    let wanting = app.backups.want(&record.name, &sha256, Wanted { bytes_max: backup.bytes, keep: None });
    let give = Ask::VaultGive { sha256: sha256.clone(), name };
    held(app.asks.ask(&record.name, give, patience).await, backup.bytes)?;
    match wanting.take() {
        Some(Returned::Came { bytes, .. }) if bytes != backup.bytes => Err(format!("it gave back {bytes} of {} bytes", backup.bytes)),
        Some(Returned::Came { sha256: read, .. }) if read == sha256 => Ok(()),
        Some(Returned::Came { sha256: read, .. }) => Err(format!("what it gave back has SHA-256 {read}, and not {sha256}")),
        Some(Returned::Broken(how)) => Err(how),
        None => Err("it said that it gave the backup back, and nothing came".to_owned()),
    }
}

/// How long an engine may take with so many bytes.
pub(super) fn patience(bytes: u64) -> Duration {
    ENGINE_PATIENCE + Duration::from_secs(bytes / ENGINE_SLOWEST)
}

fn held(answer: Result<Answer, Unanswered>, bytes: u64) -> Result<(), String> {
    match has(answer)? {
        held if held == bytes => Ok(()),
        held => Err(format!("it has {held} of {bytes} bytes")),
    }
}

/// How many bytes an engine says that it has, or why none.
pub(super) fn has(answer: Result<Answer, Unanswered>) -> Result<u64, String> {
    match answer {
        Ok(Answer::Held { bytes }) => Ok(bytes),
        Ok(Answer::Refused { reason }) => Err(reason),
        Ok(_) => Err("it answered something else".to_owned()),
        Err(Unanswered::Late) => Err("it did not answer in time".to_owned()),
        Err(Unanswered::Full) => Err("too many questions wait for it".to_owned()),
    }
}
