//! Features that wait for the upgrade of the network, in words: a card of Home and of Update Software.

use crate::{app::App, rollout::waiting};
use weir_operator_api::{Features, WaitingFeature};

/// Names that a sentence has room for.
const NAMED_MAX: usize = 8;

/// What waits, and what is parked meanwhile.
pub(super) struct Waits(Features);

impl std::ops::Deref for Waits {
    type Target = Features;

    fn deref(&self) -> &Features {
        &self.0
    }
}

impl Waits {
    pub(super) fn read(app: &App) -> Self {
        Self(waiting::features(app))
    }

    /// Whether every feature of this build is in use.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.parked.is_empty()
    }

    /// For whom or what a feature waits, without a full stop.
    pub(super) fn wait_of(&self, feature: &WaitingFeature) -> String {
        let names: Vec<String> = feature.devices.iter().map(ToString::to_string).collect();
        match (names.is_empty(), &self.held) {
            (false, _) => format!("waits for {}", listed(&names, feature.devices_total)),
            (true, Some(why)) => format!("every device has it; an operator holds the level at {}: {why}", self.level),
            (true, None) => format!("every device has it; the level is {} until the rollout is finalised", self.level),
        }
    }

    /// What is kept and has no effect, without a full stop; nothing is nothing.
    pub(super) fn parked_said(&self) -> Option<String> {
        let objects: Vec<String> = self.parked.iter().map(|one| format!("{} ({})", one.object, one.gate)).collect();
        let said = || format!("Kept until then, and not given to devices: {}", listed(&objects, self.parked_total));
        (!objects.is_empty()).then(said)
    }
}

/// The first names of so many.
fn listed(names: &[String], total: u32) -> String {
    let shown = &names[..names.len().min(NAMED_MAX)];
    let more = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(shown.len());
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join(", "))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use weir_model::Line;
    use weir_operator_api::ParkedObject;

    /// One feature that waits for so many devices.
    pub(in crate::gui) fn sample(devices: u32, held: Option<&str>, parked: u32) -> Waits {
        let names = (1..=devices).map(|number| format!("east-{number}").parse().expect("name")).collect();
        let feature = WaitingFeature { gate: "detail".into(), since: Line::new(1, 1), devices: names, devices_total: devices };
        let object = |number| ParkedObject { object: format!("delivery service ds-{number}"), gate: "detail".into() };
        Waits(Features {
            level: Line::new(1, 0),
            line: Line::new(1, 1),
            held: held.map(str::to_owned),
            waiting: vec![feature],
            parked: (1..=parked).map(object).collect(),
            parked_total: parked,
        })
    }

    /// Nothing waits.
    pub(in crate::gui) fn none() -> Waits {
        let Waits(features) = sample(0, None, 0);
        Waits(Features { waiting: Vec::new(), ..features })
    }

    #[test]
    fn a_feature_says_for_whom_it_waits() {
        for (waits, said) in [
            (sample(2, None, 0), "waits for east-1, east-2"),
            (sample(2, Some("holidays"), 0), "waits for east-1, east-2"),
            (sample(0, Some("holidays"), 0), "every device has it; an operator holds the level at 1.0: holidays"),
            (sample(0, None, 0), "every device has it; the level is 1.0 until the rollout is finalised"),
        ] {
            assert_eq!(waits.wait_of(&waits.waiting[0]), said);
        }
        let many = sample(20, None, 0);
        assert!(many.wait_of(&many.waiting[0]).ends_with("east-7, east-8 and 12 more"));
    }

    #[test]
    fn what_is_parked_is_named() {
        let said = "Kept until then, and not given to devices: delivery service ds-1 (detail)";
        assert_eq!(sample(0, None, 1).parked_said().as_deref(), Some(said));
        assert_eq!((sample(0, None, 0).parked_said(), sample(0, None, 0).is_empty(), none().is_empty()), (None, false, true));
    }
}
