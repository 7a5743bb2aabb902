//! The self-test of the disk tier: a round trip in a directory of its own, and a sample of what lies on the disk.
//!
//! It judges the build, not the disk: what the machine does not let be written or read is a condition, not a reason not to serve.

use super::Disk;
use crate::head::StoredHead;
use bytes::Bytes;
use std::{io, path::Path, time::Duration};
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
/// What it stores.
const KEY: &str = "self-test";
const BODY: Bytes = Bytes::from_static(b"weir");

impl Disk {
    /// Whether this build reads what it writes and what others wrote.
    ///
    /// # Errors
    /// One sentence that says what does not work.
    pub(crate) async fn test(&self, store: &Store<StoredHead>) -> Result<(), String> {
        if !self.is_used {
            return Ok(());
        }
        // Left by a worker that was killed in the middle of it.
        remove(&self.trial);
        let tested = round_trip(&self.trial).await;
        remove(&self.trial);
        tested?;
        let store = store.clone();
        let Ok(sample) = tokio::task::spawn_blocking(move || store.sample(SAMPLE)).await else { return Ok(()) };
        judge(sample)
    }
}

/// One damaged object is the disk's fault, and a miss. That of all that were read none is right is this build's.
fn judge(Sample { right, damaged }: Sample) -> Result<(), String> {
    match (right, damaged) {
        (0, SAMPLE..) => Err(format!("none of {damaged} objects on disk reads back right")),
        _ => Ok(()),
    }
}

fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(error = %error, "directory of the self-test not removed");
    }
}

async fn round_trip(directory: &Path) -> Result<(), String> {
    let open = || {
        Store::<StoredHead>::open(StoreSettings {
            ram_bytes: RAM_BYTES,
            disk: Some(DiskSettings { directory: directory.to_owned(), bytes: DISK_BYTES }),
        })
    };
    let unusable = |error: &dyn std::fmt::Display| tracing::warn!(error = %error, "the disk was not tested");
    let store = match open() {
        Ok(store) => store,
        Err(error) => {
            unusable(&error);
            return Ok(());
        }
    };
    store.take_writer().await;
    let head = head();
    let bytes = head.bytes();
    let mut fill = store.begin(KEY, head, bytes, Some(BODY.len() as u64), |_| true).map_err(|(_, refused)| refused.to_string())?;
    fill.append(BODY);
    fill.finish().map_err(|reason| reason.to_string())?;
    store.give_up_writer(WRITE_TIME).await;
    if let Some(error) = store.disk_stats().and_then(|stats| stats.error) {
        unusable(&error);
        return Ok(());
    }
    drop(store);
    let store = match open() {
        Ok(store) => store,
        Err(error) => {
            unusable(&error);
            return Ok(());
        }
    };
    let object = store.load(KEY, |_| true).await.ok_or("the disk store loses what is stored")?;
    let mut reader = object.read(0, u64::MAX).map_err(|aborted| aborted.to_string())?;
    let mut body = Vec::new();
    while let Some(bytes) = reader.next().await.map_err(|aborted| aborted.to_string())? {
        body.extend_from_slice(&bytes);
    }
    let is_same = body == BODY && object.head().status == 200 && object.head().block.as_bytes() == self::head().block.as_bytes();
    is_same.then_some(()).ok_or_else(|| "the disk store gives back other bytes than were stored".into())
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
    fn only_a_build_that_reads_nothing_fails() {
        for (right, damaged, fails) in [(0, 0, false), (8, 0, false), (1, 7, false), (0, 7, false), (0, 8, true)] {
            assert_eq!(judge(Sample { right, damaged }).is_err(), fails, "{right} right, {damaged} damaged");
        }
    }
}
