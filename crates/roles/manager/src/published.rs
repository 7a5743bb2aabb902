//! What devices get of each delivery service: what its row says or, where that cannot be run, the last that could.
//!
//! A delivery service compiles for itself, by the function routers and engines load it with. A write that leaves one behind
//! which does not is refused. One that was bad already, say after an older build wrote it or a rule became stricter, is **held**:
//! devices go on with what was last published of it, SERVICE_HELD says so, and everything else is published on.
//!
//! What a line does not know is only sent behind a gate of the network's level. A device below that level gets what was last
//! published that its line can run, and is told apart by SERVICE_HELD.

use crate::{
    alarms::Key,
    app::App,
    change::{Caller, Change, Refusal},
    compile,
    snapshot::Snapshot,
    tables::{delivery_services::Unreadable, published},
};
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use weir_model::{AlarmReason, DeviceName, FIRST_LEVEL, Line, Role};
use weir_operator_api::{DeliveryService, Problem, Reason};

/// A delivery service that is not published as its row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) name: String,
    /// What is wrong, one sentence that names the field.
    pub(crate) why: String,
    /// What devices get in its place; absent: they do not have it.
    pub(crate) last: Option<DeliveryService>,
    /// Whether the row is not even one of this build's delivery services.
    pub(crate) unreadable: bool,
}

/// A delivery service as it was published, and the first line that can run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rendition {
    pub(crate) since: Line,
    pub(crate) service: DeliveryService,
}

/// The first line that can run what is published of a service in this network.
pub(crate) fn since(network: &Snapshot, service: &DeliveryService) -> Line {
    #[cfg(feature = "synthetic-next")]
    {
        let gate = weir_model::next::service_detail();
        if service.detail.is_some() && network.is_open(&gate) {
            return gate.since;
        }
    }
    let _ = (network, service);
    FIRST_LEVEL
}

/// What is kept of a service, newest first; what another line kept and this one cannot read is passed over.
fn renditions(tx: &Transaction<'_>, id: i64) -> rusqlite::Result<Vec<Rendition>> {
    let Some(kept) = published::of(tx, id)? else { return Ok(Vec::new()) };
    let all: Vec<Value> = serde_json::from_str(&kept).unwrap_or_else(|error| {
        tracing::error!(delivery_service = id, %error, "what was last published of a delivery service cannot be read");
        Vec::new()
    });
    Ok(all.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect())
}

/// Finds out which delivery services of a network that was just read are held, and whether devices can run it at all.
pub(crate) fn settle(tx: &Transaction<'_>, network: &mut Snapshot, unreadable: Vec<Unreadable>) -> rusqlite::Result<()> {
    for Unreadable { id, name, why } in unreadable {
        let last = renditions(tx, id)?.into_iter().next().map(|one| DeliveryService { id, ..one.service });
        // It is listed as it was last, so that it can be looked at, written anew and deleted.
        network.services.extend(last.clone());
        network.held.insert(id, Held { name, why, last, unreadable: true });
    }
    network.services.sort_by(|a, b| a.name.cmp(&b.name));
    // Once as the rows say; then with what is held in its last form, which may be in the way of another by now.
    for pass in [Pass::Rows, Pass::Last] {
        let faults = match compile::faults(network) {
            Ok(faults) => faults,
            Err(error) => {
                network.unfit = Some(error.to_string());
                return Ok(());
            }
        };
        // Nothing gives way, so the other pass would find the same.
        if faults.is_empty() {
            break;
        }
        for (id, error) in faults {
            match (network.held.get_mut(&id), pass) {
                (Some(held), _) => held.last = None,
                (None, Pass::Rows) => {
                    let Some(service) = network.services.iter().find(|service| service.id == id) else { continue };
                    let last = renditions(tx, id)?.into_iter().next().map(|one| one.service).filter(|last| last != service);
                    let held = Held { name: service.name.to_string(), why: error.to_string(), last, unreadable: false };
                    network.held.insert(id, held);
                }
                (None, Pass::Last) => network.unfit = Some(error.to_string()),
            }
        }
    }
    let later: Vec<i64> = network.services.iter().filter(|s| since(network, s) > FIRST_LEVEL).map(|s| s.id).collect();
    for id in later {
        network.earlier.insert(id, renditions(tx, id)?);
    }
    give_way(network);
    Ok(())
}

/// Takes out what is published for an older line alone and in the way there: its domain, say, is another service's by now. Devices of
/// that line do without, and not with what is older still.
fn give_way(network: &mut Snapshot) {
    let mut lines: BTreeSet<Line> = network.earlier.values().flatten().map(|one| one.since).filter(|line| *line < network.level).collect();
    while let Some(line) = lines.pop_last() {
        // Each turn takes one rendition at least.
        while let Ok(faults) = compile::faults_below(network, line) {
            let mut is_settled = true;
            for (id, _) in faults {
                let Some(kept) = network.earlier.get_mut(&id) else { continue };
                let count = kept.len();
                if let Some(in_the_way) = kept.iter().map(|one| one.since).find(|since| *since <= line) {
                    kept.retain(|one| one.since > in_the_way);
                }
                is_settled &= kept.len() == count;
            }
            if is_settled {
                break;
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Pass {
    Rows,
    Last,
}

/// Refuses a change that leaves a delivery service behind which cannot be run, or a network, unless it was so before and is as it was.
pub(crate) fn allowed(before: &Snapshot, after: &Snapshot) -> Result<(), Problem> {
    // One that was unfit before may be mended in as many steps as it takes.
    if let Some(why) = after.unfit.as_ref().filter(|_| before.unfit.is_none()) {
        return Err(Problem::new(Reason::DoesNotCompile, why.clone()));
    }
    let of = |network: &Snapshot, id: i64| network.services.iter().find(|service| service.id == id).cloned();
    for (id, held) in &after.held {
        let was = before.held.get(id);
        if was.is_none() || of(before, *id) != of(after, *id) {
            let problem = Problem::new(Reason::DoesNotCompile, held.why.clone());
            return Err(problem.next_step(format!("correct delivery service {}", held.name)));
        }
    }
    Ok(())
}

/// Keeps what is published from this change on of each delivery service it changed, and of those of which nothing was kept.
pub(crate) fn keep(tx: &Transaction<'_>, before: &Snapshot, after: &Snapshot) -> Result<(), Refusal> {
    let known: BTreeMap<i64, &DeliveryService> = before.services.iter().map(|service| (service.id, service)).collect();
    let missing: BTreeSet<i64> = published::missing(tx)?.into_iter().collect();
    let is_new = |service: &&DeliveryService| {
        let was_held = before.held.contains_key(&service.id);
        was_held || missing.contains(&service.id) || known.get(&service.id) != Some(service)
    };
    let raised = before.level != after.level;
    for service in after.services.iter().filter(|s| !after.held.contains_key(&s.id)) {
        let gated = raised && since(after, service) > FIRST_LEVEL;
        if !gated && !is_new(&service) {
            continue;
        }
        let newest = Rendition { since: since(after, service), service: service.clone() };
        let mut kept = vec![newest];
        // What came before stays for the lines that cannot run this.
        let earlier: Vec<_> = renditions(tx, service.id)?.into_iter().filter(|one| one.since < kept[0].since).collect();
        kept.extend(earlier);
        let document = serde_json::to_string(&kept).expect("delivery services are JSON");
        published::put(tx, service.id, after.stamp.generation, &document)?;
    }
    Ok(())
}

/// The last of a service that a line can run, when it cannot run what is published now.
pub(crate) fn for_line<'a>(network: &'a Snapshot, service: &DeliveryService, line: Line) -> Option<&'a DeliveryService> {
    let kept = network.earlier.get(&service.id)?;
    kept.iter().find(|one| one.since <= line).map(|one| &one.service)
}

/// The line a device says it runs, when that is one below the level of the network: only such a device is told otherwise.
pub(crate) fn line_below(app: &App, network: &Snapshot, device: &DeviceName) -> Option<Line> {
    let heard = app.reports.get(device)?;
    let version: weir_model::Version = heard.report.hello.version.parse().ok()?;
    Some(version.line).filter(|line| *line < network.level)
}

/// A device's report may tell of another line than the one before: what it runs from is compiled anew, with a generation of its
/// own, when that makes a difference. Equal stamps are equal bytes.
pub(crate) async fn relined(app: &Arc<App>, device: &DeviceName, before: Option<Line>) -> Result<(), Problem> {
    let network = app.network();
    let now = line_below(app, &network, device);
    let parts = |line: Option<Line>, since: Line| line.is_some_and(|line| since > line);
    let differs = |service: &DeliveryService| {
        let since = since(&network, service);
        parts(before, since) || parts(now, since)
    };
    if before == now || !network.services.iter().any(differs) {
        return Ok(());
    }
    let object = format!("device {device}");
    let line = |line: Option<Line>| line.unwrap_or(network.level).to_string();
    let (before, after) = (json!({ "line": line(before) }), json!({ "line": line(now) }));
    let change = move |change: &Change<'_>| {
        change.revision();
        Ok(change.audit("change line", &object, Some(&before), Some(&after))?)
    };
    app.change(Caller::manager(), change).await
}

/// SERVICE_HELD: for every held delivery service, about this manager; and for those that a device's line cannot run, about it.
pub(crate) fn alarms(app: &App, network: &Snapshot) -> BTreeMap<Key, String> {
    let mut want = BTreeMap::new();
    for held in network.held.values() {
        let key = Key { reason: AlarmReason::ServiceHeld, device: app.name.clone(), object: held.name.clone() };
        let instead = if held.last.is_some() { "devices go on with what was last published" } else { "devices do not have it" };
        want.insert(key, format!("{}; {instead}", held.why));
    }
    let later: Vec<_> = network.services.iter().filter(|service| since(network, service) > FIRST_LEVEL).collect();
    if later.is_empty() {
        return want;
    }
    for device in network.devices.values().filter(|device| device.active && device.role != Role::Manager) {
        let Some(line) = line_below(app, network, &device.name) else { continue };
        for service in later.iter().filter(|service| since(network, service) > line) {
            let key = Key { reason: AlarmReason::ServiceHeld, device: device.name.clone(), object: service.name.to_string() };
            want.insert(key, format!("line {line} cannot run what is published since {}", since(network, service)));
        }
    }
    want
}

#[cfg(test)]
mod tests;
