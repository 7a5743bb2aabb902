//! Owned task spawning: every task belongs to a set that joins or cancels it.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinSet;

/// A set of tasks with one owner. Clones share the set; dropping the last one cancels what still runs.
#[derive(Clone, Default)]
pub struct Tasks {
    set: Arc<Mutex<JoinSet<()>>>,
}

impl Tasks {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.set.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Starts a task on the current runtime. A panic in it is logged with its name when the set is next touched.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.lock();
        while let Some(done) = set.try_join_next() {
            log_end(done);
        }
        set.spawn(async move {
            tracing::trace!(task = name, "task starts");
            future.await;
        });
    }

    /// Tasks not yet finished.
    pub fn len(&self) -> usize {
        let mut set = self.lock();
        while let Some(done) = set.try_join_next() {
            log_end(done);
        }
        set.len()
    }

    /// Whether every task has finished.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cancels every task.
    pub fn cancel(&self) {
        self.lock().abort_all();
    }

    /// Waits for every task, at most `deadline`; then cancels the rest. Returns whether all ended by themselves.
    pub async fn join(&self, deadline: Duration) -> bool {
        let mut set = std::mem::take(&mut *self.lock());
        let all = async {
            while let Some(done) = set.join_next().await {
                log_end(done);
            }
        };
        let ended = tokio::time::timeout(deadline, all).await.is_ok();
        set.shutdown().await;
        ended
    }
}

fn log_end(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done
        && error.is_panic()
    {
        tracing::error!(error = %error, "task panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn join_waits_and_then_cancels() {
        let tasks = Tasks::new();
        tasks.spawn("ends", async {});
        tasks.spawn("never", std::future::pending());
        assert!(!tasks.join(Duration::from_millis(50)).await);
        assert!(tasks.is_empty());
        tasks.spawn("ends", async {});
        assert!(tasks.join(Duration::from_secs(5)).await);
    }
}
