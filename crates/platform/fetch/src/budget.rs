//! The time a download has, in all and for each step.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// When everything ends.
pub(crate) struct Budget {
    end: Instant,
    total: Duration,
}

/// Which of the two limits a step ran into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// The step's own.
    Step,
    /// That of the whole download.
    Total,
}

impl Budget {
    pub(crate) fn new(total: Duration) -> Self {
        Self { end: weir_clock::monotonic() + total, total }
    }

    /// Does `work` for at most `limit` and no longer than everything may take. A step that is always ready at once ends too: the clock
    /// is read before each.
    pub(crate) async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, Late> {
        let now = weir_clock::monotonic();
        if now >= self.end {
            return Err(Late::Total);
        }
        let left = self.end.duration_since(now);
        let late = if left <= limit { Late::Total } else { Late::Step };
        tokio::time::timeout(limit.min(left), work).await.map_err(|_| late)
    }

    /// What to say of [`Late::Total`].
    pub(crate) fn told(&self) -> String {
        format!("not complete after {}", seconds(self.total))
    }
}

/// As a person writes it.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(10) { format!("{:.1} s", duration.as_secs_f64()) } else { format!("{} s", duration.as_secs()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn the_nearer_limit_ends_a_step() {
        let short = Duration::from_millis(20);
        assert_eq!(Budget::new(Duration::from_secs(60)).within(short, pending::<()>()).await, Err(Late::Step));
        assert_eq!(Budget::new(short).within(Duration::from_secs(60), pending::<()>()).await, Err(Late::Total));
        assert_eq!(Budget::new(Duration::from_secs(60)).within(Duration::from_secs(60), ready(7)).await, Ok(7));
        assert_eq!(Budget::new(Duration::ZERO).within(short, ready(7)).await, Err(Late::Total), "ready, and late all the same");
    }
}
