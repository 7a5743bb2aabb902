//! Orders say what words say, once.

use super::*;
use crate::{
    rollout::fixture::{facts, file, name, said, started, ticked},
    updates::fixture::order as assigned,
};
use std::collections::BTreeSet;
use weir_rollout::{plan::Command, update::Stage};

fn files() -> Vec<Record> {
    vec![
        file(1, "1.0.0-b1", "aa", SoftwareState::Ready),
        file(2, "1.1.0-b1", "bb", SoftwareState::Withdrawn),
        file(3, "1.1.0-b1", "bb", SoftwareState::Ready),
    ]
}

fn lay(orders: &mut Orders, plan: &Plan, now_ms: u64) {
    let due = due(plan, orders, &files(), now_ms);
    orders.orders.extend(due);
}

#[test]
fn words_become_orders_and_are_laid_again_when_they_are_lost() {
    let facts = facts(8);
    let plan = ticked(&started(&facts), &facts, 1_000).plan;
    let mut orders = Orders::default();
    let first = due(&plan, &orders, &files(), 7);
    assert_eq!(first.len(), plan.lanes.iter().filter(|lane| lane.word.is_some()).count());
    let (device, order) = &first[0];
    assert!(device.as_str().starts_with("core-"));
    assert_eq!((order.file, order.manifest.as_str(), order.reload), (3, "bb", false));
    let numbers: BTreeSet<u64> = first.iter().map(|(_, order)| order.number).collect();
    assert_eq!(numbers.len(), first.len(), "no number is given twice");
    assert_eq!(numbers.last(), Some(&plan.stamp.generation));
    lay(&mut orders, &plan, 7);
    assert_eq!(due(&plan, &orders, &files(), 9), Vec::new(), "they say it already");
    orders.orders.remove(device);
    assert_eq!(due(&plan, &orders, &files(), 9).len(), 1, "a promotion lost it");
}

#[test]
fn a_reload_and_a_cancellation_are_of_the_same_order() {
    let mut facts = facts(8);
    let mut plan = ticked(&started(&facts), &facts, 1_000).plan;
    let mut orders = Orders::default();
    lay(&mut orders, &plan, 7);
    for device in &mut facts.devices {
        let word = plan.position(&device.name).and_then(|position| plan.lanes[position].word);
        (device.obeyed, device.stage) = (word.map(|word| word.stamp), word.map_or(device.stage, |_| Stage::Staged));
    }
    let parent = plan.clone();
    plan = ticked(&plan, &facts, 2_000).plan;
    let reloads = due(&plan, &orders, &files(), 8);
    assert!(!reloads.is_empty() && reloads.iter().all(|(_, order)| order.reload), "{reloads:?}");
    assert!(reloads.iter().all(|(name, order)| order.number == orders.orders[name].number && order.at_ms == 7));
    lay(&mut orders, &plan, 8);
    let abort = said(&parent, &facts, &Command::Abort { why: "stop".into() });
    let cancelled = due(&ticked(&abort, &facts, 3_000).plan, &orders, &files(), 9);
    assert!(!cancelled.is_empty() && cancelled.iter().all(|(_, order)| order.cancelled), "{cancelled:?}");
}

#[test]
fn what_a_device_was_told_since_stands_and_nothing_is_laid_without_an_image() {
    let facts = facts(8);
    let plan = ticked(&started(&facts), &facts, 1_000).plan;
    let mut orders = Orders::default();
    let told = due(&plan, &orders, &files(), 7);
    let device = told[0].0.clone();
    orders.orders.insert(device.clone(), assigned(plan.stamp.generation + 1));
    assert!(due(&plan, &orders, &files(), 7).iter().all(|(name, _)| *name != device));
    assert_eq!(due(&plan, &Orders::default(), &files()[..2], 7), Vec::new(), "withdrawn");
    assert!(plan.position(&name("east-1")).is_some_and(|position| plan.lanes[position].word.is_none()), "out of scope");
}
