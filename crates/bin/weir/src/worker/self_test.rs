//! What a worker proves before it says READY, on sockets and in values of its own: that it reads its device's files and answers.
//!
//! Nothing of it reaches a viewer, a counter or an access record. A worker on trial that fails never serves: its keeper goes
//! back to the slot before.

mod ask;
mod engine;
mod router;

use std::time::Duration;
use weir_agent::{Agent, DeviceState};
use weir_device_api::keepalive::{Audience, Channel, EngineState, Keepalive};
use weir_engine::Engine;
use weir_model::{DeviceConfiguration, configuration::KeepaliveKey};

/// How long a self-test may take; the keeper waits longer for READY.
const SELF_TEST_TIME: Duration = Duration::from_secs(20);

/// This build does not work here. The exit code says so ([`weir_keeper_api::EXIT_SELF_TEST`]).
#[derive(Debug, thiserror::Error)]
#[error("self-test: {0}")]
pub(crate) struct SelfTestFailed(String);

/// A check's outcome: nothing, or one sentence.
type Checked = Result<(), String>;

/// What is tested.
pub(super) struct Test<'a> {
    /// The device's files.
    pub(super) state: &'a DeviceState,
    /// It has handed the last good configuration to the role.
    pub(super) agent: &'a Agent,
    /// A slot that fails can be left for another.
    pub(super) is_on_trial: bool,
}

impl Test<'_> {
    /// Tests an engine.
    ///
    /// # Errors
    /// What does not work.
    pub(super) async fn engine(&self, engine: &Engine) -> Result<(), SelfTestFailed> {
        in_time(async {
            self.device()?;
            engine.self_test().await?;
            engine::answers(self.state.dir()).await
        })
        .await
    }

    /// Tests a router.
    ///
    /// # Errors
    /// What does not work.
    pub(super) async fn router(&self) -> Result<(), SelfTestFailed> {
        in_time(async {
            self.device()?;
            router::answers(self.state.dir(), self.agent.configuration().as_deref()).await
        })
        .await
    }

    fn device(&self) -> Checked {
        let dir = self.state.dir();
        std::fs::read_dir(dir).map_err(|error| format!("{} cannot be opened: {error}", dir.display()))?;
        let running = self.agent.configuration();
        if self.is_on_trial {
            self.runs_last_good(running.is_some())?;
        }
        keepalive(running.as_deref())
    }

    /// A build that cannot run what the one before ran is refused; alone it waits for the manager to send what it can.
    fn runs_last_good(&self, is_running: bool) -> Checked {
        match self.state.configuration() {
            Err(error) => Err(format!("the last good configuration cannot be read: {error}")),
            Ok(Some(_)) if !is_running => Err("the last good configuration is refused by this build".into()),
            Ok(_) => Ok(()),
        }
    }
}

async fn in_time(test: impl Future<Output = Checked>) -> Result<(), SelfTestFailed> {
    let tested = tokio::time::timeout(SELF_TEST_TIME, test).await;
    tested.unwrap_or_else(|_| Err(format!("not done within {} s", SELF_TEST_TIME.as_secs()))).map_err(SelfTestFailed)
}

/// What one end signs the other one reads, with the network's key when there is one.
fn keepalive(running: Option<&DeviceConfiguration>) -> Checked {
    let made = KeepaliveKey { id: 1, secret: "00".repeat(32) };
    let key = running.and_then(|c| c.keepalive_keys.first()).unwrap_or(&made);
    let (engine, router) = ("engine-1".parse().expect("a name"), "router-1".parse().expect("a name"));
    let audience = Audience { router: &router, channel: Channel::Datagram };
    let keepalive = Keepalive {
        engine,
        state: EngineState::Serving,
        boot: 1,
        sequence: 1,
        stamp: running.map(|c| c.stamp).unwrap_or_default(),
        sessions: 0,
        active_requests: 0,
        load_permille: 0,
        share_permille: 1000,
    };
    let signed = keepalive.encode(key, &audience).ok_or("a keepalive cannot be signed with the network's key")?;
    match Keepalive::decode(&signed, std::slice::from_ref(key), &audience) {
        Ok(read) if read == keepalive => Ok(()),
        Ok(_) => Err("a keepalive is read as another than was signed".into()),
        Err(error) => Err(format!("a keepalive that was just signed is refused: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keepalive_needs_a_key_that_signs() {
        assert_eq!(keepalive(None), Ok(()));
        let mut configuration = engine::configuration(1);
        configuration.keepalive_keys = vec![KeepaliveKey { id: 7, secret: "no key".into() }];
        assert_eq!(keepalive(Some(&configuration)), Err("a keepalive cannot be signed with the network's key".into()));
    }

    #[tokio::test]
    async fn a_failure_is_one_sentence() {
        let failed = in_time(std::future::ready(Err("it does not work".into()))).await.expect_err("failed");
        assert_eq!(failed.to_string(), "self-test: it does not work");
    }
}
