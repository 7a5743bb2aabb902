//! Latencies in buckets of 1.6 %.

/// Buckets per power of two.
const STEPS: u64 = 64;

pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { buckets: vec![0; 64 * STEPS as usize], count: 0, max: 0 }
    }

    pub fn add(&mut self, nanoseconds: u64) {
        self.buckets[index(nanoseconds)] += 1;
        self.count += 1;
        self.max = self.max.max(nanoseconds);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that `share` of all values do not exceed, to the width of a bucket.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return value(index);
            }
        }
        self.max
    }
}

fn index(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS {
        return nanoseconds as usize;
    }
    let power = u64::from(63 - nanoseconds.leading_zeros());
    ((power - 5) * STEPS + (nanoseconds >> (power - 6)) - STEPS) as usize
}

fn value(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS { index } else { (index % STEPS + STEPS) << (index / STEPS - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_again_to_a_bucket() {
        for nanoseconds in [0, 1, 63, 64, 65, 127, 128, 1_000, 123_456, 10_u64.pow(9), u64::from(u32::MAX)] {
            let back = value(index(nanoseconds));
            assert!(back <= nanoseconds && nanoseconds - back <= nanoseconds / STEPS, "{nanoseconds} -> {back}");
        }
    }
}
