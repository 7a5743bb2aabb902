//! What a device is told: composed from what is kept, what it last said and how its drain stands. Equal words have equal revisions.

use super::{seen::Seen, sources};
use crate::{
    app::App,
    snapshot::{DeviceRecord, Snapshot},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use weir_device_api::{ArchivePlace, UpdateOrder, UpdateWord, update::BURNED_MAX};
use weir_model::{LeaseOwner, Role};
use weir_rollout::update::Stage;

/// What a word says beside the assignment.
#[derive(Debug, Clone, Default)]
struct Besides {
    drained: bool,
    archive: Option<ArchivePlace>,
    unburn: BTreeSet<String>,
    restart_keeper: bool,
    freed: bool,
}

/// The word for a device now. Nothing to say: revision 0.
pub(crate) fn word(app: &App, network: &Snapshot, record: &DeviceRecord) -> UpdateWord {
    if record.role == Role::Manager {
        return compose(&Seen { record, order: None, heard: None }, Besides::default());
    }
    let kept = app.updates.kept();
    let heard = app.reports.get(&record.name);
    let seen = Seen { record, order: kept.orders.get(&record.name), heard: heard.as_ref() };
    let besides = Besides {
        drained: is_drained(app, network, &seen),
        archive: wants_archive(&seen).then(|| sources::place(app, seen.order?)).flatten(),
        unburn: kept.unburned.get(&record.name).cloned().unwrap_or_default(),
        restart_keeper: app.updates.restarts(&record.name),
        freed: is_freed(network, &seen),
    };
    compose(&seen, besides)
}

/// Whether nothing runs on the device in the offload it asked for. One that is out of its location has no viewers at all.
fn is_drained(app: &App, network: &Snapshot, seen: &Seen<'_>) -> bool {
    let (Some(stage), name) = (seen.stage(), &seen.record.name) else { return false };
    if !seen.record.active {
        return matches!(stage, Stage::OffloadRequested | Stage::Draining);
    }
    let Some(outside) = network.outside.get(name).filter(|_| stage == Stage::Draining) else { return false };
    let asked = outside.leases.iter().any(|lease| lease.owner == LeaseOwner::Rollout);
    asked && (app.drains.progress(app, network, seen.record, outside).drained || app.rollouts.forces(name))
}

/// Whether the device goes back to service and the rollout holds it no longer. An operator may: the update does not wait for that.
fn is_freed(network: &Snapshot, seen: &Seen<'_>) -> bool {
    let stage = seen.report().map(|report| report.state.stage);
    let returns = matches!(stage, Some(Stage::Readmitting | Stage::RolledBack { .. } | Stage::Releasing { .. }));
    let leases = network.outside.get(&seen.record.name).map_or(&[][..], |outside| &outside.leases);
    returns && leases.iter().all(|lease| lease.owner != LeaseOwner::Rollout)
}

/// Whether the device still has to fetch the archive.
fn wants_archive(seen: &Seen<'_>) -> bool {
    let Some(order) = seen.order.filter(|order| !order.cancelled) else { return false };
    match seen.stage() {
        None => order.ended.is_none(),
        Some(stage) => matches!(stage, Stage::Assigned | Stage::Fetching | Stage::Blocked),
    }
}

fn compose(seen: &Seen<'_>, besides: Besides) -> UpdateWord {
    let Besides { drained, archive, unburn, restart_keeper, freed } = besides;
    let order = seen.order.map(|order| UpdateOrder {
        assignment: order.assignment(),
        cancelled: order.cancelled,
        reload: order.reload,
        drained,
        archive,
    });
    let unburn = unburn.into_iter().take(BURNED_MAX).collect();
    let word = UpdateWord { revision: 0, order, unburn, restart_keeper, freed };
    UpdateWord { revision: revision(&word), ..word }
}

/// The first eight bytes of the SHA-256 of a word, and never 0; 0 of one that says nothing. Secrets are left out: a revision is
/// part of a URL, and they change only with the archive.
fn revision(word: &UpdateWord) -> u64 {
    if word.order.is_none() && word.unburn.is_empty() && !word.restart_keeper && !word.freed {
        return 0;
    }
    let mut open = UpdateWord { revision: 0, ..word.clone() };
    if let Some(archive) = open.order.as_mut().and_then(|order| order.archive.as_mut()) {
        archive.direct = None;
    }
    let digest = Sha256::digest(serde_json::to_vec(&open).expect("words are JSON"));
    let first: [u8; 8] = digest[..8].try_into().expect("SHA-256 has 32 bytes");
    u64::from_be_bytes(first).max(1)
}

#[cfg(test)]
mod tests;
