//! How long requests waited for the first byte of their answer, counted in the classes of a report.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use weir_device_api::report::TTFB_BOUNDS_MS;

/// Answers by class; the last class has no bound.
#[derive(Debug)]
pub(crate) struct FirstBytes([AtomicU64; TTFB_BOUNDS_MS.len() + 1]);

impl Default for FirstBytes {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl FirstBytes {
    /// An answer begins after so long.
    pub(crate) fn observe(&self, waited: Duration) {
        self.0[class(waited)].fetch_add(1, Relaxed);
    }

    /// How many of each class there were.
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.load(Relaxed)).collect()
    }
}

fn class(waited: Duration) -> usize {
    TTFB_BOUNDS_MS.partition_point(|bound_ms| Duration::from_millis((*bound_ms).into()) < waited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_ends_with_its_bound() {
        assert!(TTFB_BOUNDS_MS.is_sorted());
        let last = TTFB_BOUNDS_MS.len();
        for (micros, expected) in [(0, 0), (1_000, 0), (1_001, 1), (50_000, 5), (50_001, 6), (63_000_000, last - 1), (63_000_001, last)] {
            assert_eq!(class(Duration::from_micros(micros)), expected, "{micros} us");
        }
        let counted = FirstBytes::default();
        counted.observe(Duration::from_millis(3));
        assert_eq!((counted.counts()[2], counted.counts().iter().sum::<u64>()), (1, 1));
    }
}
