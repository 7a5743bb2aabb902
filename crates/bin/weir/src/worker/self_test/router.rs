//! A router under test: a second one, with the last good configuration and the health on disk, which decides and answers.

use super::{
    Checked,
    ask::{Served, ask},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};
use weir_model::{DeviceConfiguration, DeviceName, Role};
use weir_router::{
    Router, RouterSettings,
    dns::{self, Outcome, Transport},
};
use weir_telemetry::Metrics;

/// A port no answer goes to.
const CLIENT_PORT: u16 = 53;

/// Has a second router decide for a client of the first coverage zone and the first service, in every way it is asked.
///
/// # Errors
/// One sentence: what is answered wrong.
pub(super) async fn answers(state: &Path, configuration: Option<&DeviceConfiguration>) -> Checked {
    let name: DeviceName = configuration.map_or_else(|| "self-test".parse().expect("a name"), |c| c.device.clone());
    let metrics = Metrics::new(weir_model::version(), Role::Router.as_str(), name.as_str());
    // It reads the health table and never writes it.
    let router = Router::new(RouterSettings { name, state: state.to_owned() }, &metrics);
    let service = match configuration {
        Some(configuration) => {
            router.apply(configuration).map_err(|error| format!("the configuration that runs is refused: {error}"))?;
            configuration.services.first()
        }
        None => None,
    };
    if let (Some(configuration), Some(service)) = (configuration, service) {
        let client = configuration.zones.first().map_or(Ipv4Addr::LOCALHOST.into(), |zone| zone.network.addr());
        decides(&router, client, service.domain.as_str())?;
        resolves(&router, client, service.domain.as_str())?;
    }
    let Some(served) = Served::start(router) else { return Ok(()) };
    redirects(served.address, service.map_or("self-test.invalid", |service| service.domain.as_str())).await
}

/// Any decision will do: who is live is the network's matter.
fn decides(router: &Router, client: IpAddr, domain: &str) -> Checked {
    let decision = router.explain(client, &format!("http://{domain}/self-test"));
    decision.map(|_| ()).map_err(|error| format!("no decision for {client} and {domain}: {error}"))
}

fn resolves(router: &Router, client: IpAddr, domain: &str) -> Checked {
    let mut answer = Vec::new();
    let outcome = dns::respond(router, &query(domain), SocketAddr::new(client, CLIENT_PORT), Transport::Udp, &mut answer);
    match outcome {
        Outcome::Answered | Outcome::NoData | Outcome::Unplaced(_) if !answer.is_empty() => Ok(()),
        outcome => Err(format!("a query for {domain} is answered {} in {} bytes", outcome.as_str(), answer.len())),
    }
}

/// A query for the IPv4 address of a name (RFC 1035 section 4.1).
fn query(domain: &str) -> Vec<u8> {
    let mut message = vec![0x57, 0x57, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in domain.split('.') {
        message.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

/// A viewer is sent somewhere, or told why not.
async fn redirects(address: SocketAddr, host: &str) -> Checked {
    let answer = ask(address, "GET /self-test", host, "").await?;
    match (answer.status, answer.field("location"), answer.field("weir-reason")) {
        (302, Some(_), _) | (503, _, Some(_)) => Ok(()),
        (status, ..) => Err(format!("a viewer of {host} is answered {status} without a location or a reason")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::self_test::engine;
    use weir_model::configuration::ZoneEntry;

    fn configuration() -> DeviceConfiguration {
        let mut configuration = engine::configuration(9000);
        (configuration.device, configuration.role) = ("router-1".parse().expect("name"), Role::Router);
        let here = configuration.locations[0].name.clone();
        configuration.zones = vec![ZoneEntry { network: "127.0.0.0/8".parse().expect("network"), locations: [(here, 0)].into() }];
        configuration
    }

    #[tokio::test]
    async fn a_router_passes_with_and_without_a_configuration_and_writes_nothing() {
        let dir = tempfile::tempdir().expect("dir");
        assert_eq!(answers(dir.path(), None).await, Ok(()));
        assert_eq!(answers(dir.path(), Some(&configuration())).await, Ok(()));
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
    }

    #[tokio::test]
    async fn a_configuration_it_does_not_run_fails() {
        let dir = tempfile::tempdir().expect("dir");
        let mut wrong = configuration();
        wrong.engines[0].location = "nowhere".parse().expect("name");
        let failed = answers(dir.path(), Some(&wrong)).await.expect_err("dangling");
        assert!(failed.contains("location nowhere"), "{failed}");
        let metrics = Metrics::new("1.0.0-b1", "router", "router-1");
        let settings = RouterSettings { name: "router-1".parse().expect("name"), state: dir.path().to_owned() };
        let empty = Router::new(settings, &metrics);
        let unresolved = resolves(&empty, Ipv4Addr::LOCALHOST.into(), "demo.weir.test").expect_err("it has no zones");
        assert!(unresolved.contains("no_configuration"), "{unresolved}");
        assert!(decides(&empty, Ipv4Addr::LOCALHOST.into(), "demo.weir.test").is_err());
    }
}
