//! One round over the offloads: leases that expire, epochs that are due, floors that broke.

use super::GuardAlarm;
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
    guard::{broken, fault_in, needs, readmit},
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
    let sites = app.drains.lock().sites(&network);
    if sites.is_empty() {
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
        let site = judged.engines[engine].location.clone();
        let figures = sentences(&breaks, &site);
        tracing::warn!(about = engine.as_str(), figures, "returned to service by the capacity guard");
        let (name, why) = (engine.clone(), figures.clone());
        app.change(Caller::manager(), move |change| offload::readmit(change, &name, &why)).await?;
        let text = format!("{engine} was returned to service: {figures}");
        app.drains.lock().broken.insert(site, GuardAlarm { engine: engine.clone(), text });
    }
    let mut inner = app.drains.lock();
    for site in sites.iter().filter(|site| fault_in(&judged, site) && breaks.iter().any(|b| b.is_of_engines_in(site))) {
        let Some(engine) = out_in(&network, site) else { continue };
        let text = sentences(&breaks, site);
        inner.broken.entry(site.clone()).or_insert(GuardAlarm { engine, text });
    }
    // A floor that holds because the engine was returned would break again without it.
    inner.broken.retain(|site, alarm| needs(&judged, site, &alarm.engine));
    Ok(())
}

/// What is broken of a location's engines, in figures.
fn sentences(breaks: &[Broken], site: &LocationName) -> String {
    let here: BTreeSet<String> = breaks.iter().filter(|b| b.is_of_engines_in(site)).map(Broken::to_string).collect();
    here.into_iter().collect::<Vec<_>>().join("; ")
}

/// An engine of the location that is out.
fn out_in(network: &Snapshot, site: &LocationName) -> Option<DeviceName> {
    let here = |d: &&DeviceRecord| d.role == Role::Engine && d.location.as_ref() == Some(site);
    network.outside.keys().find(|name| network.devices.get(*name).as_ref().is_some_and(here)).cloned()
}
