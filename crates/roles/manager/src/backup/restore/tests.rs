//! Each refusal of a restore by its name.

use super::*;
use crate::backup::file::tests::of;

fn here() -> Here {
    let manifest = of(b"");
    Here {
        name: "manager-1".parse().expect("name"),
        line: Version::current().line,
        steps: (7, 7),
        network_id: Some(manifest.network_id),
        key: Some(manifest.key_fingerprint),
    }
}

#[test]
fn what_is_for_this_box_is_allowed() {
    assert_eq!(allowed(&of(b""), &here()), Ok(()));
    assert_eq!(allowed(&of(b""), &Here { network_id: None, ..here() }), Ok(()), "a box that is of no network yet");
}

#[test]
fn each_refusal_says_what_to_do() {
    let manifest = || of(b"");
    let table = [
        (BackupManifest { version: "9.9.0-b1".into(), ..manifest() }, here(), Reason::BackupForeign, "runs line"),
        (BackupManifest { step: 8, ..manifest() }, here(), Reason::BackupForeign, "schema step 8"),
        (BackupManifest { step: 6, ..manifest() }, here(), Reason::BackupForeign, "schema step 6"),
        (BackupManifest { network_id: "00".repeat(32), ..manifest() }, here(), Reason::BackupForeign, "another network"),
        (BackupManifest { manager: "manager-2".parse().expect("name"), ..manifest() }, here(), Reason::BackupForeign, "made on manager-2"),
        (manifest(), Here { key: None, ..here() }, Reason::KeyMissing, "has none"),
        (manifest(), Here { key: Some("ff".repeat(8)), ..here() }, Reason::KeyMissing, "this box has ffff"),
    ];
    for (manifest, here, reason, word) in table {
        let problem = allowed(&manifest, &here).expect_err("refused");
        assert!(problem.reason == reason && problem.detail.contains(word), "{problem}");
    }
    let other = BackupManifest { manager: "manager-2".parse().expect("name"), ..manifest() };
    assert!(allowed(&other, &here()).expect_err("refused").next.contains("promote the standby"));
}

#[test]
fn the_term_is_above_every_known_one_and_far_above_while_one_is_silent() {
    assert_eq!(term_above([None, Some(3), Some(9), None, Some(4)], true), Ok(10));
    assert_eq!(term_above([Some(9)], false), Ok(9 + SILENT_STEPS));
    assert_eq!(term_above([], true), Ok(1));
    assert!(term_above([Some(u64::MAX)], true).is_err() && term_above([Some(TERM_MAX)], true).is_err());
}

#[test]
fn nobody_is_restored_beside_a_primary_and_beside_a_silent_one_only_on_an_operators_word() {
    let said = |name: &str, hello| Said { name: name.into(), hello };
    let (standby, silent, primary) = (said("manager-2", Some((4, false))), said("manager-3", None), said("manager-4", Some((4, true))));
    assert_eq!(may_take_over(&[], &OnRecord::Named, false), Ok(true));
    assert_eq!(may_take_over(std::slice::from_ref(&standby), &OnRecord::Named, false), Ok(true));
    let refused = |said: &[Said], accept_loss| may_take_over(said, &OnRecord::Named, accept_loss).expect_err("refused");
    let of_silent = refused(&[standby.clone(), silent.clone()], false);
    assert!(of_silent.reason == Reason::WouldLose && of_silent.detail.contains("manager-3") && of_silent.next.contains("--accept-loss"));
    assert_eq!(may_take_over(&[standby.clone(), silent.clone()], &OnRecord::Named, true), Ok(false));
    for accept_loss in [false, true] {
        let of_primary = refused(&[silent.clone(), standby.clone(), primary.clone()], accept_loss);
        assert!(of_primary.reason == Reason::CmsState && of_primary.detail.contains("manager-4"), "{of_primary}");
    }
}

/// The backup may be older than the enrolment of a manager that is the primary by now, and only this box's own record names it.
#[test]
fn who_cannot_say_who_the_others_are_has_not_heard_them_all() {
    let unreadable = OnRecord::Unreadable("page 2".into());
    assert_eq!(may_take_over(&[], &OnRecord::Nothing, false), Ok(false), "a box that is new takes a term far above");
    assert_eq!(may_take_over(&[], &OnRecord::Nothing, true), Ok(false));
    let problem = may_take_over(&[], &unreadable, false).expect_err("refused");
    assert!(
        problem.reason == Reason::WouldLose && problem.detail.contains("page 2") && problem.next.contains("--accept-loss"),
        "{problem}"
    );
    assert_eq!(may_take_over(&[], &unreadable, true), Ok(false));
    let standby = Said { name: "manager-2".into(), hello: Some((4, false)) };
    assert!(may_take_over(std::slice::from_ref(&standby), &unreadable, false).is_err());

    let dir = tempfile::tempdir().expect("dir");
    let id = of(b"").network_id;
    assert_eq!(managers_here(dir.path(), &id), (vec![], OnRecord::Nothing), "nothing is there");
    std::fs::write(dir.path().join("config.db"), "not a database ".repeat(100)).expect("written");
    let (named, on_record) = managers_here(dir.path(), &id);
    assert!(named.is_empty() && matches!(on_record, OnRecord::Unreadable(_)), "{on_record:?}");
}
