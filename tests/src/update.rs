//! Updates of single devices as an operator's program sees them.

use crate::{Api, Network, api::Reply, lines, wait_for};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

/// Patience for a whole update with the timers of a rehearsal: a drain of up to 15 s, a start, proving, ramp. Five times that.
pub const UPDATE_DEADLINE: Duration = Duration::from_secs(180);

impl Api {
    /// How a device's update stands.
    pub async fn update_of(&self, device: &str) -> anyhow::Result<Value> {
        self.get(&format!("/devices/{device}/update")).await
    }

    /// A verb of a device's update; `verb` is empty for the assignment itself. Whatever comes of it.
    pub async fn update_verb(&self, device: &str, verb: &str, body: &Value) -> anyhow::Result<Reply> {
        let path = if verb.is_empty() { format!("/devices/{device}/update") } else { format!("/devices/{device}/update/{verb}") };
        self.send(Method::POST, &path, Some(&body.to_string())).await
    }

    /// Assigns a version; the assignment's number.
    pub async fn assign(&self, device: &str, version: &str) -> anyhow::Result<u64> {
        self.assign_as(device, &json!({ "version": version })).await
    }

    /// Assigns as the request says, as soon as the manager judges at all; the assignment's number.
    pub async fn assign_as(&self, device: &str, request: &Value) -> anyhow::Result<u64> {
        let reply = wait_for("the manager judges", Duration::from_secs(20), || async {
            let reply = self.update_verb(device, "", request).await?;
            ensure!(reply.json["reason"] != "too_early", "{reply:?}");
            anyhow::Ok(reply)
        })
        .await;
        ensure!((200..300).contains(&reply.status), "assign {request} to {device}: {reply:?}");
        reply.json["assigned"]["number"].as_u64().with_context(|| format!("a number: {reply:?}"))
    }

    /// How the assignment with this number ended.
    pub async fn update_ended(&self, device: &str, number: u64) -> Value {
        wait_for(&format!("the update of {device} ends"), UPDATE_DEADLINE, || async {
            let update = self.update_of(device).await?;
            let mine = update["assigned"]["number"].as_u64() == Some(number);
            ensure!(mine && update["at_rest"] == true && !update["successful"].is_null(), "{update}");
            anyhow::Ok(update)
        })
        .await
    }

    /// Waits until the device's update is at this stage.
    pub async fn update_at(&self, device: &str, stage: &str) -> Value {
        wait_for(&format!("the update of {device} is at {stage}"), UPDATE_DEADLINE, || async {
            let update = self.update_of(device).await?;
            ensure!(update["stage"] == stage, "{update}");
            anyhow::Ok(update)
        })
        .await
    }

    /// Updates a device and insists that it became what it was to become.
    pub async fn update(&self, device: &str, version: &str) -> anyhow::Result<Value> {
        let number = self.assign(device, version).await?;
        let update = self.update_ended(device, number).await;
        ensure!(update["successful"] == true && update["running"] == version, "{update}");
        Ok(update)
    }

    /// Alarms with this reason about this device.
    pub async fn alarms_of(&self, device: &str, reason: &str) -> anyhow::Result<Vec<Value>> {
        let alarms = self.list("/alarms").await?;
        Ok(alarms.into_iter().filter(|alarm| alarm["device"] == device && alarm["reason"] == reason).collect())
    }
}

impl Network {
    /// Registers the archive of a synthetic build and waits until it is ready; its number.
    pub async fn register_line(&self, api: &Api, version: &str) -> anyhow::Result<i64> {
        let archive = lines::archive(version);
        let path = archive.to_str().context("UTF-8")?;
        let file = self.weir_json(&["software", "register", "--file", path, "--wait"]).await?;
        let id = file["id"].as_i64().with_context(|| format!("a number: {file}"))?;
        let file = api.checked(id).await;
        ensure!(file["state"] == "ready", "{file}");
        Ok(id)
    }

    /// The version a device's worker says on its admin listener.
    pub async fn health_version(&self, admin: SocketAddr) -> anyhow::Result<String> {
        let answer = crate::Client::east().get(admin, "/health").await?;
        let health: Value = serde_json::from_slice(&answer.body)?;
        health["version"].as_str().map(str::to_owned).with_context(|| format!("a version: {health}"))
    }
}
