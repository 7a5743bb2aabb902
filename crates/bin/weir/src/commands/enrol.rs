//! `weir enrol`: makes this box a device of a network.

use crate::{
    cli::{EnrolArgs, Target},
    commands::Misconfigured,
    output, worker,
};
use anyhow::{Context, bail};
use std::net::SocketAddr;
use weir_agent::DeviceState;
use weir_device_api::EnrolToken;

pub(super) async fn run(target: &Target, arguments: &EnrolArgs) -> anyhow::Result<()> {
    let (Some(url), Some(token)) = (&target.manager, &target.token) else {
        bail!("give the manager's device address and a token: weir enrol --manager https://ADDRESS:PORT --token TOKEN --data DIR");
    };
    let manager = address(url)?;
    let token: EnrolToken = token.parse().context("--token")?;
    let device = worker::device::Device::read(&arguments.data)?;
    let state = DeviceState::open(&arguments.data, device.name.clone(), device.role)?;
    let answer = weir_agent::enrol::enrol(&state, &device.name, device.role, manager, &token, device.listeners).await?;
    let what = if answer.activated { "enrolled and activated" } else { "enrolled; an operator activates it: `weir device activate`" };
    let done = serde_json::json!({ "device": device.name, "role": device.role, "activated": answer.activated });
    output::print(target.output, &done, |_| {
        format!("{} {what}; start it with `weir keeper --data {}`", device.name, arguments.data.display())
    })
}

fn address(url: &str) -> anyhow::Result<SocketAddr> {
    let rest = url.strip_prefix("https://").unwrap_or(url).trim_end_matches('/');
    rest.parse().map_err(|_| Misconfigured(format!("--manager {url:?} is not https://ADDRESS:PORT with an IP address")).into())
}
