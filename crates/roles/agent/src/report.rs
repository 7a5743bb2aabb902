//! Reports: what the manager hears every few seconds, and at once when the configuration in force changes, a router first obeys
//! the engine's offload, or the update moves.

use crate::{
    agent::Shared,
    contacts::{Table, has_news},
    update::Headline,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use weir_device_api::{KeeperReport, Report, RouterContact};
use weir_model::{DeviceConfiguration, Role, Stamp};
use weir_telemetry::Chain;

/// Time between a router's word on a lifeline and the report that brings it: other routers have theirs about then, and a
/// router that says something all the time does not make a report of each.
const NEWS_PAUSE: Duration = Duration::from_millis(100);

/// Pause after a manager said that another one is the primary.
const ELSEWHERE_PAUSE: Duration = Duration::from_millis(500);

/// Report periods between two reports to the managers this device does not ask.
const KNOCK_PERIODS: u32 = 4;

/// How long the first report waits for what it says of the update.
const UPDATE_KNOWN: Duration = Duration::from_secs(1);

/// Reports for as long as the task lives.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut occasion = Occasion::new(&shared);
    let mut reached = true;
    let mut parked = shared.parked.subscribe();
    if shared.settings.role != Role::Manager {
        // Where the update stands is read from the disk; without a boot record nobody ever knows.
        let _ = tokio::time::timeout(UPDATE_KNOWN, occasion.headline.wait_for(Headline::is_known)).await;
    }
    loop {
        // Another worker reports for this device.
        let _ = parked.wait_for(|parked| !*parked).await;
        occasion.running.mark_unchanged();
        occasion.headline.mark_unchanged();
        let report = compose(&shared);
        let mut period = Duration::from_millis(shared.profile().report_ms);
        match shared.client.report(&report).await {
            Ok(_) => {
                shared.update.reached();
                if !reached {
                    tracing::info!("manager reached again");
                }
                reached = true;
            }
            Err(error) => {
                if reached {
                    tracing::warn!(error = %Chain(&error), "report not delivered");
                }
                reached = false;
                if error.is_elsewhere() {
                    period = period.min(ELSEWHERE_PAUSE);
                }
            }
        }
        let since = shared.ramp.lock().expect("no panic while held").offloaded_since();
        occasion.next(since.map(|since| (since, report.routers.as_slice())), period).await;
    }
}

/// Reports now and then to the managers this device does not ask, for as long as the task lives: so it hears of a primary that the
/// one it asks has not heard of, and one that was primary hears of the term this device obeys.
pub(crate) async fn knock(shared: Arc<Shared>) {
    let mut parked = shared.parked.subscribe();
    loop {
        tokio::time::sleep(KNOCK_PERIODS * Duration::from_millis(shared.profile().report_ms)).await;
        // Another worker reports for this device.
        let _ = parked.wait_for(|parked| !*parked).await;
        shared.client.knock(&compose(&shared)).await;
    }
}

/// What a report is sent for.
struct Occasion {
    running: watch::Receiver<Option<Arc<DeviceConfiguration>>>,
    contacts: watch::Receiver<Table>,
    headline: watch::Receiver<Headline>,
}

impl Occasion {
    fn new(shared: &Shared) -> Self {
        Self { running: shared.running.subscribe(), contacts: shared.contacts.subscribe(), headline: shared.update.headline() }
    }

    /// Waits for the next report's time: another configuration, an update that moved, a router that obeys the offload since that stamp, of which the
    /// last report does not say so, or `period`.
    async fn next(&mut self, offload: Option<(Stamp, &[RouterContact])>, period: Duration) {
        let obeyed = async {
            let Some((since, told)) = offload else { return std::future::pending().await };
            // An error means that the agent is gone, and this task with it.
            let _ = self.contacts.wait_for(|table| has_news(table, told, since)).await;
            tokio::time::sleep(NEWS_PAUSE).await;
        };
        let news = async {
            tokio::select! {
                _ = self.running.changed() => {}
                _ = self.headline.changed() => {}
                () = obeyed => {}
            }
        };
        let _ = tokio::time::timeout(period, news).await;
    }
}

pub(crate) fn compose(shared: &Shared) -> Report {
    Report {
        hello: shared.hello(),
        boot: shared.boot(),
        clock_ms: weir_clock::wall_ms(),
        uptime_ms: weir_clock::millis(shared.started.elapsed()),
        worker_crashes: shared.settings.worker_crashes,
        last_exit: shared.settings.last_exit.clone(),
        listeners: shared.settings.listeners,
        load: shared.update.load((shared.hooks.load)()),
        rejected: shared.rejected.lock().expect("no panic while held").clone(),
        conditions: shared.conditions(),
        drain: (shared.hooks.drain)(),
        routers: shared.contacts.list(),
        share_permille: (shared.settings.role == Role::Engine).then(|| shared.share_permille()),
        update: shared.update.report(keeper(shared)),
        answers: shared.hooks.answers.as_ref().map(|answers| answers()),
        #[cfg(feature = "synthetic-next")]
        detailed_responses: shared.hooks.detailed_responses.as_ref().map(|count| count()),
    }
}

fn keeper(shared: &Shared) -> Option<KeeperReport> {
    let version = shared.settings.keeper_version.clone()?;
    Some(KeeperReport { version, current: shared.settings.keeper_current })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::tests::{agent, configuration};

    /// A period that no test sees the end of.
    const NEVER: Duration = Duration::from_secs(3600);
    /// Nothing here takes longer than a scheduling delay and [`NEWS_PAUSE`].
    const DEADLINE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_report_waits_for_neither_a_configuration_nor_a_router_that_first_obeys() {
        let data = tempfile::tempdir().expect("dir");
        let agent = agent(data.path(), &[]);
        let shared = &agent.shared;
        let stamp = |generation| Stamp { term: 1, generation };
        let mut occasion = Occasion::new(shared);
        shared.take(configuration(7));
        tokio::time::timeout(DEADLINE, occasion.next(None, NEVER)).await.expect("a configuration");
        let lifeline = shared.contacts.open("router-1".parse().expect("name"), 1);
        lifeline.obeyed(stamp(7));
        tokio::time::timeout(DEADLINE, occasion.next(Some((stamp(7), &[])), NEVER)).await.expect("a router obeyed");
        let told = compose(shared).routers;
        assert_eq!(told.first().and_then(|contact| contact.obeyed), Some(stamp(7)));
        lifeline.obeyed(stamp(9));
        for offload in [Some((stamp(7), told.as_slice())), None] {
            let early = tokio::time::timeout(2 * NEWS_PAUSE, occasion.next(offload, NEVER)).await;
            assert!(early.is_err(), "what was told is no news, nor what a router says of an engine in service");
        }
    }
}
