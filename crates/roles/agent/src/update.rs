//! The device's update: carries out what the pure machine (`weir_rollout::update`) decides, one durable step after the other.
//!
//! One task drives, in the worker that the keeper told ACCEPT or UNPARK last. It begins with what the worker before it wrote
//! into the journal and with the boot record, which only the keeper writes; `docs/protocols/update-journal.md` has the format.
//!
//! - `known`: where poll, report and driver meet.
//! - `driver`: takes events, journals, acts.
//! - `evidence`: what boot record, configuration and the manager's word come to; pure.
//! - `keeper`: what the keeper is asked for; pure.
//! - `fetch`, `download`, `image`: an archive from wherever it is into a slot.

mod download;
mod driver;
mod evidence;
mod fetch;
mod image;
mod journal;
mod keeper;
mod known;

pub(crate) use known::{Headline, Update};

use crate::{KeeperLink, agent::Shared};
use driver::Driver;
use std::{sync::Arc, time::Duration};

/// How often time passes for the machine.
const TICK: Duration = Duration::from_millis(250);

/// Drives the update until another worker serves, or for as long as the task lives.
pub(crate) async fn run(shared: Arc<Shared>, keeper: KeeperLink) {
    let running = evidence::running_slot(&shared.settings.data);
    drive(shared, keeper, running, TICK).await;
}

async fn drive(shared: Arc<Shared>, keeper: KeeperLink, running: Option<String>, tick: Duration) {
    let KeeperLink { sender, mut news } = keeper;
    let mut parked = shared.parked.subscribe();
    let mut driver = tokio::select! {
        driver = Driver::open(shared.clone(), sender, running) => driver,
        _ = parked.wait_for(|parked| *parked) => return,
    };
    let (mut word, mut configuration) = (shared.update.word(), shared.running.subscribe());
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // A sender that is gone says that the worker ends, and this task with it.
    while !*parked.borrow() && !driver.is_over() {
        tokio::select! {
            Some(said) = news.recv() => driver.hear(said).await,
            Some(outcome) = driver.outcomes.recv() => driver.worked(outcome).await,
            Ok(()) = word.changed() => {}
            Ok(()) = configuration.changed() => {}
            _ = ticks.tick() => driver.tick().await,
            _ = parked.changed() => continue,
        }
        driver.settle().await;
    }
}

#[cfg(test)]
mod tests;
