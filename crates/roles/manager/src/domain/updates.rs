//! Updates of devices: assigned, switched, cancelled, and what came of them. None of it is configuration.

use super::devices;
use crate::{
    change::{Change, NOTHING, Refusal},
    snapshot::DeviceRecord,
    tables::{device_updates as table, settings, software_files},
    updates::{
        admission::Network,
        record::{Ended, Image, Kept, Order, Outcome},
    },
};
use serde_json::json;
use std::collections::BTreeSet;
use weir_model::DeviceName;
use weir_operator_api::{AccessRole, DeviceUpdateRequest, Problem, Reason};
use weir_rollout::update::{Stage, UpdateReason};

fn about(device: &DeviceRecord) -> String {
    format!("device {}", device.name)
}

/// Assigns a version to a device. Asked again while the same is under way, nothing changes.
pub(crate) fn assign(change: &Change<'_>, name: &str, request: &DeviceUpdateRequest, network: &Network) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let device = devices::find(change.before, name)?;
    let kept = table::all(change.tx)?;
    let records = software_files::all(change.tx)?;
    let wanted = network.admit(device, &kept, &records, request)?;
    let before = kept.orders.get(&device.name);
    let seen = network.seen(device, before);
    if before.is_some_and(|before| seen.is_open() && !before.cancelled && wanted.is_same(before)) {
        return Ok(());
    }
    // A database that was restored or made anew has given fewer numbers than devices have heard.
    let term = change.before.stamp.term;
    let number = settings::number(change.tx, settings::UPDATE_NUMBER)?.max(network.greatest_number(term)) + 1;
    settings::set_number(change.tx, settings::UPDATE_NUMBER, number)?;
    let order = wanted.order(number, term, change.now_ms, change.actor().to_string());
    table::put(change.tx, device.id, &order)?;
    change.updates_changed();
    change.audit("assign", about(device), before.map(Order::view).as_ref(), Some(&order.view()))?;
    Ok(())
}

/// The last assignment of a device that is under way, with its stage if the device has taken it up.
fn under_way<'a>(device: &DeviceRecord, kept: &'a Kept, network: &Network) -> Result<(&'a Order, Option<Stage>), Problem> {
    let order = kept.orders.get(&device.name);
    let seen = network.seen(device, order);
    match order.filter(|_| seen.is_open()) {
        Some(order) => Ok((order, seen.stage())),
        None => Err(Problem::new(Reason::NoUpdate, format!("no update of {} is under way", device.name))),
    }
}

/// Has a device switch to the image it has staged, or will.
pub(crate) fn reload(change: &Change<'_>, name: &str, network: &Network) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let device = devices::find(change.before, name)?;
    let kept = table::all(change.tx)?;
    let (order, stage) = under_way(device, &kept, network)?;
    let waits = stage.is_none_or(|stage| matches!(stage, Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Staged));
    if order.cancelled || !waits {
        let detail = format!("{name} does not wait for the switch");
        return Err(Problem::new(Reason::NoUpdate, detail).into());
    }
    if !order.reload && !order.auto_reload {
        let after = Order { reload: true, ..order.clone() };
        written(change, device, "reload", order, &after)?;
    }
    Ok(())
}

/// Has a device let its assignment go. Before the switch only.
pub(crate) fn cancel(change: &Change<'_>, name: &str, network: &Network) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let device = devices::find(change.before, name)?;
    let kept = table::all(change.tx)?;
    let (order, stage) = under_way(device, &kept, network)?;
    if let Some(stage) = stage.filter(|stage| !stage.before_switching() && !matches!(stage, Stage::Releasing { .. })) {
        let detail = format!("{name} is past the point of no return: {}", stage.words());
        let next = "wait for its end; it goes back by itself if the new version does not prove itself";
        return Err(Problem::new(Reason::UpdateUnderWay, detail).next_step(next).into());
    }
    if order.cancelled {
        return Ok(());
    }
    // A device that has not taken it up will not; if it has meanwhile, its own word corrects this. One that is still about an older
    // assignment lets that go first.
    let rests = network.seen(device, Some(order)).report().is_none_or(|report| report.state.stage.at_rest());
    let ended = Ended { outcome: Outcome::Failed(UpdateReason::Cancelled), at_ms: change.now_ms };
    let after = Order { cancelled: true, ended: (stage.is_none() && rests).then_some(ended), ..order.clone() };
    written(change, device, "cancel", order, &after)
}

/// Lays what a rollout tells devices, each in the place of the device's order before.
pub(crate) fn lay(change: &Change<'_>, orders: &[(DeviceName, Order)]) -> Result<(), Refusal> {
    let kept = table::all(change.tx)?;
    let highest = orders.iter().map(|(_, order)| order.number).max().unwrap_or(0);
    // A device that is told something by itself later hears a higher number.
    settings::set_number(change.tx, settings::UPDATE_NUMBER, settings::number(change.tx, settings::UPDATE_NUMBER)?.max(highest))?;
    for (name, order) in orders {
        // It may have been deleted since.
        let Some(device) = change.before.devices.get(name) else { continue };
        let before = kept.orders.get(name);
        table::put(change.tx, device.id, order)?;
        let same = before.filter(|before| (before.term, before.number) == (order.term, order.number));
        let verb = match same {
            None => "assign",
            Some(before) if order.cancelled != before.cancelled => "cancel",
            Some(_) => "reload",
        };
        change.audit(verb, about(device), before.map(Order::view).as_ref(), Some(&order.view()))?;
    }
    change.updates_changed();
    Ok(())
}

fn written(change: &Change<'_>, device: &DeviceRecord, verb: &str, before: &Order, after: &Order) -> Result<(), Refusal> {
    table::put(change.tx, device.id, after)?;
    change.updates_changed();
    change.audit(verb, about(device), Some(&before.view()), Some(&after.view()))?;
    Ok(())
}

/// Lets a device try again what fell back on it.
pub(crate) fn clear_burned(change: &Change<'_>, name: &str, burned: BTreeSet<String>) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let device = devices::find(change.before, name)?;
    let kept = table::all(change.tx)?;
    let before = kept.unburned.get(&device.name).cloned().unwrap_or_default();
    if burned.is_empty() {
        let detail = format!("nothing fell back on {name}, as far as it says");
        return Err(Problem::new(Reason::NoUpdate, detail).into());
    }
    if burned == before {
        return Ok(());
    }
    table::put_unburned(change.tx, device.id, &burned)?;
    change.updates_changed();
    change.audit("clear_burned", about(device), NOTHING, Some(&json!({ "burned": burned })))?;
    Ok(())
}

/// What a device's report tells of its update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) device: DeviceName,
    /// What the assignment of this number came to.
    pub(crate) outcome: Option<(u64, Outcome)>,
    /// The image it has rightly.
    pub(crate) image: Option<Image>,
    /// Digests it still calls burned though they were cleared.
    pub(crate) unburned: Option<BTreeSet<String>>,
}

/// Keeps what reports told. An outcome is audited once.
pub(crate) fn note(change: &Change<'_>, notes: &[Note]) -> Result<(), Refusal> {
    let kept = table::all(change.tx)?;
    change.updates_changed();
    for Note { device, outcome, image, unburned } in notes {
        // It may have been deleted since it reported.
        let Some(record) = change.before.devices.get(device) else { continue };
        if let Some(image) = image {
            table::put_image(change.tx, record.id, image, change.now_ms)?;
        }
        if let Some(unburned) = unburned {
            table::put_unburned(change.tx, record.id, unburned)?;
        }
        let told = outcome.and_then(|(number, outcome)| Some((kept.orders.get(device).filter(|o| o.number == number)?, outcome)));
        let Some((order, outcome)) = told.filter(|(order, outcome)| order.ended.is_none_or(|ended| ended.outcome != *outcome)) else {
            continue;
        };
        table::put(change.tx, record.id, &Order { ended: Some(Ended { outcome, at_ms: change.now_ms }), ..order.clone() })?;
        let verb = if outcome == Outcome::Successful { "update_successful" } else { "update_failed" };
        let after = json!({ "number": order.number, "version": order.version, "outcome": outcome.as_str() });
        change.audit(verb, about(record), NOTHING, Some(&after))?;
    }
    Ok(())
}
