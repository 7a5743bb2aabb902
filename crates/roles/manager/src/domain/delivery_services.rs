//! Delivery services: a name and a domain of their own, an origin that is no manager, engines that exist.

use super::fields;
use crate::{
    access::Access,
    change::{Change, NOTHING, Refusal},
    snapshot::Snapshot,
    tables,
};
use std::{collections::BTreeMap, net::IpAddr};
use weir_model::{DeviceName, Domain, OriginUrl, Role, ServiceName, delivery, name::ENGINE_LABEL, service::TTL_SECONDS_MAX};
use weir_operator_api::{AccessRole, Caching, DeliveryService, DeliveryServiceRequest, Problem, Reason};
use weir_routing::{compile::SERVICES_MAX, names::ROUTER_LABEL};

pub(crate) fn find<'a>(network: &'a Snapshot, name: &str) -> Result<&'a DeliveryService, Problem> {
    network.service(name).ok_or_else(|| fields::absent("delivery service", name))
}

/// A request whose fields are right and collide with nothing but `known`, the service it replaces.
struct Checked {
    service: DeliveryService,
    engine_ids: Option<Vec<i64>>,
}

fn check(change: &Change<'_>, request: &DeliveryServiceRequest, known: Option<&DeliveryService>) -> Result<Checked, Problem> {
    let network = change.before;
    let name: ServiceName = fields::read("name", &request.name)?;
    let domain: Domain = fields::read("domain", &request.domain)?;
    let origin = origin(network, &request.origin)?;
    let engines = request.engines.as_deref().map(|e| engines(network, e)).transpose()?;
    check_caching(&request.caching)?;
    #[cfg(feature = "synthetic-next")]
    let detail = detail(network, request.detail.as_deref(), known.and_then(|k| k.detail.as_ref()))?;
    check_not_reserved(&name, &domain)?;
    let id = known.map(|k| k.id);
    if network.service(name.as_str()).is_some_and(|s| Some(s.id) != id) {
        return Err(Problem::new(Reason::NameTaken, format!("there is a delivery service {name}")).at("name"));
    }
    if unreadable(network, name.as_str()).is_some_and(|other| Some(other) != id) {
        let detail = format!("there is a delivery service {name}, of which nothing can be read");
        return Err(Problem::new(Reason::NameTaken, detail).at("name").next_step("delete it first"));
    }
    check_domain(network, change.access(), id, &domain)?;
    let service = DeliveryService {
        id: id.unwrap_or(0),
        name,
        domain,
        origin,
        engines: engines.as_ref().map(|e| e.keys().cloned().collect()),
        caching: request.caching.clone(),
        #[cfg(feature = "synthetic-next")]
        detail,
        revision: known.map_or(0, |k| k.revision),
    };
    Ok(Checked { service, engine_ids: engines.map(|e| e.into_values().collect()) })
}

/// The id of a delivery service of this name whose row cannot be read, and of which nothing was published.
fn unreadable(network: &Snapshot, name: &str) -> Option<i64> {
    network.held.iter().find(|(_, held)| held.last.is_none() && held.name == name).map(|(id, _)| *id)
}

/// Whether a service that was there before may be there now: rules that other objects may have come to speak against meanwhile.
pub(super) fn may_return(network: &Snapshot, access: &Access, service: &DeliveryService) -> Result<(), Problem> {
    check_not_reserved(&service.name, &service.domain)?;
    check_domain(network, access, Some(service.id), &service.domain)?;
    origin(network, &service.origin.to_string())?;
    #[cfg(feature = "synthetic-next")]
    detail(network, service.detail.clone().map(String::from).as_deref(), service.detail.as_ref())?;
    Ok(())
}

/// Refuses a domain that would take names away from another service, as its row says or as it is published: the longest domain that
/// a name is in holds it. One below or above another's is for whoever may change both; names of engines and routers are nobody's.
fn check_domain(network: &Snapshot, access: &Access, id: Option<i64>, domain: &Domain) -> Result<(), Problem> {
    let rows = network.services.iter().map(|service| (service.id, service.name.as_str(), &service.domain));
    let held = network.held.iter().filter_map(|(id, held)| Some((*id, held.name.as_str(), &held.last.as_ref()?.domain)));
    for (_, other, theirs) in rows.chain(held).filter(|(other, ..)| Some(*other) != id) {
        let reached = access.reaches(other);
        let whose = if reached { format!("delivery service {other}") } else { "another delivery service".to_owned() };
        let taken = |detail: String| Err(Problem::new(Reason::DomainTaken, detail).at("domain"));
        if theirs == domain {
            return taken(format!("{whose} is published under {domain}"));
        }
        if is_below_devices(domain, theirs) {
            return taken(format!("{domain} is among the names of engines and routers of {whose}"));
        }
        if is_below_devices(theirs, domain) {
            return taken(format!("{whose} is published under a name that an engine or router would have here"));
        }
        if !reached && (is_below(domain.as_str(), theirs) || is_below(theirs.as_str(), domain)) {
            return taken(format!("{domain} is below or above the domain of {whose}"));
        }
    }
    Ok(())
}

/// Whether a name is below a domain.
fn is_below(name: &str, domain: &Domain) -> bool {
    name.strip_suffix(domain.as_str()).is_some_and(|before| before.ends_with('.'))
}

/// Whether a name is one under which engines or routers of a domain are named, or below one.
fn is_below_devices(name: &Domain, domain: &Domain) -> bool {
    let before = name.as_str().strip_suffix(domain.as_str()).and_then(|before| before.strip_suffix('.'));
    before.is_some_and(|before| [ENGINE_LABEL, ROUTER_LABEL].contains(&before.rsplit('.').next().unwrap_or_default()))
}

/// The name and the domain that engines carry release archives under are nobody else's.
fn check_not_reserved(name: &ServiceName, domain: &Domain) -> Result<(), Problem> {
    if delivery::is_reserved_name(name) {
        return Err(Problem::new(Reason::NameTaken, format!("{name} is the network's own service for software")).at("name"));
    }
    if delivery::is_reserved_domain(domain) {
        let detail = format!("{} and the names below it are the network's own, for software", delivery::DOMAIN);
        return Err(Problem::new(Reason::DomainTaken, detail).at("domain"));
    }
    Ok(())
}

fn origin(network: &Snapshot, text: &str) -> Result<OriginUrl, Problem> {
    let origin: OriginUrl = fields::read("origin", text)?;
    let address = origin.host().parse::<IpAddr>().ok().map(|a| a.to_canonical());
    if address.is_some_and(|a| network.manager_addresses().contains(&a)) {
        return Err(Problem::new(Reason::OriginIsManager, format!("{} is an address of a manager", origin.host())).at("origin"));
    }
    Ok(origin)
}

/// The named engines with their ids, by name.
fn engines(network: &Snapshot, names: &[String]) -> Result<BTreeMap<DeviceName, i64>, Problem> {
    let mut engines = BTreeMap::new();
    for (at, text) in names.iter().enumerate() {
        let field = format!("engines[{at}]");
        let name: DeviceName = fields::read(&field, text)?;
        let unknown = || Problem::new(Reason::UnknownEngine, format!("there is no engine {name}")).at(&field);
        let engine = network.devices.get(&name).filter(|d| d.role == Role::Engine).ok_or_else(unknown)?;
        if engines.insert(name, engine.id).is_some() {
            return Err(Problem::new(Reason::InvalidField, format!("{text} is there twice")).at(field));
        }
    }
    if engines.is_empty() {
        let next = "name at least one engine, or leave `engines` null for every active one";
        return Err(Problem::new(Reason::InvalidField, "the list is empty").at("engines").next_step(next));
    }
    Ok(engines)
}

fn check_caching(caching: &Caching) -> Result<(), Problem> {
    for (field, seconds) in [("default_ttl_seconds", caching.default_ttl_seconds), ("max_ttl_seconds", caching.max_ttl_seconds)] {
        if let Some(seconds) = seconds {
            fields::between(&format!("caching.{field}"), seconds.into(), 0, TTL_SECONDS_MAX.into())?;
        }
    }
    Ok(())
}

/// A detail waits until every device can show it. Until then the one a service has from before stays, unseen: nobody who cannot
/// set one may take it away by leaving it out.
#[cfg(feature = "synthetic-next")]
fn detail(network: &Snapshot, text: Option<&str>, known: Option<&weir_model::Detail>) -> Result<Option<weir_model::Detail>, Problem> {
    let gate = weir_model::next::service_detail();
    let is_open = network.is_open(&gate);
    let Some(text) = text else { return Ok(known.filter(|_| !is_open).cloned()) };
    let detail = fields::read("detail", text)?;
    if is_open || known == Some(&detail) {
        return Ok(Some(detail));
    }
    let refused = format!("gate {} waits for level {}; the network's level is {}", gate.name, gate.since, network.level);
    Err(Problem::new(Reason::GateClosed, refused).at("detail"))
}

/// The same request with the detail the service has, for a form that does not show it.
#[cfg(feature = "synthetic-next")]
pub(crate) fn with_detail_kept(network: &Snapshot, name: &str, request: DeliveryServiceRequest) -> DeliveryServiceRequest {
    let known = network.service(name).and_then(|service| service.detail.clone());
    DeliveryServiceRequest { detail: known.map(String::from), ..request }
}

pub(crate) fn create(change: &Change<'_>, request: &DeliveryServiceRequest) -> Result<DeliveryService, Refusal> {
    change.access().service(AccessRole::Operator, &request.name)?;
    let Checked { mut service, engine_ids } = check(change, request, None)?;
    if change.before.services.len() >= SERVICES_MAX {
        return Err(fields::too_many("delivery services", SERVICES_MAX).into());
    }
    service.revision = change.revision();
    service.id = tables::delivery_services::insert(change.tx, &service, engine_ids.as_deref())?;
    change.audit("create", format_args!("delivery service {}", service.name), NOTHING, Some(&service))?;
    Ok(service)
}

pub(crate) fn replace(change: &Change<'_>, name: &str, request: &DeliveryServiceRequest) -> Result<DeliveryService, Refusal> {
    change.access().service(AccessRole::Operator, name)?;
    change.access().service(AccessRole::Operator, &request.name)?;
    let before = find(change.before, name)?;
    let Checked { mut service, engine_ids } = check(change, request, Some(before))?;
    // One that is held may be listed as it was last, and its row be another.
    if service == *before && !change.before.held.contains_key(&before.id) {
        return Ok(service);
    }
    service.revision = change.revision();
    tables::delivery_services::update(change.tx, &service, engine_ids.as_deref())?;
    change.audit("change", format_args!("delivery service {name}"), Some(before), Some(&service))?;
    Ok(service)
}

pub(crate) fn delete(change: &Change<'_>, name: &str) -> Result<(), Refusal> {
    change.access().service(AccessRole::Operator, name)?;
    let (id, before) = match find(change.before, name) {
        Ok(before) => (before.id, Some(before)),
        Err(absent) => (unreadable(change.before, name).ok_or(absent)?, None),
    };
    change.revision();
    tables::delivery_services::delete(change.tx, id)?;
    change.audit("delete", format_args!("delivery service {name}"), before, NOTHING)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::tests::network;

    fn access(services: Option<&[&str]>) -> Access {
        let services = services.map(|names| names.iter().map(|name| name.parse().expect("name")).collect());
        Access { role: AccessRole::Operator, services }
    }

    /// The sample has `demo.weir.test` and `films.weir.test`; a third is to have a domain.
    #[test]
    fn no_domain_takes_another_services_names() {
        let network = network();
        let (all, own) = (access(None), access(Some(&["news"])));
        for (domain, of_all, of_own) in [
            ("news.weir.test", true, true),
            ("xdemo.weir.test", true, true),
            ("demo.weir.test", false, false),
            ("deep.demo.weir.test", true, false),
            ("weir.test", true, false),
            ("test", true, false),
            ("se.demo.weir.test", false, false),
            ("sr.demo.weir.test", false, false),
            ("east-1.se.demo.weir.test", false, false),
            ("x.router-1.sr.films.weir.test", false, false),
            ("xse.demo.weir.test", true, false),
            ("se.news.weir.test", true, true),
        ] {
            let Ok(read) = domain.parse::<Domain>() else { continue };
            for (access, allowed) in [(&all, of_all), (&own, of_own)] {
                let checked = check_domain(&network, access, None, &read);
                assert_eq!(checked.is_ok(), allowed, "{domain} {checked:?}");
                let names = checked.err().is_some_and(|problem| problem.detail.contains("service demo"));
                assert!(!names || access.services.is_none(), "{domain}: whose it is, is nobody's to learn here");
            }
        }
        let mut odd = network.clone();
        odd.services[0].domain = "east-1.se.news.weir.test".parse().expect("domain");
        check_domain(&odd, &all, None, &"news.weir.test".parse().expect("domain")).expect_err("its engine's name is a service's");
        let id = Some(network.services[0].id);
        check_domain(&network, &own, id, &network.services[0].domain).expect("its own");
    }

    #[test]
    fn what_is_published_of_a_held_service_is_not_free() {
        let mut network = network();
        let last = Some(network.services[0].clone());
        let held = crate::published::Held { name: "demo".into(), why: String::new(), last, unreadable: false };
        network.held.insert(network.services[0].id, held);
        network.services[0].domain = "elsewhere.weir.test".parse().expect("domain");
        let domain = "demo.weir.test".parse().expect("domain");
        check_domain(&network, &access(None), None, &domain).expect_err("devices go on with it");
    }
}
