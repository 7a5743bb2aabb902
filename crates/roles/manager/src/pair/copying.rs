//! The copy of `config.db` that the standby takes: made in a task of its own, and given to whoever asks once it is ready.

use super::{answer, locked};
use crate::app::App;
use sha2::{Digest, Sha256};
use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::watch, time::timeout};
use weir_database::DatabaseError;
use weir_device_api::PairHello;
use weir_operator_api::{Problem, Reason};
use weir_telemetry::Chain;

/// The copy while it is made, in the manager's state directory.
const COPY: &str = "snapshot-given.db";
/// Patience with a copy under way before the standby is told to ask again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a copy is kept for a standby that went away: what was written since comes by the stream.
const KEPT: Duration = Duration::from_secs(60);

/// A copy that is ready; its name is gone, so that nothing is left of it when it was given.
pub(crate) struct Made {
    pub(crate) file: File,
    /// Its length.
    pub(crate) bytes: u64,
    /// Of its bytes, hex.
    pub(crate) sha256: String,
    /// Where the primary stood.
    pub(crate) hello: PairHello,
}

#[derive(Default)]
enum Step {
    #[default]
    Nothing,
    Making,
    Ready(Box<Made>),
    Failed(Problem),
}

/// The copy that is made, at most one.
pub(super) struct Copies {
    step: Mutex<Step>,
    /// Rises with each copy that is ready or failed.
    ended: watch::Sender<u64>,
}

impl Default for Copies {
    fn default() -> Self {
        Self { step: Mutex::default(), ended: watch::Sender::new(0) }
    }
}

/// A copy as of a moment ago; `None`: it is being made, and is asked for again.
///
/// # Errors
/// It cannot be made.
pub(crate) async fn ask(app: &Arc<App>) -> Result<Option<Made>, Problem> {
    let copies = &app.pair.copies;
    let mut ended = copies.ended.subscribe();
    begin(app);
    // One that does not end in time is asked for again.
    let _ = timeout(PATIENCE, ended.wait_for(|_| !matches!(*locked(&copies.step), Step::Making))).await;
    let mut step = locked(&copies.step);
    match std::mem::take(&mut *step) {
        Step::Making => *step = Step::Making,
        Step::Ready(made) => return Ok(Some(*made)),
        Step::Failed(problem) => return Err(problem),
        // Another request has it.
        Step::Nothing => {}
    }
    Ok(None)
}

fn begin(app: &Arc<App>) {
    let mut step = locked(&app.pair.copies.step);
    if matches!(*step, Step::Nothing) {
        *step = Step::Making;
        app.spawn("copy", make(Arc::clone(app)));
    }
}

async fn make(app: Arc<App>) {
    let copies = &app.pair.copies;
    let made = copied(&app).await;
    *locked(&copies.step) = made.map_or_else(Step::Failed, |made| Step::Ready(Box::new(made)));
    let mut number = 0;
    copies.ended.send_modify(|ended| {
        *ended += 1;
        number = *ended;
    });
    let mut stopping = app.stopping();
    // What nobody fetches does not stay on the disk.
    if timeout(KEPT, stopping.wait_for(|stops| *stops)).await.is_err() && *copies.ended.borrow() == number {
        let mut step = locked(&copies.step);
        if matches!(*step, Step::Ready(_) | Step::Failed(_)) {
            *step = Step::Nothing;
        }
    }
}

async fn copied(app: &Arc<App>) -> Result<Made, Problem> {
    let path = app.directory.join(COPY);
    removed(&path).map_err(|error| unmade(&error))?;
    let base = answer::base(app);
    let copied = app.config.copy(path.clone(), move |tx| Ok::<_, DatabaseError>(answer::stand(tx, base)?)).await;
    let hello = copied.map_err(|error| if let DatabaseError::DiskFull = error { full() } else { unmade(&Chain(&error)) })?;
    let opened = tokio::task::spawn_blocking(move || opened(path)).await;
    let (file, bytes, sha256) = opened.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())).map_err(|error| unmade(&error))?;
    Ok(Made { file, bytes, sha256, hello })
}

fn full() -> Problem {
    Problem::new(Reason::DiskFull, "there is no room for a copy of the database")
}

fn unmade(error: &dyn fmt::Display) -> Problem {
    tracing::error!(%error, "no copy of the database can be given");
    Problem::new(Reason::Internal, "no copy of the database can be given; the log has the particulars")
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The copy, with its length and SHA-256.
fn opened(path: PathBuf) -> io::Result<(File, u64, String)> {
    let mut file = File::open(&path)?;
    fs::remove_file(&path)?;
    let (mut digest, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => {
                digest.update(&chunk[..read]);
                bytes += read as u64;
            }
        }
    }
    io::Seek::rewind(&mut file)?;
    Ok((file, bytes, hex::encode(digest.finalize())))
}
