//! `/cms/v1/key` of the control socket: the network key shown as a phrase, confirmed as kept, brought onto this box.

use super::{caller, settled as begin_anew};
use crate::{
    api::{JsonBody, Refused},
    backup::restore,
    change::NOTHING,
    cms::{Cms, Life},
    network_key::{KeyError, NetworkKey},
    seal::{Seal, Settled, settled},
    tables::settings,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::{get, post},
};
use std::{path::PathBuf, sync::Arc};
use weir_database::{Database, DatabaseError};
use weir_operator_api::{CmsInfo, KeyExport, KeyRequest, Problem, Reason};
use weir_telemetry::Chain;
use zeroize::Zeroizing;

/// Largest body of these verbs, in bytes: 24 words.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// Its routes.
pub(super) fn routes() -> Router<Arc<Cms>> {
    Router::new()
        .route("/key", get(export))
        .route("/key/confirm", post(confirm))
        .route("/key/import", post(import))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

fn unusable(error: KeyError) -> Problem {
    Problem::new(Reason::KeyMissing, Chain(&error).to_string())
}

async fn key_of(cms: &Cms) -> Result<NetworkKey, Problem> {
    let state = cms.state_directory().to_owned();
    let key = tokio::task::spawn_blocking(move || NetworkKey::load(&state)).await;
    let key = key.map_err(|_| Problem::new(Reason::Internal, "reading the key failed"))?.map_err(unusable)?;
    key.ok_or_else(|| Problem::new(Reason::KeyMissing, "there is no network key on this box"))
}

/// The database of the life that runs.
fn database_of(cms: &Cms) -> Option<Database> {
    match cms.life() {
        Life::Primary(app) => Some(app.config.clone()),
        Life::Standby(follower) => follower.database(),
        Life::Disabled => None,
    }
}

async fn export(State(cms): State<Arc<Cms>>) -> Result<Json<KeyExport>, Refused> {
    let key = key_of(&cms).await?;
    let fingerprint = key.fingerprint();
    let confirmed = match database_of(&cms) {
        Some(database) => {
            let read = database.read(|tx| Ok::<_, DatabaseError>(settings::get(tx, settings::KEY_CONFIRMED)?)).await;
            read.ok().flatten().is_some_and(|confirmed| confirmed == fingerprint)
        }
        None => false,
    };
    if let Life::Primary(app) = cms.life() {
        let object = format!("network key {fingerprint}");
        app.change(caller(), move |change| Ok(change.audit("export", object, NOTHING, NOTHING)?)).await?;
    }
    Ok(Json(KeyExport { phrase: key.phrase().as_str().to_owned(), fingerprint, confirmed }))
}

async fn confirm(State(cms): State<Arc<Cms>>, JsonBody(request): JsonBody<KeyRequest>) -> Result<Json<CmsInfo>, Refused> {
    let missing = || Problem::new(Reason::MissingField, "no fingerprint was sent").at("fingerprint");
    let given = request.fingerprint.ok_or_else(missing)?;
    let fingerprint = key_of(&cms).await?.fingerprint();
    if !given.trim().eq_ignore_ascii_case(&fingerprint) {
        let detail = format!("the key of this network has fingerprint {fingerprint}, not the one that was sent");
        return Err(Problem::new(Reason::WrongKey, detail).at("fingerprint").into());
    }
    let Life::Primary(app) = cms.life() else {
        let next = "run `weir cms key confirm` on the primary's box";
        return Err(Problem::new(Reason::CmsState, "the primary keeps what was confirmed").next_step(next).into());
    };
    let confirmed = fingerprint.clone();
    let written = app.change(caller(), move |change| {
        settings::set(change.tx, settings::KEY_CONFIRMED, &confirmed)?;
        Ok(change.audit("confirm", format_args!("network key {confirmed}"), NOTHING, NOTHING)?)
    });
    written.await?;
    app.backups.note_key(true);
    Ok(Json(cms.info().await))
}

/// What a database says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fits {
    /// It opens it, or there is nothing to open.
    Yes,
    /// It does not.
    No,
}

async fn import(State(cms): State<Arc<Cms>>, JsonBody(request): JsonBody<KeyRequest>) -> Result<Json<CmsInfo>, Refused> {
    let missing = || Problem::new(Reason::MissingField, "no phrase was sent").at("phrase");
    let phrase = Zeroizing::new(request.phrase.ok_or_else(missing)?);
    let key = NetworkKey::from_phrase(&phrase).map_err(|error| Problem::new(Reason::WrongKey, format!("the text {error}")).at("phrase"))?;
    if fits(&cms, &key).await? == Fits::No && !may_be_replaced(&cms).await {
        let detail = format!("key {} does not open what is sealed in config.db on this box", key.fingerprint());
        return Err(Problem::new(Reason::WrongKey, detail).at("phrase").into());
    }
    let (state, fingerprint) = (cms.state_directory().to_owned(), key.fingerprint());
    let kept = tokio::task::spawn_blocking(move || key.keep(&state)).await;
    kept.map_err(|_| Problem::new(Reason::Internal, "keeping the key failed"))?.map_err(unusable)?;
    tracing::warn!(fingerprint, "network key imported");
    begin_anew(&cms).await;
    Ok(Json(cms.info().await))
}

async fn fits(cms: &Cms, key: &NetworkKey) -> Result<Fits, Problem> {
    let seal = Seal::new(key);
    let judged = match database_of(cms) {
        Some(database) => database.read(move |tx| Ok::<_, DatabaseError>(settled(tx, &seal)?)).await,
        None => {
            let path: PathBuf = cms.state_directory().join("config.db");
            let looked = tokio::task::spawn_blocking(move || {
                let mut connection = weir_database::look(&path)?;
                Ok(settled(&connection.transaction()?, &seal)?)
            });
            looked.await.unwrap_or(Err(DatabaseError::Closed))
        }
    };
    match judged {
        Ok(Settled::Opens | Settled::Nothing) => Ok(Fits::Yes),
        Ok(Settled::OtherKey) => Ok(Fits::No),
        // One that cannot be read is what a restore with this key is for.
        Err(DatabaseError::Absent { .. } | DatabaseError::Damaged { .. } | DatabaseError::Open { .. }) => Ok(Fits::Yes),
        Err(error) => Err(Problem::new(Reason::Internal, Chain(&error).to_string())),
    }
}

/// A box that only began a network of its own has nothing that its key opens and anybody wants.
async fn may_be_replaced(cms: &Cms) -> bool {
    let state = cms.state_directory().to_owned();
    tokio::task::spawn_blocking(move || restore::is_blank(&state)).await.unwrap_or(false)
}
