//! What may be asked for, and what is said of the rest.

use super::*;
use crate::rollout::fixture::{facts, name};

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
        windows: vec![weir_operator_api::RolloutWindow { from_ms: 1, until_ms: 2 }],
        pins: vec!["core-1".into()],
        ..asked("1.1.0-b1")
    };
    let policy = policy(&request, &facts(2), "standard").expect("a policy");
    assert_eq!(policy.scope, Scope::Group([name("core-1"), name("router-1")].into()));
    assert_eq!((policy.direction, policy.on_failed, policy.at_once), (Direction::Down, OnFailed::RollbackAll, 3));
    assert_eq!((policy.shares, policy.windows.len(), policy.pins.len()), (vec![50, 100], 1, 1));
    assert_eq!(policy.profile.name, "fast");
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
        (
            RolloutRequest { windows: vec![weir_operator_api::RolloutWindow { from_ms: 2, until_ms: 2 }], ..good() },
            "windows[0]",
            "ends before",
        ),
        (RolloutRequest { pins: vec!["core-9".into()], ..good() }, "pins", "core-9 is no active"),
    ] {
        let problem = policy(&request, &facts(2), "standard").expect_err(field);
        assert_eq!(problem.field.as_deref(), Some(field), "{problem}");
        assert!(problem.detail.contains(words), "{words}: {problem}");
    }
}
