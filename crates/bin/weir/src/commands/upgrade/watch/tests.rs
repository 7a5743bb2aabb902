//! When a wait ends, and with what.

use super::*;
use crate::commands::upgrade::show::tests::{reason, update};

/// An update at this stage, and how it rests.
fn at(stage: &str, at_rest: bool, successful: Option<bool>) -> DeviceUpdate {
    DeviceUpdate { at_rest, successful, ..update(stage) }
}

fn assigned(now: &mut DeviceUpdate) -> &mut AssignedUpdate {
    now.assigned.as_mut().expect("it is assigned something")
}

#[test]
fn a_wait_goes_on_while_anything_moves() {
    for stage in [
        "assigned",
        "fetching",
        "blocked",
        "staged",
        "offload_requested",
        "draining",
        "drained",
        "switching",
        "trial",
        "readmitting",
        "proving",
        "committed",
        "ramping",
        "releasing",
        "rolling_back",
        "rolled_back",
        "lost",
    ] {
        assert_eq!(Wish::Become(7).look(&at(stage, false, None)), Look::NotYet, "{stage}");
        assert_eq!(Wish::LetGo(7).look(&at(stage, false, None)), Look::NotYet, "{stage}");
    }
}

#[test]
fn what_was_before_the_assignment_was_taken_up_ends_no_wait() {
    // The device rests at the end of the update before; the manager says so by this word alone.
    for successful in [None, Some(true), Some(false)] {
        assert_eq!(Wish::Become(7).look(&at("pending", true, successful)), Look::NotYet, "{successful:?}");
    }
    assert_eq!(Wish::Become(7).look(&at("done", true, Some(true))), Look::Done);
}

#[test]
fn an_assignment_the_device_refuses_is_not_waited_for() {
    let waits = |word| DeviceUpdate { waiting: Some(reason(word)), ..at("pending", false, None) };
    assert_eq!(Wish::Become(7).look(&waits("not_acknowledged")), Look::NotYet);
    assert_eq!(Wish::Become(7).look(&waits("burned")), Look::Never("Words: what exactly (burned); do this".into()));
}

#[test]
fn another_assignment_ends_a_wait() {
    for wish in [Wish::Become(6), Wish::LetGo(6)] {
        assert_eq!(wish.look(&at("done", true, Some(true))), Look::Never("1.1.0-b1 took its place, assigned by user:admin".into()));
    }
    let gone = DeviceUpdate { assigned: None, ..at("idle", true, None) };
    assert_eq!(Wish::Become(7).look(&gone), Look::Never("it is assigned nothing any more".into()));
}

#[test]
fn staged_is_the_end_where_that_was_asked_for() {
    let mut now = at("staged", true, None);
    assigned(&mut now).auto_reload = false;
    assert_eq!(Wish::Become(7).look(&now), Look::Done);
    now.at_rest = false;
    assert_eq!(Wish::Become(7).look(&now), Look::Done, "nothing moves it but an operator");
    assigned(&mut now).reload = true;
    assert_eq!(Wish::Become(7).look(&now), Look::NotYet, "the operator has spoken");
    assigned(&mut now).reload = false;
    assigned(&mut now).cancelled = true;
    assert_eq!(Wish::LetGo(7).look(&now), Look::NotYet, "it is about to let go");
}

#[test]
fn what_did_not_become_it_says_why() {
    let failed = DeviceUpdate { reason: Some(reason("crashed")), ..at("failed", true, Some(false)) };
    assert_eq!(Wish::Become(7).look(&failed), Look::Never("Words: what exactly (crashed); do this".into()));
    let stuck = at("needs_hands", true, None);
    assert_eq!(Wish::Become(7).look(&stuck), Look::Never("Words".into()));
}

#[test]
fn a_cancel_ends_well_only_when_it_came_in_time() {
    let let_go = DeviceUpdate { reason: Some(reason("cancelled")), ..at("idle", true, Some(false)) };
    assert_eq!(Wish::LetGo(7).look(&let_go), Look::Done);
    assert!(matches!(Wish::LetGo(7).look(&at("done", true, Some(true))), Look::Never(why) if why.contains("too late")));
    let failed = DeviceUpdate { reason: Some(reason("crashed")), ..at("failed", true, Some(false)) };
    assert!(matches!(Wish::LetGo(7).look(&failed), Look::Never(why) if why.contains("crashed")));
}

#[test]
fn clearing_waits_until_nothing_is_burned() {
    let mut now = at("failed", true, Some(false));
    now.burned = vec!["1.1.0-b1".into()];
    assert_eq!(Wish::NothingBurned.look(&now), Look::NotYet);
    now.burned.clear();
    assert_eq!(Wish::NothingBurned.look(&now), Look::Done);
}
