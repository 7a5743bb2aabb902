//! Ways back, refusals, and a disk that does not write.

use super::world::{Fate, World};
use std::fs;
use weir_device_api::ArchivePlace;
use weir_keeper_api::Reason;
use weir_model::{DownloadMethod, Stamp};
use weir_rollout::update::{Assignment, LeaseWish, Leave, Stage, UpdateReason};

fn failed(reason: UpdateReason) -> Stage {
    Stage::Failed { reason }
}

async fn to_failure(world: &mut World, reason: UpdateReason) {
    world.until_stage(failed(reason)).await;
    assert_eq!((world.running(), &world.record().active), (&world.old, &world.old));
    let told = world.report().expect("a report").state;
    assert_eq!((told.stage, told.assignment.expect("told").version), (failed(reason), "1.1.0-b1".parse().expect("version")));
    let burned = told.burned;
    assert_eq!(burned, if reason.burns() { vec![world.new.manifest.to_string()] } else { Vec::new() });
    assert_eq!(world.record().burned.len(), burned.len());
    assert_eq!(world.leases.last(), Some(&LeaseWish::Free));
}

#[tokio::test]
async fn a_worker_that_is_never_ready_was_never_seen() {
    for (word, reason) in [("never_ready", UpdateReason::NeverReady), ("self_test_failed", UpdateReason::SelfTestFailed)] {
        let mut world = World::new();
        world.ways.fate = Fate::NeverReady(word);
        world.start(&world.old.clone());
        world.assign(world.assignment(Leave::Drained));
        to_failure(&mut world, reason).await;
        assert_eq!(world.asked, ["SWITCH"], "the keeper went back by itself");
    }
}

#[tokio::test]
async fn a_slot_the_keeper_refuses_is_no_fault_of_the_image() {
    let mut world = World::new();
    world.ways.fate = Fate::Refused(Reason::SlotRefused);
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::HandedOver));
    to_failure(&mut world, UpdateReason::ImageRefused).await;
    let detail = world.report().expect("a report").detail;
    assert!(detail.contains("slot_refused") && detail.contains("as the test says"), "{detail}");
}

#[tokio::test]
async fn a_crash_on_trial_leads_back_and_burns() {
    for stage in [Stage::Trial, Stage::Proving] {
        let mut world = World::new();
        world.prove_for_ever();
        (world.ways.new_reaches, world.ways.old_reaches) = (stage == Stage::Proving, stage == Stage::Proving);
        world.start(&world.old.clone());
        world.assign(world.assignment(Leave::Drained));
        world.until_stage(stage).await;
        world.crash("crashed");
        to_failure(&mut world, UpdateReason::Crashed).await;
        assert_eq!(world.asked, ["SWITCH"]);
    }
}

#[tokio::test]
async fn a_keeper_that_goes_back_at_its_deadline_is_believed() {
    let mut world = World::new();
    world.ways.new_reaches = false;
    world.ways.old_reaches = false;
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::Drained));
    world.until_stage(Stage::Trial).await;
    world.ways.old_reaches = true;
    world.crash("unproven");
    to_failure(&mut world, UpdateReason::Unproven).await;
}

#[tokio::test]
async fn a_record_that_is_behind_is_waited_for() {
    let mut world = World::new();
    world.prove_for_ever();
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::Drained));
    world.until_stage(Stage::Proving).await;
    world.kill();
    world.serve_old();
    world.rounds(100).await;
    assert_eq!(world.stage(), Some(Stage::Proving), "the keeper has not said why");
    world.write_record(&world.record().fall_back("unproven", true).expect("on trial"));
    world.tell_slots();
    to_failure(&mut world, UpdateReason::Unproven).await;
}

#[tokio::test]
async fn errors_of_its_own_making_lead_back() {
    for leave in [Leave::Drained, Leave::HandedOver] {
        let mut world = World::new();
        world.ways.own_errors = true;
        world.start(&world.old.clone());
        world.assign(world.assignment(leave));
        to_failure(&mut world, UpdateReason::OwnErrors).await;
        assert_eq!(world.asked, ["SWITCH", "BACK"]);
    }
}

#[tokio::test]
async fn a_new_worker_without_the_manager_leads_back_only_when_the_old_one_reaches_it() {
    let mut world = World::new();
    world.ways.new_reaches = false;
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::Drained));
    to_failure(&mut world, UpdateReason::NoContact).await;
    let mut cut_off = World::new();
    (cut_off.ways.new_reaches, cut_off.ways.old_reaches) = (false, false);
    cut_off.start(&cut_off.old.clone());
    cut_off.assign(cut_off.assignment(Leave::Drained));
    cut_off.until_stage(Stage::Trial).await;
    cut_off.rounds(700).await;
    assert_eq!(cut_off.stage(), Some(Stage::Trial), "nobody reaches it: that is no fault of the image");
}

#[tokio::test]
async fn a_way_back_that_fails_twice_needs_hands() {
    let mut world = World::new();
    world.ways.own_errors = true;
    world.ways.back_works = false;
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::Drained));
    let stuck = Stage::NeedsHands { reason: UpdateReason::OwnErrors };
    world.until_stage(stuck).await;
    assert_eq!(world.asked, ["SWITCH", "BACK", "BACK"]);
    let told = world.report().expect("a report");
    assert!(told.state.stage == stuck && told.detail.contains("no_way_back"), "{told:?}");
    let old = world.old.clone();
    world.kill();
    world.write_record(&world.record().fall_back("own_errors", true).expect("by hand"));
    world.start(&old);
    to_failure(&mut world, UpdateReason::OwnErrors).await;
}

#[tokio::test]
async fn a_burned_digest_is_refused_until_it_is_cleared() {
    let mut world = World::new();
    let record = world.record();
    world.write_record(&weir_slots::BootRecord { burned: vec![world.new.manifest], ..record });
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::Drained));
    world.until("why", |world| world.report().is_some_and(|report| report.detail.contains("fell back"))).await;
    world.rounds(20).await;
    assert_eq!(world.stage(), Some(Stage::Idle { reason: None }));
    let manifest = world.new.manifest.to_string();
    world.say(|word| word.unburn = vec![manifest]);
    world.until_stage(Stage::Done).await;
    assert_eq!(world.asked.first().map(String::as_str), Some("UNBURN"));
    assert!(world.record().burned.is_empty() && world.report().expect("a report").state.burned.is_empty());
}

#[tokio::test]
async fn a_digest_is_cleared_once_the_keeper_has_written_it() {
    let mut world = World::new();
    let record = world.record();
    let burned = weir_slots::BootRecord { burned: vec![world.new.manifest], ..record };
    world.write_record(&burned);
    world.ways.unburns = false;
    world.start(&world.old.clone());
    let manifest = world.new.manifest.to_string();
    world.say(|word| word.unburn = vec![manifest.clone()]);
    world.assign(world.assignment(Leave::HandedOver));
    let asked = |world: &World| world.asked.iter().filter(|verb| *verb == "UNBURN").count();
    world.until("UNBURN", |world| asked(world) == 1).await;
    world.rounds(20).await;
    assert_eq!((asked(&world), world.stage()), (1, Some(Stage::Idle { reason: None })), "asked again after a while only");
    assert_eq!(world.report().expect("a report").state.burned, [manifest], "the device says what its record says");
    world.ways.unburns = true;
    world.until_stage(Stage::Done).await;
    assert_eq!((asked(&world), world.record().burned.len()), (2, 0));
    assert!(world.report().expect("a report").state.burned.is_empty());
}

#[tokio::test]
async fn a_failure_stands_until_a_newer_word() {
    let mut world = World::new();
    world.ways.fate = Fate::NeverReady("no_contact");
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::HandedOver));
    world.until_stage(failed(UpdateReason::NoContact)).await;
    // The keeper burned it, as this world's does for every worker that is never ready.
    let record = world.record();
    world.write_record(&record.unburn(world.new.manifest));
    world.kill();
    world.ways.fate = Fate::Serves;
    world.start(&world.old.clone());
    world.rounds(20).await;
    let stage = world.report().expect("a report").state.stage;
    assert_eq!(stage, failed(UpdateReason::NoContact), "after a restart too");
    let stamp = Stamp { term: 1, generation: 2 };
    world.assign(Assignment { stamp, ..world.assignment(Leave::HandedOver) });
    world.until_stage(Stage::Done).await;
}

/// A directory in the place of the journal fails the write for every user, root included.
fn break_journal(world: &World) {
    fs::create_dir_all(world.data.journal()).expect("journal");
    let path = world.data.update_journal();
    if path.is_file() {
        fs::rename(&path, world.home().join("aside")).expect("moved");
    }
    fs::create_dir(&path).expect("in its place");
}

fn mend_journal(world: &World) {
    fs::remove_dir(world.data.update_journal()).expect("gone");
    drop(fs::rename(world.home().join("aside"), world.data.update_journal()));
}

#[tokio::test]
async fn what_cannot_be_journalled_is_not_begun() {
    let mut world = World::new();
    world.start(&world.old.clone());
    world.rounds(5).await;
    break_journal(&world);
    world.assign(world.assignment(Leave::Drained));
    world.until("why", |world| world.report().is_some_and(|report| report.detail.starts_with("no_space"))).await;
    world.rounds(20).await;
    assert_eq!((world.stage(), world.asked.len()), (Some(Stage::Idle { reason: None }), 0));
    mend_journal(&world);
    world.until_stage(Stage::Done).await;
    assert_eq!(world.report().expect("a report").detail, "");
}

#[tokio::test]
async fn past_the_switch_a_full_disk_keeps_nobody_from_getting_to_the_end() {
    let mut world = World::new();
    world.ways.new_reaches = false;
    world.ways.old_reaches = false;
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::Drained));
    world.until_stage(Stage::Trial).await;
    break_journal(&world);
    world.ways.new_reaches = true;
    world.until_stage(Stage::Done).await;
    mend_journal(&world);
    world.until("the journal", |world| world.journal().last().is_some_and(|line| line.contains(r#""stage":"done""#))).await;
}

#[tokio::test]
async fn the_second_crash_on_probation_leads_back() {
    let mut world = World::new();
    world.lasting(|profile| profile.ramp_ms = 3_600_000);
    crashes_twice(world, Stage::Ramping).await;
}

#[tokio::test]
async fn a_device_that_nobody_asked_for_anything_is_on_probation_too() {
    let mut world = World::new();
    world.ways.idle = true;
    world.lasting(|profile| profile.update.bake_ms = 3_600_000);
    crashes_twice(world, Stage::Done).await;
}

async fn crashes_twice(mut world: World, stage: Stage) {
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::HandedOver));
    world.until_stage(stage).await;
    let mut crashes = 0;
    while crashes < 2 && world.stage().is_none_or(Stage::tried) {
        world.kill();
        crashes += 1;
        world.worker_crashes = crashes;
        world.start(&world.new.clone());
        world.until("a driver", |world| world.stage().is_some()).await;
    }
    to_failure(&mut world, UpdateReason::Crashed).await;
    assert_eq!((crashes, world.asked.last().map(String::as_str)), (2, Some("BACK")));
}

#[tokio::test]
async fn a_disk_without_room_is_made_room_on_and_told() {
    let mut world = World::new();
    world.start(&world.old.clone());
    world.unstage();
    world.assign(world.assignment(Leave::Drained));
    world.until("why", |world| world.report().is_some_and(|report| report.detail.contains("has not said where"))).await;
    world.say(|word| {
        let archive =
            ArchivePlace { sha256: "ab".repeat(32), bytes: 1 << 60, method: DownloadMethod::Default, direct: None, allow: Vec::new() };
        word.order.as_mut().expect("an order").archive = Some(archive);
    });
    world.until_stage(Stage::Blocked).await;
    world.until("room being made", |world| *world.freed.lock().expect("lock") > 1 << 60).await;
    world.until_stage(Stage::Idle { reason: Some(UpdateReason::NoSpace) }).await;
    assert!(world.stages.contains(&"blocked") && world.asked.is_empty());
}
