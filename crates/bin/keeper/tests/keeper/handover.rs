//! The hand-over to another slot, and every way back.

use crate::device::{self, Device, FIRST, Keeper};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use weir_slots::SlotRef;

/// The version that is switched to.
pub(crate) const NEXT: &str = "1.1.0-b1";

/// Longer than any test: what is not tested here does not come.
pub(crate) const LONG_MS: u64 = 600_000;

/// What the way back to a parked worker may take here: five times what is promised.
const WAY_BACK: Duration = Duration::from_secs(5);

/// A device that serves, and the slot of the next version beside it.
fn ready_to_switch(behaviour: &str, arguments: &[&str]) -> (Device, Keeper, SlotRef) {
    let device = Device::new();
    let next = device.stage(NEXT);
    device.write(&format!("behaviour-{NEXT}"), behaviour);
    let keeper = device.start(&[&["--drain-ms", "3000"], arguments].concat());
    assert_eq!(device.answer().version, FIRST);
    (device, keeper, next)
}

/// A device whose worker takes its time to park, on its way to the slot of the next version.
fn switching_with_a_late_park() -> (Device, Keeper) {
    let device = Device::new();
    let next = device.stage(NEXT);
    device.write(&format!("behaviour-{FIRST}"), "parks-late");
    let keeper = device.start(&[]);
    device.answer();
    device.switch(&next, 1, LONG_MS, LONG_MS);
    (device, keeper)
}

/// The same after the hand-over; the process of each worker.
pub(crate) fn switched(behaviour: &str, arguments: &[&str]) -> (Device, Keeper, SlotRef, [u32; 2]) {
    let (device, keeper, next) = ready_to_switch(behaviour, arguments);
    let old = device.pid("worker.pid").expect("the worker");
    device.switch(&next, 1, LONG_MS, LONG_MS);
    let new = device.wait_serves(NEXT);
    device.wait_log("listeners handed over", 1);
    (device, keeper, next, [old, new])
}

#[test]
fn listeners_are_handed_over_and_committed_and_the_old_worker_retires() {
    let (device, _keeper, next, [old, new]) = switched("", &[]);
    let record = device.record();
    assert_eq!((record.active.version.as_str(), record.trial.as_ref().map(|trial| &trial.slot)), (FIRST, Some(&next)));
    assert_eq!((record.term, record.generation), (1, 1));
    device.wait("worker.pid names the one that serves", || device.pid("worker.pid") == Some(new));
    device.wait_heard(NEXT, "parked true 7", 1);
    assert!(device::alive(old), "the way back is parked");
    device.say("commit");
    device.wait("the commit", || device.record().last_good.as_ref() == Some(&next));
    let record = device.record();
    assert_eq!((&record.active, record.previous.expect("previous").version.as_str(), record.trial), (&next, FIRST, None));
    device.say("commit");
    device.wait_heard(NEXT, "slots 3 true", 2);
    device.say("retire 1234");
    device.wait("the parked worker ends", || !device::alive(old));
    assert_eq!(device.heard(FIRST).last().expect("heard"), "drain 1234");
    device.wait_heard(NEXT, "slots 3 false", 1);
    // OLD learns of the trial, NEW of both with its listeners.
    assert_eq!(device.heard(FIRST)[1..4], ["slots 1 false", "accept", "slots 2 false"]);
    assert_eq!(device.heard(NEXT)[1..5], ["slots 2 false", "accept", "slots 2 true", "parked true 7"]);
    assert_eq!(device.wait_serves(NEXT), new);
}

#[test]
fn connections_that_wait_for_a_slow_park_are_all_served_by_the_new_worker() {
    let (device, _keeper) = switching_with_a_late_park();
    device.wait_heard(FIRST, "park", 1);
    let queued: Vec<_> = (0..60).map(|_| device.connect()).collect();
    let asked: Vec<_> = (0..4).map(|_| device.ask_by_datagram()).collect();
    device.write("park", "now");
    assert!(queued.into_iter().all(|connection| device::answer_of(connection).version == NEXT));
    assert!(asked.iter().all(|socket| device::datagram_answer(socket).version == NEXT));
}

#[test]
fn no_connection_is_lost_in_many_hand_overs() {
    let (device, _keeper, next) = ready_to_switch("", &[]);
    let first = device.record().active;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = || {
            let mut answers = 0u32;
            while !done.load(Ordering::Relaxed) {
                device.answer();
                answers += 1;
            }
            answers
        };
        let clients = [scope.spawn(client), scope.spawn(client)];
        for generation in 1..=10 {
            let slot = if generation % 2 == 1 { &next } else { &first };
            device.switch(slot, generation, LONG_MS, LONG_MS);
            device.wait_log("listeners handed over", usize::try_from(generation).expect("few"));
            device.say("commit");
            device.wait("the commit", || device.record().active == *slot);
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().expect("every connection is answered") > 10);
        }
    });
}

#[test]
fn a_worker_that_does_not_say_that_it_is_parked_is_not_waited_for() {
    let (device, _keeper) = switching_with_a_late_park();
    let new = device.wait_serves(NEXT);
    device.wait_heard(NEXT, "slots 2 true", 1);
    device::kill(new, "KILL");
    device.wait_serves(FIRST);
}

#[test]
fn a_worker_that_cannot_park_is_drained() {
    let device = Device::new();
    let next = device.stage(NEXT);
    device.write(&format!("behaviour-{FIRST}"), "cannot-park");
    let _keeper = device.start(&["--drain-ms", "3000"]);
    let old = device.answer().pid;
    device.switch(&next, 1, LONG_MS, LONG_MS);
    let new = device.wait_serves(NEXT);
    device.wait("it drains and ends", || !device::alive(old));
    assert_eq!(device.read("drained"), "3000");
    device::kill(new, "KILL");
    assert_ne!(device.wait_serves(FIRST), old, "the way back is a cold start");
}

#[test]
fn a_worker_that_says_late_that_it_cannot_park_is_no_way_back() {
    let device = Device::new();
    let next = device.stage(NEXT);
    device.write(&format!("behaviour-{FIRST}"), "parks-late and-cannot");
    let _keeper = device.start(&["--drain-ms", "3000"]);
    let old = device.answer().pid;
    device.switch(&next, 1, LONG_MS, LONG_MS);
    device.wait_serves(NEXT);
    device.wait_heard(NEXT, "slots 2 true", 1);
    device.write("park", "now");
    device.wait("it drains and ends", || !device::alive(old));
    device.wait("it is told", || {
        device.heard(NEXT).iter().rev().find(|line| line.starts_with("slots")).is_some_and(|line| line == "slots 2 false")
    });
}

#[test]
fn the_way_back_from_a_killed_worker_is_short() {
    let (device, _keeper, next, [old, new]) = switched("", &[]);
    let begin = weir_clock::monotonic();
    device::kill(new, "KILL");
    assert_eq!(device.answer().pid, old);
    assert!(begin.elapsed() < WAY_BACK, "{:?}", begin.elapsed());
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "crashed".to_owned()));
    let record = device.record();
    assert_eq!((record.active.version.as_str(), record.trial.is_none(), record.burned), (FIRST, true, vec![next.manifest]));
    device.wait_heard(FIRST, "slots 3 false", 1);
    device.wait("worker.pid names the one that serves", || device.pid("worker.pid") == Some(old));
    device.switch(&next, 2, LONG_MS, LONG_MS);
    device.wait_heard(FIRST, "refused SWITCH burned", 1);
    device.say(&format!("unburn {}", next.manifest));
    device.wait("the digest is cleared", || device.record().burned.is_empty());
    device.switch(&next, 2, LONG_MS, LONG_MS);
    device.wait_serves(NEXT);
}

#[test]
fn a_new_worker_that_fails_before_it_serves_is_never_seen() {
    for (behaviour, ready_ms, reason) in
        [("never-ready", 200, "never_ready"), ("self-test-fails", LONG_MS, "self_test_failed"), ("misconfigured", LONG_MS, "crashed")]
    {
        let (device, _keeper, next) = ready_to_switch(behaviour, &[]);
        let old = device.pid("worker.pid").expect("the worker");
        device.switch(&next, 1, ready_ms, LONG_MS);
        assert_eq!(device.fell_back(), (NEXT.to_owned(), reason.to_owned()));
        assert_eq!(device.record().burned, [next.manifest], "{behaviour}");
        device.wait_heard(FIRST, "slots 3 false", 1);
        assert_eq!(device.answer().pid, old);
        assert!(!device.heard(FIRST).contains(&"park".to_owned()), "{behaviour}: it never stopped");
    }
}

#[test]
fn a_worker_that_crashes_as_soon_as_it_serves_falls_back() {
    let (device, _keeper, next) = ready_to_switch("crashes-when-accepting", &[]);
    let old = device.pid("worker.pid").expect("the worker");
    device.switch(&next, 1, LONG_MS, LONG_MS);
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "crashed".to_owned()));
    device.wait_heard(FIRST, "unpark", 1);
    assert_eq!(device.answer().pid, old);
}

#[test]
fn a_trial_that_is_not_committed_in_time_falls_back() {
    let (device, _keeper, next) = ready_to_switch("", &[]);
    let old = device.pid("worker.pid").expect("the worker");
    device.switch(&next, 1, LONG_MS, 300);
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "unproven".to_owned()));
    device.wait_heard(FIRST, "unpark", 1);
    assert_eq!((device.answer().pid, device.record().burned), (old, vec![next.manifest]));
    device.wait_heard(NEXT, "drain 3000", 1);
}

#[test]
fn the_worker_asks_for_the_slot_before_and_burns_nothing() {
    let (device, _keeper, next, [old, new]) = switched("", &[]);
    device.say("back no_contact keep");
    device.wait_heard(FIRST, "unpark", 1);
    assert_eq!(device.answer().pid, old);
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "no_contact".to_owned()));
    assert!(device.record().burned.is_empty());
    device.wait("the new worker ends", || !device::alive(new));
    device.wait_heard(NEXT, "drain 3000", 1);
    // Once is enough: the same word again changes nothing, and the way is open for the same image.
    device.say("back no_contact keep");
    device.wait_heard(FIRST, "slots 3 false", 2);
    device.switch(&next, 2, LONG_MS, LONG_MS);
    device.wait_serves(NEXT);
}

#[test]
fn a_parked_worker_that_does_not_serve_again_is_replaced_by_a_cold_start() {
    let device = Device::new();
    let next = device.stage(NEXT);
    device.write(&format!("behaviour-{FIRST}"), "never-unparks");
    let _keeper = device.start(&[]);
    let old = device.answer().pid;
    device.switch(&next, 1, LONG_MS, LONG_MS);
    let new = device.wait_serves(NEXT);
    device::kill(new, "KILL");
    let again = device.wait_serves(FIRST);
    assert_ne!(again, old);
    assert_eq!(device.log("worker killed")[0]["reason"], "not_unparked");
}

#[test]
fn after_the_commit_one_crash_is_chance_and_two_are_not() {
    let (device, _keeper, next, [old, new]) = switched("", &[]);
    device.say("commit");
    device.wait("the commit", || device.record().trial.is_none());
    device::kill(new, "KILL");
    let again = device.wait_serves(NEXT);
    assert!(again != new && device::alive(old), "the same slot, and the way back stays");
    device::kill(again, "KILL");
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "crashed".to_owned()));
    assert_eq!(device.wait_serves(FIRST), old);
    let record = device.record();
    assert_eq!((record.active.version.as_str(), record.previous, record.burned), (FIRST, None, vec![next.manifest]));
}

#[test]
fn after_the_commit_the_way_back_without_a_parked_worker_is_a_cold_start() {
    let (device, _keeper, _next, [old, _new]) = switched("", &[]);
    device.say("commit");
    device.say("retire 0");
    device.wait("the parked worker ends", || !device::alive(old));
    device.say("retire 0");
    device.wait_heard(NEXT, "refused RETIRE no_way_back", 1);
    device.say("back own_errors burn");
    let again = device.wait_serves(FIRST);
    assert_ne!(again, old);
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "own_errors".to_owned()));
    device.say("back own_errors burn");
    device.wait_heard(FIRST, "slots 4 false", 2);
    assert_eq!(device.record().active.version, FIRST);
}

#[test]
fn words_that_may_not_be_obeyed_are_refused_with_their_reason() {
    let (device, _keeper, next) = ready_to_switch("", &[]);
    let refused = |line: &str, expected: &str| {
        device.say(line);
        device.wait_heard(FIRST, expected, 1);
    };
    refused("back crashed burn", "refused BACK no_way_back");
    refused("commit", "slots 1 false");
    refused("retire 1", "refused RETIRE no_way_back");
    refused("restart", "refused RESTART slot_refused");
    let absent = "ab".repeat(32);
    refused(&format!("switch 9.9.9-b9 {absent} 1 1 1 1"), "refused SWITCH slot_refused");
    refused(&format!("switch ../x {absent} 1 1 1 1"), "refused SWITCH slot_refused");
    device.switch(&next, 5, LONG_MS, LONG_MS);
    device.wait_serves(NEXT);
    let refused = |line: &str, expected: &str| {
        device.say(line);
        device.wait_heard(NEXT, expected, 1);
    };
    let first = device.record().active;
    refused(&format!("switch {FIRST} {} 1 5 1 1", first.manifest), "refused SWITCH trial");
    refused("restart", "refused RESTART trial");
    device.say("commit");
    device.say(&format!("switch {FIRST} {} 1 4 1 1", first.manifest));
    device.wait_heard(NEXT, "refused SWITCH stale", 1);
}

#[test]
fn a_damaged_slot_is_not_switched_to() {
    let (device, _keeper, next) = ready_to_switch("", &[]);
    device.damage(&next);
    device.switch(&next, 1, LONG_MS, LONG_MS);
    device.wait_heard(FIRST, "refused SWITCH slot_refused", 1);
    let record = device.record();
    assert_eq!((record.trial, record.fell_back, record.generation), (None, None, 0));
}

#[test]
fn a_second_switch_ends_the_parked_worker_first() {
    let (device, _keeper, _next, [old, new]) = switched("", &[]);
    device.say("commit");
    let third = device.stage("1.2.0-b1");
    device.switch(&third, 2, LONG_MS, LONG_MS);
    device.wait_serves("1.2.0-b1");
    assert!(!device::alive(old) && device::alive(new));
    device.say("commit");
    device.wait("the commit", || device.record().previous.as_ref().is_some_and(|slot| slot.version == NEXT));
}

#[test]
fn without_memory_for_two_the_old_worker_goes_first() {
    let (device, _keeper, next) = ready_to_switch("", &["--reserve-mib", "4000000000"]);
    let old = device.pid("worker.pid").expect("the worker");
    device.switch(&next, 1, LONG_MS, LONG_MS);
    let new = device.wait_serves(NEXT);
    assert!(!device::alive(old));
    assert_eq!(device.heard(FIRST)[3..], ["slots 2 false", "drain 3000"]);
    device::kill(new, "KILL");
    assert_ne!(device.wait_serves(FIRST), old);
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "crashed".to_owned()));
    device.say(&format!("unburn {}", next.manifest));
    device.switch(&next, 2, LONG_MS, LONG_MS);
    device.wait_serves(NEXT);
    device.say("back no_contact keep");
    device.wait_serves(FIRST);
}

#[test]
fn a_worker_that_dies_while_the_next_one_starts_is_replaced_by_it() {
    let (device, _keeper, next) = ready_to_switch("ready-late", &[]);
    let old = device.pid("worker.pid").expect("the worker");
    device.switch(&next, 1, LONG_MS, LONG_MS);
    device.wait_heard(NEXT, &device::own_keeper(1), 1);
    device::kill(old, "KILL");
    device.wait_log("worker ended unexpectedly", 1);
    device.write("ready", "");
    device.wait_serves(NEXT);
    assert_eq!((device.record().fell_back, device.log("worker started").len()), (None, 2));
}

#[test]
fn a_parked_worker_that_dies_is_told_to_the_one_that_serves() {
    let (device, _keeper, _next, [old, new]) = switched("", &[]);
    device::kill(old, "KILL");
    device.wait_heard(NEXT, "slots 2 false", 2);
    device::kill(new, "KILL");
    assert_ne!(device.wait_serves(FIRST), old);
}

#[test]
fn stopping_ends_both_workers() {
    let (device, mut keeper, _next, [old, new]) = switched("", &[]);
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0));
    assert!(!device::alive(old) && !device::alive(new));
    assert_eq!((device.pid("worker.pid"), device.pid("keeper.pid")), (None, None));
    for version in [FIRST, NEXT] {
        assert_eq!(device.heard(version).last().map(String::as_str), Some("drain 3000"), "{version}");
    }
    assert_eq!(device.record().trial.expect("the trial goes on").tries, 1);
}

#[test]
fn a_killed_keeper_goes_on_with_the_trial_once() {
    let (device, keeper, next, workers) = switched("", &[]);
    let killed = |keeper: Keeper, workers: &[u32]| {
        drop(keeper);
        device.wait("the workers notice", || workers.iter().all(|pid| !device::alive(*pid)));
    };
    killed(keeper, &workers);
    let keeper = device.start(&[]);
    let new = device.wait_serves(NEXT);
    assert_eq!(device.record().trial.expect("on trial").tries, 0);
    killed(keeper, &[new]);
    let keeper = device.start(&[]);
    device.wait_serves(FIRST);
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "unproven".to_owned()));
    assert_eq!(device.record().burned, [next.manifest]);
    drop(keeper);
}

#[test]
fn a_keeper_killed_while_the_new_worker_starts_tries_it_again() {
    let (device, keeper, next) = ready_to_switch("never-ready", &[]);
    let old = device.pid("worker.pid").expect("the worker");
    device.switch(&next, 1, LONG_MS, LONG_MS);
    device.wait_heard(NEXT, &device::own_keeper(1), 1);
    drop(keeper);
    device.wait("the worker notices", || !device::alive(old));
    let _keeper = device.start(&["--ready-ms", "300"]);
    device.wait_serves(FIRST);
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "never_ready".to_owned()));
}

#[test]
fn a_keeper_killed_after_the_commit_starts_the_committed_slot() {
    let (device, keeper, next, workers) = switched("", &[]);
    device.say("commit");
    device.wait("the commit", || device.record().trial.is_none());
    drop(keeper);
    device.wait("the workers notice", || workers.iter().all(|pid| !device::alive(*pid)));
    let _keeper = device.start(&[]);
    device.wait_serves(NEXT);
    assert_eq!(device.record().active, next);
}

#[test]
fn a_slot_on_trial_that_does_not_verify_is_left_at_the_start() {
    let (device, keeper, next, workers) = switched("", &[]);
    drop(keeper);
    device.wait("the workers notice", || workers.iter().all(|pid| !device::alive(*pid)));
    device.damage(&next);
    let _keeper = device.start(&[]);
    device.wait_serves(FIRST);
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "image_refused".to_owned()));
    assert!(device.record().burned.is_empty(), "the image is not to blame for what became of its tree");
}

#[test]
fn an_active_slot_that_does_not_verify_is_replaced_by_the_one_before() {
    let (device, mut keeper, next, [old, new]) = switched("", &[]);
    device.say("commit");
    device.wait("the commit", || device.record().trial.is_none());
    device.damage(&next);
    device::kill(new, "KILL");
    assert_eq!(device.wait_serves(FIRST), old, "its worker is parked");
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "image_refused".to_owned()));
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0));
    device.damage_program();
    let mut keeper = device.start(&[]);
    assert_eq!(keeper.exit_code(), Some(78), "no slot is left that may be started");
}

#[test]
fn going_back_does_not_wait_for_the_disk() {
    let (device, _keeper, next, [old, new]) = switched("", &[]);
    // A directory in the place of the half that is next is as good as a full disk.
    let half = device.data().boot_half(0);
    std::fs::remove_file(&half).expect("remove");
    std::fs::create_dir(&half).expect("in the way");
    device.say("commit");
    device.wait_heard(NEXT, "refused COMMIT system_error", 1);
    let begin = weir_clock::monotonic();
    device::kill(new, "KILL");
    assert_eq!(device.wait_serves(FIRST), old);
    assert!(begin.elapsed() < WAY_BACK, "{:?}", begin.elapsed());
    device.wait_log("boot record not written", 2);
    device.switch(&next, 2, LONG_MS, LONG_MS);
    device.wait_heard(FIRST, "refused SWITCH burned", 1);
    std::fs::remove_dir(&half).expect("room again");
    assert_eq!(device.fell_back(), (NEXT.to_owned(), "crashed".to_owned()));
    device.wait_heard(FIRST, "slots 3 false", 1);
}
