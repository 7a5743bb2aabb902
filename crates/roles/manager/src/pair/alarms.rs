//! Alarms about the pair and the log of writes: which ought to stand.

use super::locked;
use crate::{alarms::Key, app::App, snapshot::Snapshot};
use std::{collections::BTreeMap, sync::atomic::Ordering};
use weir_model::AlarmReason;
use weir_operator_api::PairCondition;

/// A standby may take so long to be heard first, or to catch up, before it is an alarm, in milliseconds.
const GRACE_MS: u64 = 10_000;

/// PAIR_MISMATCH, PAIR_LAGGING, UNREPLICATED_CHANGES and CHANGESETS_BROKEN, with their texts.
pub(crate) fn wanted(app: &App, network: &Snapshot) -> BTreeMap<Key, String> {
    let mut want = BTreeMap::new();
    let key = |reason, device: &weir_model::DeviceName, object: &str| Key { reason, device: device.clone(), object: object.to_owned() };
    for (object, text) in locked(&app.pair.broken).iter() {
        want.insert(key(AlarmReason::ChangesetsBroken, &app.name, object), text.clone());
    }
    if !network.devices.contains_key(&app.name) {
        return want;
    }
    let Some(info) = app.pair.info(app) else { return want };
    let since_ms = locked(&app.pair.unmatched_ms).to_owned();
    // One that has followed and does not any more is missed at once.
    let grace_ms = if app.pair.followed.load(Ordering::Relaxed) { 0 } else { GRACE_MS };
    let late = since_ms.is_some_and(|since| weir_clock::monotonic_ms().saturating_sub(since) >= grace_ms);
    let reason = match info.condition {
        PairCondition::Mismatch => Some(AlarmReason::PairMismatch),
        PairCondition::Lagging => Some(AlarmReason::PairLagging),
        PairCondition::Waiting | PairCondition::Syncing => late.then_some(AlarmReason::PairLagging),
        PairCondition::Matched => None,
    };
    if let Some(reason) = reason {
        want.insert(key(reason, &info.name, ""), info.detail);
    }
    let heard = locked(&app.pair.heard).as_ref().map(|heard| (heard.hello.name.clone(), heard.unreplicated, heard.unreplicated_open));
    if let Some((name, changes, open)) = heard.filter(|(name, changes, _)| *changes > 0 && network.devices.contains_key(name)) {
        let beyond = if open { "; there may be more: its log does not reach back to what both have" } else { "" };
        let text = format!("{name} acknowledged {changes} changes alone when it was primary, and this network does not have them{beyond}");
        want.insert(key(AlarmReason::UnreplicatedChanges, &name, ""), text);
    }
    want
}
