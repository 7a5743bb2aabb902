//! Where an engine's clients would go if it were taken out: the real decision, with and without it, over sample keys.

use crate::{
    candidates::{Field, Unrecorded},
    health::HealthTable,
    network::{Engine, Network, Service},
    placement::Key,
};
use std::{cmp::Reverse, collections::BTreeMap};
use weir_model::{DeviceName, LocationName, ServiceName};

/// Keys each service and reach is tried with: shares are then good to about 4 % (two standard deviations of one half).
pub const SAMPLE_KEYS: u32 = 512;

/// Who takes over a service's clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSuccessors {
    /// The service.
    pub service: ServiceName,
    /// Who takes over, largest share first, then by name. Shares add up to 1000, or to less when some clients would have
    /// nowhere to go. Empty: nobody can take over, or nobody is sent to the engine now.
    pub to: Vec<Successor>,
}

/// One engine that takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Which.
    pub engine: DeviceName,
    /// Where it is.
    pub location: LocationName,
    /// Its share of the engine's clients, in thousandths, never 0.
    pub share_permille: u16,
}

/// For every service the engine carries, who takes over its clients. Each coverage zone counts as much as every other: how
/// many viewers a network has is not known. An engine the network does not have has no services.
pub fn successors(network: &Network, health: &HealthTable, engine: &DeviceName, now_ms: u64) -> Vec<ServiceSuccessors> {
    let Some(leaving) = network.engine(engine) else { return Vec::new() };
    let carried = |service: &&Service| network.engines_of(service, leaving.location).any(|carrier| carrier.name == leaving.name);
    let of = |service: &Service| {
        let lost = lost(Field { network, health, service, now_ms }, leaving);
        ServiceSuccessors { service: service.service.name.clone(), to: shares(network, &lost) }
    };
    network.services().iter().filter(carried).map(of).collect()
}

/// How often each engine is chosen instead; `None` when nobody can be. Keys are weighted with the zones that have the reach.
fn lost<'n>(field: Field<'n, '_>, leaving: &Engine) -> BTreeMap<Option<&'n DeviceName>, u64> {
    let mut lost = BTreeMap::new();
    let domain = &field.service.service.domain;
    for (reach, zones) in field.network.zones().reaches() {
        if !reach.iter().any(|tier| tier.locations.contains(&leaving.location)) {
            continue;
        }
        for number in 0..SAMPLE_KEYS {
            let key = Key::of(domain, &format!("/{number}/"));
            if field.first(key, reach, |_| true, &mut Unrecorded).is_some_and(|engine| engine.name == leaving.name) {
                let instead = field.first(key, reach, |engine| engine.name != leaving.name, &mut Unrecorded);
                *lost.entry(instead.map(|engine| &engine.name)).or_default() += u64::from(zones);
            }
        }
    }
    lost
}

/// Thousandths by the largest remainder, so that rounding loses and invents nothing.
fn shares(network: &Network, lost: &BTreeMap<Option<&DeviceName>, u64>) -> Vec<Successor> {
    let all: u64 = lost.values().sum();
    let mut shares: Vec<(Option<&DeviceName>, u64, u64)> =
        lost.iter().map(|(name, count)| (*name, count * 1000 / all, count * 1000 % all)).collect();
    shares.sort_by_key(|(name, _, remainder)| (Reverse(*remainder), *name));
    let short = lost.len().min(usize::try_from(1000_u64.saturating_sub(shares.iter().map(|share| share.1).sum())).unwrap_or(0));
    shares.iter_mut().take(short).for_each(|share| share.1 += 1);
    shares.sort_by_key(|(name, share, _)| (Reverse(*share), *name));
    let known = shares.into_iter().filter(|(_, share, _)| *share > 0).filter_map(|(name, share, _)| {
        let engine = network.engine(name?)?;
        let location = network.location(engine.location).name.clone();
        let share_permille = u16::try_from(share).expect("at most 1000");
        Some(Successor { engine: engine.name.clone(), location, share_permille })
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use weir_model::OffloadEpoch;

    fn shown(network: &Network, health: &HealthTable, engine: &str) -> Vec<(String, u16)> {
        let all = successors(network, health, &sample::name(engine), 1000);
        let [one] = &all[..] else { return Vec::new() };
        assert_eq!(one.service.as_str(), "demo");
        one.to.iter().map(|to| (format!("{}/{}", to.location, to.engine), to.share_permille)).collect()
    }

    fn owned(expected: &[(&str, u16)]) -> Vec<(String, u16)> {
        expected.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()
    }

    #[test]
    fn the_peer_takes_over_then_the_next_metric_then_up_the_tree() {
        let network = sample::network();
        assert_eq!(shown(&network, &sample::heard(&sample::ENGINES), "east-1"), owned(&[("east/east-2", 1000)]));
        let two = shown(&network, &sample::heard(&["east-1", "west-1", "west-2"]), "east-1");
        assert_eq!(two.iter().map(|(_, share)| share).sum::<u16>(), 1000);
        assert!(two.len() == 2 && two.iter().all(|(name, share)| name.starts_with("west/") && share.abs_diff(500) < 80), "{two:?}");
        assert!(two[0].1 >= two[1].1, "largest first");
        assert_eq!(shown(&network, &sample::heard(&["east-1", "core-2"]), "east-1"), owned(&[("core/core-2", 1000)]));
    }

    #[test]
    fn nobody_takes_over_from_the_last_one_and_nothing_is_lost_by_one_nobody_is_sent_to() {
        let network = sample::network();
        assert_eq!(shown(&network, &sample::heard(&["east-1"]), "east-1"), []);
        assert_eq!(shown(&network, &sample::heard(&sample::ENGINES), "core-1"), [], "viewers are served further out");
        assert_eq!(shown(&network, &sample::heard(&["east-2"]), "east-1"), [], "it is not live");
        assert!(successors(&network, &sample::heard(&sample::ENGINES), &sample::name("stranger"), 1000).is_empty());
    }

    #[test]
    fn an_offloaded_peer_takes_nobody_over() {
        let mut configuration = sample::configuration();
        configuration.engines[3].offload = Some(OffloadEpoch::Clients);
        let network = Network::compile(&configuration).expect("valid");
        let to = shown(&network, &sample::heard(&sample::ENGINES), "east-1");
        assert!(to.len() == 2 && to.iter().all(|(name, _)| name.starts_with("west/")), "{to:?}");
    }

    /// East has three zones where east-2 takes over; one more has only east-1 and then west.
    #[test]
    fn zones_count_alike() {
        let mut configuration = sample::configuration();
        configuration.engines.retain(|engine| engine.name.as_str() != "west-2");
        let mut other = configuration.services[0].clone();
        other.engines = ["east-1", "west-1"].map(sample::name).to_vec();
        other.engines.push(sample::name("core-1"));
        configuration.services = vec![other];
        let mut far = configuration.zones[0].clone();
        far.locations = [(sample::name("east"), 0)].into();
        for network in ["10.1.0.0/16", "10.2.0.0/16"] {
            far.network = network.parse().expect(network);
            configuration.zones.push(far.clone());
        }
        let network = Network::compile(&configuration).expect("valid");
        let to = shown(&network, &sample::heard(&sample::ENGINES), "east-1");
        assert_eq!(to, owned(&[("core/core-1", 667), ("west/west-1", 333)]), "two zones go up the tree, one to the next metric");
    }
}
