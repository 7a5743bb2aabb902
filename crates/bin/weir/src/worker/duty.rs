//! What a data-plane worker does for its device and only one worker may at a time: write an engine's disk, keep a router's
//! health.

use tokio::task::spawn_blocking;
use weir_device_api::Load;
use weir_engine::Engine;
use weir_router::Router;
use weir_telemetry::Chain;

/// The role of a data-plane worker.
#[derive(Clone)]
pub(super) enum Duty {
    /// It caches: one worker writes the disk.
    Engine(Engine),
    /// It routes: one worker hears the engines.
    Router(Router),
}

impl Duty {
    /// Takes it up where the worker before left it. Comes before this one accepts.
    pub(super) async fn take_over(&self) {
        match self {
            Duty::Engine(engine) => engine.take_disk().await,
            Duty::Router(router) => {
                let router = router.clone();
                on_disk("taken over", move || router.take_over()).await;
            }
        }
    }

    /// Leaves it to the worker that comes next. Comes once this one no longer accepts; doing it again changes nothing.
    pub(super) async fn hand_over(&self) {
        match self {
            Duty::Engine(engine) => engine.give_up_disk().await,
            Duty::Router(router) => {
                let router = router.clone();
                on_disk("handed over", move || router.hand_over()).await;
            }
        }
    }

    /// Work in hand and done.
    pub(super) fn load(&self) -> Load {
        match self {
            Duty::Engine(engine) => engine.load(),
            Duty::Router(router) => router.load(),
        }
    }
}

async fn on_disk(what: &'static str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = spawn_blocking(work).await {
        tracing::error!(error = %Chain(&error), what, "health did not change hands");
    }
}
