//! The self-test of the disk tier: a round trip in a directory of its own, and a sample of what lies on the disk.
//!
//! It judges the build, not the disk: what the machine does not let be written or read is a condition, not a reason not to serve.
//! Only a build on trial that gives back other than it stored fails: there is another to go back to.

use super::{Disk, Unreadable, lock};
use crate::head::StoredHead;
use bytes::Bytes;
use std::{fmt::Display, io, path::Path, sync::atomic::Ordering, time::Duration};
use tokio::{task, time::timeout};
use weir_caching::{Freshness, Lifetime, LifetimeSource, Reuse, Storable, Vary};
use weir_store::{DiskSettings, Sample, Store, StoreSettings};

/// Bytes of RAM of the round trip's store.
const RAM_BYTES: u64 = crate::engine::STORE_BYTES_MIN;
/// Bytes of disk it may take; it takes a few hundred.
const DISK_BYTES: u64 = 256 * 1024 * 1024;
/// Objects read of those on disk; where there are fewer, nothing is concluded.
const SAMPLE: usize = 8;
/// How long it may write.
const WRITE_TIME: Duration = Duration::from_secs(1);
/// How long each step waits for the disk: to become the writer, to have written, to read back, to be sampled. All together are
/// well below what the worker's self-test may take.
const STEP_TIME: Duration = Duration::from_secs(2);
/// What it stores.
const KEY: &str = "self-test";
const BODY: Bytes = Bytes::from_static(b"weir");

impl Disk {
    /// Whether this build reads what it writes. What others wrote and it cannot read is a condition, and fetched again.
    ///
    /// # Errors
    /// One sentence that says what does not work, on trial; otherwise the disk is not used.
    pub(crate) async fn test(&self, store: &Store<StoredHead>) -> Result<(), String> {
        if !self.is_used() {
            return Ok(());
        }
        // Left by a worker that was killed in the middle of it.
        remove(&self.trial);
        let tested = round_trip(&self.trial).await;
        remove(&self.trial);
        match tested {
            Err(Failed::Wrong(error)) if self.is_on_trial.load(Ordering::Relaxed) => return Err(error),
            Err(Failed::Wrong(error)) => {
                tracing::error!(error, "the disk store is not used; content is kept in memory only");
                self.refuse(error);
                return Ok(());
            }
            Err(Failed::Unusable(error)) => tracing::warn!(error, "the disk was not tested"),
            Ok(()) => {}
        }
        self.sample(store).await;
        Ok(())
    }

    /// Looks at some of what lies on the disk. Another worker may be writing there, so nothing is removed: what is damaged is
    /// forgotten when it is asked for, and fetched again.
    async fn sample(&self, store: &Store<StoredHead>) {
        let sampled = store.clone();
        let Ok(Ok(sample)) = timeout(STEP_TIME, task::spawn_blocking(move || sampled.sample(SAMPLE))).await else {
            tracing::warn!("what lies on the disk was not sampled in time");
            return;
        };
        if let Some(text) = judge(sample) {
            tracing::error!(text, "content on disk cannot be read");
            let loads = store.disk_stats().map_or(0, |stats| stats.loads);
            *lock(&self.unreadable) = Some(Unreadable { text, loads });
        }
    }
}

/// Why a round trip did not come back.
#[derive(Debug)]
enum Failed {
    /// The machine does not let it: nothing is known of this build.
    Unusable(String),
    /// This build gives back other than it stored.
    Wrong(String),
}

fn unusable(error: impl Display) -> Failed {
    Failed::Unusable(error.to_string())
}

fn wrong(error: impl Display) -> Failed {
    Failed::Wrong(error.to_string())
}

/// One damaged object is a miss and no more. When none of all that were read is right, somebody is to look at the disk.
fn judge(Sample { right, damaged }: Sample) -> Option<String> {
    (right == 0 && damaged >= SAMPLE).then(|| format!("none of {damaged} objects on disk reads back right; content is fetched again"))
}

fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(error = %error, "directory of the self-test not removed");
    }
}

fn open(directory: &Path) -> Result<Store<StoredHead>, Failed> {
    let disk = Some(DiskSettings { directory: directory.to_owned(), bytes: DISK_BYTES });
    Store::open(StoreSettings { ram_bytes: RAM_BYTES, disk }).map_err(unusable)
}

async fn round_trip(directory: &Path) -> Result<(), Failed> {
    let store = open(directory)?;
    let written = write(&store).await;
    // The end of a store waits for its writer, which a disk may hold up.
    let ended = task::spawn_blocking(move || drop(store));
    written?;
    timeout(STEP_TIME, ended).await.map_err(unusable)?.map_err(unusable)?;
    let store = open(directory)?;
    let outcome = timeout(STEP_TIME, read(&store)).await.unwrap_or_else(|elapsed| Err(unusable(elapsed)));
    task::spawn_blocking(move || drop(store));
    outcome
}

async fn write(store: &Store<StoredHead>) -> Result<(), Failed> {
    let failed = || store.disk_stats().and_then(|stats| stats.error);
    // A filesystem without locks never makes anybody the writer.
    if timeout(STEP_TIME, store.take_writer()).await.is_err() {
        return Err(unusable(failed().unwrap_or_else(|| "it could not be locked in time".into())));
    }
    let head = head();
    let bytes = head.bytes();
    let mut fill = store.begin(KEY, head, bytes, Some(BODY.len() as u64), |_| true).map_err(|(_, refused)| wrong(refused))?;
    fill.append(BODY);
    fill.finish().map_err(wrong)?;
    let begun = weir_clock::monotonic();
    timeout(STEP_TIME, store.give_up_writer(WRITE_TIME)).await.map_err(unusable)?;
    if let Some(error) = failed() {
        return Err(unusable(error));
    }
    let is_written = store.disk_stats().is_some_and(|stats| stats.writes > 0);
    if !is_written && weir_clock::monotonic().saturating_duration_since(begun) >= WRITE_TIME {
        return Err(unusable("nothing was written in time"));
    }
    Ok(())
}

async fn read(store: &Store<StoredHead>) -> Result<(), Failed> {
    let object = store.load(KEY, |_| true).await.ok_or_else(|| wrong("the disk store loses what is stored"))?;
    let mut reader = object.read(0, u64::MAX).map_err(wrong)?;
    let mut body = Vec::new();
    while let Some(bytes) = reader.next().await.map_err(wrong)? {
        body.extend_from_slice(&bytes);
    }
    let is_same = body == BODY && object.head().status == 200 && object.head().block.as_bytes() == head().block.as_bytes();
    is_same.then_some(()).ok_or_else(|| wrong("the disk store gives back other bytes than were stored"))
}

/// A head that may lie on disk.
pub(super) fn head() -> StoredHead {
    let freshness = Freshness {
        arrived_at: weir_clock::monotonic_seconds(),
        initial_age_s: 0,
        lifetime_s: 3600,
        stale_while_revalidate_s: 0,
        stale_if_error_s: 0,
        reuse: Reuse::Windows,
    };
    let storable = Storable {
        freshness,
        lifetime: Lifetime { seconds: freshness.lifetime_s, source: LifetimeSource::MaxAge },
        fields: vec![("content-type".to_owned(), b"text/plain".to_vec())],
        withheld: Vec::new(),
        vary: Vary::Fields(Vec::new()),
        variant: String::new(),
    };
    StoredHead::new(200, storable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sample_without_anything_right_is_told() {
        for (right, damaged, told) in [(0, 0, false), (8, 0, false), (1, 7, false), (0, 7, false), (0, 8, true)] {
            assert_eq!(judge(Sample { right, damaged }).is_some(), told, "{right} right, {damaged} damaged");
        }
    }

    #[tokio::test]
    async fn a_disk_that_cannot_be_locked_says_nothing_of_the_build() {
        let directory = tempfile::tempdir().expect("directory");
        let other = open(directory.path()).expect("opens");
        other.take_writer().await;
        let ended = timeout(4 * STEP_TIME, round_trip(directory.path())).await.expect("ends by itself");
        assert!(matches!(ended, Err(Failed::Unusable(_))), "{ended:?}");
    }

    #[tokio::test]
    async fn a_build_that_loses_what_it_stores_is_wrong() {
        let directory = tempfile::tempdir().expect("directory");
        round_trip(directory.path()).await.expect("comes back");
        let empty = tempfile::tempdir().expect("directory");
        assert!(matches!(read(&open(empty.path()).expect("opens")).await, Err(Failed::Wrong(_))));
    }
}
