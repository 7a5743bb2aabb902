//! An image of this box's own archives into a slot. Blocks.

use super::slot_of;
use crate::software::archives;
use std::path::Path;
use weir_device_api::SwitchOrder;
use weir_release::{Expected, TrustStore, stage};
use weir_slots::{BootRecord, DataDirectory, SlotRef, staging, verify};
use weir_telemetry::Chain;

/// Puts the image into its slot, if it is not there; slots that neither the boot record nor this needs go.
pub(super) fn into_slot(
    data: &DataDirectory,
    state: &Path,
    record: &BootRecord,
    order: &SwitchOrder,
    now_s: u64,
) -> Result<SlotRef, String> {
    let slot = slot_of(order.version, &order.manifest).ok_or_else(|| format!("{:?} is no digest", order.manifest))?;
    if verify(data, &slot).is_ok() {
        return Ok(slot);
    }
    let said = |error: &(dyn std::error::Error + 'static)| Chain(error).to_string();
    let trial = record.trial.as_ref().map(|trial| trial.slot.clone());
    let kept = [Some(record.active.clone()), record.previous.clone(), record.last_good.clone(), trial, Some(slot.clone())];
    let kept: Vec<SlotRef> = kept.into_iter().flatten().collect();
    staging::prepare(data).map_err(|error| said(&error))?;
    staging::sweep(data, &kept).map_err(|error| said(&error))?;
    let store = TrustStore::open(&state.join("trust")).map_err(|error| said(&error))?;
    let path = archives::held(&state.join("software"), order.file);
    let tree = data.staging().join(format!("{}.tree", order.manifest));
    let expected = Expected { version: Some(order.version), arch: Some(std::env::consts::ARCH.to_owned()) };
    stage(data, &store, &path, (&expected, &order.manifest), (&tree, None), now_s).map_err(|error| said(&error))?;
    tracing::info!(slot = slot.name, "image staged");
    Ok(slot)
}
