//! Server Offload over the REST API, as an operator's program uses it.

use crate::{
    api::{Api, Reply},
    wait::wait_for,
};
use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Patience for a fresh manager to judge: two report periods, and five times that.
const JUDGE_DEADLINE: Duration = Duration::from_secs(20);

impl Api {
    /// Offloads a device, as soon as the manager admits and refuses anything at all.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn offload(&self, device: &str, why: &str) -> anyhow::Result<()> {
        let reply = self.offload_as(device, &json!({ "why": why })).await?;
        ensure!((200..300).contains(&reply.status), "offload of {device}: {reply:?}");
        Ok(())
    }

    /// The same although it breaks a floor.
    ///
    /// # Errors
    /// When it is refused all the same.
    pub async fn offload_anyway(&self, device: &str, why: &str) -> anyhow::Result<()> {
        let reply = self.offload_as(device, &json!({ "why": why, "override": true })).await?;
        ensure!((200..300).contains(&reply.status), "offload of {device}: {reply:?}");
        Ok(())
    }

    /// What the manager answers to this request; asked again while it has just started (`too_early`).
    pub async fn offload_as(&self, device: &str, request: &Value) -> anyhow::Result<Reply> {
        let (path, body) = (format!("/devices/{device}/offload"), request.to_string());
        let judged = wait_for("the manager judges", JUDGE_DEADLINE, || async {
            let reply = self.send(Method::POST, &path, Some(&body)).await?;
            ensure!(reply.json["reason"] != "too_early", "{reply:?}");
            anyhow::Ok(reply)
        });
        Ok(judged.await)
    }

    /// Returns a device to service.
    pub async fn unoffload(&self, device: &str, why: &str) -> anyhow::Result<()> {
        let body = json!({ "why": why }).to_string();
        let reply = self.send(Method::POST, &format!("/devices/{device}/unoffload"), Some(&body)).await?;
        ensure!((200..300).contains(&reply.status), "return of {device}: {reply:?}");
        Ok(())
    }

    /// How its offload stands.
    pub async fn offload_of(&self, device: &str) -> anyhow::Result<Value> {
        self.get(&format!("/devices/{device}/offload")).await
    }

    /// Waits until the device has this status; how its offload stands then.
    ///
    /// # Panics
    /// When it has not within `deadline`; the message shows what it waits for.
    pub async fn wait_status(&self, device: &str, status: &str, deadline: Duration) -> Value {
        wait_for(&format!("{device} is {status}"), deadline, || async {
            let offload = self.offload_of(device).await?;
            ensure!(offload["status"] == status, "{offload}");
            anyhow::Ok(offload)
        })
        .await
    }
}
