//! The disk tier of a store: opened with it, its threads ended with it.

use super::{
    Codec,
    desk::{Disk, GiveUp},
    load::{LOADERS, LOADS_MAX},
    writer::Writer,
};
use crate::{
    DiskSettings, Durable, Store, StoreSettings,
    store::{Inner, Ram},
};
use std::{
    fs, io,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{runtime::Runtime, sync::oneshot};
use weir_telemetry::Tasks;

/// Who gives the lease up waits this long beyond the time it gave: removals are written and all is made durable after it.
const GIVE_UP_GRACE: Duration = Duration::from_millis(500);

/// What a disk tier holds and how it fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskStats {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Most bytes they may take now; see [`Store::free_disk`].
    pub limit_bytes: u64,
    /// Objects that can be loaded.
    pub objects: u64,
    /// Segments, those of another format included.
    pub segments: u64,
    /// Segments of a format this build does not know.
    pub foreign_segments: u64,
    /// Records met that need a later line.
    pub skipped_newer: u64,
    /// Damaged records and segments met.
    pub corrupt: u64,
    /// Objects written since the store was opened.
    pub writes: u64,
    /// Objects brought back to RAM since the store was opened.
    pub loads: u64,
    /// Why nothing is written any more; [`Store::take_writer`] tries again.
    pub error: Option<String>,
    /// Whether this store has the writer's lease.
    pub is_writer: bool,
}

/// The disk tier of one store.
pub(crate) struct Tier<H> {
    pub(crate) disk: Arc<Disk<H>>,
    loaders: Option<Runtime>,
    pub(crate) tasks: Tasks,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl<H: Durable> Tier<H> {
    fn open(settings: DiskSettings, ram_bytes: u64) -> io::Result<Self> {
        let DiskSettings { directory, bytes } = settings;
        fs::create_dir_all(&directory)?;
        let disk = Arc::new(Disk::new(directory, Codec::new(), bytes, ram_bytes, LOADS_MAX));
        disk.recover()?;
        let loaders =
            tokio::runtime::Builder::new_multi_thread().worker_threads(LOADERS).thread_name("store-load").enable_time().build()?;
        Ok(Self { disk, loaders: Some(loaders), tasks: Tasks::new(), writer: Mutex::new(None) })
    }

    fn start(&self, inner: Weak<Inner<H>>) -> io::Result<()> {
        let writer = Writer::new(self.disk.clone(), inner);
        let thread = thread::Builder::new().name("store-write".into()).spawn(move || writer.run())?;
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }
}

impl<H> Tier<H> {
    /// Runs something on the threads that read.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(loaders) = &self.loaders {
            let _in_it = loaders.enter();
            self.tasks.spawn("load from disk", future);
        }
    }
}

impl<H> Drop for Tier<H> {
    fn drop(&mut self) {
        self.disk.lock().stop = true;
        self.disk.wake.notify_all();
        if let Some(loaders) = self.loaders.take() {
            loaders.shutdown_background();
        }
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle may be the writer's own, taken for a moment to look into RAM.
        if let Some(writer) = writer.filter(|writer| writer.thread().id() != thread::current().id())
            && writer.join().is_err()
        {
            tracing::error!("the writer of the disk tier panicked");
        }
    }
}

impl<H: Durable> Store<H> {
    /// A store with the disk tier of `settings`, if they name one. It serves what is there from the start and writes once
    /// it has the lease: see [`Store::take_writer`].
    ///
    /// # Errors
    /// The directory cannot be made or read, or a thread not started.
    pub fn open(settings: StoreSettings) -> io::Result<Self> {
        let StoreSettings { ram_bytes, disk } = settings;
        let disk = disk.map(|disk| Tier::open(disk, ram_bytes)).transpose()?;
        let inner = Arc::new(Inner { ram: Ram::new(ram_bytes), disk });
        if let Some(tier) = &inner.disk {
            tier.start(Arc::downgrade(&inner))?;
        }
        Ok(Self { inner })
    }
}

impl<H> Store<H> {
    /// Waits until this store is the one that writes to its directory; at once without a disk tier. Dropping the future
    /// does not withdraw the wish; [`Store::give_up_writer`] does. What another store wrote is taken up first. After an
    /// error of writing (see [`DiskStats::error`]) it makes the writer try again.
    pub async fn take_writer(&self) {
        let Some(tier) = &self.inner.disk else { return };
        let mut is_writer = tier.disk.is_writer.subscribe();
        {
            let mut desk = tier.disk.lock();
            desk.wants_lease = true;
            desk.reopen = desk.error.is_some();
        }
        tier.disk.wake.notify_all();
        // The sender lives as long as this store.
        drop(is_writer.wait_for(|is_writer| *is_writer).await);
    }

    /// Writes what is whole in RAM and not on disk, for at most `within`, what was used most first; then lets another
    /// store write, and reads on. Returns half a second after that at the latest: on a slow disk the lease follows. What other stores write from then on is seen after the next [`Store::take_writer`].
    pub async fn give_up_writer(&self, within: Duration) {
        let Some(tier) = &self.inner.disk else { return };
        let (done, given_up) = oneshot::channel();
        {
            let mut desk = tier.disk.lock();
            desk.wants_lease = false;
            desk.give_up.push(GiveUp { deadline: weir_clock::monotonic() + within, done });
        }
        tier.disk.wake.notify_all();
        drop(tokio::time::timeout(within + GIVE_UP_GRACE, given_up).await);
    }

    /// Frees at least `bytes` of disk by removing the oldest segments, if there are that many, and lowers the limit by
    /// what was freed until the store is opened again. Returns the bytes freed: 0 for a store that does not write.
    pub fn free_disk(&self, bytes: u64) -> u64 {
        let Some(tier) = self.inner.disk.as_ref().filter(|tier| *tier.disk.is_writer.borrow()) else { return 0 };
        tier.disk.free(bytes)
    }

    /// What the disk tier holds; `None` without one.
    pub fn disk_stats(&self) -> Option<DiskStats> {
        let disk = &self.inner.disk.as_ref()?.disk;
        let desk = disk.lock();
        Some(DiskStats {
            bytes: desk.bytes(),
            limit_bytes: desk.limit,
            objects: desk.index.len() as u64,
            segments: desk.segments.len() as u64,
            foreign_segments: desk.segments.values().filter(|segment| segment.is_foreign()).count() as u64,
            skipped_newer: disk.skipped_newer.load(Ordering::Relaxed),
            corrupt: disk.corrupt.load(Ordering::Relaxed),
            writes: disk.writes.load(Ordering::Relaxed),
            loads: disk.loads.load(Ordering::Relaxed),
            error: desk.error.clone(),
            is_writer: *disk.is_writer.borrow(),
        })
    }
}
