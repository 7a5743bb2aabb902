//! What a box that becomes another version does next, and how it says where it stands. Pure.

use crate::cms::SwitchNote;
use weir_device_api::SwitchState;
use weir_model::{Stamp, Version};
use weir_operator_api::CmsState;
use weir_slots::BootRecord;

/// How long a version on trial may be in a state that is none to stay in, milliseconds, before it is left.
const SETTLE_MS: u64 = 5_000;

/// How long a version on trial, of a line below its database, waits for the other manager to get there, milliseconds, before it is left:
/// the version before still serves that database.
const TOGETHER_MS: u64 = 90_000;

/// Which of the two versions of the note this worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// The one it was to become, on trial.
    OnTrial,
    /// The same, for good.
    Target,
    /// The one before, which the keeper went back to.
    Returned,
    /// The one before, and nothing went back; or neither.
    Other,
}

/// What is known of the box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here {
    pub(super) runs: Runs,
    pub(super) state: CmsState,
    /// For how long it has been in it, milliseconds.
    pub(super) since_ms: u64,
    /// A verb has `config.db` alone.
    pub(super) held: bool,
    /// A way back of the database was begun on this box and not ended.
    pub(super) half_back: bool,
    /// The configuration is frozen.
    pub(super) frozen: bool,
    /// The standby hears its primary.
    pub(super) in_contact: bool,
    /// Every other active manager runs the same version as this box, or there is none.
    pub(super) together: bool,
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// The version is good.
    Commit,
    /// The version is not.
    Back,
    /// The database goes back to what this version reads, and the box is enabled.
    Database,
    /// The switch is at its end.
    Forget,
}

/// The rule.
pub(super) fn next(note: &SwitchNote, here: Here) -> Next {
    let down = note.to < note.from;
    if here.held {
        return Next::Nothing;
    }
    let ahead = here.state == CmsState::DisabledSchemaAhead || (here.state == CmsState::Disabled && here.half_back);
    match here.runs {
        Runs::Other => Next::Nothing,
        // The version that was left had taken the database up.
        Runs::Returned if ahead => Next::Database,
        Runs::Returned => Next::Nothing,
        Runs::OnTrial | Runs::Target if ahead && !down => Next::Back,
        // Until its database is one of its own the version before is the way out; an operator at the command line takes it himself.
        Runs::OnTrial if ahead && !note.way_back => Next::Commit,
        Runs::OnTrial | Runs::Target if ahead && note.way_back && here.together => Next::Database,
        Runs::OnTrial if ahead && here.since_ms >= TOGETHER_MS => Next::Back,
        Runs::OnTrial if ahead => Next::Nothing,
        Runs::Target if ahead => Next::Nothing,
        Runs::OnTrial | Runs::Target => match (here.state, here.runs) {
            // Until the configuration is unfrozen the version before is the way out.
            (CmsState::Primary, _) if here.frozen => Next::Nothing,
            (CmsState::Standby, Runs::OnTrial) if !here.in_contact => Next::Nothing,
            (CmsState::Primary | CmsState::Standby, Runs::OnTrial) => Next::Commit,
            (CmsState::Primary | CmsState::Standby, _) => Next::Forget,
            (_, Runs::OnTrial) if here.since_ms >= SETTLE_MS => Next::Back,
            _ => Next::Nothing,
        },
    }
}

/// Which of the two this worker is, by the boot record.
pub(super) fn runs(note: &SwitchNote, record: &BootRecord, own: &str, own_version: Version) -> Runs {
    let is_target = |manifest: &str| manifest == note.manifest;
    if is_target(own) {
        let on_trial = record.trial.as_ref().is_some_and(|trial| is_target(&trial.slot.manifest.to_string()));
        return if on_trial { Runs::OnTrial } else { Runs::Target };
    }
    let left = record.fell_back.as_ref().is_some_and(|left| is_target(&left.slot.manifest.to_string()));
    if left && own_version == note.from { Runs::Returned } else { Runs::Other }
}

/// How it stands, for the other manager and for operators.
pub(super) fn stand(
    note: &SwitchNote,
    record: Option<&BootRecord>,
    failed: &Option<(String, String)>,
    doing: Option<&str>,
) -> (SwitchState, String) {
    if let Some((_, why)) = failed.as_ref().filter(|(manifest, _)| *manifest == note.manifest) {
        return (SwitchState::Failed, why.clone());
    }
    let is_target = |manifest: String| manifest == note.manifest;
    if let Some(record) = record {
        if record.trial.as_ref().is_some_and(|trial| is_target(trial.slot.manifest.to_string())) {
            return (SwitchState::OnTrial, String::new());
        }
        if is_target(record.active.manifest.to_string()) {
            return (SwitchState::Committed, String::new());
        }
        let obeyed = Stamp { term: record.term, generation: record.generation };
        let left = record.fell_back.as_ref().filter(|left| is_target(left.slot.manifest.to_string()) && obeyed >= note.stamp);
        if let Some(left) = left {
            return (SwitchState::Failed, format!("{} fell back: {}", note.to, left.reason));
        }
    }
    (SwitchState::Switching, doing.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_slots::{FellBack, SlotRef, Trial, digest_of_bytes};

    fn version(text: &str) -> Version {
        text.parse().expect("version")
    }

    fn note(from: &str, to: &str) -> SwitchNote {
        let manifest = digest_of_bytes(to.as_bytes()).to_string();
        SwitchNote { stamp: Stamp::default(), from: version(from), to: version(to), manifest, way_back: true }
    }

    fn here(runs: Runs, state: CmsState) -> Here {
        Here { runs, state, since_ms: 0, held: false, half_back: false, frozen: false, in_contact: true, together: true }
    }

    #[test]
    fn every_row_of_the_table() {
        use CmsState::{Disabled, DisabledDamaged, DisabledSchemaAhead as Ahead, Primary, Standby};
        let up = || note("1.0.0-b1", "1.1.0-b1");
        let down = || note("1.1.0-b1", "1.0.0-b1");
        let of = here;
        let rows = [
            ("up, the primary on trial while frozen", up(), Here { frozen: true, ..of(Runs::OnTrial, Primary) }, Next::Nothing),
            ("up, the primary, unfrozen", up(), of(Runs::OnTrial, Primary), Next::Commit),
            ("up, the primary, committed", up(), of(Runs::Target, Primary), Next::Forget),
            ("up, the standby is not heard yet", up(), Here { in_contact: false, ..of(Runs::OnTrial, Standby) }, Next::Nothing),
            ("up, the standby hears the primary", up(), of(Runs::OnTrial, Standby), Next::Commit),
            ("up, the standby, for good, while frozen", up(), Here { frozen: true, ..of(Runs::Target, Standby) }, Next::Forget),
            ("up, a database ahead of a newer version", up(), of(Runs::OnTrial, Ahead), Next::Back),
            ("up, damaged, a moment", up(), of(Runs::OnTrial, DisabledDamaged), Next::Nothing),
            ("up, damaged", up(), Here { since_ms: SETTLE_MS, ..of(Runs::OnTrial, DisabledDamaged) }, Next::Back),
            ("up, fell back, its database is ahead", up(), of(Runs::Returned, Ahead), Next::Database),
            ("up, fell back, alone", up(), Here { together: false, ..of(Runs::Returned, Ahead) }, Next::Database),
            ("up, fell back, nothing to do", up(), of(Runs::Returned, Primary), Next::Nothing),
            ("up, a way back cut off", up(), Here { half_back: true, ..of(Runs::Returned, Disabled) }, Next::Database),
            ("disabled by an operator", up(), of(Runs::Returned, Disabled), Next::Nothing),
            ("down, both are there, on trial", down(), of(Runs::OnTrial, Ahead), Next::Database),
            ("down, the other one is on its way", down(), Here { together: false, ..of(Runs::OnTrial, Ahead) }, Next::Nothing),
            ("down, it never comes", down(), Here { together: false, since_ms: TOGETHER_MS, ..of(Runs::OnTrial, Ahead) }, Next::Back),
            ("down, for an operator, on trial", SwitchNote { way_back: false, ..down() }, of(Runs::OnTrial, Ahead), Next::Commit),
            ("down, a way back cut off", down(), Here { half_back: true, ..of(Runs::OnTrial, Disabled) }, Next::Database),
            ("down, the primary while frozen", down(), Here { frozen: true, ..of(Runs::OnTrial, Primary) }, Next::Nothing),
            ("down, the other one is not there", down(), Here { together: false, ..of(Runs::Target, Ahead) }, Next::Nothing),
            ("down, both are there", down(), of(Runs::Target, Ahead), Next::Database),
            ("down, for an operator", SwitchNote { way_back: false, ..down() }, of(Runs::Target, Ahead), Next::Nothing),
            ("down, no step between", down(), of(Runs::OnTrial, Standby), Next::Commit),
            ("held", down(), Here { held: true, ..of(Runs::Target, Ahead) }, Next::Nothing),
            ("something else was installed", up(), of(Runs::Other, Ahead), Next::Nothing),
        ];
        for (row, note, here, expected) in rows {
            assert_eq!(next(&note, here), expected, "{row}");
        }
    }

    #[test]
    fn the_boot_record_says_which_of_the_two_runs() {
        let note = note("1.0.0-b1", "1.1.0-b1");
        let slot = |text: &str| SlotRef::of(text, digest_of_bytes(text.as_bytes()));
        let (old, new) = (slot("1.0.0-b1"), slot("1.1.0-b1"));
        let at_rest = BootRecord::first(old.clone());
        let on_trial = BootRecord { trial: Some(Trial { slot: new.clone(), tries: 1, deadline_ms: 1 }), ..at_rest.clone() };
        let left = BootRecord { fell_back: Some(FellBack { slot: new.clone(), reason: "crashed".into() }), ..at_rest.clone() };
        let there = BootRecord::first(new.clone());
        let of = |record: &BootRecord, slot: &SlotRef| runs(&note, record, &slot.manifest.to_string(), version(&slot.version));
        assert_eq!(of(&at_rest, &old), Runs::Other);
        assert_eq!(of(&on_trial, &new), Runs::OnTrial);
        assert_eq!(of(&left, &old), Runs::Returned);
        assert_eq!(of(&there, &new), Runs::Target);
        let says = |record: &BootRecord| stand(&note, Some(record), &None, None).0;
        assert_eq!(
            [&at_rest, &on_trial, &left, &there].map(says),
            [SwitchState::Switching, SwitchState::OnTrial, SwitchState::Failed, SwitchState::Committed]
        );
    }
}
