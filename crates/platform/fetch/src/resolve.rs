//! The addresses behind a URL, asked for once: what is checked here is what is connected to.

use crate::{
    Failure,
    budget::{Budget, Late, seconds},
    target::{Peer, Target},
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use weir_model::{FetchReason, SourceAllow};

/// Most addresses of one name that are looked at; a name with more of them is refused, since none may be left unchecked.
const ADDRESSES_MAX: usize = 64;

/// Addresses that may be connected to, at least one, in the resolver's order. One that is refused refuses the name: an answer that
/// mixes public and private addresses is how DNS rebinding looks.
pub(crate) async fn addresses(target: &Target, allow: &SourceAllow, limit: Duration, budget: &Budget) -> Result<Vec<SocketAddr>, Failure> {
    let found = match target.peer() {
        Peer::Address(address) => vec![address],
        Peer::Name(name) => asked(name, target.port(), limit, budget).await?,
    };
    let (name, shown) = (target.authority(), |address: &IpAddr| address.to_string());
    if found.is_empty() || found.len() > ADDRESSES_MAX {
        let detail = format!("{name} has {} addresses, and not between 1 and {ADDRESSES_MAX}", found.len());
        return Err(Failure::new(FetchReason::Unresolvable, detail));
    }
    for address in &found {
        if let Some(kind) = allow.refusal(*address) {
            let who = if matches!(target.peer(), Peer::Address(_)) { shown(address) } else { format!("{name} is {address}, which") };
            let detail = format!("{who} is {kind} and in no network of software_sources.allow");
            return Err(Failure::new(FetchReason::PrivateTarget, detail));
        }
    }
    Ok(found.into_iter().map(|address| SocketAddr::new(address.to_canonical(), target.port())).collect())
}

async fn asked(name: &str, port: u16, limit: Duration, budget: &Budget) -> Result<Vec<IpAddr>, Failure> {
    let unresolvable = |detail| Failure::new(FetchReason::Unresolvable, detail);
    let answer = match budget.within(limit, tokio::net::lookup_host((name, port))).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unresolvable(format!("{name} has no address: {error}"))),
        Err(Late::Step) => return Err(unresolvable(format!("no answer about {name} within {}", seconds(limit)))),
        Err(Late::Total) => return Err(Failure::new(FetchReason::Timeout, budget.told())),
    };
    let mut found: Vec<IpAddr> = Vec::new();
    for address in answer.map(|address| address.ip()) {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    Ok(found)
}

/// What was found.
pub(crate) fn told(target: &Target, addresses: &[SocketAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    match target.peer() {
        Peer::Address(_) => addresses.join(", "),
        Peer::Name(name) => format!("{name} is {}", addresses.join(", ")),
    }
}
