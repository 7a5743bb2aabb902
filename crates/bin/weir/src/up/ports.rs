//! Whether every address of the plan is free, before anything is started: a stranger on a port is named at once.

use super::plan::{Content, Plan};
use crate::commands::Misconfigured;
use std::{net::SocketAddr, path::Path, time::Duration};
use weir_sockets::{BindError, ListenerSpec, Proto, bind};

/// How long processes of this very network, killed a moment ago, may take to let go.
const OWN_PATIENCE: Duration = Duration::from_secs(15);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Fails when somebody else holds an address; waits for what is left of this network's last run.
pub(crate) async fn free(plan: &Plan, root: &Path, content: Content) -> anyhow::Result<()> {
    let deadline = weir_clock::monotonic() + OWN_PATIENCE;
    let root = root.display().to_string();
    for (what, proto, address) in addresses(plan, content) {
        while let Err(error) = try_bind(proto, address) {
            let own = matches!(&error, BindError::InUse { holder: Some(holder), .. } if holder.command.contains(&root));
            if !own || weir_clock::monotonic() >= deadline {
                return Err(refused(&what, address, &error).into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

fn refused(what: &str, address: SocketAddr, error: &BindError) -> Misconfigured {
    let why = match error {
        BindError::InUse { holder: Some(holder), .. } => format!("is in use by {holder}"),
        BindError::InUse { holder: None, .. } => "is in use".into(),
        BindError::Permission { .. } => "may not be bound by this user".into(),
        BindError::NotAvailable { .. } => "is no address of this machine".into(),
        BindError::Io { source, .. } => format!("cannot be bound: {source}"),
    };
    Misconfigured(format!("{address}, where {what} listens, {why}; end that, or start another network with --dir DIR --base auto"))
}

fn addresses(plan: &Plan, content: Content) -> Vec<(String, Proto, SocketAddr)> {
    let mut all: Vec<_> = plan
        .devices
        .iter()
        .flat_map(|d| {
            let l = d.listeners;
            let tcp = [l.http, l.https, l.device, l.admin, l.keepalive].into_iter().flatten().map(|a| (Proto::Tcp, a));
            tcp.chain(l.keepalive.map(|a| (Proto::Udp, a))).map(|(proto, address)| (d.name.clone(), proto, address))
        })
        .collect();
    if content == Content::Demo {
        all.push(("the demo origin".into(), Proto::Tcp, plan.demo_origin()));
    }
    all
}

fn try_bind(proto: Proto, address: SocketAddr) -> Result<(), BindError> {
    let name = "check".parse().expect("a listener name");
    bind(&ListenerSpec { name, proto, address, count: 1 }).map(|_| ())
}
