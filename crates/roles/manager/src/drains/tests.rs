//! What is remembered between looks, with time as an argument.

use super::*;
use crate::{alarms::Key, compile::tests::network};
use weir_device_api::{Hello, Load, Report, RouterContact, hello::PROTOCOL};
use weir_model::{AlarmReason, LeaseOwner, Stamp};
use weir_operator_api::OffloadLease;

const WALL_MS: u64 = 1_700_000_000_000;
const STARTED_MS: u64 = BASE_MS + 500;
const DEVICE: &str = "east-1";

fn name(text: &str) -> DeviceName {
    text.parse().expect("name")
}

fn outside(peers_generation: Option<u64>) -> Outside {
    let lease = OffloadLease {
        owner: LeaseOwner::Operator,
        why: "disk".into(),
        by: "local".into(),
        since_ms: WALL_MS,
        expires_ms: None,
        overrides: false,
    };
    Outside { since_ms: WALL_MS, clients_generation: 40, peers_generation, leases: vec![lease] }
}

/// A report that came `at_ms` after the beginning of time; 0: kept from before the manager started.
fn heard(device: &str, role: Role, generation: u64, at_ms: u64, sessions: Option<u32>) -> (DeviceName, Heard) {
    let drain = sessions.map(|sessions| Drain {
        epoch: OffloadEpoch::Peers,
        for_ms: 1,
        active_requests: 0,
        sessions,
        fills_for_others: 0,
        newest: Vec::new(),
        late_sessions: 0,
        late_requests: 0,
    });
    let stamp = Stamp { term: 1, generation };
    let report = Report {
        hello: Hello { protocol: PROTOCOL, version: "1.0.0-b1".into(), device: name(device), role, stamp },
        boot: 1,
        clock_ms: 0,
        uptime_ms: 1,
        worker_crashes: 0,
        last_exit: None,
        listeners: Default::default(),
        load: Load::default(),
        rejected: None,
        conditions: Vec::new(),
        drain,
        routers: Vec::new(),
        share_permille: None,
        update: None,
        answers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    };
    (name(device), Heard { at_ms, received_ms: WALL_MS, crashed_ms: None, report })
}

/// Everybody runs this generation and was heard at `at_ms`; east-1 has this many sessions left.
fn all_heard(generation: u64, at_ms: u64, sessions: u32) -> BTreeMap<DeviceName, Heard> {
    let engine = |device| heard(device, Role::Engine, generation, at_ms, None);
    BTreeMap::from([
        heard("router-1", Role::Router, generation, at_ms, None),
        engine("core-1"),
        engine("core-2"),
        heard(DEVICE, Role::Engine, generation, at_ms, Some(sessions)),
    ])
}

fn sight<'a>(network: &'a Snapshot, heard: &'a BTreeMap<DeviceName, Heard>, at_ms: u64) -> Sight<'a> {
    Sight { network, heard, started_ms: STARTED_MS, now_ms: BASE_MS + at_ms, wall_ms: WALL_MS + at_ms }
}

/// Looks every half second from `from_ms` until `to_ms`, with a report each time.
fn follow(network: &Snapshot, watch: &mut Watch, outside: &Outside, sessions: u32, from_ms: u64, to_ms: u64) {
    for at_ms in (from_ms..=to_ms).step_by(500) {
        let reports = all_heard(42, at_ms, sessions);
        watch.judge(&sight(network, &reports, at_ms), &network.devices[DEVICE], outside);
    }
}

fn drained(watch: &Watch) -> bool {
    watch.verdict.as_ref().is_some_and(|v| v.drained)
}

#[test]
fn a_drain_past_its_hard_limit_is_overdue_until_it_is_drained() {
    let (network, outside) = (network(), outside(Some(42)));
    let reports = all_heard(42, 1000, 1);
    let mut watch = Watch::new(&sight(&network, &reports, 1000), &outside, None);
    follow(&network, &mut watch, &outside, 1, 1000, 59_500);
    assert!(!watch.overdue && !drained(&watch));
    follow(&network, &mut watch, &outside, 1, 60_000, 61_000);
    assert!(watch.overdue);
    follow(&network, &mut watch, &outside, 0, 61_500, 65_000);
    assert!(drained(&watch) && !watch.overdue);
    follow(&network, &mut watch, &outside, 1, 65_500, 66_000);
    assert!(!drained(&watch) && !watch.overdue, "a viewer that came back has a limit of its own");
}

#[test]
fn a_device_that_falls_silent_when_it_was_drained_stays_parked_until_it_says_otherwise() {
    let (network, outside) = (network(), outside(Some(42)));
    let reports = all_heard(42, 5000, 0);
    let mut watch = Watch::new(&sight(&network, &reports, 5000), &outside, None);
    follow(&network, &mut watch, &outside, 0, 5000, 9000);
    assert!(drained(&watch) && watch.parked);
    let last = all_heard(42, 9000, 0);
    watch.judge(&sight(&network, &last, 100_000), &network.devices[DEVICE], &outside);
    assert!(!drained(&watch), "what is silent is known to run nothing no longer");
    assert!(watch.parked && !watch.overdue);
    follow(&network, &mut watch, &outside, 1, 100_500, 100_500);
    assert!(!watch.parked);
}

#[test]
fn a_drained_device_that_starts_anew_stays_parked_until_it_shows_work() {
    let (network, outside) = (network(), outside(Some(42)));
    let reports = all_heard(42, 5000, 0);
    let parked = |restarted: (DeviceName, Heard)| {
        let mut watch = Watch::new(&sight(&network, &reports, 5000), &outside, None);
        follow(&network, &mut watch, &outside, 0, 5000, 9000);
        assert!(drained(&watch));
        let mut reports = all_heard(42, 12_000, 0);
        reports.extend([restarted]);
        watch.judge(&sight(&network, &reports, 12_000), &network.devices[DEVICE], &outside);
        assert!(!drained(&watch), "it must be stable again");
        watch.parked
    };
    let restarted = |generation, sessions| heard(DEVICE, Role::Engine, generation, 12_000, sessions);
    let with_load = |load: Load| {
        let (name, mut heard) = restarted(39, None);
        heard.report.load = load;
        (name, heard)
    };
    assert!(parked(restarted(39, None)), "it runs the configuration of its last start and serves nobody");
    assert!(!parked(with_load(Load { sessions: 1, ..Load::default() })));
    assert!(!parked(with_load(Load { active_requests: 1, ..Load::default() })));
    assert!(!parked(restarted(42, Some(1))));
}

/// A reading of the acknowledgements of `clients` after reports came, one set after another, at 1000 ms, 2000 ms, ...
fn acknowledged(rounds: &[BTreeMap<DeviceName, Heard>], peers_generation: Option<u64>) -> (Vec<String>, Vec<String>) {
    let (network, outside) = (network(), outside(peers_generation));
    let (mut clients, mut peers) = (BTreeMap::new(), BTreeMap::new());
    for (round, reports) in rounds.iter().enumerate() {
        let now_ms = 1000 * (round as u64 + 1);
        sight(&network, reports, now_ms).note_acknowledgements(&network.devices[DEVICE], &outside, &mut clients, &mut peers);
    }
    let names = |acks: BTreeMap<DeviceName, u64>| acks.into_iter().map(|(name, at)| format!("{name} {}", at - BASE_MS)).collect();
    (names(clients), names(peers))
}

#[test]
fn a_device_that_starts_anew_with_an_older_configuration_acknowledges_no_longer() {
    let back = |at_ms| {
        let mut reports = all_heard(42, at_ms, 0);
        reports.extend([heard("core-1", Role::Engine, 39, at_ms, None)]);
        reports
    };
    let all = |at: [u64; 4]| {
        let devices = ["core-1", "core-2", "east-1", "router-1"];
        devices.iter().zip(at).filter(|(_, at)| *at > 0).map(|(device, at)| format!("{device} {at}")).collect::<Vec<_>>()
    };
    let rounds = [all_heard(42, 1000, 0), back(2000), all_heard(42, 3000, 0)];
    let of = |rounds: &[_]| acknowledged(rounds, Some(42));
    assert_eq!(of(&rounds[..1]), (all([1000; 4]), all([1000; 4])));
    assert_eq!(of(&rounds[..2]), (all([0, 1000, 1000, 1000]), all([0, 1000, 1000, 1000])));
    assert_eq!(of(&rounds), (all([3000, 1000, 1000, 1000]), all([3000, 1000, 1000, 1000])), "the time begins again");
    // Silence withdraws nothing: it is given up by its own rule.
    let silent = std::array::from_fn::<_, 9, _>(|round| all_heard(42, if round == 0 { 1000 } else { 1001 }, 0));
    assert_eq!(of(&silent).0, all([1000; 4]));
}

#[test]
fn what_the_lifeline_says_now_withdraws_what_a_silent_router_said_once() {
    let stamp = |generation| Some(Stamp { term: 1, generation });
    // Router-1 was last heard at 1000 ms; the engine reports on.
    let round = |router_generation, router_at_ms, at_ms, contact: Option<Option<Stamp>>| {
        let mut reports = all_heard(42, at_ms, 0);
        reports.extend([heard("router-1", Role::Router, router_generation, router_at_ms, None)]);
        let engine = reports.get_mut(DEVICE).expect("heard");
        engine.report.routers = contact.map(|obeyed| RouterContact { router: name("router-1"), obeyed }).into_iter().collect();
        reports
    };
    let late = |contact| {
        let mut rounds = vec![round(42, 1000, 1000, None)];
        rounds.extend((2..=5).map(|second| round(42, 1000, second * 1000, contact)));
        acknowledged(&rounds, None).0.iter().any(|ack| ack.starts_with("router-1"))
    };
    assert!(late(None), "no lifeline: nobody says otherwise");
    assert!(late(Some(stamp(40))));
    assert!(!late(Some(stamp(39))));
    assert!(!late(Some(None)));
    let now = |router_generation, contact| {
        let found = acknowledged(&[round(router_generation, 1000, 1000, contact)], None).0;
        found.iter().any(|ack| ack.starts_with("router-1"))
    };
    assert!(now(42, Some(None)), "its own report of now is enough");
    assert!(now(39, Some(stamp(40))), "and so is the lifeline: it learnt of the offload from the engine");
    assert!(!now(39, Some(stamp(39))));
}

#[test]
fn a_restarted_manager_takes_what_a_device_said_last_for_parked() {
    let network = network();
    for (generation, sessions, peers, expected) in [
        (42, Some(0), Some(42), true),
        (42, Some(1), Some(42), false),
        (42, None, Some(42), false),
        (42, Some(0), None, false),
        (39, Some(0), Some(42), false),
    ] {
        let outside = outside(peers);
        let reports = BTreeMap::from([heard(DEVICE, Role::Engine, generation, 0, sessions)]);
        let sight = sight(&network, &reports, 500);
        let watch = Watch::new(&sight, &outside, reports.get(DEVICE));
        assert_eq!(watch.parked, expected, "{generation} {sessions:?} {peers:?}");
    }
}

#[test]
fn what_a_device_said_before_it_learnt_of_its_offload_is_no_evidence() {
    let (network, outside) = (network(), outside(Some(42)));
    let mut reports = all_heard(42, 10_000, 0);
    let (device, stale) = heard(DEVICE, Role::Engine, 39, 10_000, Some(0));
    reports.insert(device, stale);
    let sight = sight(&network, &reports, 10_000);
    let mut watch = Watch::new(&sight, &outside, None);
    watch.judge(&sight, &network.devices[DEVICE], &outside);
    let kinds: Vec<_> = watch.verdict.expect("judged").waits.iter().map(weir_rollout::Wait::as_str).collect();
    assert_eq!(kinds, ["not_reporting", "acknowledgement", "acknowledgement"]);
}

fn wanted(drains: &Drains, network: &Snapshot, standing: &[weir_operator_api::Alarm], now_ms: u64) -> Vec<(AlarmReason, String)> {
    drains.alarms(network, standing, now_ms).into_keys().map(|Key { reason, object, .. }| (reason, object)).collect()
}

#[test]
fn a_lease_of_an_operator_without_an_end_is_alarmed_after_a_day() {
    let day_ms = 24 * 60 * 60 * 1000;
    for (expires_ms, owner, now_ms, expected) in [
        (None, LeaseOwner::Operator, WALL_MS + day_ms - 1, false),
        (None, LeaseOwner::Operator, WALL_MS + day_ms, true),
        (Some(WALL_MS + 9 * day_ms), LeaseOwner::Operator, WALL_MS + day_ms, false),
        (None, LeaseOwner::Rollout, WALL_MS + day_ms, false),
    ] {
        let mut network = network();
        let mut out = outside(None);
        out.leases[0].expires_ms = expires_ms;
        out.leases[0].owner = owner;
        network.outside.insert(name(DEVICE), out);
        let found = wanted(&Drains::default(), &network, &[], now_ms);
        let expected: Vec<_> = expected.then(|| (AlarmReason::OffloadLong, String::new())).into_iter().collect();
        assert_eq!(found, expected, "{expires_ms:?} {owner} {now_ms}");
    }
}

#[test]
fn the_guards_alarm_outlasts_a_restart() {
    let network = network();
    let alarm = |object: &str| weir_operator_api::Alarm {
        id: 1,
        reason: AlarmReason::UpgradeGuard,
        severity: AlarmReason::UpgradeGuard.severity(),
        device: name(DEVICE),
        object: object.into(),
        text: "figures".into(),
        next: String::new(),
        raised_ms: 1,
        acknowledged_ms: None,
        acknowledged_by: None,
        cleared_ms: None,
    };
    let expected = [(AlarmReason::UpgradeGuard, "east".to_owned())];
    assert_eq!(wanted(&Drains::default(), &network, &[alarm("east"), alarm("nowhere")], 1), expected);
    let drains = Drains::default();
    assert_eq!(wanted(&drains, &network, &[], 1), []);
    assert_eq!(wanted(&drains, &network, &[alarm("east")], 1), [], "it is this manager's own by now, and its floor holds");
}
