//! Reading some of what is on the disk, to see whether this build can: nothing is brought back to RAM, nothing dropped.

use super::{desk::Disk, segment::ReadError, table::Held};
use crate::Store;

/// Slices read of each object: 4 MiB.
const SLICES_MAX: usize = 4;

/// What came of reading some objects. What the machine does not let be read, or another store has just removed, is in
/// neither number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Objects that read back right, as far as they were read.
    pub right: usize,
    /// Objects that did not.
    pub damaged: usize,
}

impl<H> Store<H> {
    /// Reads `most` objects of the disk tier, 64 at most, spread over its keys: their heads and the beginnings of their bodies.
    /// Blocks while it reads.
    pub fn sample(&self, most: usize) -> Sample {
        let mut sample = Sample::default();
        let Some(tier) = &self.inner.disk else { return sample };
        let some = tier.disk.lock().index.some(most);
        for (hash, held) in some {
            match tier.disk.try_read(hash, &held) {
                Ok(()) => sample.right += 1,
                Err(ReadError::Damaged) => sample.damaged += 1,
                Err(error @ (ReadError::Io(_) | ReadError::Gone)) => tracing::debug!(error = %error, "not sampled"),
            }
        }
        sample
    }
}

impl<H> Disk<H> {
    fn try_read(&self, hash: u64, held: &Held) -> Result<(), ReadError> {
        let record = self.head(hash, held)?;
        if (self.codec.read)(&record.head).is_none() {
            return Err(ReadError::Damaged);
        }
        (0..record.slices.len().min(SLICES_MAX)).try_for_each(|index| self.slice(&record, index).map(drop))
    }
}
