//! Alarms as a function of reports and time.

use super::*;
use crate::compile::tests::network;
use weir_device_api::{Condition, Hello, Load, Report, hello::PROTOCOL, report::Rejected};
use weir_model::{Role, Severity, Stamp};

fn heard() -> Heard {
    let report = Report {
        hello: Hello { protocol: PROTOCOL, version: "1.0.0-b1".into(), device: name(), role: Role::Engine, stamp: Stamp::default() },
        boot: 1,
        clock_ms: 1_000_000,
        uptime_ms: 1,
        worker_crashes: 0,
        last_exit: None,
        listeners: Default::default(),
        load: Load::default(),
        rejected: None,
        conditions: Vec::new(),
        drain: None,
        routers: Vec::new(),
        share_permille: None,
        update: None,
        answers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    };
    Heard { at_ms: 1, received_ms: 1_000_000, crashed_ms: None, report }
}

fn name() -> DeviceName {
    "east-1".parse().expect("name")
}

fn steps(status: DeviceStatus, heard: &Heard, standing: &[Alarm], now_ms: u64) -> Vec<Step> {
    let device = name();
    let view = View { name: &device, status, heard: Some(heard), parked: false };
    evaluate(&network(), std::iter::once(view), BTreeMap::new(), standing, now_ms)
}

fn raised(status: DeviceStatus, heard: &Heard, now_ms: u64) -> Vec<(AlarmReason, String)> {
    steps(status, heard, &[], now_ms)
        .into_iter()
        .map(|s| match s {
            Step::Raise { key, .. } => (key.reason, key.object),
            Step::Clear { .. } => panic!("nothing stands"),
        })
        .collect()
}

fn standing(reason: AlarmReason) -> Alarm {
    Alarm {
        id: 7,
        reason,
        severity: Severity::Major,
        device: name(),
        object: String::new(),
        text: String::new(),
        next: String::new(),
        raised_ms: 1,
        acknowledged_ms: None,
        acknowledged_by: None,
        cleared_ms: None,
    }
}

#[test]
fn each_cause_raises_its_reason() {
    let reason = |r| vec![(r, String::new())];
    assert_eq!(raised(DeviceStatus::Online, &heard(), 1_000_000), []);
    assert_eq!(raised(DeviceStatus::Offline, &heard(), 1_000_000), reason(AlarmReason::DeviceOffline));
    for (clock_ms, alarm) in [(1_005_000, false), (1_005_001, true), (995_000, false), (994_999, true), (0, true)] {
        let mut h = heard();
        h.report.clock_ms = clock_ms;
        assert_eq!(raised(DeviceStatus::Online, &h, 1_000_000), if alarm { reason(AlarmReason::ClockSkew) } else { vec![] }, "{clock_ms}");
    }
    let mut h = heard();
    h.crashed_ms = Some(1_000_000);
    assert_eq!(raised(DeviceStatus::Online, &h, 1_000_000), reason(AlarmReason::WorkerCrashed));
    assert_eq!(raised(DeviceStatus::Online, &h, 1_000_000 + CRASH_QUIET_MS), []);
    let mut h = heard();
    h.report.rejected = Some(Rejected { stamp: Stamp::default(), reason: "dangling".into() });
    assert_eq!(raised(DeviceStatus::Online, &h, 1_000_000), reason(AlarmReason::ConfigurationRejected));
    let mut h = heard();
    h.report.conditions = vec![Condition { reason: AlarmReason::OriginUnreachable, object: "demo".into(), text: "refused".into() }];
    assert_eq!(raised(DeviceStatus::Online, &h, 1_000_000), [(AlarmReason::OriginUnreachable, "demo".into())]);
    assert_eq!(raised(DeviceStatus::Inactive, &h, 1_000_000), []);
}

#[test]
fn an_alarm_is_raised_once_and_cleared_when_its_cause_ends() {
    let stands = [standing(AlarmReason::DeviceOffline)];
    assert_eq!(steps(DeviceStatus::Offline, &heard(), &stands, 1_000_000), []);
    assert_eq!(steps(DeviceStatus::Online, &heard(), &stands, 1_000_000), [Step::Clear { id: 7 }]);
    let none = evaluate(&network(), std::iter::empty(), BTreeMap::new(), &stands, 1_000_000);
    assert_eq!(none, [Step::Clear { id: 7 }], "a deleted device has no alarms");
}

#[test]
fn a_device_that_was_offloaded_when_it_fell_silent_raises_nothing() {
    let (device, heard) = (name(), heard());
    let steps = |parked| {
        let view = View { name: &device, status: DeviceStatus::Offline, heard: Some(&heard), parked };
        evaluate(&network(), std::iter::once(view), BTreeMap::new(), &[], 1_000_000).len()
    };
    assert_eq!((steps(true), steps(false)), (0, 1));
}

#[test]
fn what_the_drains_want_stands_besides() {
    let key = Key { reason: AlarmReason::DrainTimeout, device: name(), object: String::new() };
    let want = BTreeMap::from([(key.clone(), "late".to_owned())]);
    let raised = evaluate(&network(), std::iter::empty(), want.clone(), &[], 1);
    assert_eq!(raised, [Step::Raise { key, text: "late".to_owned() }]);
    assert_eq!(evaluate(&network(), std::iter::empty(), want, &[standing(AlarmReason::DrainTimeout)], 1), []);
}
