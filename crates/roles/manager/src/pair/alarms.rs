//! Alarms about the pair and the log of writes: which ought to stand.

use super::locked;
use crate::{alarms::Key, app::App, snapshot::Snapshot};
use std::{collections::BTreeMap, sync::atomic::Ordering};
use weir_model::{AlarmReason, DeviceName};
use weir_operator_api::{Alarm, PairCondition};

/// A standby may take so long to be heard first, or to catch up, before it is an alarm, in milliseconds.
const GRACE_MS: u64 = 10_000;

/// PAIR_MISMATCH, PAIR_LAGGING, UNREPLICATED_CHANGES and CHANGESETS_BROKEN, with their texts, while these alarms stand.
pub(crate) fn wanted(app: &App, network: &Snapshot, standing: &[Alarm]) -> BTreeMap<Key, String> {
    let mut want = BTreeMap::new();
    for (object, text) in locked(&app.pair.broken).iter() {
        want.insert(key(AlarmReason::ChangesetsBroken, &app.name, object), text.clone());
    }
    if !network.devices.contains_key(&app.name) {
        return want;
    }
    let own = (app.name.clone(), app.pair.unreplicated.now(&app.directory));
    let heard = locked(&app.pair.heard).as_ref().map(|heard| (heard.hello.name.clone(), (heard.unreplicated, heard.unreplicated_open)));
    want.extend(unreplicated(own, heard, standing, |name| network.devices.contains_key(name)));
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
    want
}

fn key(reason: AlarmReason, device: &DeviceName, object: &str) -> Key {
    Key { reason, device: device.clone(), object: object.to_owned() }
}

/// A manager, how many changes lie there that the network does not have, and whether there may be more.
type Holder = (DeviceName, (u64, bool));

/// UNREPLICATED_CHANGES of this box and of the standby heard last. What stands for a box that was not heard since this manager became
/// primary stands on: that they are dismissed is for that box to say.
fn unreplicated(own: Holder, heard: Option<Holder>, standing: &[Alarm], on_record: impl Fn(&DeviceName) -> bool) -> BTreeMap<Key, String> {
    let reason = AlarmReason::UnreplicatedChanges;
    let known: Vec<Holder> = [Some(own), heard].into_iter().flatten().collect();
    let stands_on = standing.iter().filter(|alarm| alarm.reason == reason && known.iter().all(|(name, _)| *name != alarm.device));
    let mut want: BTreeMap<_, _> = stands_on.map(|alarm| (key(reason, &alarm.device, &alarm.object), alarm.text.clone())).collect();
    for (name, (changes, open)) in known.into_iter().filter(|(_, (changes, _))| *changes > 0) {
        let beyond = if open { "; there may be more: its log does not reach back to what both have" } else { "" };
        let text = format!("{name} acknowledged {changes} changes alone when it was primary, and this network does not have them{beyond}");
        want.insert(key(reason, &name, ""), text);
    }
    want.retain(|key, _| on_record(&key.device));
    want
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> DeviceName {
        name.parse().expect("name")
    }

    fn alarm(device: &str) -> Alarm {
        let reason = AlarmReason::UnreplicatedChanges;
        Alarm {
            id: 1,
            reason,
            severity: reason.severity(),
            device: name(device),
            object: String::new(),
            text: format!("3 of {device}"),
            next: String::new(),
            raised_ms: 1,
            acknowledged_ms: None,
            acknowledged_by: None,
            cleared_ms: None,
        }
    }

    #[test]
    fn unreplicated_changes_stand_until_the_box_that_has_them_says_they_are_dismissed() {
        let none: [(String, bool); 0] = [];
        let of = |own: u64, heard: Option<u64>, standing: &[Alarm], deleted: &str| -> Vec<(String, bool)> {
            let heard = heard.map(|changes| (name("manager-2"), (changes, false)));
            let want = unreplicated((name("manager-1"), (own, false)), heard, standing, |device| device.as_str() != deleted);
            want.into_iter().map(|(key, text)| (key.device.to_string(), text.starts_with("3 of "))).collect()
        };
        let is = |device: &str, stood: bool| (device.to_owned(), stood);
        assert_eq!(of(0, None, &[], ""), none);
        // This box was the primary before, too.
        assert_eq!(of(2, None, &[], ""), [is("manager-1", false)]);
        assert_eq!(of(2, Some(1), &[], ""), [is("manager-1", false), is("manager-2", false)]);
        // The manager was started again, and the standby is silent still.
        assert_eq!(of(0, None, &[alarm("manager-2")], ""), [is("manager-2", true)]);
        assert_eq!(of(0, Some(3), &[alarm("manager-2")], ""), [is("manager-2", false)]);
        // Dismissed there, dismissed here, deleted.
        assert_eq!(of(0, Some(0), &[alarm("manager-2")], ""), none);
        assert_eq!(of(0, None, &[alarm("manager-1")], ""), none);
        assert_eq!(of(0, None, &[alarm("manager-2")], "manager-2"), none);
    }
}
