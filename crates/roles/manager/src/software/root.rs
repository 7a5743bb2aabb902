//! What a manager finds when it starts: the release root an operator has put there, and what an end nobody prepared has left.

use super::{archives, newest, validation};
use crate::{app::App, keep};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use weir_model::SoftwareState;
use weir_operator_api::{Problem, Reason};
use weir_release::{TrustError, TrustStore};
use weir_telemetry::Chain;

/// The file of a manager's data directory that pins whose releases may be installed.
pub(crate) const RELEASE_ROOT: &str = "release-root.json";
/// Largest root that is read, in bytes.
const ROOT_BYTES_MAX: u64 = 32 * 1024;

/// Makes the directories, pins the release root unless one is pinned, removes what was left half-way, and withdraws what the newest
/// metadata does not list. Before the manager serves.
pub(crate) async fn begin(app: &Arc<App>, data: PathBuf) -> Result<(), Problem> {
    let prepared = Arc::clone(app);
    let work = move || {
        prepare(&prepared)?;
        pin(&data.join(RELEASE_ROOT), &prepared.software.trust);
        newest::learn(&prepared.software);
        Ok(())
    };
    let lost = |_| Problem::new(Reason::Internal, "preparing the directory of software files failed");
    let unkept = |error: io::Error| Problem::new(Reason::Internal, format!("cannot prepare the directory of software files: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(lost)?.map_err(unkept)?;
    validation::withdraw_all(app).await
}

fn prepare(app: &App) -> io::Result<()> {
    let directory = &app.software.archives;
    keep::directory(directory)?;
    archives::remove_parts(directory)?;
    // The bytes of an upload that nobody learnt of.
    let mut drafts = app.software.records().into_iter().filter(|record| record.state() == SoftwareState::Draft);
    drafts.try_for_each(|record| archives::remove(directory, record.id))
}

/// Pins the root in `file`. A root that cannot be used is no reason not to start: software files say that there is none.
pub(crate) fn pin(file: &Path, trust: &Path) {
    let root = match read(file) {
        Ok(Some(root)) => root,
        Ok(None) => return,
        Err(error) => return tracing::error!(file = %file.display(), %error, "the release root cannot be read"),
    };
    match TrustStore::pin(trust, &root) {
        Ok(_) => tracing::info!(file = %file.display(), "release root pinned"),
        Err(TrustError::AlreadyPinned(_)) => {
            if fs::read(trust.join("root.json")).is_ok_and(|pinned| pinned != root) {
                tracing::warn!(file = %file.display(), "another release root is pinned already; the file is not used");
            }
        }
        Err(error) => tracing::error!(file = %file.display(), error = %Chain(&error), "the release root cannot be pinned"),
    }
}

fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(metadata) if metadata.len() > ROOT_BYTES_MAX => Err(io::ErrorKind::FileTooLarge.into()),
        Ok(_) => fs::read(file).map(Some),
    }
}
