//! What the engine counts.

use crate::{first_bytes::FirstBytes, head::StoredHead, outcome::Outcome};
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::Counter, family::Family, gauge::Gauge},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use weir_caching::CacheOutcome;
use weir_store::Store;
use weir_telemetry::Metrics;

/// Upper bounds of the duration histogram's buckets, microseconds.
const BOUNDS_US: [u64; 12] = [50, 100, 250, 500, 1_000, 5_000, 25_000, 100_000, 500_000, 2_000_000, 10_000_000, 60_000_000];

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// Requests to and bytes from one kind of upstream.
#[derive(Default, Clone)]
pub(crate) struct Side {
    pub(crate) requests: Counter,
    pub(crate) bytes: Counter,
}

/// Every counter of the engine; shared with the registry.
pub(crate) struct Counters {
    requests: Vec<(CacheOutcome, Counter)>,
    pub(crate) refused: Counter,
    /// Answers of 500 or more that a client, parent or origin caused.
    pub(crate) excused_errors: AtomicU64,
    steered: Counter,
    /// Answers from the cache that had to be read from disk.
    pub(crate) disk_hits: Counter,
    pub(crate) client_bytes: Counter,
    pub(crate) peer_bytes: Counter,
    pub(crate) upstream_parent: Side,
    pub(crate) upstream_origin: Side,
    pub(crate) fills_active: Gauge,
    pub(crate) active_requests: Gauge,
    /// Other engines' requests among the active ones.
    pub(crate) peer_requests: AtomicU64,
    pub(crate) records_dropped: Counter,
    pub(crate) durations: Arc<Durations>,
    pub(crate) first_bytes: FirstBytes,
    #[cfg(feature = "synthetic-next")]
    pub(crate) detailed: Counter,
    store_bytes: Gauge,
    store_objects: Gauge,
    disk_bytes: Gauge,
    disk_objects: Gauge,
    disk_loads: Counter,
    disk_skipped: Counter,
    disk_damaged: Counter,
    sessions: Gauge,
}

/// Values read when metrics are asked for.
pub(crate) struct Levels {
    pub(crate) store_bytes: u64,
    pub(crate) store_objects: u64,
    pub(crate) disk: DiskLevels,
    pub(crate) sessions: u32,
}

/// What lies on disk; zero without a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DiskLevels {
    pub(crate) bytes: u64,
    pub(crate) objects: u64,
    /// Objects read since the start.
    pub(crate) loads: u64,
    /// Records met that only a newer line reads.
    pub(crate) skipped: u64,
    /// Damaged records and segments met.
    pub(crate) damaged: u64,
}

impl DiskLevels {
    pub(crate) fn of(store: &Store<StoredHead>) -> Self {
        store.disk_stats().map_or_else(Self::default, |stats| Self {
            bytes: stats.bytes,
            objects: stats.objects,
            loads: stats.loads,
            skipped: stats.skipped_newer,
            damaged: stats.corrupt,
        })
    }
}

impl Counters {
    /// Makes and registers them.
    pub(crate) fn new(metrics: &Metrics) -> Arc<Self> {
        let (requests, upstream_requests, upstream_bytes) = (Labelled::default(), Labelled::default(), Labelled::default());
        let side = |from: &'static str| Side {
            requests: upstream_requests.get_or_create(&[("from", from)]).clone(),
            bytes: upstream_bytes.get_or_create(&[("from", from)]).clone(),
        };
        let counters = Self {
            requests: CacheOutcome::ALL.iter().map(|o| (*o, requests.get_or_create(&[("outcome", o.as_str())]).clone())).collect(),
            refused: requests.get_or_create(&[("outcome", "refused")]).clone(),
            excused_errors: AtomicU64::new(0),
            steered: Counter::default(),
            disk_hits: Counter::default(),
            client_bytes: Counter::default(),
            peer_bytes: Counter::default(),
            upstream_parent: side("parent"),
            upstream_origin: side("origin"),
            fills_active: Gauge::default(),
            active_requests: Gauge::default(),
            peer_requests: AtomicU64::new(0),
            records_dropped: Counter::default(),
            durations: Arc::new(Durations::default()),
            first_bytes: FirstBytes::default(),
            #[cfg(feature = "synthetic-next")]
            detailed: Counter::default(),
            store_bytes: Gauge::default(),
            store_objects: Gauge::default(),
            disk_bytes: Gauge::default(),
            disk_objects: Gauge::default(),
            disk_loads: Counter::default(),
            disk_skipped: Counter::default(),
            disk_damaged: Counter::default(),
            sessions: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register("engine_requests", "Requests answered, by what the cache did", requests);
            registry.register("engine_steered", "Viewers' requests answered with a redirect to a router", counters.steered.clone());
            registry.register("engine_disk_hits", "Requests answered from the cache after a read from disk", counters.disk_hits.clone());
            registry.register("engine_client_bytes", "Body bytes given to viewers", counters.client_bytes.clone());
            registry.register("engine_peer_bytes", "Body bytes given to other engines", counters.peer_bytes.clone());
            registry.register("engine_upstream_requests", "Requests sent to parents and origins", upstream_requests);
            registry.register("engine_upstream_bytes", "Body bytes received from parents and origins", upstream_bytes);
            registry.register("engine_fills_active", "Fills under way", counters.fills_active.clone());
            registry.register("engine_active_requests", "Requests being answered", counters.active_requests.clone());
            registry.register(
                "engine_access_records_dropped",
                "Access records lost to a full buffer or a failed write",
                counters.records_dropped.clone(),
            );
            registry.register(
                "engine_request_duration_seconds",
                "From the request's head to the end of the response, or to its head for answers from memory up to 64 KiB",
                Histogram(counters.durations.clone()),
            );
            #[cfg(feature = "synthetic-next")]
            registry.register(
                "engine_detailed_responses",
                "Responses whose Cache-Status carried a delivery service's detail",
                counters.detailed.clone(),
            );
            registry.register("engine_store_bytes", "Bytes of content held in memory", counters.store_bytes.clone());
            registry.register("engine_store_objects", "Objects held in memory", counters.store_objects.clone());
            registry.register("engine_disk_bytes", "Bytes of content on disk", counters.disk_bytes.clone());
            registry.register("engine_disk_objects", "Objects on disk", counters.disk_objects.clone());
            registry.register("engine_disk_loads", "Objects read from disk", counters.disk_loads.clone());
            registry.register("engine_disk_skipped", "Records on disk that only a newer line reads", counters.disk_skipped.clone());
            registry.register("engine_disk_damaged", "Damaged records and segments met on disk", counters.disk_damaged.clone());
            registry.register("engine_sessions", "Viewer sessions now", counters.sessions.clone());
        });
        Arc::new(counters)
    }

    /// A request that passed `hops` engines is being answered; [`Counters::ended`] follows.
    pub(crate) fn began(&self, hops: u32) {
        self.active_requests.inc();
        if hops > 0 {
            self.peer_requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It is answered.
    pub(crate) fn ended(&self, hops: u32) {
        self.active_requests.dec();
        if hops > 0 {
            self.peer_requests.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts a request by its outcome.
    pub(crate) fn request(&self, outcome: Outcome, duration: Duration) {
        let counter = match outcome {
            Outcome::Refused => Some(&self.refused),
            Outcome::Steered => Some(&self.steered),
            Outcome::Cache(outcome) => self.requests.iter().find(|(known, _)| *known == outcome).map(|(_, counter)| counter),
        };
        counter.expect("every outcome of the cache has a counter").inc();
        self.durations.observe(duration);
    }

    /// Requests answered since the start.
    pub(crate) fn requests_total(&self) -> u64 {
        self.requests.iter().map(|(_, counter)| counter.get()).sum::<u64>() + self.refused.get() + self.steered.get()
    }

    /// Copies the levels into their gauges.
    pub(crate) fn set(&self, levels: &Levels) {
        let clamp = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.store_bytes.set(clamp(levels.store_bytes));
        self.store_objects.set(clamp(levels.store_objects));
        self.disk_bytes.set(clamp(levels.disk.bytes));
        self.disk_objects.set(clamp(levels.disk.objects));
        // The store counts these from its start; it never counts back.
        self.disk_loads.inner().store(levels.disk.loads, Ordering::Relaxed);
        self.disk_skipped.inner().store(levels.disk.skipped, Ordering::Relaxed);
        self.disk_damaged.inner().store(levels.disk.damaged, Ordering::Relaxed);
        self.sessions.set(i64::from(levels.sessions));
    }
}

/// A histogram of atomics: the library's own takes a lock for each observation.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Durations {
    fn observe(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let index = BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(BOUNDS_US.len());
        self.buckets[index].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Histogram(Arc<Durations>);

fn seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let counts: Vec<u64> = self.0.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect();
        let bounds = BOUNDS_US.iter().map(|us| seconds(*us)).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        encoder.encode_histogram::<[(&str, &str); 0]>(seconds(self.0.sum_us.load(Ordering::Relaxed)), counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
