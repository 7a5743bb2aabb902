//! Rollouts as an operator's program sees them.

use crate::{Api, Network, Seat, api::Reply, wait_for};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Patience for a rollout of a whole rehearsal network, which takes two to three minutes beside two others on two cores.
pub const ROLLOUT_DEADLINE: Duration = Duration::from_secs(480);
/// Patience for the manager to judge after its start.
const JUDGES: Duration = Duration::from_secs(20);

impl Api {
    /// What would be run. Whatever comes of it.
    pub async fn plan(&self, request: &Value) -> anyhow::Result<Value> {
        let reply = self.send(Method::POST, "/rollout/plan", Some(&request.to_string())).await?;
        ensure!(reply.status == 200, "{reply:?}");
        Ok(reply.json)
    }

    /// Plans and starts. Devices that have only just come up are not heard yet: such a plan is made again.
    pub async fn start_rollout(&self, request: &Value) -> anyhow::Result<Value> {
        wait_for("the rollout starts", JUDGES, || async {
            let plan = self.plan(request).await?;
            let hash = plan["hash"].as_str().with_context(|| format!("a hash: {plan}"))?;
            let reply = self.send(Method::POST, "/rollout", Some(&json!({ "plan": hash }).to_string())).await?;
            ensure!(reply.status == 200, "{reply:?}");
            anyhow::Ok(reply.json)
        })
        .await;
        self.rollout().await
    }

    /// How the rollout stands.
    pub async fn rollout(&self) -> anyhow::Result<Value> {
        self.get("/rollout").await
    }

    /// Says something to the rollout. Whatever comes of it.
    pub async fn tell_rollout(&self, verb: &str, word: &Value) -> anyhow::Result<Reply> {
        self.send(Method::POST, &format!("/rollout/{verb}"), Some(&word.to_string())).await
    }

    /// Waits until the rollout is `status`.
    pub async fn rollout_is(&self, status: &str) -> Value {
        wait_for(&format!("the rollout is {status}"), ROLLOUT_DEADLINE, || async {
            let rollout = self.rollout().await?;
            ensure!(rollout["status"] == status, "{}", glance(&rollout));
            anyhow::Ok(rollout)
        })
        .await
    }
}

impl Network {
    /// Every device, managers too, runs this version: each says so itself.
    pub async fn all_run(&self, version: &str) -> anyhow::Result<()> {
        let file = self.file();
        for device in file.engines.iter().chain(&file.routers) {
            let says = self.health_version(device.admin.context("an admin listener")?).await?;
            ensure!(says == version, "{} says {says}", device.name);
        }
        for seat in Seat::ALL {
            let info = self.info(seat).await?;
            ensure!(info["version"] == version, "{info}");
        }
        Ok(())
    }
}

/// Where a rollout stands, in few words.
pub fn glance(rollout: &Value) -> String {
    let lanes = rollout["lanes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lane = |lane: &Value| format!("{} {} {} {}", lane["device"], lane["running"], lane["status"], lane["stays"]["word"]);
    let lanes: Vec<String> = lanes.iter().map(lane).collect();
    format!("{} {} paused {} waits {}: {}", rollout["status"], rollout["phase"], rollout["paused"], rollout["waits"], lanes.join(", "))
}
