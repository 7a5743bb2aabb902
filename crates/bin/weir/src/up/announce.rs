//! What `weir up` tells at the end: what runs where, the credentials, and what to try.

use super::{network::NetworkFile, plan::Plan};
use crate::output::{self, or_dash};
use std::{path::Path, time::Duration};
use weir_model::Role;

/// The text.
pub(crate) fn text(network: &NetworkFile, plan: &Plan, dir: &Path, took: Duration, demo: bool) -> String {
    let rows = plan.devices.iter().map(|d| {
        let role = match d.role {
            Role::Manager if d.name == network.manager.name => "manager, primary",
            Role::Manager => "manager, standby",
            Role::Router => "router (Service Router)",
            Role::Engine => "engine (Service Engine)",
        };
        let address = match d.role {
            Role::Manager => or_dash(d.listeners.https.map(|a| format!("https://{a}"))),
            _ => or_dash(d.listeners.http.map(|a| format!("http://{a}"))),
        };
        [d.name.clone(), role.to_owned(), d.location.to_owned(), address, or_dash(d.listeners.admin.map(|a| format!("http://{a}/metrics")))]
    });
    let table = output::table(["DEVICE", "ROLE", "LOCATION", "ADDRESS", "METRICS"], rows);
    let service = &network.services[0];
    let router = or_dash(network.routers[0].http);
    let d = dir.display();
    let watch = if demo {
        format!(
            "  curl -L http://{router}{sample}                 the test stream, by way of a router\n  ffplay http://{router}/{domain}/live/index.m3u8    the live one (any HLS player)\n",
            sample = service.sample,
            domain = service.domain,
        )
    } else {
        format!("  curl -L http://{router}{}PATH    a file of your origin, by way of a router\n", service.sample)
    };
    format!(
        "\nWeir {version} is in service after {seconds:.1} s: {count} devices, delivery service {name} ({domain}) from {origin}\n\n{table}\n\n\
         API token (administrator): {token}\n\
         CA certificate:            {ca}\n\
         all of this for programs:  {file}\n\n\
         try this:\n{watch}\
         \x20 weir --network {d} devices                  who is there and what they do\n\
         \x20 weir --network {d} route explain 127.128.0.1 http://{domain}/vod/index.m3u8\n\
         \x20 weir --network {d} logs {engine}                what a device says\n\n\
         Ctrl-C stops every process; the same command starts it again with its state.",
        version = network.version,
        seconds = took.as_secs_f64(),
        count = plan.devices.len(),
        name = service.name,
        domain = service.domain,
        origin = service.origin,
        token = or_dash(network.manager.token.as_ref()),
        ca = or_dash(network.manager.ca.as_ref().map(|c| c.display())),
        file = NetworkFile::path(dir).display(),
        engine = network.engines[0].name,
    )
}
