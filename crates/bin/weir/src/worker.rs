//! `weir worker`: the process a keeper starts. Reads the device's files, wires its role to its agent, serves, drains.

mod admin;
mod data_plane;
pub(crate) mod device;
mod duty;
mod engine;
mod gate_metrics;
mod life;
mod manager;
mod parked;
mod router;
pub(crate) mod self_test;
mod sockets;

use crate::{commands::Misconfigured, open_files};
use anyhow::Context;
use device::Device;
use std::path::Path;
use weir_agent::{AgentSettings, DeviceState, Identity, control::Control};
use weir_model::{Role, version};
use weir_net::http1::Limits;
use weir_telemetry::{
    Metrics,
    log::{self, Speaker},
};

/// What every role's worker begins with.
pub(crate) struct Start {
    device: Device,
    control: Control,
    metrics: Metrics,
    worker_crashes: u32,
    last_exit: Option<String>,
    keeper_version: Option<String>,
    keeper_current: bool,
    /// Connections each data-plane listener may hold, and a manager's listeners together.
    connections: usize,
    /// How it is broken.
    #[cfg(feature = "faults")]
    fault: Option<crate::faults::Fault>,
}

/// Runs the worker of the device whose data directory this is.
pub(crate) fn run(data: &Path) -> anyhow::Result<()> {
    let device = Device::read(data)?;
    let log = device.directory.device_log();
    std::fs::create_dir_all(log.parent().expect("a file has a directory"))
        .with_context(|| format!("create the directory of {}", log.display()))?;
    let speaker = Speaker { process: "worker", device: device.name.to_string(), role: device.role.to_string(), version: version() };
    log::init(log.clone(), speaker).with_context(|| format!("open {}", log.display()))?;
    let outcome = start(device);
    if let Err(error) = &outcome {
        tracing::error!(error = format!("{error:#}"), "worker ends");
    }
    outcome
}

fn start(device: Device) -> anyhow::Result<()> {
    tracing::info!(pid = std::process::id(), "worker starts");
    #[cfg(feature = "faults")]
    let fault = crate::faults::of_this_program()?;
    let metrics = Metrics::new(version(), device.role.as_str(), device.name.as_str());
    let worker_crashes = std::env::var("WEIR_WORKER_CRASHES").ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    let last_exit = std::env::var("WEIR_LAST_EXIT").ok();
    let keeper_version = std::env::var("WEIR_KEEPER_VERSION").ok();
    let keeper_current = std::env::var("WEIR_KEEPER_CURRENT").is_ok_and(|current| current == "1");
    let connections = open_files::connections(open_files::raise(), Limits::default().connections);
    let control = Control::connect()?;
    let start = Start {
        device,
        control,
        metrics,
        worker_crashes,
        last_exit,
        keeper_version,
        keeper_current,
        connections,
        #[cfg(feature = "faults")]
        fault,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control-plane")
        .enable_all()
        .build()
        .context("start the control-plane runtime")?;
    #[cfg(feature = "faults")]
    if start.fault == Some(crate::faults::Fault::NeverReady) {
        let mut control = start.control;
        runtime.block_on(crate::faults::never_ready(&mut control.events));
        return Ok(());
    }
    let outcome = runtime.block_on(async {
        match start.device.role {
            Role::Engine => engine::run(start).await,
            Role::Router => router::run(start).await,
            Role::Manager => manager::run(start).await,
        }
    });
    // Blocking work such as a log tail must not hold the process.
    runtime.shutdown_background();
    outcome
}

impl Start {
    /// The device's state directory and identity; without one it must be enrolled first.
    fn identity(&self) -> anyhow::Result<(DeviceState, Identity)> {
        let state = DeviceState::open(self.device.directory.root(), self.device.name.clone(), self.device.role)?;
        let identity = state.identity()?.ok_or_else(|| {
            Misconfigured(format!(
                "{} is not enrolled: on a manager run `weir token enrolment create --role {}`, here `weir enrol --manager https://ADDRESS:PORT --token TOKEN --data {}`",
                self.device.name,
                self.device.role,
                self.device.directory.root().display()
            ))
        })?;
        Ok((state, identity))
    }

    fn agent_settings(&self, state: DeviceState, identity: Identity) -> AgentSettings {
        AgentSettings {
            device: self.device.name.clone(),
            role: self.device.role,
            data: self.device.directory.clone(),
            state,
            identity,
            listeners: self.device.listeners,
            log: self.device.directory.device_log(),
            worker_crashes: self.worker_crashes,
            last_exit: self.last_exit.clone(),
            keeper_version: self.keeper_version.clone(),
            keeper_current: self.keeper_current,
        }
    }
}
