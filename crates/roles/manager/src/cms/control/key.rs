//! `/cms/v1/key` of the control socket: the network key shown as a phrase, confirmed as kept, brought onto this box.

use super::caller;
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
use std::{path::Path, sync::Arc};
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
        // The journal first: it needs no write of the configuration, which may be refused. Neither keeps the words from whoever is
        // at this box: they are asked for when nothing else is left.
        let body = serde_json::json!({ "manager": cms.name(), "fingerprint": fingerprint });
        cms.record(cms.stamp().term, "key_exported", body).await;
        let object = format!("network key {fingerprint}");
        if let Err(problem) = app.change(caller(), move |change| Ok(change.audit("export", object, NOTHING, NOTHING)?)).await {
            tracing::error!(%problem, %fingerprint, "the network key was exported, and the audit does not say so");
        }
    } else {
        // The journal is the primary's to write; whoever has the words opens every backup.
        tracing::warn!(%fingerprint, "the network key was exported on a box that is not the primary");
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

async fn import(State(cms): State<Arc<Cms>>, JsonBody(request): JsonBody<KeyRequest>) -> Result<Json<CmsInfo>, Refused> {
    let missing = || Problem::new(Reason::MissingField, "no phrase was sent").at("phrase");
    let phrase = Zeroizing::new(request.phrase.ok_or_else(missing)?);
    let key = NetworkKey::from_phrase(&phrase).map_err(|error| Problem::new(Reason::WrongKey, format!("the text {error}")).at("phrase"))?;
    let of_box = Arc::clone(&cms);
    Ok(Json(cms.to_its_end("key import", async move { imported(&of_box, key).await }).await?))
}

async fn imported(cms: &Arc<Cms>, key: NetworkKey) -> Result<CmsInfo, Problem> {
    let fingerprint = key.fingerprint();
    let on_disk = |work: fn(&Path, &NetworkKey) -> Result<(), Problem>, key: NetworkKey| {
        let state = cms.state_directory().to_owned();
        async move {
            let done = tokio::task::spawn_blocking(move || work(&state, &key)).await;
            done.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "keeping the key failed")))
        }
    };
    // Before anything ends: a refusal costs nobody anything.
    on_disk(fits, key.clone()).await?;
    let held = cms.hold("its network key is replaced").await?;
    let kept = on_disk(
        |state, key| {
            fits(state, key)?;
            key.replace(state).map_err(unusable)
        },
        key,
    );
    let kept = kept.await;
    held.release().await;
    kept?;
    tracing::warn!(fingerprint, "network key imported");
    Ok(cms.info().await)
}

/// Whether the key may be this box's: it opens `config.db`, or there is nothing there that anybody would miss. Blocks.
fn fits(state: &Path, key: &NetworkKey) -> Result<(), Problem> {
    let seal = Seal::new(key);
    let path = state.join("config.db");
    let judged = weir_database::look(&path).and_then(|mut connection| Ok(settled(&connection.transaction()?, &seal)?));
    may_replace(judged, || restore::is_blank(state), &key.fingerprint())
}

/// By what `config.db` says of the key.
fn may_replace(judged: Result<Settled, DatabaseError>, is_blank: impl FnOnce() -> bool, fingerprint: &str) -> Result<(), Problem> {
    match judged {
        Ok(Settled::Opens | Settled::Nothing) => Ok(()),
        // A box that only began a network of its own has nothing that its key opens and anybody wants.
        Ok(Settled::OtherKey) if is_blank() => Ok(()),
        Ok(Settled::OtherKey) => {
            let detail = format!("key {fingerprint} does not open what is sealed in config.db on this box");
            Err(Problem::new(Reason::WrongKey, detail).at("phrase"))
        }
        // One that is gone or damaged is what a restore with this key is for.
        Err(DatabaseError::Absent { .. } | DatabaseError::Damaged { .. }) => Ok(()),
        // Nobody can say whose it is: it may be read again in a moment, and then with the key that is here.
        Err(error) => {
            let detail = format!("config.db cannot be read, so nothing says whether this is its key: {}", Chain(&error));
            Err(Problem::new(Reason::Internal, detail).next_step("mend what it says, then import the key again"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_database::rusqlite;

    #[test]
    fn only_a_database_that_is_gone_damaged_or_blank_takes_another_key() {
        let path = || "config.db".into();
        let unread = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let reason = |judged, is_blank| may_replace(judged, || is_blank, "00").err().map(|problem| problem.reason);
        for judged in [Ok(Settled::Opens), Ok(Settled::Nothing)] {
            assert_eq!(reason(judged, false), None);
        }
        assert_eq!(reason(Ok(Settled::OtherKey), true), None);
        assert_eq!(reason(Ok(Settled::OtherKey), false), Some(Reason::WrongKey));
        assert_eq!(reason(Err(DatabaseError::Absent { path: path() }), false), None);
        assert_eq!(reason(Err(DatabaseError::Damaged { path: path(), detail: String::new() }), false), None);
        for code in [rusqlite::ffi::SQLITE_CANTOPEN, rusqlite::ffi::SQLITE_IOERR] {
            let closed = DatabaseError::Open { path: path(), source: unread(code) };
            assert_eq!(reason(Err(closed), true), Some(Reason::Internal), "it may be read again in a moment");
        }
    }
}
