//! The manager that is measured, alone on its box, and its operator.

use crate::plan::Plan;
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::json;
use std::{net::SocketAddr, time::Duration};
use weir_tests::{Api, by_hand::ByHand, wait_for};

const MANAGER: &str = "manager-1";
/// Patience for the manager to come up.
const UP: Duration = Duration::from_secs(30);

/// The network.
pub(crate) struct Bench {
    by_hand: ByHand,
    /// Its operator.
    pub(crate) api: Api,
}

impl Bench {
    /// A manager with locations and delivery services.
    pub(crate) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let mut by_hand = ByHand::new()?.profile("standard");
        by_hand.install(MANAGER, "manager", 2, &[("https", "tcp", 8443), ("device", "tcp", 9443), ("admin", "tcp", 9090)]).await?;
        by_hand.keep(MANAGER)?;
        let token = wait_for("the manager's local socket", UP, || by_hand.local(&["token", "api", "create", "admin"])).await;
        let ca = by_hand.data(MANAGER).join("state/manager/ca.pem");
        let api = Api::at(&format!("https://{}", by_hand.at(2, 8443)), &ca, Some(&token))?;
        let bench = Self { by_hand, api };
        bench.post("/locations", &json!({ "name": "core" })).await?;
        for n in 0..plan.locations {
            bench.post("/locations", &json!({ "name": location(n), "parent": "core" })).await?;
        }
        for n in 0..plan.services {
            bench.post("/delivery-services", &service(n, 60)).await?;
        }
        Ok(bench)
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<()> {
        let reply = self.api.send(Method::POST, path, Some(&body.to_string())).await?;
        ensure!((200..300).contains(&reply.status), "{path}: {reply:?}");
        Ok(())
    }

    /// A token that enrols `uses` engines into a location at once.
    pub(crate) async fn token(&self, uses: usize, location: &str) -> anyhow::Result<String> {
        let uses = uses.to_string();
        self.by_hand.local(&["token", "enrolment", "create", "--role", "engine", "--uses", &uses, "--activate-into", location]).await
    }

    /// Its device API.
    pub(crate) fn manager(&self) -> SocketAddr {
        self.by_hand.at(2, 9443)
    }

    /// Process id of its worker.
    pub(crate) fn worker(&self) -> anyhow::Result<u32> {
        let file = self.by_hand.data(MANAGER).join("run/worker.pid");
        std::fs::read_to_string(file)?.trim().parse().context("a process id")
    }
}

pub(crate) fn location(n: usize) -> String {
    format!("site-{n}")
}

/// A delivery service as the API takes it.
pub(crate) fn service(n: usize, ttl_seconds: usize) -> serde_json::Value {
    json!({
        "name": format!("service-{n}"),
        "domain": format!("service-{n}.weir.test"),
        "origin": "http://127.0.0.1:9000",
        "caching": { "default_ttl_seconds": ttl_seconds },
    })
}
