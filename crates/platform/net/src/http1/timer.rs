//! One timer per connection, moved lazily: setting a later deadline costs a clock read, not a timer operation.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::time::Sleep;

pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// When the sleep wakes us.
    armed: Instant,
    /// When time is up; the sleep is moved here when it wakes too early.
    due: Instant,
}

impl Timer {
    pub(crate) fn new(after: Duration) -> Self {
        let due = weir_clock::monotonic() + after;
        Self { sleep: Box::pin(tokio::time::sleep_until(due.into())), armed: due, due }
    }

    /// Time is up `after` from now.
    pub(crate) fn set(&mut self, after: Duration) {
        self.due = weir_clock::monotonic() + after;
        if self.due < self.armed {
            self.arm();
        }
    }

    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            if self.armed >= self.due {
                return Poll::Ready(());
            }
            self.arm();
        }
        Poll::Pending
    }

    fn arm(&mut self) {
        self.sleep.as_mut().reset(self.due.into());
        self.armed = self.due;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn a_later_deadline_outlives_the_armed_one_and_an_earlier_one_wakes() {
        let start = weir_clock::monotonic();
        let mut timer = Timer::new(Duration::from_millis(10));
        timer.set(Duration::from_millis(60));
        poll_fn(|cx| timer.poll_due(cx)).await;
        assert!(start.elapsed() >= Duration::from_millis(60));
        let mut timer = Timer::new(Duration::from_secs(3600));
        timer.set(Duration::from_millis(1));
        tokio::time::timeout(Duration::from_secs(10), poll_fn(|cx| timer.poll_due(cx))).await.expect("woken by the earlier deadline");
    }
}
