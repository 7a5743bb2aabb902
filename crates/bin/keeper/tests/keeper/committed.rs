//! After the commit: a way back that is slow, damaged or not readable.

use crate::{
    device::{self, Device, FIRST},
    handover::{LONG_MS, NEXT, switched},
};

#[test]
fn a_switch_does_not_wait_for_a_worker_that_retires_slowly() {
    let device = Device::new();
    let next = device.stage(NEXT);
    device.write(&format!("behaviour-{FIRST}"), "never-drains");
    let _keeper = device.start(&["--drain-ms", "300"]);
    let old = device.answer().pid;
    device.switch(&next, 1, LONG_MS, LONG_MS);
    device.wait_serves(NEXT);
    device.say("commit");
    device.say(&format!("retire {LONG_MS}"));
    let third = device.stage("1.2.0-b1");
    device.switch(&third, 2, LONG_MS, LONG_MS);
    device.wait_serves("1.2.0-b1");
    assert!(!device::alive(old));
}

#[test]
fn stopping_does_not_wait_for_a_worker_that_retires_slowly() {
    let device = Device::new();
    let next = device.stage(NEXT);
    device.write(&format!("behaviour-{FIRST}"), "never-drains");
    let mut keeper = device.start(&["--drain-ms", "300"]);
    device.answer();
    device.switch(&next, 1, LONG_MS, LONG_MS);
    device.wait_serves(NEXT);
    device.say("commit");
    device.say(&format!("retire {LONG_MS}"));
    device.wait_heard(NEXT, "slots 3 false", 1);
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0));
}

#[test]
fn a_way_back_that_does_not_verify_is_not_taken_by_a_worker_that_serves() {
    let (device, _keeper, next, [old, new]) = switched("", &[]);
    let first = device.record().active;
    device.say("commit");
    device.say("retire 0");
    device.wait("the parked worker ends", || !device::alive(old));
    device.damage(&first);
    device.say("back own_errors burn");
    device.wait_heard(NEXT, "refused BACK no_way_back", 1);
    assert_eq!(device.answer().pid, new);
    assert_eq!((device.record().active, device.record().fell_back), (next, None));
}

#[test]
fn a_committed_slot_that_cannot_be_read_gives_way_to_the_parked_worker() {
    let (device, _keeper, next, [old, new]) = switched("", &[]);
    device.say("commit");
    device.wait("the commit", || device.record().trial.is_none());
    device.make_unreadable(&next);
    device::kill(new, "KILL");
    assert_eq!(device.wait_serves(FIRST), old);
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "image_refused".to_owned()));
    assert!(device.record().burned.is_empty(), "reading failed, which says nothing against the image");
}

#[test]
fn an_active_slot_that_cannot_be_read_for_good_is_replaced_by_the_one_before() {
    let (device, _keeper, next, [old, new]) = switched("", &[]);
    device.say("commit");
    device.say("retire 0");
    device.wait("the parked worker ends", || !device::alive(old));
    device.make_unreadable(&next);
    device::kill(new, "KILL");
    device.wait_serves(FIRST);
    assert_eq!(device.log("slot not read").len(), 2, "the third counts as one that does not verify");
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "image_refused".to_owned()));
}

#[test]
fn after_the_commit_a_worker_that_does_not_come_again_gives_way_to_the_parked_one() {
    let (device, _keeper, next, [old, new]) = switched("", &[]);
    device.say("commit");
    device.wait("the commit", || device.record().trial.is_none());
    device.write(&format!("behaviour-{NEXT}"), "never-ready");
    device::kill(new, "KILL");
    assert_eq!(device.wait_serves(FIRST), old);
    assert_eq!(device.record().burned, [next.manifest]);
}
