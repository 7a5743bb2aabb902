//! What `weir up` tells at the end: what runs where, the credentials, and what to try.

use super::{
    network::{ManagerEntry, NetworkFile},
    plan::{Content, Plan},
};
use crate::output::{self, or_dash};
use std::{path::Path, time::Duration};
use weir_model::Role;

/// The text.
pub(crate) fn text(network: &NetworkFile, primary: &ManagerEntry, plan: &Plan, dir: &Path, took: Duration, content: Content) -> String {
    let rows = plan.devices.iter().map(|d| {
        let role = match d.role {
            Role::Manager if d.name == primary.name => "manager, primary",
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
    let tries = tries(network, &dir.display().to_string(), content);
    let width = tries.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let tries: String = tries.iter().map(|(command, what)| format!("  {command:<width$}   {what}\n")).collect();
    format!(
        "\nWeir {version} is in service after {seconds:.1} s: {count} devices, delivery service {name} ({domain}) from {origin}\n\n{table}\n\n\
         {pages}\n\
         API token (administrator): {token}\n\
         CA certificate:            {ca}\n\
         all of this for programs:  {file}\n\n\
         try this:\n{tries}\n\
         Ctrl-C stops every process; the same command starts it again with its state.",
        version = network.version,
        seconds = took.as_secs_f64(),
        count = plan.devices.len(),
        name = service.name,
        domain = service.domain,
        origin = service.origin,
        pages = pages(primary),
        token = or_dash(network.manager.token.as_ref()),
        ca = or_dash(primary.ca.as_ref().map(|c| c.display())),
        file = NetworkFile::path(dir).display(),
    )
}

/// Where the pages are, and how to get in the first time.
fn pages(primary: &ManagerEntry) -> String {
    let url = or_dash(primary.url.as_ref());
    match &primary.one_time_password {
        Some(password) => {
            format!("pages:                     {url}\n  first login:             user admin, one-time password {password}")
        }
        None => format!("pages:                     {url} (user admin)"),
    }
}

/// Commands worth a try, and what each shows.
fn tries(network: &NetworkFile, dir: &str, content: Content) -> Vec<(String, &'static str)> {
    let service = &network.services[0];
    let router = or_dash(network.routers[0].http);
    let (sample, domain) = (&service.sample, &service.domain);
    let weir = std::env::current_exe().map_or_else(|_| "weir".to_owned(), |program| program.display().to_string());
    let mut tries = Vec::new();
    if content == Content::Demo {
        tries.push((format!("curl -L http://{router}{sample}"), "the test stream, by way of a router"));
        tries.push((format!("ffplay http://{router}/{domain}/live/index.m3u8"), "the live one, in any HLS player"));
    } else {
        tries.push((format!("curl -L http://{router}{sample}PATH"), "a file of your origin, by way of a router"));
    }
    if let Some(dns) = network.routers[0].dns {
        let (ip, port) = (dns.ip(), dns.port());
        tries.push((format!("dig @{ip} -p {port} {domain}"), "which engines a router names to your resolver"));
    }
    tries.push((format!("{weir} --network {dir} devices"), "who is there and what they do"));
    tries.push((format!("{weir} --network {dir} cms --box standby role primary"), "the other manager takes over, and nothing is lost"));
    tries.push((
        format!("{weir} --network {dir} offload {} --why test --wait", network.engines[1 % network.engines.len()].name),
        "a server leaves, and no viewer notices",
    ));
    tries.push((format!("{weir} --network {dir} software list"), "signed releases it may be updated to; on the pages: Software Files"));
    tries.push((format!("{weir} --network {dir} route explain 127.128.0.1 http://{domain}/"), "where a client is sent, and why"));
    tries.push((format!("{weir} --network {dir} logs {}", network.engines[0].name), "what a device says"));
    tries
}
