//! The admin listener: `/metrics` and `/health`. Plain HTTP, meant for the box itself and its monitoring.

use std::{future::Future, sync::Arc};
use weir_net::http1::{Body, Request, ResponseHead, Service};
use weir_telemetry::{Metrics, metrics::CONTENT_TYPE};

/// What `/health` shows; asked for on each request.
pub type HealthOf = Arc<dyn Fn() -> Health + Send + Sync>;

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It tests itself or waits for the keeper.
    Starting,
    /// It accepts.
    Serving,
    /// Another worker of the device serves, and this one is the way back.
    Parked,
    /// It finishes what is in flight.
    Stopping,
}

/// A device's own view of itself.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Health {
    /// What the worker does.
    pub state: WorkerState,
    /// Device name.
    pub device: String,
    /// Role.
    pub role: String,
    /// Version.
    pub version: &'static str,
    /// Term of the configuration in force.
    pub term: u64,
    /// Its generation; 0 before the first.
    pub generation: u64,
}

/// Answers the admin listener.
#[derive(Clone)]
pub struct Admin {
    metrics: Metrics,
    health: HealthOf,
}

impl Admin {
    /// Serves these metrics and this health.
    pub fn new(metrics: Metrics, health: HealthOf) -> Self {
        Self { metrics, health }
    }

    fn answer(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> Body {
        if !matches!(request.method, "GET" | "HEAD") {
            head.status(405);
            head.field("Allow", "GET, HEAD");
            return Body::bytes("only GET and HEAD\n");
        }
        match request.target.path {
            "/metrics" => {
                head.status(200);
                head.field("Content-Type", CONTENT_TYPE);
                Body::bytes(self.metrics.text())
            }
            "/health" => {
                let health = (self.health)();
                head.status(if health.state == WorkerState::Serving { 200 } else { 503 });
                head.field("Content-Type", "application/json");
                Body::bytes(serde_json::to_vec(&health).expect("health is JSON"))
            }
            _ => {
                head.status(404);
                Body::bytes("here are /metrics and /health\n")
            }
        }
    }
}

impl Service for Admin {
    fn respond(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> impl Future<Output = Body> + Send {
        std::future::ready(self.answer(request, head))
    }
}
