//! Every pair of versions and every neighbour, against the rules written out again.

use super::*;
use std::collections::BTreeSet;

fn version(text: &str) -> Version {
    text.parse().expect(text)
}

fn lineage() -> Lineage {
    let mut lineage = Lineage::default();
    for line in ["1.0", "1.1", "1.2", "2.0", "2.1"] {
        lineage.release(line.parse().expect("line"), None).expect("released");
    }
    lineage
}

/// Two builds of one line, and the lines around a bridge.
const VERSIONS: [&str; 7] = ["1.0.0-b1", "1.0.1-b1", "1.1.0-b1", "1.2.0-b1", "2.0.0-b1", "2.1.0-b1", "3.0.0-b1"];

fn judged(role: Role, target: &str, running: Option<&str>, others: &[(&str, Role, &str)], primary: &str) -> Result<(), OrderReason> {
    let names: Vec<DeviceName> = others.iter().map(|(name, ..)| name.parse().expect("name")).collect();
    let members = |(name, (_, role, at)): (_, &(&str, Role, &str))| Member { name, role: *role, version: version(at) };
    let network: Vec<_> = names.iter().zip(others).map(members).collect();
    let outcome = may_run(role, version(target), running.map(version), &network, version(primary), &lineage());
    outcome.map_err(|refused| {
        assert!(!refused.text.is_empty() && !refused.next.is_empty(), "{refused:?}");
        assert!(!refused.text.ends_with('.') && !refused.next.ends_with('.'), "{refused:?}");
        refused.reason
    })
}

/// One step: the same line, the next minor, or over the bridge from 1.2 to 2.0.
fn one_step(a: &str, b: &str) -> bool {
    let steps = [("1.0", "1.1"), ("1.1", "1.2"), ("1.2", "2.0"), ("2.0", "2.1")];
    let line = |text: &str| version(text).line.to_string();
    let (a, b) = (line(a), line(b));
    a == b || steps.iter().any(|(low, high)| (a == *low && b == *high) || (a == *high && b == *low))
}

/// Two minors of a major, or two majors.
fn quarantined(a: &str, b: &str) -> bool {
    let line = |text: &str| version(text).line;
    let (a, b) = (line(a), line(b));
    a.major.abs_diff(b.major) > 1 || (a.major == b.major && a.minor.abs_diff(b.minor) > 1)
}

#[test]
fn every_version_for_every_device_beside_every_other() {
    let mut seen = BTreeSet::new();
    for target in VERSIONS {
        for running in VERSIONS.map(Some).into_iter().chain([None]) {
            for primary in VERSIONS {
                for other in VERSIONS {
                    for role in [Role::Engine, Role::Router] {
                        let found = judged(role, target, running, &[("east-2", Role::Engine, other)], primary);
                        let dark = |version: &str| version.starts_with('3');
                        let expected = if let Some(running) = running.filter(|running| quarantined(running, primary)) {
                            match (running, primary) {
                                (from, to) if dark(from) || dark(to) => Err(OrderReason::NoPath),
                                // Of 1.0 and 1.2, either way.
                                _ if target == "1.1.0-b1" => Ok(()),
                                _ => Err(OrderReason::LinesBetween),
                            }
                        } else if version(target) < version(primary) {
                            Err(OrderReason::BelowPrimary)
                        } else if running.is_some_and(|running| !one_step(running, target)) {
                            // 3.0 was never released: nothing leads there.
                            let dark = dark(target) || running.is_some_and(dark);
                            Err(if dark { OrderReason::NoPath } else { OrderReason::LinesBetween })
                        } else if !one_step(other, target) && !quarantined(other, primary) {
                            Err(OrderReason::TooFarApart)
                        } else {
                            Ok(())
                        };
                        assert_eq!(found, expected, "{role} {running:?} -> {target} beside {other} under {primary}");
                        seen.insert(found.err());
                    }
                }
            }
            assert_eq!(judged(Role::Manager, target, running, &[], VERSIONS[0]), Err(OrderReason::PairUpdate));
        }
    }
    seen.insert(Some(OrderReason::PairUpdate));
    assert_eq!(seen.len(), OrderReason::ALL.len() + 1, "each is reached: {seen:?}");
}

#[test]
fn the_next_step_is_named() {
    let next = |target: &str, running: &str, other: Option<&str>| {
        let name: DeviceName = "east-2".parse().expect("name");
        let network: Vec<_> = other.iter().map(|at| Member { name: &name, role: Role::Router, version: version(at) }).collect();
        let outcome = may_run(Role::Engine, version(target), Some(version(running)), &network, version("1.0.0-b1"), &lineage());
        let refused = outcome.expect_err("refused");
        format!("{refused}; {}", refused.next)
    };
    assert_eq!(
        next("1.2.0-b1", "1.0.0-b1", None),
        "it runs 1.0.0-b1, and 1.2.0-b1 is 2 lines on: 1.0, 1.1, 1.2; assign a version of line 1.1 first"
    );
    assert_eq!(
        next("1.2.0-b1", "2.1.0-b1", None),
        "it runs 2.1.0-b1, and 1.2.0-b1 is 2 lines on: 2.1, 2.0, 1.2; assign a version of line 2.0 first"
    );
    assert_eq!(
        next("1.2.0-b1", "1.1.0-b1", Some("1.0.0-b1")),
        "router east-2 runs 1.0.0-b1, which is more than one line from 1.2.0-b1; bring east-2 to line 1.1 first"
    );
}
