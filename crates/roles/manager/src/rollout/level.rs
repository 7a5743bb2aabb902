//! The level as a rollout sees it, and how a rollout brings it to a line.

use crate::{
    app::App,
    change::Caller,
    domain::level::{self, Members, lower, raise},
    snapshot::Snapshot,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use weir_model::{DeviceName, Line, Stamp, Version};
use weir_operator_api::Problem;
use weir_rollout::plan::{Contact, DeviceFacts, Excuse, LevelFacts};

/// Where the level stands among these devices.
pub(super) fn facts(app: &App, network: &Snapshot, devices: &[DeviceFacts]) -> LevelFacts {
    let since = Stamp { term: network.stamp.term, generation: network.level_generation };
    let settled = app.reports.with_all(|heard| {
        let runs = |name: &DeviceName| heard.get(name).map(|heard| heard.report.hello.stamp);
        has_settled(since, devices.iter().map(|device| (device.contact, runs(&device.name))))
    });
    LevelFacts { at: network.level, settled, would_park: would_park(network) }
}

/// Whether every device that is heard has a configuration on disk that was written at the present level. A device names a
/// configuration only once it is kept.
fn has_settled(since: Stamp, devices: impl IntoIterator<Item = (Contact, Option<Stamp>)>) -> bool {
    devices.into_iter().all(|(contact, runs)| match contact {
        Contact::Reporting | Contact::Silent => runs >= Some(since),
        Contact::Lost | Contact::Gone => true,
    })
}

/// Objects that a level one line lower cannot have: lines are a step apart, so that is what came with the line of this one.
fn would_park(network: &Snapshot) -> u32 {
    let count = level::needing(network).into_iter().filter(|one| one.gate.since == network.level && one.gate.is_open(Some(network.level)));
    u32::try_from(count.count()).unwrap_or(u32::MAX)
}

/// The line of every active device and manager, as it was last heard. Whoever the rollout excused is not waited for.
pub(super) fn members(app: &App, network: &Snapshot) -> Members {
    let excused = excused(app);
    let standby = app.pair.info(app).and_then(|info| Some((info.name, info.version?)));
    let active = network.devices.values().filter(|device| device.active && !excused.contains(&device.name));
    app.reports.with_all(|heard| {
        let said = |name: &DeviceName| match &standby {
            _ if *name == app.name => Some(Version::current()),
            Some((standby, version)) if standby == name => version.parse().ok(),
            _ => heard.get(name)?.report.hello.version.parse().ok(),
        };
        active.map(|device| (device.name.clone(), said(&device.name).map(|version| version.line))).collect::<BTreeMap<_, _>>()
    })
}

/// Devices that the rollout under way does not wait for.
fn excused(app: &App) -> BTreeSet<DeviceName> {
    let Some(kept) = app.rollouts.kept().filter(|kept| !kept.plan.is_over()) else { return BTreeSet::new() };
    let dead = |(position, lane): (usize, &weir_rollout::plan::Lane)| {
        (lane.excuse == Excuse::Dead).then(|| kept.plan.member(position).name.clone())
    };
    kept.plan.lanes.iter().enumerate().filter_map(dead).collect()
}

/// Raises or lowers the level to a line. Does nothing where it is there.
///
/// # Errors
/// A member does not run that line; no change of the configuration is taken now.
pub(crate) async fn bring(app: &Arc<App>, line: Line) -> Result<(), Problem> {
    if app.network().level == line {
        return Ok(());
    }
    let of = Arc::clone(app);
    let change = move |change: &crate::change::Change<'_>| match line > change.before.level {
        true => raise(change, line, &members(&of, change.before)),
        false => lower(change, line),
    };
    app.change(Caller::manager(), change).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::FIRST_LEVEL;

    #[test]
    fn the_level_has_settled_when_every_device_that_is_heard_has_it_on_disk() {
        let since = Stamp { term: 2, generation: 40 };
        let at = |term, generation| Some(Stamp { term, generation });
        for (contact, runs, settled) in [
            (Contact::Reporting, at(2, 40), true),
            (Contact::Reporting, at(2, 41), true),
            (Contact::Reporting, at(3, 1), true),
            (Contact::Reporting, at(2, 39), false),
            (Contact::Reporting, at(1, 90), false),
            (Contact::Reporting, None, false),
            (Contact::Silent, at(2, 39), false),
            (Contact::Silent, at(2, 40), true),
            (Contact::Lost, at(2, 39), true),
            (Contact::Lost, None, true),
            (Contact::Gone, None, true),
        ] {
            let others = [(Contact::Reporting, at(2, 44))];
            assert_eq!(has_settled(since, others.into_iter().chain([(contact, runs)])), settled, "{contact:?} {runs:?}");
        }
    }

    #[test]
    fn a_line_without_features_parks_nothing() {
        let network = crate::compile::tests::network();
        assert_eq!((network.level, would_park(&network)), (FIRST_LEVEL, 0));
    }

    #[cfg(feature = "synthetic-next")]
    #[test]
    fn what_came_with_the_level_would_be_parked_below_it() {
        let mut network = crate::compile::tests::network();
        network.services[1].detail = Some("gold".parse().expect("a detail"));
        let at = |minor| would_park(&Snapshot { level: Line::new(1, minor), ..network.clone() });
        assert_eq!((at(0), at(1), at(2)), (0, 1, 0), "parked already; would be; 1.1 has it too");
    }
}
