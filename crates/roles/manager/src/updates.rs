//! Updates of single devices for API and pages: what a device is to become, how far it is, why it does not move.
//!
//! ```text
//! request ──> admission ──> an order in config.db (no generation rises) ──> word ──> the device's poll
//! the device's report ──> round: leases (capacity guard), outcomes, keepers ──> word ──> the poll is woken
//!                    └──> view, alarms
//! ```
//! Word and report are levels: each says how things are, so losing or repeating one does no harm. `docs/decisions/0007`.

pub(crate) mod admission;
mod advice;
pub(crate) mod alarms;
#[cfg(test)]
pub(crate) mod fixture;
mod keeper;
mod lease;
mod mirror;
mod preview;
mod quarantine;
pub(crate) mod record;
pub(crate) mod round;
pub(crate) mod seen;
mod sources;
mod view;
mod word;

pub(crate) use mirror::Updates;
pub(crate) use preview::preview;
pub(crate) use word::word;

use crate::{
    app::App,
    change::Caller,
    domain::{devices, updates as rules},
    rollout,
    snapshot::{DeviceRecord, Snapshot},
};
use admission::Network;
use std::sync::Arc;
use weir_operator_api::{DeviceUpdate, DeviceUpdateRequest, Problem};

/// How every device stands that was ever assigned something, by name.
pub(crate) fn list(app: &App) -> Vec<DeviceUpdate> {
    let (network, kept) = (app.network(), app.updates.kept());
    let records = kept.orders.keys().filter_map(|name| network.devices.get(name));
    records.map(|record| view::view(app, &network, record, &kept)).collect()
}

/// How a device stands.
pub(crate) fn show(app: &App, name: &str) -> Result<DeviceUpdate, Problem> {
    let network = app.network();
    let record = devices::find(&network, name)?;
    Ok(view::view(app, &network, record, &app.updates.kept()))
}

/// How a device of `network` stands.
pub(crate) fn of(app: &App, network: &Snapshot, record: &DeviceRecord) -> DeviceUpdate {
    view::view(app, network, record, &app.updates.kept())
}

/// Rises with everything these functions show: what open pages are told of.
pub(crate) fn version(app: &App) -> u64 {
    app.updates.version()
}

/// Assigns a version to a device. Its offload waits for the capacity guard; the assignment itself does not.
pub(crate) async fn assign(app: &Arc<App>, caller: Caller, name: String, request: DeviceUpdateRequest) -> Result<DeviceUpdate, Problem> {
    by_itself(app, &name)?;
    let network = Network::gather(app, &name);
    let told = name.clone();
    app.change(caller, move |change| rules::assign(change, &told, &request, &network)).await?;
    show(app, &name)
}

/// Has a device switch to the image it has staged, or will.
pub(crate) async fn reload(app: &Arc<App>, caller: Caller, name: String) -> Result<DeviceUpdate, Problem> {
    by_itself(app, &name)?;
    let network = Network::gather(app, &name);
    let told = name.clone();
    app.change(caller, move |change| rules::reload(change, &told, &network)).await?;
    show(app, &name)
}

/// Has a device let its assignment go, before the switch.
pub(crate) async fn cancel(app: &Arc<App>, caller: Caller, name: String) -> Result<DeviceUpdate, Problem> {
    by_itself(app, &name)?;
    let network = Network::gather(app, &name);
    let told = name.clone();
    app.change(caller, move |change| rules::cancel(change, &told, &network)).await?;
    show(app, &name)
}

/// Refuses what a rollout tells the device.
fn by_itself(app: &App, name: &str) -> Result<(), Problem> {
    let network = app.network();
    rollout::may_be_told(app, &devices::find(&network, name)?.name)
}

/// Lets a device try again what fell back on it.
pub(crate) async fn clear_burned(app: &Arc<App>, caller: Caller, name: String) -> Result<DeviceUpdate, Problem> {
    let network = app.network();
    let record = devices::find(&network, &name)?;
    let heard = app.reports.get(&record.name);
    let burned = heard.and_then(|heard| heard.report.update).map(|update| update.state.burned).unwrap_or_default();
    let told = name.clone();
    app.change(caller, move |change| rules::clear_burned(change, &told, burned.into_iter().collect())).await?;
    show(app, &name)
}
