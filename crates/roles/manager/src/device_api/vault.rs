//! `/device/v1/vault/{sha256}`: an engine fetches a backup to keep it, and gives it back: to prove that it has it, or for good.

use super::peer::DevicePeer;
use crate::{
    api::Refused,
    app::App,
    backup::{self, Returned, Wanted},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use std::{io, os::unix::fs::OpenOptionsExt, sync::Arc};
use tokio::io::AsyncWriteExt;
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

/// PUT: the bytes are hashed as they come, and kept where an operator wants the backup back on this box.
pub(super) async fn take(
    State(app): State<Arc<App>>,
    peer: DevicePeer,
    Path(sha256): Path<String>,
    body: Body,
) -> Result<StatusCode, Refused> {
    is_engine(&peer)?;
    let unasked = || Problem::new(Reason::Forbidden, format!("{} was not asked for a backup with SHA-256 {sha256}", peer.record.name));
    let wanted = app.backups.wanted(&peer.record.name, &sha256).ok_or_else(unasked)?;
    let returned = match received(body, &wanted).await {
        Ok((bytes, sha256)) => Returned::Came { bytes, sha256 },
        Err(how) => Returned::Broken(how),
    };
    app.backups.note_returned(&peer.record.name, &sha256, returned);
    Ok(StatusCode::NO_CONTENT)
}

/// How many bytes came, and their hash.
async fn received(mut body: Body, wanted: &Wanted) -> Result<(u64, String), String> {
    let unkept = |error: io::Error| format!("what it gave back cannot be kept: {error}");
    let mut file = match &wanted.keep {
        None => None,
        Some(path) => {
            let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).map_err(unkept)?;
            Some(tokio::fs::File::from_std(file))
        }
    };
    let (mut hash, mut came) = (Sha256::new(), 0_u64);
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|_| format!("the backup broke off after {came} bytes"))?.into_data() else { continue };
        came += bytes.len() as u64;
        if came > wanted.bytes_max {
            return Err(format!("what it gave back has more than {} bytes", wanted.bytes_max));
        }
        hash.update(&bytes);
        if let Some(file) = &mut file {
            file.write_all(&bytes).await.map_err(unkept)?;
        }
    }
    if let Some(mut file) = file {
        file.flush().await.map_err(unkept)?;
    }
    Ok((came, hex::encode(hash.finalize())))
}

fn is_engine(peer: &DevicePeer) -> Result<(), Problem> {
    match peer.record.role {
        Role::Engine => Ok(()),
        _ => Err(Problem::new(Reason::WrongRole, format!("{} is no engine; engines keep backups", peer.record.name))),
    }
}

/// The backup an engine may fetch: it is asked to keep this one now, or the schedule names it.
async fn of(app: &App, peer: &DevicePeer, sha256: &str) -> Result<Backup, Problem> {
    is_engine(peer)?;
    let is_asked = app.backups.is_lent(&peer.record.name, sha256);
    if !is_asked && !backup::schedule(app).await?.engines.iter().any(|engine| engine == peer.record.name.as_str()) {
        return Err(Problem::new(Reason::Forbidden, format!("the backup schedule does not name {}", peer.record.name)));
    }
    let absent = || Problem::new(Reason::NotFound, format!("there is no backup with SHA-256 {sha256}"));
    backup::list(app).await?.items.into_iter().find(|backup| backup.sha256 == sha256).ok_or_else(absent)
}
