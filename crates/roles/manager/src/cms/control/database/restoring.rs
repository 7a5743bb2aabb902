//! Restore: the backup is proven, no other manager is the primary, and while the box is held disabled the scratch copy gets a term
//! above every known one and takes the place of `config.db`.

use super::{Sent, blocking, refused, sent};
use crate::{
    api::{QueryOf, Refused},
    backup::{
        rehearsal::Scratch,
        restore::{self, Here},
    },
    change::{Change, Refusal},
    cms::Cms,
    manager::ManagerError,
    network_key::NetworkKey,
    seal::Seal,
    snapshot::Snapshot,
    tables::migrations::CONFIG,
};
use axum::{Json, body::Body, extract::State};
use others::Others;
use serde::Deserialize;
use std::{path::Path, sync::Arc};
use weir_database::{Database, DatabaseError};
use weir_operator_api::{BackupManifest, CmsState, Problem, Reason, Restored};
use weir_telemetry::Chain;

mod heard;
mod others;

/// Which backup, and what may be lost.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// One on this box, by name.
    #[serde(default)]
    backup: Option<String>,
    /// Whatever managers that do not answer have may be lost.
    #[serde(default)]
    accept_loss: bool,
}

pub(super) async fn restore(State(cms): State<Arc<Cms>>, QueryOf(asked): QueryOf<Asked>, body: Body) -> Result<Json<Restored>, Refused> {
    let sent = sent(&cms, asked.backup.as_deref(), body).await?;
    let of_box = Arc::clone(&cms);
    Ok(Json(cms.to_its_end("restore", async move { restored(&of_box, sent, asked.accept_loss).await }).await?))
}

async fn restored(cms: &Arc<Cms>, sent: Sent, accept_loss: bool) -> Result<Restored, Problem> {
    let (manifest, scratch) = proven(cms, sent).await?;
    let others = Others::of(cms, &scratch, &manifest).await?;
    // Before anything ends: a refusal costs nobody anything.
    others.allow(accept_loss).await?;
    let before = heard::everything(cms).await?;
    let held = cms.hold("a restore is under way").await?;
    // From here on this box takes no write, and no change of roles begins.
    let placed = async {
        let all_heard = others.allow(accept_loss).await?;
        let heard = before.and(heard::everything(cms).await?);
        let known = others.terms().into_iter().chain([Some(manifest.term), Some(heard.term)]);
        let term = restore::term_above(known, all_heard)?;
        raised(cms, &scratch, term, heard.generation).await?;
        noted(cms, "restoring", &manifest, term).await?;
        let previous = place(cms, &scratch).await?;
        Ok::<_, Problem>((term, previous))
    };
    let placed = placed.await;
    if let Ok((term, _)) = &placed {
        if let Err(problem) = noted(cms, "restored", &manifest, *term).await {
            tracing::error!(%problem, "the restore is done, and the journal says only that it began");
        }
        tracing::warn!(term, rev = manifest.rev, "a backup took the place of the configuration");
    }
    held.release().await;
    let (term, previous) = placed?;
    let now = cms.standing();
    let why = (now.state != CmsState::Primary).then(|| now.why.unwrap_or_else(|| format!("it is {}", now.state.as_str())));
    Ok(Restored { manifest, term, state: now.state, why, previous })
}

async fn proven(cms: &Arc<Cms>, Sent { path, scratch }: Sent) -> Result<(BackupManifest, Scratch), Problem> {
    let (state, name) = (cms.state_directory().to_owned(), cms.name().clone());
    let proven = tokio::task::spawn_blocking(move || {
        let here = Here::read(&state, &name);
        restore::proven(&path, &here, &state, &scratch).map(|manifest| (manifest, scratch))
    });
    proven.await.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "reading the backup failed")))
}

/// Takes the scratch copy to this build's newest step and gives it its term, as a change of its own. Its generation goes on above that of
/// the configuration it takes the place of; above what devices report it goes when the manager opens (`ahead`).
async fn raised(cms: &Arc<Cms>, scratch: &Scratch, term: u64, generation: u64) -> Result<(), Problem> {
    let (database, seal) = open(cms, scratch).await?;
    let name = cms.name().clone();
    let written = database.write(move |tx| {
        let before = Snapshot::load(tx, &seal, None)?;
        let by = super::super::caller();
        let change = Change::new(tx, &before, &by, weir_clock::wall_ms())?;
        change.continue_above(generation);
        change.take_over(&name, term)?;
        let (was, is) = (serde_json::json!({ "stamp": before.stamp }), serde_json::json!({ "term": term }));
        change.audit("restore", format_args!("network {}", before.network), Some(&was), Some(&is))?;
        change.finish()?;
        Ok::<_, Refusal>(())
    });
    let written = written.await;
    database.close().await;
    written.map_err(Refusal::into_problem)
}

/// Opens the scratch copy, taken to this build's newest step. Whoever opens it closes it.
async fn open(cms: &Arc<Cms>, scratch: &Scratch) -> Result<(Database, Arc<Seal>), Problem> {
    let (path, state) = (scratch.database(), cms.state_directory().to_owned());
    let opened = tokio::task::spawn_blocking(move || opened(&path, &state)).await;
    opened.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "opening the backup failed")))
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

/// Puts the scratch copy in the place of `config.db`; where what was there lies now.
async fn place(cms: &Arc<Cms>, scratch: &Scratch) -> Result<Option<String>, Problem> {
    let (path, from) = (cms.state_directory().join("config.db"), scratch.database());
    let file = Arc::clone(cms.box_file());
    let placed = tokio::task::spawn_blocking(move || {
        // First: a promotion that was under way was one of another history, and must not be found beside this one.
        file.set_promoting(None).map_err(|error| Problem::new(Reason::Internal, format!("box.json cannot be written: {error}")))?;
        let had = path.exists();
        weir_database::replace(&path, &from).map_err(|error| refused(&error))?;
        Ok(had.then(|| format!("{}.previous", path.display())))
    });
    placed.await.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "the restore was cut short; run it again")))
}

/// The journal says what is about to be, before it is, and that it was: a box whose database cannot be read still tells.
async fn noted(cms: &Arc<Cms>, kind: &'static str, manifest: &BackupManifest, term: u64) -> Result<(), Problem> {
    let body = serde_json::json!({
        "manager": cms.name(), "rev": manifest.rev, "generation": manifest.generation, "made_in_term": manifest.term,
    });
    let journal = Arc::clone(cms.journal());
    let written = tokio::task::spawn_blocking(move || journal.append(weir_clock::wall_ms(), term, kind, body)).await;
    let unwritten = |why: String| Problem::new(Reason::Internal, format!("the journal cannot be written: {why}"));
    written.map_err(|error| unwritten(error.to_string()))?.map_err(|error| unwritten(Chain(&error).to_string()))?;
    Ok(())
}

/// What the backup itself refuses to tell.
fn of_manager(error: ManagerError) -> Problem {
    Problem::new(Reason::BackupDamaged, Chain(&error).to_string())
}
