//! Makes a backup: copy, file, rehearsal, record, copies elsewhere, and the oldest go.

use super::{
    EXTENSION, directory, file, places,
    records::{self, ON_THE_BOX, unkept},
    schedule,
};
use crate::{
    app::App,
    tables::{changesets, settings},
};
use jiff::{Timestamp, tz::TimeZone};
use std::{fs, io, path::PathBuf};
use weir_database::{DatabaseError, Digests};
use weir_operator_api::{Backup, BackupCopy, BackupManifest, Problem, Reason};

/// Most characters of the network's name in the name of a backup.
const NETWORK_CHARS_MAX: usize = 40;

/// Makes one.
pub(super) async fn make(app: &App, actor: &str, rehearse: bool) -> Result<Backup, Problem> {
    let stages = app.backups.begin(actor);
    let (path, mut backup) = copied(app, actor).await?;
    backup = records::keep(app, backup).await?;
    if rehearse {
        stages.stage("rehearse");
        backup.rehearsed = Some(records::rehearsed(app, path.clone()).await?);
        backup = records::keep(app, backup).await?;
    }
    let schedule = schedule::with_secret(app).await?;
    places::fill(app, &schedule, &path, &mut backup, &stages).await?;
    prune(app, schedule.keep).await?;
    tracing::info!(backup = backup.name, bytes = backup.bytes, proven = backup.proven, "backup made");
    Ok(backup)
}

/// What the database says of itself in the transaction it is copied in.
struct Facts {
    network: String,
    term: u64,
    generation: u64,
    rev: u64,
}

async fn copied(app: &App, actor: &str) -> Result<(PathBuf, Backup), Problem> {
    let directory = directory(&app.directory);
    let copy = directory.join(".copy");
    match fs::remove_file(&copy) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unkept(error)),
        _ => {}
    }
    let facts = app.config.copy(copy.clone(), |tx| {
        Ok::<_, DatabaseError>(Facts {
            network: settings::get(tx, settings::NETWORK)?.unwrap_or_default(),
            term: settings::number(tx, settings::TERM)?,
            generation: settings::number(tx, settings::GENERATION)?,
            rev: changesets::last(tx)?,
        })
    });
    let facts = facts.await.map_err(records::refused)?;
    let (actor, authority, key) = (actor.to_owned(), hex::encode(app.authority.fingerprint()), app.network().seal.fingerprint().to_owned());
    let name = app.name.clone();
    let packed = tokio::task::spawn_blocking(move || {
        let digest = digest_of(&copy)?;
        let (database_bytes, database_sha256) = file::measure(&copy).map_err(fault)?;
        let manifest = BackupManifest {
            format: file::FORMAT,
            network: facts.network,
            network_id: authority,
            manager: name,
            version: weir_model::version().to_owned(),
            step: crate::tables::migrations::newest(),
            term: facts.term,
            generation: facts.generation,
            rev: facts.rev,
            digest,
            database_sha256,
            database_bytes,
            key_fingerprint: key,
        };
        let packed = packed(&directory, manifest, actor);
        fs::remove_file(&copy).map_err(unkept)?;
        packed
    });
    packed.await.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "making the backup failed")))
}

fn digest_of(copy: &std::path::Path) -> Result<String, Problem> {
    let counted = weir_database::look(copy).and_then(|connection| Ok(Digests::recount(&connection, &changesets::NOT_RECORDED)?));
    Ok(hex::encode(counted.map_err(records::refused)?.of_all()))
}

fn packed(directory: &std::path::Path, manifest: BackupManifest, actor: String) -> Result<(PathBuf, Backup), Problem> {
    let at_ms = weir_clock::wall_ms();
    let name = unused(directory, &manifest, at_ms);
    let (making, path) = (directory.join(".making"), directory.join(&name));
    match fs::remove_file(&making) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unkept(error)),
        _ => {}
    }
    let (bytes, sha256) = file::write(&making, &manifest, &directory.join(".copy")).map_err(fault)?;
    fs::rename(&making, &path).and_then(|()| fs::File::open(directory)?.sync_all()).map_err(unkept)?;
    let copies = vec![BackupCopy { place: ON_THE_BOX.to_owned(), elsewhere: false, proven: true, detail: None }];
    Ok((path, Backup { name, at_ms, actor, manifest, bytes, sha256, copies, rehearsed: None, proven: false }))
}

fn fault(error: file::BackupFileError) -> Problem {
    match error {
        file::BackupFileError::File { source, .. } | file::BackupFileError::Kept(source) => unkept(source),
        error => {
            tracing::error!(error = %weir_telemetry::Chain(&error), "backup not made");
            Problem::new(Reason::Internal, error.to_string())
        }
    }
}

/// `<network>-<UTC>-r<rev>.weirbackup`, with a number when two are made of one rev in one second.
fn unused(directory: &std::path::Path, manifest: &BackupManifest, at_ms: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let network: String = manifest.network.chars().take(NETWORK_CHARS_MAX).map(plain).collect();
    let at = Timestamp::from_millisecond(i64::try_from(at_ms).unwrap_or(0)).unwrap_or_default().to_zoned(TimeZone::UTC);
    let stem = format!("{network}-{}-r{}", at.strftime("%Y%m%dT%H%M%SZ"), manifest.rev);
    let mut name = format!("{stem}{EXTENSION}");
    let mut number = 2_u32;
    while directory.join(&name).exists() {
        name = format!("{stem}-{number}{EXTENSION}");
        number += 1;
    }
    name
}

/// The oldest beyond `keep` go from this box; copies elsewhere stay.
async fn prune(app: &App, keep: u32) -> Result<(), Problem> {
    let made = records::list(app).await?.items;
    let here = made.iter().filter(|backup| backup.copies.iter().any(|copy| copy.place == ON_THE_BOX));
    for backup in here.skip(keep as usize) {
        records::forget(app, backup).await?;
    }
    Ok(())
}
