//! Restore: the backup is proven, given a term above every known one on the scratch copy, and put in the place of `config.db` while
//! the box is held disabled.

use super::{Sent, Which, blocking, refused, sent};
use crate::{
    api::{QueryOf, Refused},
    backup::{
        rehearsal::{self, Scratch},
        restore::{self, Here},
    },
    change::{Change, Refusal},
    cms::{Cms, Life, fence},
    network_key::NetworkKey,
    seal::Seal,
    snapshot::Snapshot,
    tables::migrations::CONFIG,
};
use axum::{Json, body::Body, extract::State};
use std::{net::SocketAddr, path::Path, sync::Arc};
use weir_database::{Database, DatabaseError};
use weir_model::Role;
use weir_operator_api::{BackupManifest, Problem, Reason, Restored};
use weir_telemetry::Chain;

pub(super) async fn restore(State(cms): State<Arc<Cms>>, QueryOf(which): QueryOf<Which>, body: Body) -> Result<Json<Restored>, Refused> {
    let Sent { path, scratch } = sent(&cms, &which, body).await?;
    let (here_of, name) = (cms.state_directory().to_owned(), cms.name().clone());
    let proven = tokio::task::spawn_blocking(move || {
        let here = Here::read(&here_of, &name);
        restore::proven(&path, &here, &here_of, &scratch).map(|manifest| (manifest, scratch))
    });
    let lost = |_| Problem::new(Reason::Internal, "reading the backup failed");
    let (manifest, scratch) = proven.await.map_err(lost)??;
    let known = known_terms(&cms, &manifest).await;
    let term = raised(&cms, &scratch, known).await?;
    // Nothing is lost while nobody writes: what was acknowledged meanwhile would be overtaken unseen.
    cms.become_disabled("a restore is under way").await?;
    let placed = place(&cms, &scratch).await;
    if placed.is_ok() {
        told(&cms, &manifest, term).await;
    }
    super::super::settled(&cms).await;
    Ok(Json(Restored { manifest, term, previous: placed? }))
}

/// Terms this box knows of: its own, those in its files, and the other managers' when they answer.
async fn known_terms(cms: &Arc<Cms>, manifest: &BackupManifest) -> Vec<Option<u64>> {
    let own = cms.hello().await.term;
    let seen = match cms.life() {
        Life::Standby(follower) => follower.primary_seen().map(|seen| seen.hello.term),
        _ => None,
    };
    let (state, journal) = (cms.state_directory().to_owned(), Arc::clone(cms.journal()));
    let on_disk = blocking(move || {
        let config = weir_database::look(&state.join("config.db")).and_then(|mut connection| Ok(rehearsal::facts(&mut connection)?));
        Ok((config.ok().map(|facts| facts.term), newest_of_journal(&journal)))
    });
    let (config, journal) = on_disk.await.unwrap_or((None, None));
    let file = cms.box_file();
    vec![Some(manifest.term), Some(own), seen, config, journal, file.fenced().map(|fence| fence.term), file.promoting()]
}

/// The term of the journal's last record.
fn newest_of_journal(journal: &crate::journal::Journal) -> Option<u64> {
    let (last, _) = journal.end();
    let line = journal.around(last, 1).pop()?;
    serde_json::from_str::<serde_json::Value>(&line).ok()?.get("term")?.as_u64()
}

/// Takes the scratch copy to this build's newest step and gives it its term, as a change of its own.
async fn raised(cms: &Arc<Cms>, scratch: &Scratch, known: Vec<Option<u64>>) -> Result<u64, Problem> {
    let (path, state) = (scratch.database(), cms.state_directory().to_owned());
    let opened = tokio::task::spawn_blocking(move || opened(&path, &state)).await;
    let (database, seal) = opened.map_err(|_| Problem::new(Reason::Internal, "opening the backup failed"))??;
    let of_peers = peers(cms, &database).await;
    let term = restore::term_above(known.into_iter().chain(of_peers));
    let name = cms.name().clone();
    let written = database.write(move |tx| {
        let before = Snapshot::load(tx, &seal, None)?;
        let by = super::super::caller();
        let change = Change::new(tx, &before, &by, weir_clock::wall_ms())?;
        change.take_over(&name, term)?;
        let (was, is) = (serde_json::json!({ "stamp": before.stamp }), serde_json::json!({ "term": term }));
        change.audit("restore", format_args!("network {}", before.network), Some(&was), Some(&is))?;
        change.finish()?;
        Ok::<_, Refusal>(())
    });
    let written = written.await;
    database.close().await;
    written.map_err(Refusal::into_problem)?;
    Ok(term)
}

fn opened(path: &Path, state: &Path) -> Result<(Database, Arc<Seal>), Problem> {
    let key = NetworkKey::load(state).ok().flatten();
    let key = key.ok_or_else(|| Problem::new(Reason::KeyMissing, "there is no network key on this box"))?;
    let database = Database::open(path, CONFIG, weir_clock::wall_ms(), weir_model::version());
    let damaged = |error: DatabaseError| match error {
        DatabaseError::DiskFull => refused(&error),
        error => Problem::new(Reason::BackupDamaged, Chain(&error).to_string()),
    };
    Ok((database.map_err(damaged)?, Arc::new(Seal::new(&key))))
}

/// Terms of the other managers the backup knows, when they answer.
async fn peers(cms: &Arc<Cms>, database: &Database) -> Vec<Option<u64>> {
    let own = cms.name().clone();
    let managers = database.read(move |tx| {
        let others = crate::tables::devices::all(tx)?.into_iter().filter(|device| device.role == Role::Manager && device.name != own);
        Ok::<Vec<SocketAddr>, DatabaseError>(others.filter_map(|device| device.addresses.device).collect())
    });
    let Some(kept) = cms.identity.kept() else { return Vec::new() };
    let mut terms = Vec::new();
    for device in managers.await.unwrap_or_default() {
        let hello = fence::hello_of(device, &kept.ca_pem, &kept.certificate_pem, &kept.key_pem).await;
        terms.push(hello.map(|hello| hello.term));
    }
    terms
}

/// Puts the scratch copy in the place of `config.db`; where what was there lies now.
async fn place(cms: &Arc<Cms>, scratch: &Scratch) -> Result<Option<String>, Problem> {
    let (path, from) = (cms.state_directory().join("config.db"), scratch.database());
    let file = Arc::clone(cms.box_file());
    let placed = tokio::task::spawn_blocking(move || {
        let had = path.exists();
        weir_database::replace(&path, &from).map_err(|error| refused(&error))?;
        // A promotion that was under way was one of another history.
        file.set_promoting(None).map_err(|error| Problem::new(Reason::Internal, format!("box.json cannot be written: {error}")))?;
        Ok(had.then(|| format!("{}.previous", path.display())))
    });
    placed.await.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "the restore was cut short; run it again")))
}

async fn told(cms: &Arc<Cms>, manifest: &BackupManifest, term: u64) {
    let body =
        serde_json::json!({ "manager": cms.name(), "rev": manifest.rev, "generation": manifest.generation, "made_in_term": manifest.term });
    cms.record(term, "restored", body).await;
    tracing::warn!(term, rev = manifest.rev, "a backup took the place of the configuration");
}
