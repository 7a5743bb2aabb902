//! What may be asked for, and what is said of the rest.

use super::*;
use crate::rollout::fixture::{facts, name};
use weir_rollout::{
    pair_order::Driver,
    plan::{BackupGate, Parking, StandbyWord},
};

fn asked(version: &str) -> RolloutRequest {
    RolloutRequest { version: version.to_owned(), ..RolloutRequest::default() }
}

#[test]
fn what_is_not_said_is_what_most_want() {
    let facts = facts(2);
    let policy = policy(&asked("1.1.0-b1"), &facts, "standard").expect("a policy");
    assert_eq!((policy.direction, &policy.scope, policy.on_failed), (Direction::Up, &Scope::Network, OnFailed::RollbackWave));
    assert_eq!((policy.profile.name.as_str(), policy.shares.as_slice()), ("standard", &[10, 25, 50, 100][..]));
    assert_eq!(super::policy(&asked("1.1.0-b1"), &facts, "rehearsal").expect("a policy").profile.name, "rehearsal");
    assert_eq!(super::policy(&asked("0.9.0-b1"), &facts, "standard").expect("a policy").direction, Direction::Down);
}

#[test]
fn everything_that_is_said_is_taken() {
    let request = RolloutRequest {
        devices: vec!["core-1".into(), "router-1".into()],
        direction: Some("downgrade".into()),
        profile: Some("fast".into()),
        on_failed: Some("rollback_all".into()),
        shares: Some(vec![50, 100]),
        at_once: Some(3),
        windows: vec![RolloutWindow { from_ms: 1, until_ms: 2 }],
        pins: vec!["core-1".into()],
        events: vec![RolloutWindow { from_ms: 3, until_ms: 4 }],
        during_event: Some(" the final is off ".into()),
        alone: Some("route_to_parent".into()),
        ..asked("1.1.0-b1")
    };
    let policy = policy(&request, &facts(2), "standard").expect("a policy");
    assert_eq!(policy.scope, Scope::Group([name("core-1"), name("router-1")].into()));
    assert_eq!((policy.direction, policy.on_failed, policy.at_once), (Direction::Down, OnFailed::RollbackAll, 3));
    assert_eq!((policy.shares, policy.windows.len(), policy.pins.len()), (vec![50, 100], 1, 1));
    assert_eq!(policy.profile.name, "fast");
    assert_eq!(policy.events, [Window { from_ms: 3, until_ms: 4 }]);
    assert_eq!((policy.during_event.as_deref(), policy.alone), (Some("the final is off"), Alone::RouteToParent));
}

#[test]
fn each_way_of_a_device_nobody_stands_in_for_is_a_word() {
    for (word, alone) in [("hot", Alone::Hot), ("route_to_parent", Alone::RouteToParent), ("window", Alone::Window)] {
        let request = RolloutRequest { alone: Some(word.into()), ..asked("1.1.0-b1") };
        assert_eq!(policy(&request, &facts(2), "standard").expect(word).alone, alone, "{word}");
    }
}

#[test]
fn the_whole_network_has_managers_a_backup_and_a_level() {
    let plain = policy(&asked("0.9.0-b1"), &facts(2), "standard").expect("a policy");
    assert_eq!((plain.driver, plain.standby), (Driver::Gui, StandbyWord::Expected));
    assert_eq!((plain.backup, plain.parking, plain.during_event), (BackupGate::Required, Parking::Refused, None));
    let request = RolloutRequest {
        driver: Some("cli".into()),
        no_standby: true,
        no_backup: Some(" a laboratory ".into()),
        parking: true,
        ..asked("0.9.0-b1")
    };
    let said = policy(&request, &facts(2), "standard").expect("a policy");
    assert_eq!((said.driver, said.standby), (Driver::Cli, StandbyWord::MayBeMissing));
    assert_eq!((said.backup, said.parking), (BackupGate::Skipped { why: "a laboratory".into() }, Parking::Accepted));
    let by_page = RolloutRequest { driver: Some("gui".into()), ..asked("1.1.0-b1") };
    assert_eq!(policy(&by_page, &facts(2), "standard").expect("a policy").driver, Driver::Gui);
}

#[test]
fn a_part_of_the_network_has_none_of_these() {
    let part = || RolloutRequest { role: Some("engine".into()), ..asked("1.1.0-b1") };
    for (request, field) in [
        (RolloutRequest { driver: Some("gui".into()), ..part() }, "driver"),
        (RolloutRequest { no_standby: true, ..part() }, "no_standby"),
        (RolloutRequest { no_backup: Some("a laboratory".into()), ..part() }, "no_backup"),
        (RolloutRequest { parking: true, ..part() }, "parking"),
    ] {
        let problem = policy(&request, &facts(2), "standard").expect_err(field);
        assert_eq!((problem.reason, problem.field.as_deref()), (Reason::InvalidField, Some(field)), "{problem}");
    }
    policy(&part(), &facts(2), "standard").expect("a part");
}

#[test]
fn each_mistake_names_its_field() {
    let good = || asked("1.1.0-b1");
    for (request, field, words) in [
        (asked(""), "version", "no version"),
        (asked("1.1"), "version", "1.1"),
        (RolloutRequest { location: Some("mars".into()), ..good() }, "location", "there is no location mars"),
        (RolloutRequest { location: Some("core".into()), role: Some("engine".into()), ..good() }, "location", "more than one"),
        (RolloutRequest { devices: vec!["core-9".into()], ..good() }, "devices", "core-9 is no active"),
        (RolloutRequest { role: Some("manager".into()), ..good() }, "role", "neither engine nor router"),
        (RolloutRequest { direction: Some("up".into()), ..good() }, "direction", "neither upgrade nor downgrade"),
        (RolloutRequest { profile: Some("slow".into()), ..good() }, "profile", "standard, fast, rehearsal, emergency"),
        (RolloutRequest { on_failed: Some("panic".into()), ..good() }, "on_failed", "rollback_wave"),
        (RolloutRequest { shares: Some(vec![]), ..good() }, "shares", "not between 1 and"),
        (RolloutRequest { at_once: Some(0), ..good() }, "at_once", "not between 1 and"),
        (RolloutRequest { windows: vec![RolloutWindow { from_ms: 2, until_ms: 2 }], ..good() }, "windows[0]", "ends before"),
        (RolloutRequest { events: vec![RolloutWindow { from_ms: 2, until_ms: 1 }], ..good() }, "events[0]", "ends before"),
        (RolloutRequest { events: vec![RolloutWindow { from_ms: 1, until_ms: 2 }; NAMED_MAX + 1], ..good() }, "events", "more than"),
        (RolloutRequest { during_event: Some(" ".into()), ..good() }, "during_event", "nobody says why"),
        (RolloutRequest { during_event: Some("x".repeat(501)), ..good() }, "during_event", "longer than 500"),
        (RolloutRequest { alone: Some("route-to-parent".into()), ..good() }, "alone", "hot, route_to_parent, window"),
        (RolloutRequest { driver: Some("page".into()), ..good() }, "driver", "neither gui nor cli"),
        (RolloutRequest { driver: Some("cli".into()), ..good() }, "driver", "only a downgrade"),
        (RolloutRequest { no_backup: Some("".into()), ..good() }, "no_backup", "nobody says why"),
        (RolloutRequest { no_backup: Some("x".repeat(501)), ..good() }, "no_backup", "longer than 500"),
        (RolloutRequest { pins: vec!["core-9".into()], ..good() }, "pins", "core-9 is no active"),
    ] {
        let problem = policy(&request, &facts(2), "standard").expect_err(field);
        assert_eq!(problem.field.as_deref(), Some(field), "{problem}");
        assert!(problem.detail.contains(words), "{words}: {problem}");
    }
}
