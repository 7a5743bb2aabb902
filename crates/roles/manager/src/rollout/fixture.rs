//! A small network, and software files, as tests of rollouts make them up.

use crate::software::record::{Origin, Record, Registration, Standing};
use std::collections::{BTreeMap, BTreeSet};
use weir_model::{DeviceName, DownloadMethod, Line, Lineage, LocationName, Role, SoftwareState, Stamp, Version};
use weir_operator_api::SoftwareRelease;
use weir_rollout::{
    guard::{self, EngineFacts, RouterFacts, Standing as Serving},
    pair_order::Direction,
    plan::{
        BackupFacts, Cms, Command, Contact, DeviceFacts, Facts, LevelFacts, ManagerFacts, PairFacts, Plan, Policy, Proof, RolloutProfile,
        Scope, SiteFacts, SiteKind, Ticked, command, make, tick,
    },
    update::Stage,
};

pub(super) fn version(text: &str) -> Version {
    text.parse().expect("version")
}

fn device(name: &str, role: Role, site: u32) -> DeviceFacts {
    DeviceFacts {
        name: name.parse().expect("name"),
        role,
        site,
        wariness: 0,
        contact: Contact::Reporting,
        version: Some(version("1.0.0-b1")),
        stage: Stage::Idle { reason: None },
        obeyed: None,
        burned: Vec::new(),
        on_probation: false,
        leased: false,
    }
}

/// Locations `core` and `east` with so many engines each, a router in `core`; everything runs 1.0.0-b1, and 1.1.0-b1 is there.
pub(super) fn facts(engines: u32) -> Facts {
    let mut devices = Vec::new();
    let mut sites = Vec::new();
    for (number, site) in ["core", "east"].into_iter().enumerate() {
        let location: LocationName = site.parse().expect("name");
        let mut guard = guard::Facts::default();
        for engine in 1..=engines {
            let facts = device(&format!("{site}-{engine}"), Role::Engine, u32::try_from(number).expect("two"));
            let serves = EngineFacts {
                location: location.clone(),
                services: BTreeSet::new(),
                standing: Serving::Serving,
                capacity_mbps: None,
                draining: None,
            };
            guard.engines.insert(facts.name.clone(), serves);
            devices.push(facts);
        }
        let kind = if number == 0 { SiteKind::Root } else { SiteKind::Leaf };
        sites.push(SiteFacts { name: location, kind, guard });
    }
    let mut routers = guard::Facts::default();
    for name in ["router-1", "router-2"] {
        let router = device(name, Role::Router, 0);
        routers.routers.insert(router.name.clone(), RouterFacts { location: sites[0].name.clone(), standing: Serving::Serving });
        devices.push(router);
    }
    let line = |text: &str| text.parse::<Line>().expect("line");
    let mut lineage = Lineage::default();
    for text in ["1.0", "1.1"] {
        lineage.release(line(text), None).expect("released");
    }
    let manager = ManagerFacts { version: version("1.0.0-b1"), cms: Cms::Running, reachable: true, on_trial: false, failed: false };
    Facts {
        devices,
        sites,
        routers,
        pair: PairFacts {
            primary: manager.clone(),
            standby: Some(manager),
            matched: true,
            frozen: false,
            stamp: Stamp { term: 1, generation: 4 },
        },
        images: BTreeMap::from([(version("1.0.0-b1"), "aa".to_owned()), (version("1.1.0-b1"), "bb".to_owned())]),
        lineage,
        level: LevelFacts { at: line("1.0"), settled: true, would_park: 0 },
        backup: BackupFacts { gate: Proof::Missing, frozen: Proof::Missing, has_safe_place: false },
        comparison: None,
        settling: false,
    }
}

/// Location `core` from 1.0.0-b1 to 1.1.0-b1, not started.
pub(super) fn planned(facts: &Facts) -> Plan {
    let profile = RolloutProfile::named("rehearsal").expect("named");
    let scope = Scope::Location("core".parse().expect("name"));
    let policy = Policy { scope, ..Policy::network(Direction::Up, version("1.1.0-b1"), profile) };
    make(policy, facts, 0).expect("a plan")
}

pub(super) fn started(facts: &Facts) -> Plan {
    let plan = planned(facts);
    let hash = plan.design.hash();
    said(&plan, facts, &Command::Start { hash })
}

pub(super) fn said(plan: &Plan, facts: &Facts, word: &Command) -> Plan {
    command(plan, facts, word).expect("taken")
}

pub(super) fn ticked(plan: &Plan, facts: &Facts, now_ms: u64) -> Ticked {
    tick(plan, facts, now_ms)
}

pub(super) fn name(text: &str) -> DeviceName {
    text.parse().expect("name")
}

/// A software file of a version, whose image's MANIFEST has this digest.
pub(super) fn file(id: i64, of: &str, manifest: &str, state: SoftwareState) -> Record {
    Record {
        id,
        registration: Registration {
            origin: Origin::Upload { file_name: format!("weir-{of}.weir") },
            version: None,
            bytes: None,
            auto_reload: true,
            method: DownloadMethod::Default,
            comment: String::new(),
        },
        standing: Standing { state, reason: None },
        checks: Vec::new(),
        release: Some(release(of, manifest)),
        created_ms: 0,
        created_by: String::new(),
        queued_ms: None,
        validated_ms: None,
    }
}

fn release(of: &str, manifest: &str) -> SoftwareRelease {
    SoftwareRelease {
        version: version(of),
        line: version(of).line,
        arch: "x86_64".to_owned(),
        archive_sha256: format!("archive of {of}"),
        archive_bytes: 1_000,
        image_sha256: format!("image of {of}"),
        manifest_sha256: manifest.to_owned(),
        schema: (1, 1),
        gates: vec![],
        notes: String::new(),
    }
}
