//! The way to another version, and the words on it.

use super::world::World;
use weir_model::offload::SHARE_FIRST;
use weir_rollout::update::{LeaseWish, Leave, Stage, UpdateReason};

const LANE: [&str; 13] = [
    "assigned",
    "fetching",
    "offload_requested",
    "draining",
    "drained",
    "switching",
    "trial",
    "readmitting",
    "proving",
    "committed",
    "ramping",
    "done",
    "idle",
];

/// Whether `seen` is in the order of the lane; a look may miss a stage.
fn in_order(seen: &[&'static str]) -> bool {
    let mut lane = LANE[..12].iter();
    seen.iter().all(|stage| *stage == "idle" || lane.any(|of| of == stage))
}

#[tokio::test]
async fn a_drained_device_becomes_what_it_was_told() {
    let mut world = World::new();
    world.lasting(|profile| profile.update.bake_ms = 1_000);
    world.start(&world.old.clone());
    world.until("a driver", |world| world.stage().is_some()).await;
    world.assign(world.assignment(Leave::Drained));
    world.until_stage(Stage::Done).await;
    assert!(in_order(&world.stages), "{:?}", world.stages);
    assert_eq!(world.leases, [LeaseWish::Free, LeaseWish::Hold, LeaseWish::Free]);
    let record = world.record();
    assert_eq!((&record.active, record.last_good.as_ref(), record.previous.as_ref()), (&world.new, Some(&world.new), Some(&world.old)));
    let report = world.report().expect("a report");
    assert_eq!((report.slots.active.as_str(), report.slots.previous.as_deref()), ("1.1.0-b1", Some("1.0.0-b1")));
    assert_eq!((report.slots.manifest, report.parked), (world.new.manifest.to_string(), true));
    world.until("end of the parked worker", |world| world.asked.contains(&"RETIRE".into())).await;
    world.until("report of it", |world| world.report().is_some_and(|report| !report.parked)).await;
    world.rounds(20).await;
    assert_eq!(world.asked, ["SWITCH", "COMMIT", "RETIRE"], "each once");
}

#[tokio::test]
async fn a_device_that_is_handed_over_never_leaves_service() {
    let mut world = World::new();
    world.start(&world.old.clone());
    world.prove_for_ever();
    world.assign(world.assignment(Leave::HandedOver));
    world.until_stage(Stage::Proving).await;
    assert_eq!(world.agent().shared.share_permille(), 1000);
    world.lasting(|profile| profile.update.prove_max_ms = 5);
    world.until_stage(Stage::Done).await;
    assert_eq!(world.leases, [LeaseWish::Free]);
    assert!(!world.stages.contains(&"draining"), "{:?}", world.stages);
    assert_eq!(world.record().active, world.new);
}

#[tokio::test]
async fn viewers_come_at_a_tenth_until_it_is_proven() {
    let mut world = World::new();
    world.start(&world.old.clone());
    world.prove_for_ever();
    world.assign(world.assignment(Leave::Drained));
    world.until_stage(Stage::Proving).await;
    world.rounds(20).await;
    assert_eq!(world.agent().shared.share_permille(), SHARE_FIRST, "however short the ramp");
    world.lasting(|profile| (profile.update.prove_max_ms, profile.ramp_ms) = (5, 3_600_000));
    world.until_stage(Stage::Ramping).await;
    assert!((100..200).contains(&world.agent().shared.share_permille()), "it begins to rise when it is committed");
    world.lasting(|profile| profile.ramp_ms = 10);
    world.until_stage(Stage::Done).await;
    world.until("the whole share", |world| world.agent().shared.share_permille() == 1000).await;
}

#[tokio::test]
async fn without_auto_reload_it_rests_staged_until_it_is_told() {
    let mut world = World::new();
    world.start(&world.old.clone());
    let mut assignment = world.assignment(Leave::HandedOver);
    assignment.auto_reload = false;
    world.assign(assignment);
    world.until_stage(Stage::Staged).await;
    world.rounds(20).await;
    assert_eq!((world.stage(), world.asked.len()), (Some(Stage::Staged), 0));
    world.say(|word| word.order.as_mut().expect("an order").reload = true);
    world.until_stage(Stage::Done).await;
}

#[tokio::test]
async fn a_cancelled_drain_gives_the_lease_back_and_asks_nothing_of_the_keeper() {
    let mut world = World::new();
    world.ways.drains = false;
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::Drained));
    world.until_stage(Stage::Draining).await;
    world.say(|word| word.order.as_mut().expect("an order").cancelled = true);
    world.until_stage(Stage::Idle { reason: Some(UpdateReason::Cancelled) }).await;
    world.rounds(20).await;
    assert_eq!((world.asked.len(), world.leases.last()), (0, Some(&LeaseWish::Free)));
    let again =
        weir_rollout::update::Assignment { stamp: weir_model::Stamp { term: 1, generation: 2 }, ..world.assignment(Leave::Drained) };
    world.ways.drains = true;
    world.assign(again);
    world.until_stage(Stage::Done).await;
}

#[tokio::test]
async fn a_newer_word_during_the_drain_supersedes_the_first() {
    let mut world = World::new();
    world.ways.drains = false;
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::Drained));
    world.until_stage(Stage::Draining).await;
    world.ways.drains = true;
    let stamp = weir_model::Stamp { term: 1, generation: 2 };
    world.assign(weir_rollout::update::Assignment { stamp, ..world.assignment(Leave::Drained) });
    world.until_stage(Stage::Done).await;
    let obeyed = world.report().and_then(|report| report.state.assignment).expect("told");
    assert_eq!(obeyed.stamp, stamp);
    assert_eq!((world.record().term, world.record().generation), (1, 2));
}

#[tokio::test]
async fn a_newer_word_before_the_fetch_begins_takes_its_place() {
    let mut first = World::new();
    first.start(&first.old.clone());
    first.unstage();
    first.assign(first.assignment(Leave::Drained));
    first.until_stage(Stage::Fetching).await;
    let assigned = first.journal().iter().position(|line| line.contains(r#""stage":"assigned""#)).expect("told");
    let mut world = World::new();
    world.take_journal(&first.journal()[..=assigned]);
    world.unstage();
    let stamp = weir_model::Stamp { term: 1, generation: 2 };
    world.assign(weir_rollout::update::Assignment { stamp, ..world.assignment(Leave::Drained) });
    world.start(&world.old.clone());
    world.until("why", |world| world.report().is_some_and(|report| report.detail.contains("has not said where"))).await;
    world.say(|word| {
        let (sha256, method) = ("ab".repeat(32), weir_model::DownloadMethod::Default);
        let archive = weir_device_api::ArchivePlace { sha256, bytes: 1 << 60, method, direct: None, allow: Vec::new() };
        word.order.as_mut().expect("an order").archive = Some(archive);
    });
    world.until_stage(Stage::Blocked).await;
    assert_eq!(world.report().and_then(|report| report.state.assignment).expect("told").stamp, stamp);
}

#[tokio::test]
async fn an_image_that_was_written_before_a_crash_leaves_no_archive() {
    let mut world = World::new();
    let staging = world.data.staging();
    let tree = staging.join(format!("{}.tree", "ab".repeat(32)));
    std::fs::create_dir_all(&tree).expect("made");
    std::fs::write(tree.join("weir"), "program").expect("written");
    std::fs::write(staging.join(format!("{}.weir.part", "ab".repeat(32))), "archive").expect("written");
    world.start(&world.old.clone());
    world.assign(weir_rollout::update::Assignment { auto_reload: false, ..world.assignment(Leave::Drained) });
    world.until_stage(Stage::Staged).await;
    assert!(world.is_staged());
    assert_eq!(std::fs::read_dir(staging).expect("read").count(), 0);
}

#[tokio::test]
async fn a_device_that_runs_the_image_already_is_done_at_once() {
    let mut world = World::new();
    world.write_record(&weir_slots::BootRecord::first(world.new.clone()));
    world.start(&world.new.clone());
    world.assign(world.assignment(Leave::Drained));
    world.until_stage(Stage::Done).await;
    assert!(!world.stages.contains(&"offload_requested") && world.asked.is_empty());
    assert!(world.is_staged());
}

#[tokio::test]
async fn another_keeper_is_asked_for_at_rest_and_once() {
    let mut world = World::new();
    world.keeper_current = false;
    world.start(&world.old.clone());
    world.say(|word| word.restart_keeper = true);
    world.until("another keeper", |world| !world.asked.is_empty()).await;
    world.rounds(20).await;
    assert_eq!(world.asked, ["RESTART"]);
    let mut current = World::new();
    current.start(&current.old.clone());
    current.say(|word| word.restart_keeper = true);
    current.rounds(20).await;
    assert!(current.asked.is_empty(), "the keeper is the one of the slot");
}
