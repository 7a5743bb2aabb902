//! What the devices have seen.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A document that came.
pub(crate) struct Arrival {
    pub(crate) device: usize,
    pub(crate) generation: u64,
    pub(crate) at: Instant,
}

/// Shared by all devices.
pub(crate) struct Seen {
    /// The generation each device holds; 0: none.
    held: Vec<AtomicU64>,
    arrivals: Mutex<Vec<Arrival>>,
    reports: Mutex<Vec<Duration>>,
    polls: Mutex<Vec<Duration>>,
    failures: Mutex<BTreeMap<String, u64>>,
    document_bytes: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    pub(crate) fn new(devices: usize) -> Self {
        Self {
            held: (0..devices).map(|_| AtomicU64::new(0)).collect(),
            arrivals: Mutex::default(),
            reports: Mutex::default(),
            polls: Mutex::default(),
            failures: Mutex::default(),
            document_bytes: AtomicUsize::new(0),
        }
    }

    /// A device holds a document of this generation and length.
    pub(crate) fn document(&self, device: usize, generation: u64, bytes: usize) {
        let at = weir_clock::monotonic();
        lock(&self.arrivals).push(Arrival { device, generation, at });
        self.document_bytes.store(bytes, Ordering::Relaxed);
        self.held[device].store(generation, Ordering::Relaxed);
    }

    /// A report was answered after this long.
    pub(crate) fn reported(&self, took: Duration) {
        lock(&self.reports).push(took);
    }

    /// An empty poll came back this much after its time.
    pub(crate) fn polled(&self, late: Duration) {
        lock(&self.polls).push(late);
    }

    /// Something went wrong.
    pub(crate) fn failed(&self, what: &str, error: &anyhow::Error) {
        *lock(&self.failures).entry(format!("{what}: {error:#}")).or_default() += 1;
    }

    /// Devices that hold this generation or a later one.
    pub(crate) fn holding(&self, generation: u64) -> usize {
        self.held.iter().filter(|held| held.load(Ordering::Relaxed) >= generation).count()
    }

    /// When each device first held this generation or a later one.
    pub(crate) fn reached(&self, generation: u64) -> BTreeMap<usize, Instant> {
        let mut first = BTreeMap::new();
        for arrival in lock(&self.arrivals).iter().filter(|arrival| arrival.generation >= generation) {
            first.entry(arrival.device).or_insert(arrival.at);
        }
        first
    }

    /// Forgets how long reports and polls took so far: the beginning is not what is measured.
    pub(crate) fn forget_latencies(&self) {
        lock(&self.reports).clear();
        lock(&self.polls).clear();
    }

    pub(crate) fn reports(&self) -> Vec<Duration> {
        lock(&self.reports).clone()
    }

    pub(crate) fn polls(&self) -> Vec<Duration> {
        lock(&self.polls).clone()
    }

    pub(crate) fn failures(&self) -> BTreeMap<String, u64> {
        lock(&self.failures).clone()
    }

    /// Length of the last answer with a document.
    pub(crate) fn document_bytes(&self) -> usize {
        self.document_bytes.load(Ordering::Relaxed)
    }
}
