//! Software files: registered, fetched or uploaded, checked, and offered on the Update Software page. API and pages call these.

use crate::{app::App, change::Caller};
use axum::body::Body;
use std::sync::Arc;
use weir_operator_api::{Problem, Reason, SoftwareChoices, SoftwareFile, SoftwareFileRequest, SoftwareRemoval, SoftwareSources};

fn unbuilt() -> Problem {
    Problem::new(Reason::Unavailable, "software files are being built")
}

/// Every software file, by number.
pub(crate) fn list(_app: &App) -> Vec<SoftwareFile> {
    Vec::new()
}

/// One software file.
pub(crate) fn show(_app: &App, _id: i64) -> Result<SoftwareFile, Problem> {
    Err(unbuilt())
}

/// Registers a software file; of a URL its checks begin at once, of an upload when the bytes have come.
pub(crate) async fn register(_app: &Arc<App>, _caller: Caller, _request: SoftwareFileRequest) -> Result<SoftwareFile, Problem> {
    Err(unbuilt())
}

/// Takes the bytes of an upload, then begins its checks. `length` is what the sender says there will be.
pub(crate) async fn upload(_app: &Arc<App>, _caller: Caller, _id: i64, _length: Option<u64>, _body: Body) -> Result<SoftwareFile, Problem> {
    Err(unbuilt())
}

/// Begins the checks again.
pub(crate) async fn validate(_app: &Arc<App>, _caller: Caller, _id: i64) -> Result<SoftwareFile, Problem> {
    Err(unbuilt())
}

/// Deletes a software file and what the manager keeps of it.
pub(crate) async fn delete(_app: &Arc<App>, _caller: Caller, _id: i64, _removal: SoftwareRemoval) -> Result<(), Problem> {
    Err(unbuilt())
}

/// The rows of the Update Software page.
pub(crate) fn choices(_app: &App) -> SoftwareChoices {
    SoftwareChoices { running: weir_model::Version::current(), choices: Vec::new() }
}

/// Networks that software may be fetched from beside public ones.
pub(crate) fn sources(_app: &App) -> SoftwareSources {
    SoftwareSources { allow: Vec::new() }
}

/// Replaces them.
pub(crate) async fn set_sources(_app: &Arc<App>, _caller: Caller, _sources: SoftwareSources) -> Result<SoftwareSources, Problem> {
    Err(unbuilt())
}
