//! The disk tier: objects that were used again, in append-only segments; format 1 of docs/protocols/store.md.
//!
//! - [`Tier`] belongs to a store and ends its threads with it; [`Disk`] is what they share.
//! - `desk`: queue, index and segments under one lock, never held over a read or a write.
//! - `writer`: the one thread that writes; `log` appends, `reclaim` frees the oldest segment.
//! - `recover`: what is in a directory; `load`: back to RAM.
//!
//! Locks are taken in this order: desk, the eviction queues, a shard of the RAM index.

mod desk;
mod format;
mod index;
mod lease;
mod load;
mod log;
mod reclaim;
mod record;
mod recover;
mod sample;
mod segment;
mod state;
mod table;
mod tier;
mod writer;

pub(crate) use desk::Removed;
pub(crate) use format::Place;
pub use sample::Sample;
pub use segment::SEGMENT_BYTES;
pub(crate) use state::OnDisk;
pub use tier::DiskStats;
pub(crate) use tier::Tier;

use crate::Durable;
use sha2::{Digest, Sha256};
use weir_model::Line;

/// What the disk tier does with heads.
pub(crate) struct Codec<H> {
    pub(crate) write: fn(&H, &mut Vec<u8>) -> bool,
    pub(crate) read: fn(&[u8]) -> Option<H>,
    pub(crate) memory_bytes: fn(&H) -> u64,
    pub(crate) min_reader: fn(&H) -> Line,
    pub(crate) reader: Line,
}

impl<H: Durable> Codec<H> {
    pub(crate) fn new() -> Self {
        Self { write: H::write, read: H::read, memory_bytes: H::memory_bytes, min_reader: H::min_reader, reader: H::reader() }
    }
}

/// The hash a key has on disk: the same in every process, and nobody can make another key have it.
pub(crate) fn hash_of(key: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(key).into();
    let (first, _) = digest.split_first_chunk().expect("32 bytes");
    u64::from_le_bytes(*first)
}
