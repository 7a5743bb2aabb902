//! Content store: objects in RAM within a byte limit, filled while they are read, and on disk.
//!
//! - [`Store`]: a sharded index from key to variants; every byte it holds is counted against one limit.
//! - [`Object`]: an immutable head (opaque here) and a body of slices of up to [`SLICE_BYTES`].
//! - [`Fill`]: the one writer of an object's body. Dropped without [`Fill::finish`] it aborts: readers see an error,
//!   never a silent truncation, and nothing stays stored.
//! - [`Reader`]: any number per object, each at its own pace, on any thread or runtime.
//!
//! Eviction is S3-FIFO ("FIFO queues are all you need for cache eviction", Yang et al., SOSP 2023) by bytes. An object
//! that grows past its share of the limit leaves the index and *passes through*: from then on its fill keeps a bounded
//! window in memory and waits for its readers. Windows have an account of their own.
//!
//! A fill keeps the variants it displaced until its body is whole: aborted, it puts them back.
//!
//! A store opened with a directory keeps heads that are [`Durable`] there: [`Store::load`] brings back what RAM does not
//! have, [`Store::take_writer`] and [`Store::give_up_writer`] pass the right to write from one process to the next. A hit
//! in RAM never looks at the disk.

mod account;
mod body;
mod disk;
mod durable;
mod fill;
mod index;
mod object;
mod queues;
mod reader;
mod settings;
mod store;

pub use body::AbortReason;
pub use disk::{DiskStats, SEGMENT_BYTES, Sample};
pub use durable::Durable;
pub use fill::{Appended, Fill};
pub use object::Object;
pub use reader::{Aborted, Reader};
pub use settings::{DiskSettings, StoreSettings};
pub use store::{Refused, Stats, Store};

use std::time::Duration;

/// Bytes of a full slice: what one write of a large body hands to the kernel, and the unit evicted bodies are freed in.
pub const SLICE_BYTES: usize = 1024 * 1024;
/// Counted for each object besides its key, head and body: index entry, queue entry, object and slice headers.
pub const OBJECT_OVERHEAD_BYTES: u64 = 768;
/// An object may take this fraction of the limit (1/4); a bigger one would push out everything else for one URL.
pub const OBJECT_SHARE: u64 = 4;
/// Bytes a passing-through fill holds ahead of its slowest reader.
pub const PASS_WINDOW_BYTES: u64 = 2 * 1024 * 1024;
/// The windows of all passing bodies together may take this fraction of the limit (1/4), beyond the limit itself.
pub const PASS_SHARE: u64 = 4;
/// Windows there is always memory for, however small the store: 32 MiB.
pub const PASS_WINDOWS_MIN: u64 = 16;
/// Who holds a full window back while another reader waits must read a window's worth in this time, or is detached: its
/// next read is [`AbortReason::Passed`]. About 1.6 Mbit/s, which a viewer slower than that could not play anyway.
pub const PASS_LAG_TIME: Duration = Duration::from_secs(10);
/// Variants kept of one key (RFC 9110 section 12.5.5, `Vary`); the oldest goes when another is stored.
pub const VARIANTS_MAX: usize = 16;
