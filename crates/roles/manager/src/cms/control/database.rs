//! `/cms/v1/database` of the control socket: restore, validate, maintenance.
//!
//! The file of a backup is the body of the request, or `?backup=NAME` names one that lies on this box.

mod restoring;
mod validating;

use crate::{
    api::{JsonBody, Refused},
    backup::{
        self,
        file::BACKUP_BYTES_MAX,
        rehearsal::{self, Scratch},
        room,
    },
    cms::{Cms, Life},
};
use axum::{
    Json, Router,
    body::{Body, HttpBody},
    extract::{DefaultBodyLimit, State},
    routing::post,
};
use http_body_util::BodyExt;
use std::{io, os::unix::fs::OpenOptionsExt, path::PathBuf, sync::Arc};
use tokio::io::AsyncWriteExt;
use weir_database::{DatabaseError, Maintenance};
use weir_operator_api::{Maintained, MaintenanceRequest, Problem, Reason};
use weir_telemetry::Chain;

/// Largest body that is no backup, in bytes.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// Its routes.
pub(super) fn routes() -> Router<Arc<Cms>> {
    Router::new()
        .route("/database/restore", post(restoring::restore))
        .route("/database/validate", post(validating::validate))
        .route("/database/maintenance", post(maintenance))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// The file of a backup; one that was sent lies in the scratch directory and goes with it.
struct Sent {
    path: PathBuf,
    scratch: Scratch,
}

async fn sent(cms: &Cms, named: Option<&str>, body: Body) -> Result<Sent, Problem> {
    let state = cms.state_directory().to_owned();
    let named = named.map(|name| (name.to_owned(), backup::directory(&state).join(name)));
    // The file that is sent, and what is tried of it.
    let (comes, of_body) = (named.is_none(), HttpBody::size_hint(&body).exact().unwrap_or(0));
    let begun = tokio::task::spawn_blocking(move || {
        let bytes = match &named {
            None => of_body.saturating_mul(rehearsal::COPIES + 1),
            Some((name, path)) => match std::fs::metadata(path) {
                Ok(about) if backup::is_name(name) && about.is_file() => about.len().saturating_mul(rehearsal::COPIES),
                _ => return Err(Problem::new(Reason::NotFound, format!("there is no backup {name} on this box"))),
            },
        };
        room::needed(&state, bytes, "trying the backup")?;
        Ok((Scratch::new(&state).map_err(unkept)?, named))
    });
    let (scratch, named) = begun.await.unwrap_or_else(|_| Err(Problem::new(Reason::Internal, "reading the backup failed")))?;
    let path = named.map_or_else(|| scratch.upload(), |(_, path)| path);
    if comes {
        receive(body, &path).await?;
    }
    Ok(Sent { path, scratch })
}

async fn receive(mut body: Body, path: &std::path::Path) -> Result<(), Problem> {
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).map_err(unkept)?;
    let (mut file, mut came) = (tokio::fs::File::from_std(file), 0_u64);
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::new(Reason::UploadBroken, format!("the backup broke off after {came} bytes"));
        let Ok(bytes) = frame.map_err(broken)?.into_data() else { continue };
        came += bytes.len() as u64;
        if came > BACKUP_BYTES_MAX {
            return Err(Problem::new(Reason::BodyTooLarge, format!("a backup has at most {BACKUP_BYTES_MAX} bytes")));
        }
        file.write_all(&bytes).await.map_err(unkept)?;
    }
    if came == 0 {
        let next = "send the file of a backup, or name one that is on this box: `weir cms database backups`";
        return Err(Problem::new(Reason::UploadBroken, "no backup was sent").next_step(next));
    }
    file.flush().await.map_err(unkept)
}

fn unkept(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Problem::new(Reason::DiskFull, "the backup does not fit"),
        _ => Problem::new(Reason::Internal, format!("the state directory cannot be used: {error}")),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())).map_err(unkept)
}

fn refused(error: &DatabaseError) -> Problem {
    let detail = Chain(error).to_string();
    match error {
        DatabaseError::DiskFull => Problem::new(Reason::DiskFull, "the disk has no room for it"),
        DatabaseError::Absent { .. } => Problem::new(Reason::NotFound, detail),
        _ => Problem::new(Reason::Internal, detail),
    }
}

/// Indexes made anew, statistics, and with `full` the file: the box is disabled meanwhile.
async fn maintenance(State(cms): State<Arc<Cms>>, JsonBody(request): JsonBody<MaintenanceRequest>) -> Result<Json<Maintained>, Refused> {
    let of_box = Arc::clone(&cms);
    Ok(Json(cms.to_its_end("maintenance", async move { maintained(&of_box, request).await }).await?))
}

async fn maintained(cms: &Arc<Cms>, request: MaintenanceRequest) -> Result<Maintained, Problem> {
    let began_ms = weir_clock::monotonic_ms();
    let what = if request.full { Maintenance::Whole } else { Maintenance::Indexes };
    let held = cms.hold("maintenance of its database is under way").await?;
    let path = cms.state_directory().join("config.db");
    let done = tokio::task::spawn_blocking(move || weir_database::maintain(&path, what)).await;
    held.release().await;
    let (bytes_before, bytes_after) = done.unwrap_or(Err(DatabaseError::Closed)).map_err(|error| refused(&error))?;
    if let Life::Primary(app) = cms.life() {
        let verb =
            move |change: &crate::change::Change<'_>| Ok(change.audit("maintain", "config.db", crate::change::NOTHING, Some(&request))?);
        // It is done, whatever becomes of the note.
        if let Err(problem) = app.change(super::caller(), verb).await {
            tracing::error!(%problem, "the audit does not say that the database was maintained");
        }
    }
    Ok(Maintained { bytes_before, bytes_after, took_ms: weir_clock::monotonic_ms().saturating_sub(began_ms) })
}
