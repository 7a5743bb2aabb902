//! Features that this build has and the network may not use yet: which devices they wait for, and what is parked meanwhile.

use super::level;
use crate::{
    app::App,
    domain::level::{Members, Needing, parked},
};
use weir_model::{Gate, GateKind, Line, Version, release::gates};
use weir_operator_api::{Features, ParkedObject, WaitingFeature, features::LISTED_MAX};

/// What waits now.
pub(crate) fn features(app: &App) -> Features {
    let network = app.network();
    let held = app.rollouts.kept().filter(|kept| !kept.plan.is_over()).and_then(|kept| kept.plan.held.clone());
    let parked = parked(&network, network.level);
    Features {
        level: network.level,
        line: Version::current().line,
        held,
        waiting: waiting(network.level, gates(), &level::members(app, &network)),
        parked_total: counted(parked.len()),
        parked: parked.into_iter().take(LISTED_MAX).map(shown).collect(),
    }
}

fn shown(Needing { object, gate }: Needing) -> ParkedObject {
    ParkedObject { object, gate: gate.name }
}

fn counted(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Gates that are closed only because of the level, each with the members that are below its line.
fn waiting(level: Line, gates: Vec<Gate>, members: &Members) -> Vec<WaitingFeature> {
    let waits = |gate: &Gate| gate.kind == GateKind::Cluster && gate.default && !gate.is_open(Some(level));
    let feature = |gate: Gate| {
        let mut devices: Vec<_> =
            members.iter().filter(|(_, runs)| runs.is_none_or(|runs| runs < gate.since)).map(|(name, _)| name.clone()).collect();
        let devices_total = counted(devices.len());
        devices.truncate(LISTED_MAX);
        WaitingFeature { gate: gate.name, since: gate.since, devices, devices_total }
    };
    gates.into_iter().filter(waits).map(feature).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::{DeviceName, FIRST_LEVEL};

    const NEXT: Line = Line::new(1, 1);

    fn gate(name: &str, kind: GateKind, default: bool) -> Gate {
        Gate { name: name.to_owned(), kind, since: NEXT, default }
    }

    fn name(text: &str) -> DeviceName {
        text.parse().expect("name")
    }

    #[test]
    fn a_gate_waits_while_the_level_is_below_its_line() {
        let all = || {
            vec![
                gate("everywhere", GateKind::Cluster, true),
                gate("here", GateKind::Local, true),
                gate("off", GateKind::Cluster, false),
                gate("two", GateKind::Pairwise, true),
            ]
        };
        let waiting = |level| waiting(level, all(), &Members::new()).into_iter().map(|one| one.gate).collect::<Vec<_>>();
        assert_eq!(waiting(FIRST_LEVEL), ["everywhere"]);
        assert_eq!(waiting(NEXT), Vec::<String>::new());
        assert_eq!(waiting(Line::new(2, 0)), Vec::<String>::new());
    }

    #[test]
    fn it_waits_for_members_below_its_line_and_for_those_that_said_none() {
        let members = Members::from([
            (name("core-1"), Some(NEXT)),
            (name("core-2"), Some(Line::new(2, 0))),
            (name("east-1"), Some(FIRST_LEVEL)),
            (name("east-2"), None),
        ]);
        let one = waiting(FIRST_LEVEL, vec![gate("everywhere", GateKind::Cluster, true)], &members).remove(0);
        assert_eq!((one.devices, one.devices_total), (vec![name("east-1"), name("east-2")], 2));
        let ready = Members::from([(name("core-1"), Some(NEXT))]);
        let one = waiting(FIRST_LEVEL, vec![gate("everywhere", GateKind::Cluster, true)], &ready).remove(0);
        assert_eq!((one.devices, one.devices_total), (vec![], 0), "the level itself has not risen");
    }

    #[test]
    fn a_long_list_is_counted_and_cut() {
        let members: Members = (0..LISTED_MAX + 20).map(|number| (name(&format!("edge-{number}")), None)).collect();
        let one = waiting(FIRST_LEVEL, vec![gate("everywhere", GateKind::Cluster, true)], &members).remove(0);
        assert_eq!((one.devices.len(), one.devices_total), (LISTED_MAX, 120));
    }

    #[test]
    fn what_this_build_has() {
        let names: Vec<_> = waiting(FIRST_LEVEL, gates(), &Members::new()).into_iter().map(|one| one.gate).collect();
        let expected: &[&str] = if cfg!(feature = "synthetic-next") { &["service-detail"] } else { &[] };
        assert_eq!(names, expected);
    }
}
