//! A device whose power goes after any record of its journal, before or after what that record announced was done.

use super::world::World;
use weir_rollout::update::{Leave, Stage, UpdateReason, UpdateState};
use weir_slots::BootRecord;

/// What the keeper had done when the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    Trial,
    Committed,
    FellBack,
}

fn record(world: &World, kept: Kept) -> BootRecord {
    let first = BootRecord::first(world.old.clone());
    let tried = first.begin_trial(world.new.clone(), 1, 1, 60_000).expect("tried");
    match kept {
        Kept::Nothing => first,
        Kept::Trial => tried,
        Kept::Committed => tried.commit(&world.new).expect("committed"),
        Kept::FellBack => tried.fall_back("own_errors", true).expect("back"),
    }
}

fn state_of(line: &str) -> UpdateState {
    serde_json::from_str(line.split_once(' ').expect("a checksum").1).expect("a state")
}

/// Every record but time and the words of the assignment, for a message.
fn last(journal: &[String]) -> &'static str {
    journal.last().map_or("nothing", |line| state_of(line).stage.as_str())
}

/// What the keeper may have done by the time a stage is journalled.
fn possible(stage: Option<Stage>) -> &'static [Kept] {
    match stage {
        None => &[Kept::Nothing],
        Some(stage) if stage.before_switching() => &[Kept::Nothing],
        Some(Stage::Switching) => &[Kept::Nothing, Kept::Trial],
        Some(Stage::Trial | Stage::Readmitting | Stage::Proving) => &[Kept::Trial],
        Some(Stage::Committed | Stage::Ramping) => &[Kept::Trial, Kept::Committed],
        Some(Stage::RollingBack { .. }) => &[Kept::Trial, Kept::FellBack],
        Some(Stage::RolledBack { .. } | Stage::Failed { .. }) => &[Kept::FellBack],
        Some(_) => &[Kept::Committed],
    }
}

async fn walked(own_errors: bool, end: Stage) -> Vec<String> {
    let mut world = World::new();
    world.ways.own_errors = own_errors;
    world.start(&world.old.clone());
    world.assign(world.assignment(Leave::Drained));
    world.until_stage(end).await;
    world.journal()
}

/// Goes on from every prefix of the journal, to the same end.
async fn every_prefix(journal: Vec<String>, own_errors: bool, end: Stage) -> usize {
    let mut begun = 0;
    for cut in 0..=journal.len() {
        let prefix = &journal[..cut];
        let stage = prefix.last().map(|line| state_of(line).stage);
        for kept in possible(stage) {
            for offloaded in [false, true] {
                let new_runs = matches!(kept, Kept::Trial | Kept::Committed);
                let mut world = World::rebuilt(prefix, |world| record(world, *kept), new_runs, offloaded);
                world.ways.own_errors = own_errors;
                begun += 1;
                let what = format!("{} after {}, {kept:?}, offloaded {offloaded}", end.as_str(), last(prefix));
                world.until(&what, |world| world.stage() == Some(end)).await;
                let active = if end == Stage::Done { &world.new } else { &world.old };
                assert_eq!((world.running(), &world.record().active, world.record().trial), (active, active, None), "{what}");
                world.until("service", |world| world.leases.last() == Some(&weir_rollout::update::LeaseWish::Free)).await;
            }
        }
    }
    begun
}

#[tokio::test]
async fn from_every_record_it_becomes_what_it_was_told() {
    let journal = walked(false, Stage::Done).await;
    assert!(journal.len() >= 10, "{}", journal.len());
    assert!(every_prefix(journal, false, Stage::Done).await >= 20);
}

#[tokio::test]
async fn from_every_record_of_the_way_back_it_serves_as_before() {
    let end = Stage::Failed { reason: UpdateReason::OwnErrors };
    let journal = walked(true, end).await;
    let back = journal.iter().position(|line| state_of(line).stage.as_str() == "rolling_back").expect("a way back");
    let mut begun = 0;
    for cut in back..journal.len() {
        begun += every_prefix_from(&journal[..=cut], end).await;
    }
    assert!(begun >= 6, "{begun}");
}

async fn every_prefix_from(prefix: &[String], end: Stage) -> usize {
    let stage = prefix.last().map(|line| state_of(line).stage);
    let mut begun = 0;
    for kept in possible(stage) {
        for offloaded in [false, true] {
            let mut world = World::rebuilt(prefix, |world| record(world, *kept), *kept == Kept::Trial, offloaded);
            begun += 1;
            let what = format!("{} after {}, {kept:?}, offloaded {offloaded}", end.as_str(), last(prefix));
            world.until(&what, |world| world.stage() == Some(end)).await;
            assert_eq!((world.running(), &world.record().active), (&world.old, &world.old), "{what}");
        }
    }
    begun
}

#[tokio::test]
async fn a_journal_that_is_lost_is_made_good_by_the_record_and_the_word() {
    for (kept, end) in [(Kept::Nothing, Stage::Done), (Kept::Trial, Stage::Done), (Kept::Committed, Stage::Done)] {
        let new_runs = kept != Kept::Nothing;
        let garbled = vec!["00000000 {\"stage\":\"proving\"}".to_owned(), "noise".to_owned()];
        let mut world = World::rebuilt(&garbled, |world| record(world, kept), new_runs, false);
        world.until(&format!("{} with {kept:?}", end.as_str()), |world| world.stage() == Some(end)).await;
        assert_eq!((&world.record().active, world.record().trial), (&world.new, None), "{kept:?}");
    }
}

#[tokio::test]
async fn burned_digests_outlive_the_journal() {
    let mut world = World::rebuilt(&[], |world| record(world, Kept::FellBack), false, false);
    world.until("why", |world| world.report().is_some_and(|report| report.detail.contains("fell back"))).await;
    assert_eq!(world.report().expect("a report").state.burned, [world.new.manifest.to_string()]);
}
