//! What devices are assigned, from what a plan tells them. Pure.
//!
//! A lane's word is the truth; the order in `config.db` is how the device hears it. Orders are laid until they say what the words
//! say, so one that was lost, with a promotion or a database that was restored, is laid again.

use crate::{
    software::record::Record,
    updates::record::{Kept as Orders, Order},
};
use std::borrow::Borrow;
use weir_model::{DeviceName, SoftwareState, Stamp};
use weir_operator_api::SoftwareRelease;
use weir_rollout::plan::{Plan, Word};

/// The orders that are not as the plan has them.
pub(super) fn due<R: Borrow<Record>>(plan: &Plan, orders: &Orders, records: &[R], now_ms: u64) -> Vec<(DeviceName, Order)> {
    if plan.is_over() {
        return Vec::new();
    }
    let one = |(position, lane): (usize, &weir_rollout::plan::Lane)| {
        let (word, name) = (lane.word?, &plan.member(position).name);
        let before = orders.orders.get(name);
        let order = order(plan, word, before, records, now_ms)?;
        (before != Some(&order)).then(|| (name.clone(), order))
    };
    plan.lanes.iter().enumerate().filter_map(one).collect()
}

/// The order that says a word; absent while there is no image to fetch, and of a word that is older than what the device was told.
fn order<R: Borrow<Record>>(plan: &Plan, word: Word, before: Option<&Order>, records: &[R], now_ms: u64) -> Option<Order> {
    let stamp = |order: &Order| Stamp { term: order.term, generation: order.number };
    match before {
        Some(before) if stamp(before) > word.stamp => None,
        Some(before) if stamp(before) == word.stamp => {
            Some(Order { reload: before.reload || word.reload, cancelled: before.cancelled || word.cancelled, ..before.clone() })
        }
        // Nobody was told what is taken back already.
        _ if word.cancelled => None,
        _ => {
            let manifest = plan.design.images.get(&word.version)?;
            let (file, release) = image(records, manifest)?;
            Some(Order {
                number: word.stamp.generation,
                term: word.stamp.term,
                file,
                version: word.version,
                manifest: manifest.clone(),
                archive_sha256: release.archive_sha256.clone(),
                archive_bytes: release.archive_bytes,
                auto_reload: false,
                leave: word.leave,
                reload: word.reload,
                cancelled: false,
                overrides: false,
                at_ms: now_ms,
                by: "rollout".to_owned(),
                ended: None,
            })
        }
    }
}

/// The software file that has an image and is ready.
pub(super) fn image<'a, R: Borrow<Record>>(records: &'a [R], manifest: &str) -> Option<(i64, &'a SoftwareRelease)> {
    let ready = records.iter().map(Borrow::borrow).filter(|record| record.state() == SoftwareState::Ready);
    let of = |record: &'a Record| Some((record.id, record.release.as_ref().filter(|release| release.manifest_sha256 == manifest)?));
    ready.filter_map(of).next_back()
}

#[cfg(test)]
mod tests;
