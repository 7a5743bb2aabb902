//! Reports: what the manager hears every few seconds, and at once when the configuration in force changes or a router has
//! obeyed an offload.

use crate::{
    agent::Shared,
    contacts::{Table, has_news},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use weir_device_api::{Report, RouterContact};
use weir_model::DeviceConfiguration;
use weir_telemetry::Chain;

/// Time between a router's word on a lifeline and the report that brings it: other routers have theirs about then, and a
/// router that says something all the time does not make a report of each.
const NEWS_PAUSE: Duration = Duration::from_millis(100);

/// Reports for as long as the task lives.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut occasion = Occasion::new(&shared);
    let mut reached = true;
    loop {
        occasion.running.mark_unchanged();
        let report = compose(&shared);
        match shared.client.report(&report).await {
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
        occasion.next(&report.routers, Duration::from_millis(shared.profile().report_ms)).await;
    }
}

/// What a report is sent for.
struct Occasion {
    running: watch::Receiver<Option<Arc<DeviceConfiguration>>>,
    contacts: watch::Receiver<Table>,
}

impl Occasion {
    fn new(shared: &Shared) -> Self {
        Self { running: shared.running.subscribe(), contacts: shared.contacts.subscribe() }
    }

    /// Waits for the next report's time: another configuration, a router that has obeyed what `told` does not say, or `period`.
    async fn next(&mut self, told: &[RouterContact], period: Duration) {
        let obeyed = async {
            // An error means that the agent is gone, and this task with it.
            let _ = self.contacts.wait_for(|table| has_news(table, told)).await;
            tokio::time::sleep(NEWS_PAUSE).await;
        };
        let news = async {
            tokio::select! {
                _ = self.running.changed() => {}
                () = obeyed => {}
            }
        };
        let _ = tokio::time::timeout(period, news).await;
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
        drain: (shared.hooks.drain)(),
        routers: shared.contacts.list(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::tests::{agent, configuration};
    use weir_model::Stamp;

    /// A period that no test sees the end of.
    const NEVER: Duration = Duration::from_secs(3600);
    /// Nothing here takes longer than a scheduling delay and [`NEWS_PAUSE`].
    const DEADLINE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_report_waits_for_neither_a_configuration_nor_a_router_that_obeyed() {
        let data = tempfile::tempdir().expect("dir");
        let agent = agent(data.path(), &[]);
        let shared = &agent.shared;
        let mut occasion = Occasion::new(shared);
        shared.take(configuration(7));
        tokio::time::timeout(DEADLINE, occasion.next(&[], NEVER)).await.expect("a configuration");
        let lifeline = shared.contacts.open("router-1".parse().expect("name"), 1);
        lifeline.obeyed(Stamp { term: 1, generation: 7 });
        tokio::time::timeout(DEADLINE, occasion.next(&[], NEVER)).await.expect("a router obeyed");
        let told = compose(shared).routers;
        assert_eq!(told.first().and_then(|contact| contact.obeyed), Some(Stamp { term: 1, generation: 7 }));
        let early = tokio::time::timeout(2 * NEWS_PAUSE, occasion.next(&told, NEVER)).await;
        assert!(early.is_err(), "what was told is no news");
    }
}
