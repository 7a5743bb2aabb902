//! Reports: what the manager hears every few seconds, and at once when the configuration in force changes.

use crate::agent::Shared;
use std::{sync::Arc, time::Duration};
use weir_device_api::Report;
use weir_telemetry::Chain;

/// Reports for as long as the task lives.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut running = shared.running.subscribe();
    let mut reached = true;
    loop {
        running.mark_unchanged();
        match shared.client.report(&compose(&shared)).await {
            Ok(_) if !reached => {
                tracing::info!("manager reached again");
                reached = true;
            }
            Ok(_) => {}
            Err(error) if reached => {
                tracing::warn!(error = %Chain(&error), "report not delivered");
                reached = false;
            }
            Err(_) => {}
        }
        let period = Duration::from_millis(shared.profile().report_ms);
        // An error means that the agent is gone, and this task with it.
        let _ = tokio::time::timeout(period, running.changed()).await;
    }
}

fn compose(shared: &Shared) -> Report {
    Report {
        hello: shared.hello(),
        boot: shared.boot,
        clock_ms: weir_clock::wall_ms(),
        uptime_ms: weir_clock::millis(shared.started.elapsed()),
        worker_crashes: shared.settings.worker_crashes,
        last_exit: shared.settings.last_exit.clone(),
        listeners: shared.settings.listeners,
        load: (shared.hooks.load)(),
        rejected: shared.rejected.lock().expect("no panic while held").clone(),
        conditions: shared.conditions(),
        drain: None,
        routers: Vec::new(),
    }
}
