//! The work that takes its time: an archive fetched, verified and written into its slot; room made on a full disk.

use super::{
    download::{self, DownloadError, Progress},
    image::{self, ImageRefusal, Places},
};
use crate::{agent::Shared, client::ClientError};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use weir_device_api::{ArchivePlace, UpdateWord};
use weir_model::Stamp;
use weir_release::METADATA_MAX_BYTES;
use weir_rollout::update::{Assignment, UpdateReason};
use weir_telemetry::Chain;

/// First wait before an archive that could not be had is asked for again; each further one is twice as long.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Time between two attempts to make room.
const ROOM_PERIOD: Duration = Duration::from_secs(2);
/// Outcomes not yet taken: a work sends few, and waits.
pub(super) const OUTCOMES_MAX: usize = 8;

/// What the work came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The image is in its slot, verified.
    Staged,
    /// It cannot be had, for good.
    Failed(UpdateReason, String),
    /// The disk has no room.
    NoSpace(String),
    /// It has again.
    Space,
    /// It goes on, and this is what it waits for; nothing when it waits no more.
    Waits(String),
}

/// One outcome and the assignment it is about: that of an earlier one means nothing any more.
pub(super) type About = (Stamp, Outcome);

/// What a work needs.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) shared: Arc<Shared>,
    pub(super) assignment: Assignment,
    pub(super) outcomes: mpsc::Sender<About>,
}

impl Work {
    async fn tell(&self, outcome: Outcome) {
        // A driver that is gone has no use for it.
        drop(self.outcomes.send((self.assignment.stamp, outcome)).await);
    }

    /// Fetches until the image is in its slot or cannot be had.
    pub(super) async fn fetch(self) {
        let mut pause = RETRY_MIN;
        loop {
            let again = match self.attempt().await {
                Ok(()) => return self.tell(Outcome::Staged).await,
                Err(Missed::Failed(reason, detail)) => return self.tell(Outcome::Failed(reason, detail)).await,
                Err(Missed::NoSpace(detail)) => return self.tell(Outcome::NoSpace(detail)).await,
                Err(Missed::Again(detail)) => detail,
            };
            tracing::warn!(error = again, pause_ms = weir_clock::millis(pause), "the image is not there yet; trying again");
            self.tell(Outcome::Waits(format!("{again}; tried again every {} s", pause.as_secs()))).await;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn attempt(&self) -> Result<(), Missed> {
        let (data, assignment) = (self.shared.settings.data.clone(), self.assignment.clone());
        let staged = move || {
            let staged = image::is_staged(&data, &assignment);
            if staged {
                // A crash behind the last write of the slot left the archive.
                image::sweep(&data, &assignment, None)?;
            }
            Ok(staged)
        };
        if blocking(staged).await? {
            return Ok(());
        }
        let place = self.place().await;
        let data = self.shared.settings.data.clone();
        let no_digest = || Missed::Failed(UpdateReason::FetchFailed, "the manager names no digest of the archive".into());
        let places = Places::of(&data, &place.sha256).ok_or_else(no_digest)?;
        let (reserved, archive, assignment) = (places.clone(), place.clone(), self.assignment.clone());
        blocking(move || image::reserve(&data, &archive, &reserved, &assignment)).await?;
        self.shared.update.progress.send_replace(Progress { done: 0, total: place.bytes, from: None });
        self.tell(Outcome::Waits(String::new())).await;
        download::archive(&self.shared, &place, &places.part, &self.shared.update.progress).await?;
        let metadata = self.shared.client.release_metadata(METADATA_MAX_BYTES).await?;
        self.install(places, metadata).await
    }

    async fn install(&self, places: Places, metadata: Option<Vec<u8>>) -> Result<(), Missed> {
        let (data, assignment) = (self.shared.settings.data.clone(), self.assignment.clone());
        let trust = self.shared.settings.state.dir().join("trust");
        let now = weir_clock::wall_seconds();
        blocking(move || {
            let installed = image::install(&data, &trust, &places, &assignment, metadata.as_deref(), now);
            if matches!(installed, Err(ImageRefusal::Refused(_))) {
                // Fetched again it would be the same.
                drop(std::fs::remove_file(&places.part));
            }
            installed
        })
        .await
    }

    /// Where the archive is, as soon as the manager says it.
    async fn place(&self) -> ArchivePlace {
        let mut word = self.shared.update.word();
        let named = |word: &Option<UpdateWord>| {
            let order = word.as_ref()?.order.as_ref().filter(|order| order.assignment.stamp == self.assignment.stamp)?;
            order.archive.clone()
        };
        if let Some(place) = named(&word.borrow_and_update()) {
            return place;
        }
        self.tell(Outcome::Waits("the manager has not said where the archive is".into())).await;
        wait_for(&mut word, named).await
    }

    /// Makes room until there is enough of it.
    pub(super) async fn make_space(self) {
        loop {
            let place = self.place().await;
            match self.free(place).await {
                Ok(()) => return self.tell(Outcome::Space).await,
                Err(Missed::Again(detail) | Missed::NoSpace(detail) | Missed::Failed(_, detail)) => {
                    self.tell(Outcome::Waits(detail)).await;
                }
            }
            tokio::time::sleep(ROOM_PERIOD).await;
        }
    }

    async fn free(&self, place: ArchivePlace) -> Result<(), Missed> {
        let (shared, assignment) = (self.shared.clone(), self.assignment.clone());
        blocking(move || {
            let data = &shared.settings.data;
            let places = Places::of(data, &place.sha256).ok_or_else(|| ImageRefusal::Refused("no digest".into()))?;
            if let Err(full) = image::reserve(data, &place, &places, &assignment) {
                let freed = (shared.hooks.make_space)(image::bytes_needed(&place));
                tracing::info!(freed, "made room for an image");
                image::reserve(data, &place, &places, &assignment).map_err(|_| full)?;
            }
            Ok(())
        })
        .await
    }
}

async fn wait_for<T, W>(word: &mut watch::Receiver<T>, named: impl Fn(&T) -> Option<W>) -> W {
    loop {
        if word.changed().await.is_err() {
            // The agent is gone, and this task with it.
            std::future::pending::<()>().await;
        }
        if let Some(found) = named(&word.borrow_and_update()) {
            return found;
        }
    }
}

/// Why an attempt came to nothing.
pub(super) enum Missed {
    Failed(UpdateReason, String),
    NoSpace(String),
    Again(String),
}

impl From<ImageRefusal> for Missed {
    fn from(refusal: ImageRefusal) -> Self {
        match refusal {
            ImageRefusal::NoSpace(detail) => Self::NoSpace(detail),
            ImageRefusal::Refused(detail) => Self::Failed(UpdateReason::ImageRefused, detail),
            ImageRefusal::Again(detail) => Self::Again(detail),
        }
    }
}

impl From<DownloadError> for Missed {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::NoSpace => Self::NoSpace(error.to_string()),
            DownloadError::Refused(detail) => Self::Failed(UpdateReason::FetchFailed, detail),
            DownloadError::Unreachable(detail) => Self::Again(detail),
        }
    }
}

impl From<ClientError> for Missed {
    fn from(error: ClientError) -> Self {
        Self::Again(Chain(&error).to_string())
    }
}

/// Runs work that blocks away from the tasks that must not wait. Work on the staging directory is never done twice at a time: what
/// was cancelled meanwhile ends first.
pub(super) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageRefusal> + Send + 'static,
) -> impl Future<Output = Result<T, Missed>> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let task = tokio::task::spawn_blocking(move || {
        let _held = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        work()
    });
    async move {
        match task.await {
            Ok(done) => done.map_err(Missed::from),
            Err(error) => Err(Missed::Again(format!("work on the image failed: {error}"))),
        }
    }
}
