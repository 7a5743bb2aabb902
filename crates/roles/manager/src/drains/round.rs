//! One round over the offloads: leases that expire, epochs that are due, floors that broke.

use super::{GuardAlarm, Inner};
use crate::{
    app::App,
    change::Caller,
    domain::offload,
    guard::{Early, Facts},
    snapshot::{DeviceRecord, Snapshot},
};
use std::{collections::BTreeSet, sync::Arc};
use weir_model::{DeviceName, LocationName, Role};
use weir_operator_api::Problem;
use weir_rollout::{
    Broken,
    guard::{broken, fault_in, readmit},
};

/// Looks at every offload and does what is due. What is refused, say by a full disk, is due again in the next round.
pub(crate) async fn round(app: &Arc<App>) {
    if let Err(problem) = due(app).await {
        tracing::error!(problem = %problem, "a change of an offload was not made");
    }
}

async fn due(app: &Arc<App>) -> Result<(), Problem> {
    let now_ms = weir_clock::wall_ms();
    let expired = |at: Option<u64>| at.is_some_and(|at| at <= now_ms);
    if app.network().outside.values().any(|o| o.leases.iter().any(|l| expired(l.expires_ms))) {
        app.change(Caller::manager(), offload::expire).await?;
    }
    for (name, generation) in app.drains.look(app, &app.network()) {
        app.change(Caller::manager(), move |change| offload::write_peers(change, &name, generation)).await?;
    }
    guard(app).await
}

/// Keeps the floors: when a fault broke one, a draining engine is returned to service.
async fn guard(app: &Arc<App>) -> Result<(), Problem> {
    let network = app.network();
    let sites = Inner::locations_out(&network);
    if sites.is_empty() && app.drains.lock().broken.is_empty() {
        return Ok(());
    }
    let facts = Facts::gather(app, &network, &sites).await?;
    if facts.early() == Early::Yes {
        return Ok(());
    }
    let judged = facts.of(&network);
    let breaks = broken(&judged);
    let returned = readmit(&judged);
    if let Some(engine) = &returned {
        let site = network.devices.get(engine).and_then(|d| d.location.clone());
        let figures = sentences(&breaks, site.as_ref());
        tracing::warn!(about = engine.as_str(), figures, "returned to service by the capacity guard");
        let (name, why) = (engine.clone(), figures.clone());
        app.change(Caller::manager(), move |change| offload::readmit(change, &name, &why)).await?;
        if let Some(site) = site {
            let text = format!("{engine} was returned to service: {figures}");
            app.drains.lock().broken.insert(site, GuardAlarm { engine: engine.clone(), text });
        }
    }
    for site in sites.iter().filter(|site| fault_in(&judged, site) && breaks.iter().any(|b| b.location() == Some(*site))) {
        let Some(engine) = out_in(&network, site) else { continue };
        let text = sentences(&breaks, Some(site));
        app.drains.lock().broken.entry(site.clone()).or_insert(GuardAlarm { engine, text });
    }
    // The floor holds only when it would hold without the return, too: as long as a fault is left, it does not.
    let holds = |site: &LocationName| !fault_in(&judged, site);
    app.drains.lock().broken.retain(|site, _| !holds(site));
    Ok(())
}

fn sentences(breaks: &[Broken], site: Option<&LocationName>) -> String {
    let here: BTreeSet<String> = breaks.iter().filter(|b| b.location() == site).map(Broken::to_string).collect();
    here.into_iter().collect::<Vec<_>>().join("; ")
}

/// An engine of the location that is out.
fn out_in(network: &Snapshot, site: &LocationName) -> Option<DeviceName> {
    let here = |d: &&DeviceRecord| d.role == Role::Engine && d.location.as_ref() == Some(site);
    network.outside.keys().find(|name| network.devices.get(*name).as_ref().is_some_and(here)).cloned()
}
