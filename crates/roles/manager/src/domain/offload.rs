//! Server Offload: leases taken and ended, and the epochs they bring.
//!
//! A device is out while any lease on it lives. Nobody ends another owner's: the API speaks for `operator` only. The first
//! lease writes the `clients` epoch, the manager itself writes `peers` when no viewer is left; each is a generation of its
//! own, which routers and engines acknowledge by running it.

use super::{devices, fields};
use crate::{
    change::{Change, NOTHING, Refusal},
    guard::Facts,
    snapshot::{DeviceRecord, Outside},
    tables::offload as table,
};
use serde_json::json;
use weir_model::{DeviceName, LeaseOwner, OffloadEpoch, Role};
use weir_operator_api::{
    AccessRole, OffloadLease, OffloadRequest, Problem, Reason, UnoffloadRequest,
    offload::{OFFLOAD_SECONDS_MAX, WHY_BYTES_MAX},
};

/// A reason as it is kept: without white space around it.
fn why(text: &str) -> Result<String, Problem> {
    let why = text.trim();
    let wrong = |detail: String| Err(Problem::new(Reason::InvalidField, detail).at("why"));
    if why.is_empty() {
        return wrong("is empty: say why, for whoever finds the device out of service".to_owned());
    }
    if why.len() > WHY_BYTES_MAX {
        return wrong(format!("has {} bytes, more than {WHY_BYTES_MAX}", why.len()));
    }
    if why.chars().any(char::is_control) {
        return wrong("has a control character".to_owned());
    }
    Ok(why.to_owned())
}

/// Refuses what can never be offloaded.
pub(crate) fn offloadable(device: &DeviceRecord) -> Result<(), Problem> {
    if device.role == Role::Manager {
        let next = "offload a router or an engine";
        return Err(Problem::new(Reason::WrongRole, format!("{} is a manager: it serves no viewers", device.name)).next_step(next));
    }
    if !device.active {
        return Err(Problem::new(Reason::NotActive, format!("{} is not active", device.name)));
    }
    Ok(())
}

/// Takes the operator's lease, or gives it another reason and end. Returns the device.
pub(crate) fn offload(change: &Change<'_>, name: &str, request: &OffloadRequest, facts: &Facts) -> Result<DeviceRecord, Refusal> {
    change.in_emergency();
    change.access().everywhere(AccessRole::Operator)?;
    let network = change.before;
    let device = devices::find(network, name)?;
    offloadable(device)?;
    let why = why(&request.why)?;
    if let Some(seconds) = request.for_seconds {
        fields::between("for_seconds", seconds, 1, OFFLOAD_SECONDS_MAX)?;
    }
    let outside = network.outside.get(&device.name);
    if outside.is_none() && !request.overrides {
        facts.may_leave(network, device)?;
    }
    let before = outside.and_then(|o| o.leases.iter().find(|l| l.owner == LeaseOwner::Operator));
    let lease = OffloadLease {
        owner: LeaseOwner::Operator,
        why,
        by: before.map_or_else(|| change.actor().to_string(), |b| b.by.clone()),
        since_ms: before.map_or(change.now_ms, |b| b.since_ms),
        expires_ms: request.for_seconds.map(|seconds| change.now_ms + seconds * 1000),
        // Once overridden, always: a repeated request must not hand the device back to the guard.
        overrides: request.overrides || before.is_some_and(|b| b.overrides),
    };
    if before == Some(&lease) {
        return Ok(device.clone());
    }
    match outside {
        None => table::begin(change.tx, device.id, change.now_ms, change.revision())?,
        Some(_) => change.enrolled(),
    }
    // Whoever changed the reason last answers for it.
    let lease = OffloadLease { by: change.actor().to_string(), ..lease };
    table::put_lease(change.tx, device.id, &lease)?;
    change.audit("offload", format_args!("device {name}"), before, Some(&lease))?;
    Ok(device.clone())
}

/// Ends the operator's lease. Returns the device.
pub(crate) fn unoffload(change: &Change<'_>, name: &str, request: &UnoffloadRequest) -> Result<DeviceRecord, Refusal> {
    change.in_emergency();
    change.access().everywhere(AccessRole::Operator)?;
    let network = change.before;
    let device = devices::find(network, name)?;
    let why = why(&request.why)?;
    let outside = network.outside.get(&device.name);
    let Some(lease) = outside.and_then(|o| o.leases.iter().find(|l| l.owner == LeaseOwner::Operator)) else {
        return Err(Problem::new(Reason::NotOffloaded, format!("no operator has offloaded {name}")).into());
    };
    end(change, device, lease, "unoffload", &why)?;
    Ok(device.clone())
}

/// Ends one lease; with the last one the device is in service again.
fn end(change: &Change<'_>, device: &DeviceRecord, lease: &OffloadLease, verb: &str, why: &str) -> Result<(), Refusal> {
    table::delete_lease(change.tx, device.id, lease.owner)?;
    if change.before.outside.get(&device.name).is_some_and(|o| o.leases.len() > 1) {
        change.enrolled();
    } else {
        change.revision();
        table::end(change.tx, device.id)?;
    }
    change.audit(verb, format_args!("device {}", device.name), Some(lease), Some(&json!({ "why": why })))?;
    Ok(())
}

/// Ends every lease of a device that is deactivated or deleted.
pub(crate) fn end_with_device(change: &Change<'_>, device: &DeviceRecord) -> Result<(), Refusal> {
    let Some(outside) = change.before.outside.get(&device.name) else { return Ok(()) };
    change.revision();
    table::end(change.tx, device.id)?;
    change.audit("unoffload", format_args!("device {}", device.name), Some(&outside.leases), NOTHING)?;
    Ok(())
}

/// Ends the leases whose time has passed.
pub(crate) fn expire(change: &Change<'_>) -> Result<(), Refusal> {
    for (name, outside) in &change.before.outside {
        let device = devices::find(change.before, name.as_str())?;
        let expired = |l: &OffloadLease| l.expires_ms.is_some_and(|at| at <= change.now_ms);
        let (over, live): (Vec<_>, Vec<_>) = outside.leases.iter().partition(|l| expired(l));
        for lease in &over {
            table::delete_lease(change.tx, device.id, lease.owner)?;
            change.enrolled();
        }
        if live.is_empty() {
            change.revision();
            table::end(change.tx, device.id)?;
        }
        for lease in over {
            let after = json!({ "why": "its time has passed" });
            change.audit("expire", format_args!("device {name}"), Some(lease), Some(&after))?;
        }
    }
    Ok(())
}

/// The guard returns a draining device to service, because a floor broke; does nothing when its lease overrides by now.
pub(crate) fn readmit(change: &Change<'_>, name: &DeviceName, why: &str) -> Result<(), Refusal> {
    let Some(outside) = change.before.outside.get(name) else { return Ok(()) };
    if outside.overrides() {
        return Ok(());
    }
    let device = devices::find(change.before, name.as_str())?;
    change.revision();
    table::end(change.tx, device.id)?;
    change.audit("readmit", format_args!("device {name}"), Some(&outside.leases), Some(&json!({ "why": why })))?;
    Ok(())
}

/// The rollout's lease, as it is taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) device: DeviceName,
    pub(crate) why: String,
    /// Milliseconds it lives unless it is renewed.
    pub(crate) life_ms: u64,
    /// The capacity guard is not asked.
    pub(crate) overrides: bool,
}

/// Takes the rollout's lease of a device, unless the capacity guard refuses. Does nothing when it has one, or is not active.
pub(crate) fn take_rollout(change: &Change<'_>, taken: &Taken, facts: &Facts) -> Result<(), Refusal> {
    let device = devices::find(change.before, taken.device.as_str())?;
    let outside = change.before.outside.get(&device.name);
    if !device.active || lease_of(outside, LeaseOwner::Rollout).is_some() {
        return Ok(());
    }
    if outside.is_none() && !taken.overrides {
        facts.may_leave(change.before, device)?;
    }
    match outside {
        None => table::begin(change.tx, device.id, change.now_ms, change.revision())?,
        Some(_) => change.enrolled(),
    }
    let lease = OffloadLease {
        owner: LeaseOwner::Rollout,
        why: taken.why.clone(),
        by: change.actor().to_string(),
        since_ms: change.now_ms,
        expires_ms: Some(change.now_ms + taken.life_ms),
        overrides: taken.overrides,
    };
    table::put_lease(change.tx, device.id, &lease)?;
    change.audit("offload", format_args!("device {}", device.name), NOTHING, Some(&lease))?;
    Ok(())
}

fn lease_of(outside: Option<&Outside>, owner: LeaseOwner) -> Option<&OffloadLease> {
    outside?.leases.iter().find(|lease| lease.owner == owner)
}

/// Gives the rollout's leases of these devices a new end. No configuration and no deed: it is neither told nor audited.
pub(crate) fn renew_rollout(change: &Change<'_>, names: &[DeviceName], life_ms: u64) -> Result<(), Refusal> {
    for name in names {
        let Some(lease) = lease_of(change.before.outside.get(name), LeaseOwner::Rollout) else { continue };
        let device = devices::find(change.before, name.as_str())?;
        table::put_lease(change.tx, device.id, &OffloadLease { expires_ms: Some(change.now_ms + life_ms), ..lease.clone() })?;
        change.enrolled();
    }
    Ok(())
}

/// Ends the lease that the manager itself has given this owner; does nothing when there is none.
pub(crate) fn end_of(change: &Change<'_>, name: &DeviceName, owner: LeaseOwner, why: &str) -> Result<(), Refusal> {
    let Some(lease) = lease_of(change.before.outside.get(name), owner) else { return Ok(()) };
    let device = devices::find(change.before, name.as_str())?;
    end(change, device, lease, "unoffload", why)
}

/// The device needs hands: what held it for the rollout holds it for the fault from now on, until that is over.
pub(crate) fn pass_to_fault(change: &Change<'_>, name: &DeviceName, why: &str) -> Result<(), Refusal> {
    take_fault(change, name, why)?;
    let device = devices::find(change.before, name.as_str())?;
    if device.active {
        table::delete_lease(change.tx, device.id, LeaseOwner::Rollout)?;
    }
    Ok(())
}

/// The device's fault takes a lease; nobody is asked.
pub(crate) fn take_fault(change: &Change<'_>, name: &DeviceName, why: &str) -> Result<(), Refusal> {
    let device = devices::find(change.before, name.as_str())?;
    let outside = change.before.outside.get(name);
    if !device.active {
        return Ok(());
    }
    match outside {
        None => table::begin(change.tx, device.id, change.now_ms, change.revision())?,
        Some(_) => change.enrolled(),
    }
    let rollout = lease_of(outside, LeaseOwner::Rollout);
    let lease = OffloadLease {
        owner: LeaseOwner::Fault,
        why: why.to_owned(),
        by: change.actor().to_string(),
        since_ms: change.now_ms,
        expires_ms: None,
        // It cannot serve: the guard returning it would help nobody.
        overrides: true,
    };
    table::put_lease(change.tx, device.id, &lease)?;
    change.audit("offload", format_args!("device {name}"), rollout, Some(&lease))?;
    Ok(())
}

/// No viewer is left on the engine: from now on no engine fills from it either. Does nothing when the offload that began
/// with `clients_generation` is over.
pub(crate) fn write_peers(change: &Change<'_>, name: &DeviceName, clients_generation: u64) -> Result<(), Refusal> {
    let Some(outside) = change.before.outside.get(name) else { return Ok(()) };
    if outside.peers_generation.is_some() || outside.clients_generation != clients_generation {
        return Ok(());
    }
    let device = devices::find(change.before, name.as_str())?;
    table::set_peers(change.tx, device.id, change.revision())?;
    let epoch = |epoch: OffloadEpoch| json!({ "epoch": epoch });
    let (before, after) = (epoch(OffloadEpoch::Clients), epoch(OffloadEpoch::Peers));
    change.audit("drain", format_args!("device {name}"), Some(&before), Some(&after))?;
    Ok(())
}
