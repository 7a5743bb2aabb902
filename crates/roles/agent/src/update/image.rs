//! An archive that is on the disk: verified against what this device trusts, unpacked, written into a slot. Blocks.

use super::evidence::slot_of;
use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};
use weir_device_api::ArchivePlace;
use weir_release::{Expected, Invalid, MetadataSet, StageError, TrustError, TrustStore, UNPACKED_MAX_BYTES};
use weir_rollout::update::Assignment;
use weir_slots::{DataDirectory, SlotRef, boot, staging};
use weir_telemetry::Chain;

/// Bytes an image takes for each byte of its archive, as far as nobody has read it yet: programs are packed to a third, and those
/// with symbols to a fifth.
const UNPACKED_PER_BYTE: u64 = 6;

/// Largest release root that is read, in bytes.
const ROOT_BYTES_MAX: u64 = 32 * 1024;

/// Why an image is not in its slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ImageRefusal {
    /// The disk has no room.
    #[error("{0}")]
    NoSpace(String),
    /// It is not what was assigned, for good.
    #[error("{0}")]
    Refused(String),
    /// This device could not; worth trying again.
    #[error("{0}")]
    Again(String),
}

impl ImageRefusal {
    /// What went wrong on this machine's disk.
    fn disk(error: &(dyn Error + 'static)) -> Self {
        let text = Chain(error).to_string();
        if is_full(error) { Self::NoSpace(text) } else { Self::Again(text) }
    }
}

/// Whether a chain of errors ends in a disk without room.
pub(super) fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(io, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The places of one archive below `staging/`.
#[derive(Debug, Clone)]
pub(super) struct Places {
    sha256: String,
    /// The archive as far as it is there.
    pub(super) part: PathBuf,
    /// Blocks for what is unpacked.
    room: PathBuf,
    tree: PathBuf,
}

impl Places {
    /// Those of the archive with this digest; `None` when it is no digest, and no name.
    pub(super) fn of(data: &DataDirectory, sha256: &str) -> Option<Self> {
        let sha256 = weir_slots::Digest::try_from(sha256.to_owned()).ok()?.to_string();
        let at = |end: &str| data.staging().join(format!("{sha256}{end}"));
        Some(Self { part: at(".weir.part"), room: at(".room"), tree: at(".tree"), sha256 })
    }
}

/// Bytes of the disk an archive and its image take together.
pub(super) fn bytes_needed(place: &ArchivePlace) -> u64 {
    place.bytes.saturating_add(unpacked(place))
}

fn unpacked(place: &ArchivePlace) -> u64 {
    place.bytes.saturating_mul(UNPACKED_PER_BYTE).min(UNPACKED_MAX_BYTES)
}

/// Whether the assigned image is in its slot, every file of it.
pub(super) fn is_staged(data: &DataDirectory, assignment: &Assignment) -> bool {
    slot_of(assignment).is_some_and(|slot| weir_slots::verify(data, &slot).is_ok())
}

/// Removes what neither the boot record nor the assignment needs, and what other archives left.
pub(super) fn sweep(data: &DataDirectory, assignment: &Assignment, keep: Option<&str>) -> Result<(), ImageRefusal> {
    let record = boot::read(data).map_err(|error| ImageRefusal::disk(&error))?.record;
    let on_trial = record.trial.map(|trial| trial.slot);
    let kept = [Some(record.active), record.previous, record.last_good, on_trial, slot_of(assignment)];
    let kept: Vec<SlotRef> = kept.into_iter().flatten().collect();
    let gone = staging::sweep(data, &kept).map_err(|error| ImageRefusal::disk(&error))?;
    if !gone.is_empty() {
        tracing::info!(slots = gone.join(" "), "slots removed that nothing needs");
    }
    staging::clear(data, keep).map_err(|error| ImageRefusal::disk(&error))
}

/// Makes room for an archive and its image, and keeps it.
pub(super) fn reserve(data: &DataDirectory, place: &ArchivePlace, places: &Places, assignment: &Assignment) -> Result<(), ImageRefusal> {
    staging::prepare(data).map_err(|error| ImageRefusal::disk(&error))?;
    sweep(data, assignment, Some(&places.sha256))?;
    let blocks = |path: &Path, bytes| {
        staging::reserve(path, bytes).map_err(|error| match ImageRefusal::disk(&error) {
            ImageRefusal::NoSpace(_) => ImageRefusal::NoSpace(format!("an archive of {} bytes and its image need room", place.bytes)),
            other => other,
        })
    };
    blocks(&places.part, place.bytes)?;
    blocks(&places.room, unpacked(place)).inspect_err(|_| {
        // What is reserved and not used keeps others from it.
        drop(fs::remove_file(&places.room));
    })
}

/// Verifies the archive and writes its image into the assigned slot. `metadata` is the newest the manager has; `now` is the clock
/// in seconds since 1970.
pub(super) fn install(
    data: &DataDirectory,
    trust: &Path,
    places: &Places,
    assignment: &Assignment,
    metadata: Option<&[u8]>,
    now: u64,
) -> Result<(), ImageRefusal> {
    let store = trusted(data, trust)?;
    if let Some(bytes) = metadata {
        // What is older or expired changes nothing: the archive is judged by the newest there is.
        let taken = MetadataSet::parse(bytes).map_err(|error| Chain(&error).to_string());
        if let Err(error) = taken.and_then(|set| store.load(&set, now).map_err(|error| Chain(&error).to_string())) {
            tracing::warn!(error, "the manager's release metadata is not taken");
        }
    }
    let expected = Expected { version: Some(assignment.version), arch: Some(std::env::consts::ARCH.to_owned()) };
    let staged =
        weir_release::stage(data, &store, &places.part, (&expected, &assignment.manifest), (&places.tree, Some(&places.room)), now);
    staged.map_err(|error| match error {
        StageError::Invalid(invalid) => refusal(invalid),
        StageError::Other { .. } => ImageRefusal::Refused(error.to_string()),
        StageError::Disk(error) => ImageRefusal::disk(&*error),
        StageError::Unpacked(error) => ImageRefusal::Again(Chain(&error).to_string()),
    })
}

/// What this device trusts, beginning with the root an operator gave it.
fn trusted(data: &DataDirectory, dir: &Path) -> Result<TrustStore, ImageRefusal> {
    if let Ok(store) = TrustStore::open(dir) {
        return Ok(store);
    }
    let file = data.release_root();
    let root = match fs::metadata(&file) {
        Ok(found) if found.len() <= ROOT_BYTES_MAX => fs::read(&file).map_err(|error| ImageRefusal::disk(&error))?,
        Ok(_) => return Err(ImageRefusal::Refused(format!("{} is over {ROOT_BYTES_MAX} bytes", file.display()))),
        Err(_) => {
            let next = "run `weir install --release-root FILE` on this device, then assign the version again";
            return Err(ImageRefusal::Refused(format!("this device has no release root to verify signatures with: {next}")));
        }
    };
    TrustStore::pin(dir, &root).map_err(|error| match &error {
        TrustError::Disk(_) => ImageRefusal::disk(&error),
        _ => ImageRefusal::Refused(format!("{} is no release root: {}", file.display(), Chain(&error))),
    })
}

fn refusal(invalid: Invalid) -> ImageRefusal {
    match invalid.reason() {
        weir_model::InvalidReason::Unreadable => ImageRefusal::disk(&invalid),
        reason => ImageRefusal::Refused(format!("{reason}: {}", Chain(&invalid))),
    }
}

#[cfg(test)]
mod tests;
