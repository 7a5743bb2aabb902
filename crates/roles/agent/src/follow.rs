//! The configuration poll: newer configurations are applied and kept; questions are answered.

use crate::{agent::Shared, answer};
use std::{sync::Arc, time::Duration};
use weir_device_api::Question;
use weir_model::{DeviceConfiguration, Stamp};
use weir_telemetry::{Chain, Tasks};

/// Shortest and longest pause after a failed call.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Shortest time between two polls of which the first brought nothing: neither a manager that does not wait nor two that refuse in turn
/// may be hammered.
const EMPTY_PAUSE: Duration = Duration::from_millis(100);
/// Pause after a refused configuration: the manager may send it again at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// Questions answered at the same time; more wait in the manager.
const ANSWERS_MAX: usize = 8;

/// Follows the manager for as long as the task lives.
pub(crate) async fn run(shared: Arc<Shared>) {
    let answers = Tasks::new();
    let mut pause = PAUSE_MIN;
    let mut parked = shared.parked.subscribe();
    loop {
        // Another worker follows for this device.
        let _ = parked.wait_for(|parked| !*parked).await;
        let asked = weir_clock::monotonic();
        let wait = Duration::from_millis(shared.profile().poll_ms);
        let manager = shared.client.asked();
        let polled = tokio::select! {
            polled = shared.client.poll(known(&shared), shared.update.revision(), wait) => polled,
            // Another one is the primary: what this one would say is not waited for.
            () = shared.client.turned_from(manager) => {
                rest_of_pause(asked.elapsed()).await;
                continue;
            }
        };
        match polled {
            Ok(poll) => {
                pause = PAUSE_MIN;
                let empty = poll.configuration.is_none() && poll.questions.is_empty() && poll.update.is_none();
                shared.update.reached();
                if let Some(word) = poll.update {
                    shared.update.told(word);
                }
                let refused = match poll.configuration {
                    Some(configuration) => !take(&shared, configuration).await,
                    None => false,
                };
                if refused {
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                for question in poll.questions {
                    reply(&shared, &answers, question);
                }
                if empty {
                    rest_of_pause(asked.elapsed()).await;
                }
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "no configuration from the manager; serving from the last good one");
                tokio::time::sleep(jittered(pause, shared.boot() ^ weir_clock::monotonic_ms())).await;
                pause = if error.is_elsewhere() { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
            }
        }
    }
}

/// Runs and keeps a configuration away from the tasks that must not wait: keepalives above all.
async fn take(shared: &Arc<Shared>, configuration: DeviceConfiguration) -> bool {
    let shared = shared.clone();
    let taken = tokio::task::spawn_blocking(move || shared.take(configuration)).await;
    taken.unwrap_or_else(|error| {
        tracing::error!(%error, "taking a configuration failed");
        false
    })
}

/// What the manager need not send again: what runs, or a newer one this device has refused.
fn known(shared: &Shared) -> Stamp {
    let rejected = shared.rejected.lock().expect("no panic while held").as_ref().map(|r| r.stamp);
    rejected.into_iter().chain([shared.stamp()]).max().expect("one element at least")
}

fn reply(shared: &Arc<Shared>, answers: &Tasks, question: Question) {
    if answers.len() >= ANSWERS_MAX {
        tracing::warn!(question = question.id, "question dropped: too many at once");
        return;
    }
    let shared = shared.clone();
    answers.spawn("answer", async move {
        let answer = answer::to(&shared, question.ask).await;
        if let Err(error) = shared.client.answer(question.id, &answer).await {
            tracing::warn!(error = %Chain(&error), "answer not delivered");
        }
    });
}

/// What is left of [`EMPTY_PAUSE`] since the poll was sent.
async fn rest_of_pause(since: Duration) {
    tokio::time::sleep(EMPTY_PAUSE.saturating_sub(since)).await;
}

/// A pause between half and all of `pause`, so that devices do not come back in step.
fn jittered(pause: Duration, seed: u64) -> Duration {
    let spread = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    pause / 2 + pause / 2 * u32::try_from(spread).expect("16 bits") / 0x1_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn polls_that_bring_nothing_follow_each_other_no_faster_than_the_pause() {
        let asked = weir_clock::monotonic();
        rest_of_pause(asked.elapsed()).await;
        assert!(asked.elapsed() >= EMPTY_PAUSE, "two managers that refuse in turn would be asked as fast as the network is");
    }

    #[test]
    fn jitter_stays_between_half_and_all() {
        for seed in 0..10_000 {
            let pause = jittered(PAUSE_MAX, seed);
            assert!(pause >= PAUSE_MAX / 2 && pause < PAUSE_MAX, "{pause:?}");
        }
    }
}
