//! The network that is updated: a tree of locations, engines and routers, and how they look to the planner.

use std::collections::{BTreeMap, BTreeSet};
use weir_model::{DeviceName, Line, Lineage, LocationName, Role, Stamp, Version};
use weir_rollout::{
    guard::{self, EngineFacts, RouterFacts, Standing},
    plan::{BackupFacts, Cms, Contact, DeviceFacts, Facts, LevelFacts, ManagerFacts, PairFacts, Proof, SiteFacts, SiteKind},
    update::Stage,
};

/// Engines of a location that is not a special one.
const ENGINES_PER_SITE: u32 = 18;
/// Each so many-th location has one engine only.
const LONELY_EVERY: u32 = 9;
/// Devices for each router, two of which share a location.
const DEVICES_PER_ROUTER: u32 = 25;
/// What an engine can send, Mbit/s.
const CAPACITY_MBPS: u32 = 10_000;
/// Share of a location's capacity that its peak fills.
const FILL: f64 = 0.5;

/// A line's first build.
pub(crate) fn build(minor: u32) -> Version {
    Version { line: Line::new(1, minor), maintenance: 0, letter: 'b', build: 1 }
}

/// A network of `devices` engines and routers on `running`, its managers, and images up to `lines` lines beyond.
pub(crate) fn facts(devices: u32, running: Version, lines: u32) -> Facts {
    let routers = (devices / DEVICES_PER_ROUTER).max(2);
    let engines = devices.saturating_sub(routers).max(2);
    let count = engines.div_ceil(ENGINES_PER_SITE).max(2);
    let mut sites: Vec<SiteFacts> = (0..count).map(|site| empty_site(site, count)).collect();
    let mut all = Vec::new();
    let mut next = 0;
    for number in 0..engines {
        // A lonely location takes its one engine in the first round only.
        while number >= count && next % LONELY_EVERY == LONELY_EVERY - 1 {
            next = (next + 1) % count;
        }
        let (site, index) = (next, next as usize);
        next = (next + 1) % count;
        let device = device(&format!("e{site}-{number}"), Role::Engine, site, running);
        let engine = engine(&sites[index].name);
        sites[index].guard.engines.insert(device.name.clone(), engine);
        all.push(device);
    }
    for site in &mut sites {
        let peak = FILL * f64::from(CAPACITY_MBPS) * site.guard.engines.values().fold(0.0, |sum, _| sum + 1.0);
        site.guard.egress_mbps_peak.insert(site.name.clone(), peak);
    }
    let mut router_facts = guard::Facts::default();
    for number in 0..routers {
        let site = (number / 2) % count;
        let device = device(&format!("r{number}"), Role::Router, site, running);
        let location = sites[site as usize].name.clone();
        router_facts.routers.insert(device.name.clone(), RouterFacts { location, standing: Standing::Serving });
        all.push(device);
    }
    assemble(all, sites, router_facts, running, lines)
}

fn assemble(devices: Vec<DeviceFacts>, sites: Vec<SiteFacts>, routers: guard::Facts, running: Version, lines: u32) -> Facts {
    let mut lineage = Lineage::default();
    let mut images = BTreeMap::new();
    for minor in 0..=lines {
        lineage.release(build(minor).line, None).expect("minors of one major");
        images.insert(build(minor), format!("{minor:064x}"));
    }
    let manager = ManagerFacts { version: running, cms: Cms::Running, reachable: true, on_trial: false, failed: false };
    Facts {
        devices,
        sites,
        routers,
        pair: PairFacts {
            primary: manager.clone(),
            standby: Some(manager),
            matched: true,
            frozen: false,
            stamp: Stamp { term: 1, generation: 1 },
        },
        images,
        lineage,
        level: LevelFacts { at: running.line, settled: true, would_park: 0 },
        backup: BackupFacts { gate: Proof::Missing, frozen: Proof::Missing, has_safe_place: true },
        comparison: None,
        settling: false,
    }
}

fn empty_site(site: u32, count: u32) -> SiteFacts {
    let name: LocationName = format!("site-{site}").parse().expect("a label");
    let kind = match site {
        0 => SiteKind::Root,
        site if site <= count / 10 => SiteKind::Inner,
        _ => SiteKind::Leaf,
    };
    SiteFacts { name, kind, guard: guard::Facts::default() }
}

fn engine(location: &LocationName) -> EngineFacts {
    EngineFacts {
        location: location.clone(),
        services: BTreeSet::from(["video".parse().expect("a label")]),
        standing: Standing::Serving,
        capacity_mbps: Some(CAPACITY_MBPS),
        draining: None,
    }
}

fn device(name: &str, role: Role, site: u32, version: Version) -> DeviceFacts {
    let name: DeviceName = name.parse().expect("a label");
    DeviceFacts {
        name,
        role,
        site,
        wariness: 0,
        contact: Contact::Reporting,
        version: Some(version),
        stage: Stage::Idle { reason: None },
        obeyed: None,
        burned: Vec::new(),
        on_probation: false,
        leased: false,
    }
}
