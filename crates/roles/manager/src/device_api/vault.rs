//! `/device/v1/vault/{sha256}`: an engine fetches a backup to keep it, and gives it back to prove that it has it.

use super::peer::DevicePeer;
use crate::{
    api::Refused,
    app::App,
    backup::{self, Returned},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use weir_model::Role;
use weir_operator_api::{Backup, Problem, Reason};

/// GET, with ranges.
pub(super) async fn give(
    State(app): State<Arc<App>>,
    peer: DevicePeer,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let backup = of(&app, &peer, &sha256).await?;
    let (path, backup) = backup::file_of(&app, &backup.name).await?;
    super::give(&app, peer.record.id, (path, backup.bytes), &sha256, &headers).await
}

/// PUT: the bytes are hashed as they come and kept nowhere.
pub(super) async fn take(
    State(app): State<Arc<App>>,
    peer: DevicePeer,
    Path(sha256): Path<String>,
    mut body: Body,
) -> Result<StatusCode, Refused> {
    let backup = of(&app, &peer, &sha256).await?;
    let (mut hash, mut came) = (Sha256::new(), 0);
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::new(Reason::UploadBroken, format!("the backup broke off after {came} bytes"));
        let Ok(bytes) = frame.map_err(broken)?.into_data() else { continue };
        came += bytes.len() as u64;
        if came > backup.bytes {
            break;
        }
        hash.update(&bytes);
    }
    let read = hex::encode(hash.finalize());
    let returned = if came != backup.bytes {
        Returned::Other(format!("what it gave back has not the {} bytes it should", backup.bytes))
    } else if read != sha256 {
        Returned::Other(format!("what it gave back has SHA-256 {read}, and not {sha256}"))
    } else {
        Returned::Same
    };
    app.backups.note_returned(&peer.record.name, &sha256, returned);
    Ok(StatusCode::NO_CONTENT)
}

/// The backup an engine may ask for: one that the schedule names it for was told it by its hash.
async fn of(app: &App, peer: &DevicePeer, sha256: &str) -> Result<Backup, Problem> {
    if peer.record.role != Role::Engine {
        return Err(Problem::new(Reason::WrongRole, format!("{} is no engine; engines keep backups", peer.record.name)));
    }
    if !backup::schedule(app).await?.engines.iter().any(|engine| engine == peer.record.name.as_str()) {
        return Err(Problem::new(Reason::Forbidden, format!("the backup schedule does not name {}", peer.record.name)));
    }
    let absent = || Problem::new(Reason::NotFound, format!("there is no backup with SHA-256 {sha256}"));
    backup::list(app).await?.items.into_iter().find(|backup| backup.sha256 == sha256).ok_or_else(absent)
}
