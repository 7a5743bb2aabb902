//! The health table between its file, its readers and two workers of one router.

use super::*;
use weir_model::Stamp;
use weir_routing::health::EngineState;

const PATIENCE_MS: u64 = 875;

fn network() -> Network {
    Network::compile(&crate::sample::configuration()).expect("valid")
}

fn beat(sequence: u64, at_ms: u64) -> Beat {
    let engine = "east-1".parse().expect("name");
    Beat { engine, state: EngineState::Serving, boot: 1, sequence, stamp: Stamp::default(), share_permille: 1000, at_ms }
}

fn live(vitals: &Vitals, now_ms: u64) -> bool {
    let network = network();
    let engine = network.engine(&"east-1".parse().expect("name")).expect("one of the sample's");
    vitals.published().admits(&network, engine, now_ms).is_ok()
}

#[test]
fn a_change_is_published_at_once_and_a_renewal_with_the_next_publication() {
    let dir = tempfile::tempdir().expect("dir");
    let vitals = Vitals::load(dir.path().join("health.json"), 0);
    vitals.hear(&beat(1, 0), &network()).expect("first");
    assert!(live(&vitals, 0));
    vitals.hear(&beat(2, 800), &network()).expect("rises");
    assert!(!live(&vitals, 900), "a renewal waits for the next publication");
    vitals.publish();
    assert!(live(&vitals, 900));
    let leaving = Beat { state: EngineState::Leaving, ..beat(3, 900) };
    vitals.hear(&leaving, &network()).expect("rises");
    assert!(!live(&vitals, 900), "leaving does not wait");
}

#[test]
fn a_restarted_router_knows_who_was_live() {
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("health.json");
    let vitals = Vitals::load(file.clone(), 0);
    vitals.hear(&beat(7, 1000), &network()).expect("first");
    vitals.save(1000, PATIENCE_MS);
    assert_eq!(vitals.save_error(), None);
    let again = Vitals::load(file.clone(), 3);
    assert!(live(&again, 3 + PATIENCE_MS));
    assert!(!live(&again, 4 + PATIENCE_MS));
    assert_eq!(again.hear(&beat(7, 5), &network()), Err(Replayed));
    std::fs::write(&file, b"[{]").expect("write");
    assert!(!live(&Vitals::load(file, 3), 3), "a torn file is nobody's health");
}

#[test]
fn an_offload_the_engine_spoke_of_survives_a_restart() {
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("health.json");
    let vitals = Vitals::load(file.clone(), 0);
    let offloading = Beat { state: EngineState::Offloading, stamp: Stamp { term: 1, generation: 6 }, ..beat(1, 1000) };
    vitals.hear(&offloading, &network()).expect("first");
    vitals.save_when_due(1000, PATIENCE_MS);
    let (again, engine) = (Vitals::load(file, 3), "east-1".parse().expect("name"));
    assert_eq!(again.published().obeyed(&network(), &engine), Some(offloading.stamp));
    assert!(again.published().is_up(&engine, 3, PATIENCE_MS), "its own name still leads to it");
    assert_eq!(again.obeyed(&network(), &engine), Some(offloading.stamp), "it may be told at once");
}

#[test]
fn nobody_is_told_what_a_restart_would_undo() {
    let dir = tempfile::tempdir().expect("dir");
    let vitals = Vitals::load(dir.path().join("health.json"), 0);
    let engine = "east-1".parse().expect("name");
    let stamp = |generation| Stamp { term: 1, generation };
    let offloading = |sequence, generation| Beat { state: EngineState::Offloading, stamp: stamp(generation), ..beat(sequence, 0) };
    vitals.hear(&offloading(1, 6), &network()).expect("first");
    assert_eq!(vitals.published().obeyed(&network(), &engine), Some(stamp(6)), "it is obeyed at once");
    assert_eq!(vitals.obeyed(&network(), &engine), None);
    vitals.save(0, PATIENCE_MS);
    assert_eq!(vitals.obeyed(&network(), &engine), Some(stamp(6)));
    vitals.hear(&offloading(2, 7), &network()).expect("rises");
    assert_eq!(vitals.obeyed(&network(), &engine), Some(stamp(6)), "the newer word is not written yet");
    vitals.hear(&Beat { stamp: stamp(8), ..beat(3, 0) }, &network()).expect("rises");
    assert_eq!(vitals.obeyed(&network(), &engine), None, "it has returned, whatever is on disk");
}

#[test]
fn a_change_is_on_disk_soon_and_renewals_later() {
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("health.json");
    let vitals = Vitals::load(file.clone(), 0);
    let on_disk = || read(&file).ok().map(|saved| saved[0].sequence);
    vitals.save_when_due(0, PATIENCE_MS);
    assert_eq!(on_disk(), None, "nothing to write");
    for (sequence, at_ms, expected) in [(1, 1000, 1), (2, 1250, 1), (3, 5999, 3), (4, 6100, 3)] {
        vitals.hear(&beat(sequence, at_ms), &network()).expect("rises");
        vitals.save_when_due(at_ms, PATIENCE_MS);
        assert_eq!(on_disk(), Some(expected), "{at_ms}");
    }
}

#[test]
fn a_disk_that_does_not_take_it_is_reported_until_it_does() {
    let dir = tempfile::tempdir().expect("dir");
    let state = dir.path().join("missing");
    let vitals = Vitals::load(state.join("health.json"), 0);
    vitals.hear(&beat(1, 0), &network()).expect("first");
    vitals.save(0, PATIENCE_MS);
    assert!(vitals.save_error().is_some());
    std::fs::create_dir(&state).expect("dir");
    vitals.save(0, PATIENCE_MS);
    assert_eq!(vitals.save_error(), None);
    assert!(state.join("health.json").exists());
}

#[test]
fn the_worker_that_takes_over_knows_who_was_live_and_the_one_before_writes_no_more() {
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("health.json");
    let (old, new) = (Vitals::load(file.clone(), 0), Vitals::load(file.clone(), 0));
    old.hear(&beat(7, 1000), &network()).expect("first");
    assert!(!live(&new, 1000), "it has heard nobody");
    old.hand_over(1000, PATIENCE_MS);
    new.take_over(1000);
    assert!(live(&new, 1000 + PATIENCE_MS) && !live(&new, 1001 + PATIENCE_MS), "for one patience from the hand-over");
    new.hear(&beat(8, 1500), &network()).expect("rises");
    new.save(1500, PATIENCE_MS);
    old.hear(&beat(9, 60_000), &network()).expect("rises");
    for late in [Vitals::save, Vitals::save_when_due, Vitals::hand_over] {
        late(&old, 90_000, PATIENCE_MS);
        assert_eq!(read(&file).expect("written")[0].sequence, 8, "the file is the other's");
    }
}

#[test]
fn the_way_back_is_the_same_and_an_old_table_does_not_count() {
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("health.json");
    let (old, new) = (Vitals::load(file.clone(), 0), Vitals::load(file.clone(), 0));
    let lifeline = old.open_lifeline(&beat(1, 0)).expect("first");
    old.hand_over(0, PATIENCE_MS);
    new.take_over(0);
    let newer = Beat { boot: 2, ..beat(1, 60_000) };
    new.hear(&newer, &network()).expect("another worker of the engine");
    new.hand_over(60_000, PATIENCE_MS);
    assert!(!live(&old, 60_000), "what it knows is a minute old");
    old.take_over(60_000);
    assert!(live(&old, 60_000));
    assert!(!old.holds_lifeline(&newer.engine, lifeline) && !old.lose_lifeline(&newer.engine, lifeline), "its lifelines say nothing now");
    assert_eq!(old.hear(&beat(2, 60_001), &network()), Err(Replayed), "the engine's worker before");
    old.save(60_000, PATIENCE_MS);
    assert_eq!(read(&file).expect("written")[0].boot, 2, "it writes again");
    std::fs::write(&file, b"[{]").expect("write");
    old.take_over(60_000);
    assert!(live(&old, 60_000), "a torn file takes nothing away");
}
