//! `config.db` for one verb alone: the box is held disabled while a [`Held`] lives, and nothing else changes what the box is.
//!
//! A verb that holds the box runs in a task of the box ([`Cms::to_its_end`]): a client that goes away ends nothing halfway.

use super::{Cms, run::Order};
use std::{
    future::Future,
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedMutexGuard, oneshot},
    time::timeout,
};
use weir_operator_api::{Problem, Reason};

/// Patience with a life that ends because a verb wants `config.db` alone.
const HOLD_PATIENCE: Duration = Duration::from_secs(30);
/// Patience with another verb that changes what the box is.
const TURN_PATIENCE: Duration = Duration::from_secs(5);
/// Patience for the life that follows a verb.
const SETTLE: Duration = Duration::from_secs(20);

/// The box is disabled and `config.db` closed. Whoever drops it lets the box decide its state anew.
pub(crate) struct Held {
    cms: Arc<Cms>,
    /// Let go after the box: the next verb finds it decided, or about to.
    _turn: OwnedMutexGuard<()>,
}

impl Held {
    /// Lets the box decide its state anew, and waits until the life that belongs to it runs.
    pub(crate) async fn release(self) {
        let cms = Arc::clone(&self.cms);
        let mut lives = cms.lives();
        let number = lives.borrow_and_update().number;
        drop(self);
        cms.next_life(lives, number).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.cms.set_held(None);
        self.cms.settle_again();
    }
}

impl Cms {
    /// Ends the life that runs and closes `config.db`, so that whoever asks has it alone until the [`Held`] is dropped. Until then the
    /// box is disabled for `why`, one sentence, and every verb that changes what it is is refused.
    ///
    /// # Errors
    /// Another such verb is under way; the box is stopping; or the life does not end.
    pub(crate) async fn hold(self: &Arc<Self>, why: &str) -> Result<Held, Problem> {
        let turn = self.turn().await?;
        self.set_held(Some(why.to_owned()));
        // From here on it is let go however this ends.
        let held = Held { cms: Arc::clone(self), _turn: turn };
        let (done, wait) = oneshot::channel();
        let unavailable = |why: &str| Problem::new(Reason::Unavailable, why);
        let order = Order::Hold { why: why.to_owned(), done };
        self.orders.send(order).await.map_err(|_| unavailable("the manager is stopping"))?;
        match timeout(HOLD_PATIENCE, wait).await {
            Ok(Ok(())) => Ok(held),
            Ok(Err(_)) => Err(unavailable("the manager is stopping")),
            Err(_) => Err(unavailable("what runs on this box does not end")),
        }
    }

    /// The turn of a verb that changes what this box is: promotion, restore, downgrade, maintenance, enable, disable. One at a time.
    ///
    /// # Errors
    /// Another one is under way, and does not end within [`TURN_PATIENCE`].
    pub(crate) async fn turn(&self) -> Result<OwnedMutexGuard<()>, Problem> {
        match timeout(TURN_PATIENCE, Arc::clone(&self.changing_role).lock_owned()).await {
            Ok(turn) => Ok(turn),
            Err(_) => {
                let what = self.held_for().unwrap_or_else(|| "a change of roles is under way".to_owned());
                Err(Problem::new(Reason::CmsState, format!("on this box {what}")).next_step("wait for its end, then ask again"))
            }
        }
    }

    /// Why the box is held, when it is.
    pub(crate) fn held_for(&self) -> Option<String> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_held(&self, why: Option<String>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Runs a verb in a task of the box: it ends by itself whether or not whoever asked waits for it.
    ///
    /// # Errors
    /// The verb's; the box is stopping.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        name: &'static str,
        verb: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let (done, wait) = oneshot::channel();
        self.tasks.spawn(name, async move {
            // Whoever asked may have gone.
            let _ = done.send(verb.await);
        });
        wait.await.unwrap_or_else(|_| Err(Problem::new(Reason::Unavailable, "the manager is stopping")))
    }

    /// Decides the state anew and waits until the life that belongs to it runs.
    pub(crate) async fn settled(&self) {
        let mut lives = self.lives();
        let number = lives.borrow_and_update().number;
        self.settle_again();
        self.next_life(lives, number).await;
    }

    async fn next_life(&self, mut lives: tokio::sync::watch::Receiver<super::LifeNow>, number: u64) {
        let mut stopping = self.stopping.subscribe();
        let next = async {
            tokio::select! {
                _ = lives.wait_for(|life| life.number > number) => {}
                _ = stopping.wait_for(|stops| *stops) => {}
            }
        };
        if timeout(SETTLE, next).await.is_err() {
            tracing::warn!("the next life of this box does not begin");
        }
    }
}
