//! Validation: of this box's database as it is now, or of a backup.

use super::{blocking, refused, sent};
use crate::{
    api::Refused,
    backup::{
        file,
        rehearsal::{Checks, Scratch, sound},
    },
    cms::{Cms, Life},
    tables::{changesets, digests},
};
use axum::{Json, body::Body, extract::State, http::HeaderMap};
use std::{path::Path, sync::Arc};
use weir_database::{Database, DatabaseError, Digests};
use weir_operator_api::{Problem, Validation};
use weir_telemetry::Chain;

/// A body of bytes is a backup to look at; without one it is this box's own database.
pub(super) async fn validate(State(cms): State<Arc<Cms>>, headers: HeaderMap, body: Body) -> Result<Json<Validation>, Refused> {
    if headers.get("content-type").is_some_and(|kind| kind == "application/octet-stream") {
        let file = sent(&cms, None, body).await?;
        return Ok(Json(blocking(move || Ok(of_backup(&file.path, &file.scratch))).await?));
    }
    Ok(Json(own(&cms).await?))
}

fn of_backup(path: &Path, scratch: &Scratch) -> Validation {
    let (mut checks, database) = (Checks::default(), scratch.database());
    match file::unpack(path, &database) {
        Err(error) => {
            checks.note("sha256", Err(Chain(&error).to_string()));
        }
        Ok(manifest) => {
            checks.note("sha256", Ok(format!("{} bytes, as the manifest says", manifest.database_bytes)));
            if sound(&database, &manifest, &mut checks) {
                chain(&database, &mut checks);
            }
        }
    }
    checks.into_validation()
}

async fn own(cms: &Cms) -> Result<Validation, Problem> {
    let database: Option<Database> = match cms.life() {
        Life::Primary(app) => Some(app.config.clone()),
        Life::Standby(follower) => follower.database(),
        Life::Disabled => None,
    };
    let state = cms.state_directory().to_owned();
    let Some(database) = database else {
        return blocking(move || Ok(of_database(&state.join("config.db")))).await;
    };
    // A copy of one snapshot: the check takes long, and nobody waits for it.
    let scratch = blocking(move || Scratch::new(&state)).await?;
    let copied = database.copy(scratch.database(), |_| Ok::<_, DatabaseError>(())).await;
    match copied {
        Ok(()) => blocking(move || Ok(of_database(&scratch.database()))).await,
        Err(error @ DatabaseError::DiskFull) => Err(refused(&error)),
        Err(error) => {
            let mut checks = Checks::default();
            checks.note("integrity", Err(Chain(&error).to_string()));
            Ok(checks.into_validation())
        }
    }
}

fn of_database(path: &Path) -> Validation {
    let mut checks = Checks::default();
    let whole = weir_database::check(path).map(|()| "every page, index and reference holds".to_owned());
    if checks.note("integrity", whole.map_err(|error| Chain(&error).to_string())) {
        let same = digest(path).unwrap_or_else(|error| Err(Chain(&error).to_string()));
        checks.note("digest", same);
        chain(path, &mut checks);
    }
    checks.into_validation()
}

/// The rows recounted, what is kept of them, and what the newest changeset says: all three are one.
fn digest(path: &Path) -> Result<Result<String, String>, DatabaseError> {
    let mut connection = weir_database::look(path)?;
    let tx = connection.transaction()?;
    let counted = Digests::recount(&tx, &changesets::NOT_RECORDED)?;
    let kept = digests::load(&tx)?;
    let newest = changesets::newest(&tx, 1)?.pop();
    let shown = hex::encode(counted.of_all());
    Ok(if counted != kept {
        Err(format!("recounted: {shown}, and what is kept says {}", hex::encode(kept.of_all())))
    } else if let Some(newest) = newest.filter(|newest| newest.digest != counted.of_all()) {
        Err(format!("recounted: {shown}, and changeset {} says {}", newest.rev, hex::encode(newest.digest)))
    } else {
        Ok(format!("recounted: {shown}"))
    })
}

/// The log of writes is as it was written.
fn chain(path: &Path, checks: &mut Checks) {
    let read = weir_database::look(path).and_then(|mut connection| {
        let tx = connection.transaction()?;
        Ok((changesets::broken(&tx)?, changesets::last(&tx)?))
    });
    let found = match read {
        Ok((None, last)) => Ok(format!("the log of writes is as it was written, up to changeset {last}")),
        Ok((Some(rev), _)) => Err(format!("the log of writes is not as it was written from changeset {rev} on")),
        Err(error) => Err(Chain(&error).to_string()),
    };
    checks.note("chain", found);
}
