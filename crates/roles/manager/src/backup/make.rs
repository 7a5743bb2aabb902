//! Makes a backup: room, copy, file, record, rehearsal, copies elsewhere, and the oldest go.

use super::{
    EXTENSION, directory, file, places,
    records::{self, ON_THE_BOX, unkept},
    rehearsal::{self, Scratch},
    room::{self, Temporary},
    schedule,
    shelf::UnderWay,
};
use crate::{
    app::App,
    network_key::NetworkKey,
    tables::{changesets, migrations, settings},
};
use jiff::{Timestamp, tz::TimeZone};
use std::{fs, path::Path};
use weir_database::{DatabaseError, Digests};
use weir_operator_api::{Backup, BackupCopy, BackupManifest, Problem, Reason};

/// Most characters of the network's name in the name of a backup.
const NETWORK_CHARS_MAX: usize = 40;

/// Makes one. What was left over by failures goes first, so that it is not this one that lacks room.
pub(super) async fn make(app: &App, actor: &str, rehearse: bool) -> Result<Backup, Problem> {
    let stages = app.backups.begin(actor);
    let keep = schedule::read(app).await?.keep;
    let made = begun(app, actor).await?;
    let done = finished(app, &made.name, rehearse, &stages).await;
    // However its copies went: a disk that fills up helps nobody.
    records::prune(app, keep).await?;
    let backup = done?;
    tracing::info!(backup = backup.name, bytes = backup.bytes, proven = backup.proven, "backup made");
    Ok(backup)
}

/// The backup on this box, with neither a rehearsal nor a copy yet.
pub(super) async fn begun(app: &App, actor: &str) -> Result<Backup, Problem> {
    records::prune(app, schedule::read(app).await?.keep).await?;
    let copied = copied(app, actor).await?;
    records::insert(app, copied).await
}

/// Does what an earlier try of the schedule left undone: the rehearsal, the copies that are not proven.
pub(super) async fn again(app: &App, name: &str) -> Result<Backup, Problem> {
    let stages = app.backups.begin(schedule::ACTOR);
    let backup = records::find(app, name).await?;
    finished(app, name, backup.rehearsed.is_none(), &stages).await
}

/// The rehearsal and the copies; a rehearsal that could not be tried keeps no copy from being made.
async fn finished(app: &App, name: &str, rehearse: bool, stages: &UnderWay<'_>) -> Result<Backup, Problem> {
    let tried = if rehearse { rehearsed(app, name, stages).await.map(drop) } else { Ok(()) };
    let filled = places::fill(app, &schedule::with_secret(app).await?, name, stages).await;
    tried?;
    filled
}

/// Rehearses one that is on this box.
pub(super) async fn rehearsed(app: &App, name: &str, stages: &UnderWay<'_>) -> Result<Backup, Problem> {
    stages.stage("rehearse");
    let (path, backup) = records::file_of(app, name).await?;
    let (state, bytes) = (app.directory.clone(), backup.manifest.database_bytes);
    let tried = tokio::task::spawn_blocking(move || {
        room::needed(&state, bytes.saturating_mul(rehearsal::COPIES), "a rehearsal")?;
        let scratch = Scratch::new(&state).map_err(unkept)?;
        let key = NetworkKey::load(&state).ok().flatten();
        Ok(rehearsal::rehearse(&path, key.as_ref(), &scratch, weir_clock::wall_ms()).1)
    });
    let rehearsal = tried.await.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "the rehearsal failed")))?;
    records::change(app, name, move |backup| backup.rehearsed = Some(rehearsal)).await
}

/// What the database says of itself in the transaction it is copied in.
struct Facts {
    network: String,
    step: u32,
    term: u64,
    generation: u64,
    rev: u64,
}

async fn copied(app: &App, actor: &str) -> Result<Backup, Problem> {
    let (directory, database) = (directory(&app.directory), app.directory.join("config.db"));
    let begun = directory.clone();
    let begun = tokio::task::spawn_blocking(move || {
        // The copy of the database, and the file it is packed into.
        room::needed(&begun, room::of_database(&database).saturating_mul(2), "a backup")?;
        Temporary::new(begun.join(".copy")).map_err(unkept)
    });
    let copy = begun.await.unwrap_or_else(|_| Err(lost()))?;
    let facts = app.config.copy(copy.path().to_owned(), |tx| {
        Ok::<_, DatabaseError>(Facts {
            network: settings::get(tx, settings::NETWORK)?.unwrap_or_default(),
            step: migrations::applied(tx)?,
            term: settings::number(tx, settings::TERM)?,
            generation: settings::number(tx, settings::GENERATION)?,
            rev: changesets::last(tx)?,
        })
    });
    let facts = facts.await.map_err(records::refused)?;
    let (actor, authority, key) = (actor.to_owned(), hex::encode(app.authority.fingerprint()), app.network().seal.fingerprint().to_owned());
    let name = app.name.clone();
    let packed = tokio::task::spawn_blocking(move || {
        let digest = digest_of(copy.path())?;
        let (database_bytes, database_sha256) = file::measure(copy.path()).map_err(fault)?;
        let manifest = BackupManifest {
            format: file::FORMAT,
            network: facts.network,
            network_id: authority,
            manager: name,
            version: weir_model::version().to_owned(),
            step: facts.step,
            term: facts.term,
            generation: facts.generation,
            rev: facts.rev,
            digest,
            database_sha256,
            database_bytes,
            key_fingerprint: key,
        };
        packed(&directory, copy.path(), manifest, actor)
    });
    packed.await.unwrap_or_else(|_| Err(lost()))
}

fn lost() -> Problem {
    Problem::new(Reason::Internal, "making the backup failed")
}

fn digest_of(copy: &Path) -> Result<String, Problem> {
    let counted = weir_database::look(copy).and_then(|connection| Ok(Digests::recount(&connection, &changesets::NOT_RECORDED)?));
    Ok(hex::encode(counted.map_err(records::refused)?.of_all()))
}

fn packed(directory: &Path, copy: &Path, manifest: BackupManifest, actor: String) -> Result<Backup, Problem> {
    let at_ms = weir_clock::wall_ms();
    let name = unused(directory, &manifest, at_ms);
    let making = Temporary::new(directory.join(".making")).map_err(unkept)?;
    let (bytes, sha256) = file::write(making.path(), &manifest, copy).map_err(fault)?;
    let placed = fs::rename(making.path(), directory.join(&name)).and_then(|()| fs::File::open(directory)?.sync_all());
    placed.map_err(unkept)?;
    let copies = vec![BackupCopy { place: ON_THE_BOX.to_owned(), elsewhere: false, proven: true, detail: None }];
    Ok(Backup { name, at_ms, actor, manifest, bytes, sha256, copies, rehearsed: None, proven: false })
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
fn unused(directory: &Path, manifest: &BackupManifest, at_ms: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let network: String = manifest.network.chars().take(NETWORK_CHARS_MAX).map(plain).collect();
    let at = Timestamp::from_millisecond(i64::try_from(at_ms).unwrap_or(0)).unwrap_or_default().to_zoned(TimeZone::UTC);
    let stem = format!("{network}-{}-r{}", at.strftime(records::UTC_IN_NAME), manifest.rev);
    let mut name = format!("{stem}{EXTENSION}");
    let mut number = 2_u32;
    while directory.join(&name).exists() {
        name = format!("{stem}-{number}{EXTENSION}");
        number += 1;
    }
    name
}
