use super::*;
use crate::sample::{self, beat};
use proptest::prelude::*;
use weir_model::OffloadEpoch;

const PATIENCE_MS: u64 = 875;

fn check_of(table: &HealthTable, engine: &str, now_ms: u64) -> Result<(), DropReason> {
    let network = sample::network();
    table.admits(&network, network.engine(&sample::name(engine)).expect("one of the sample's"), now_ms)
}

fn check(table: &HealthTable, now_ms: u64) -> Result<(), DropReason> {
    check_of(table, "east-1", now_ms)
}

#[test]
fn absent_health_is_not_health() {
    assert_eq!(check(&HealthTable::default(), 0), Err(DropReason::NeverHeard));
    let table = sample::heard(&["east-1"]);
    assert_eq!(check(&table, 1000 + PATIENCE_MS), Ok(()));
    assert_eq!(check(&table, 1001 + PATIENCE_MS), Err(DropReason::Silent { silent_ms: 876 }));
    assert_eq!(check(&table, 900), Ok(()), "a reader's clock may be a moment behind the receiver's");
}

#[test]
fn a_replay_changes_nothing() {
    let mut table = HealthTable::default();
    table.accept(&beat("east-1", 2, 5, 1000)).expect("first");
    let before = table.clone();
    for (boot, sequence) in [(2, 5), (2, 4), (1, 99)] {
        assert_eq!(table.accept(&beat("east-1", boot, sequence, 5000)), Err(Replayed), "{boot} {sequence}");
        assert_eq!(table, before);
    }
    table.accept(&beat("east-1", 2, 6, 5000)).expect("rises");
    table.accept(&beat("east-1", 3, 1, 5001)).expect("a new boot starts again");
}

#[test]
fn leaving_counts_at_once() {
    let mut table = sample::heard(&["east-1"]);
    table.accept(&Beat { state: EngineState::Leaving, ..beat("east-1", 1, 2, 1100) }).expect("rises");
    assert_eq!(check(&table, 1100), Err(DropReason::Leaving));
    table.accept(&beat("east-1", 2, 1, 1200)).expect("the next worker");
    assert_eq!(check(&table, 1200), Ok(()));
}

#[test]
fn a_lost_lifeline_counts_until_a_higher_boot() {
    let (engine, id) = (sample::name("east-1"), LifelineId(7));
    let mut table = sample::heard(&["east-1"]);
    table.lifeline_up(&beat("east-1", 1, 2, 1000), id).expect("rises");
    assert_eq!(check(&table, 1000), Ok(()));
    assert!(table.lifeline_lost(&engine, id));
    assert_eq!(check(&table, 1001), Err(DropReason::LifelineLost));
    table.accept(&beat("east-1", 1, 3, 1002)).expect("was under way when the worker died");
    assert_eq!(check(&table, 1002), Err(DropReason::LifelineLost));
    table.accept(&beat("east-1", 2, 1, 1500)).expect("the next worker");
    assert_eq!(check(&table, 1500), Ok(()));
}

#[test]
fn a_lifeline_opened_again_is_as_good() {
    let engine = sample::name("east-1");
    let mut table = sample::heard(&["east-1"]);
    table.lifeline_up(&beat("east-1", 1, 2, 1000), LifelineId(1)).expect("rises");
    table.lifeline_lost(&engine, LifelineId(1));
    table.lifeline_up(&beat("east-1", 1, 3, 1100), LifelineId(2)).expect("rises");
    assert_eq!(check(&table, 1100), Ok(()));
    assert!(!table.lifeline_lost(&engine, LifelineId(1)), "replaced");
    assert_eq!(check(&table, 1100), Ok(()));
}

#[test]
fn the_end_of_an_older_boots_lifeline_says_nothing() {
    let engine = sample::name("east-1");
    let mut table = sample::heard(&["east-1"]);
    table.lifeline_up(&beat("east-1", 1, 2, 1000), LifelineId(1)).expect("rises");
    table.accept(&beat("east-1", 2, 1, 1100)).expect("the next worker is heard before the end of the last");
    assert!(!table.lifeline_lost(&engine, LifelineId(1)));
    assert_eq!(check(&table, 1100), Ok(()));
}

#[test]
fn a_datagram_that_overtakes_a_lifelines_frame_does_not_shut_it_out() {
    let engine = sample::name("east-1");
    let mut table = sample::heard(&["east-1"]);
    let leaving = Beat { state: EngineState::Leaving, ..beat("east-1", 1, 3, 1001) };
    table.accept(&leaving).expect("rises");
    table.lifeline_up(&beat("east-1", 1, 2, 1002), LifelineId(1)).expect("the first frame");
    assert!(table.holds_lifeline(&engine, LifelineId(1)));
    assert_eq!(check(&table, 1002), Err(DropReason::Leaving), "said after the frame was made");
    table.accept(&leaving).expect_err("the frame does not lower the datagrams' floor");
    assert_eq!(table.lifeline_up(&beat("east-1", 1, 2, 1003), LifelineId(2)), Err(Replayed));
    assert_eq!(table.lifeline_up(&beat("east-1", 0, 9, 1003), LifelineId(2)), Err(Replayed), "an older boot");
    assert!(table.holds_lifeline(&engine, LifelineId(1)));
}

#[test]
fn a_lifeline_whose_network_fell_silent_leaves_the_judgement_to_the_datagrams() {
    let engine = sample::name("east-1");
    let mut table = sample::heard(&["east-1"]);
    table.lifeline_up(&beat("east-1", 1, 2, 1000), LifelineId(1)).expect("rises");
    table.lifeline_silent(&engine, LifelineId(1));
    assert!(!table.holds_lifeline(&engine, LifelineId(1)));
    assert_eq!(check(&table, 1000 + PATIENCE_MS), Ok(()));
    assert!(matches!(check(&table, 1001 + PATIENCE_MS), Err(DropReason::Silent { .. })));
    assert!(!table.lifeline_lost(&engine, LifelineId(1)), "its end was told already");
}

#[test]
fn a_restarted_router_serves_for_one_patience_and_still_refuses_replays() {
    let mut table = sample::heard(&["east-1", "east-2"]);
    table.accept(&Beat { state: EngineState::Leaving, ..beat("east-2", 1, 2, 1100) }).expect("rises");
    let text = serde_json::to_string(&table.save(1200, PATIENCE_MS)).expect("json");
    let saved: Vec<SavedHealth> = serde_json::from_str(&text).expect("own output");
    let mut restored = HealthTable::restore(&saved, 10);
    assert_eq!(check(&restored, 10 + PATIENCE_MS), Ok(()));
    assert!(matches!(check(&restored, 11 + PATIENCE_MS), Err(DropReason::Silent { .. })));
    assert_eq!(check_of(&restored, "east-2", 10), Err(DropReason::NeverHeard));
    assert_eq!(restored.accept(&beat("east-1", 1, 1, 20)), Err(Replayed));
}

#[test]
fn engines_that_left_the_configuration_are_forgotten() {
    let mut table = sample::heard(&["east-1", "retired"]);
    table.retain(&sample::network());
    assert_eq!(table.word(&sample::name("retired"), 1000, PATIENCE_MS), None);
    assert_eq!(table.live(&sample::network(), 1000), 1);
}

/// A stamp around the sample network's generation 5.
fn generation(generation: u64) -> Stamp {
    Stamp { term: 1, generation }
}

fn said(state: EngineState, stamp: Stamp) -> HealthTable {
    let mut table = HealthTable::default();
    table.accept(&Beat { state, stamp, ..beat("east-1", 1, 1, 1000) }).expect("first");
    table
}

#[test]
fn of_configuration_and_keepalive_the_higher_stamp_decides_an_offload() {
    use EngineState::{Leaving, Offloading, Serving};
    let (offloaded, live) = (Err(DropReason::Offloaded), Ok(()));
    for (configured, said_state, stamp, expected, obeyed) in [
        (None, Serving, 4, live, None),
        (None, Offloading, 4, live, None),
        (None, Offloading, 5, live, None),
        (None, Offloading, 6, offloaded, Some(6)),
        (None, Leaving, 6, Err(DropReason::Leaving), None),
        (Some(OffloadEpoch::Clients), Serving, 4, offloaded, Some(5)),
        (Some(OffloadEpoch::Clients), Serving, 5, offloaded, Some(5)),
        (Some(OffloadEpoch::Clients), Serving, 6, live, None),
        (Some(OffloadEpoch::Clients), Offloading, 4, offloaded, Some(5)),
        (Some(OffloadEpoch::Peers), Offloading, 6, offloaded, Some(6)),
        (Some(OffloadEpoch::Peers), Leaving, 6, offloaded, Some(5)),
    ] {
        let mut configuration = sample::configuration();
        configuration.engines[2].offload = configured;
        let network = Network::compile(&configuration).expect("valid");
        let engine = &network.engines()[2];
        let table = said(said_state, generation(stamp));
        let case = format!("configured {configured:?}, said {said_state:?} at {stamp}");
        assert_eq!(table.admits(&network, engine, 1000), expected, "{case}");
        assert_eq!(table.obeyed(&network, &engine.name), obeyed.map(generation), "{case}");
    }
}

#[test]
fn an_engine_that_has_not_said_that_it_returned_begins_with_the_first_share() {
    let network = sample::network();
    let share = |state| said(state, generation(4)).candidate(&network, &network.engines()[2], 1000).map(|found| found.share_permille);
    assert_eq!(share(EngineState::Offloading), Ok(100));
    assert_eq!(share(EngineState::Serving), Ok(1000));
}

#[test]
fn a_configured_offload_holds_an_engine_never_heard() {
    let mut configuration = sample::configuration();
    configuration.engines[2].offload = Some(OffloadEpoch::Clients);
    let network = Network::compile(&configuration).expect("valid");
    let table = HealthTable::default();
    assert_eq!(table.admits(&network, &network.engines()[2], 0), Err(DropReason::Offloaded));
    assert_eq!(table.obeyed(&network, &sample::name("east-1")), Some(network.stamp()));
    assert_eq!(table.obeyed(&network, &sample::name("east-2")), None);
    assert_eq!(table.obeyed(&network, &sample::name("stranger")), None);
}

#[test]
fn an_offloaded_engine_is_up_and_a_leaving_silent_or_lost_one_is_not() {
    let engine = sample::name("east-1");
    let up = |table: &HealthTable, now_ms| table.is_up(&engine, now_ms, PATIENCE_MS);
    let mut table = said(EngineState::Offloading, generation(6));
    assert!(up(&table, 1000 + PATIENCE_MS));
    assert!(!up(&table, 1001 + PATIENCE_MS), "silent");
    table.lifeline_up(&beat("east-1", 1, 2, 1000), LifelineId(1)).expect("rises");
    table.lifeline_lost(&engine, LifelineId(1));
    assert!(!up(&table, 1000), "lost");
    assert!(!up(&said(EngineState::Leaving, generation(6)), 1000));
    assert!(!up(&HealthTable::default(), 1000));
}

#[test]
fn an_offload_learnt_from_a_keepalive_survives_a_routers_restart() {
    let mut table = said(EngineState::Offloading, generation(6));
    let returning = Beat { share_permille: 300, ..beat("east-2", 1, 1, 1000) };
    table.accept(&returning).expect("first");
    let text = serde_json::to_string(&table.save(1200, PATIENCE_MS)).expect("json");
    let saved: Vec<SavedHealth> = serde_json::from_str(&text).expect("own output");
    let restored = HealthTable::restore(&saved, 10);
    assert_eq!(check(&restored, 10), Err(DropReason::Offloaded));
    assert_eq!(check(&restored, 60_000), Err(DropReason::Offloaded), "not merely silent");
    assert!(restored.is_up(&sample::name("east-1"), 10, PATIENCE_MS), "its name leads to it at once");
    assert_eq!(restored.obeyed(&sample::network(), &sample::name("east-1")), Some(generation(6)));
    assert_eq!(restored.share_permille(&sample::name("east-2")), 300);
    assert_eq!(restored.share_permille(&sample::name("west-1")), 1000);
    let older = text.replace(",\"share_permille\":300", "");
    assert_ne!(older, text);
    let saved: Vec<SavedHealth> = serde_json::from_str(&older).expect("a file from before shares");
    assert_eq!(HealthTable::restore(&saved, 10).share_permille(&sample::name("east-2")), 1000);
}

#[test]
fn a_word_about_an_older_configuration_of_the_same_boot_is_not_taken() {
    let engine = sample::name("east-1");
    let mut table = said(EngineState::Offloading, generation(7));
    let older = Beat { stamp: generation(6), share_permille: 300, ..beat("east-1", 1, 2, 1500) };
    table.accept(&older).expect("its numbers rise");
    assert_eq!(table.obeyed(&sample::network(), &engine), Some(generation(7)));
    assert_eq!(table.share_permille(&engine), 1000);
    assert!(table.is_up(&engine, 1500 + PATIENCE_MS, PATIENCE_MS), "it was heard all the same");
    table.lifeline_up(&Beat { sequence: 3, ..older.clone() }, LifelineId(1)).expect("rises");
    assert_eq!(table.obeyed(&sample::network(), &engine), Some(generation(7)), "on a lifeline neither");
    let mut stopping = table.clone();
    stopping.accept(&Beat { state: EngineState::Leaving, sequence: 4, ..older.clone() }).expect("rises");
    assert!(!stopping.is_up(&engine, 1500, PATIENCE_MS), "that it stops is true of any configuration");
    table.accept(&Beat { boot: 2, sequence: 1, ..older }).expect("the next worker");
    assert_eq!(table.obeyed(&sample::network(), &engine), None, "another boot starts again");
    assert_eq!(table.share_permille(&engine), 300);
}

#[test]
fn a_word_changes_with_what_a_reader_sees_and_not_with_time() {
    let engine = sample::name("east-1");
    let word = |table: &HealthTable, now_ms| table.word(&engine, now_ms, PATIENCE_MS);
    let mut table = said(EngineState::Serving, generation(4));
    let before = word(&table, 1000);
    table.accept(&Beat { stamp: generation(4), ..beat("east-1", 1, 2, 1500) }).expect("rises");
    assert_eq!(word(&table, 1500), before);
    assert_ne!(word(&table, 1501 + PATIENCE_MS), before, "silent");
    for changed in [
        Beat { state: EngineState::Offloading, stamp: generation(4), ..beat("east-1", 1, 3, 1500) },
        Beat { stamp: generation(6), ..beat("east-1", 1, 3, 1500) },
        Beat { share_permille: 100, stamp: generation(4), ..beat("east-1", 1, 3, 1500) },
    ] {
        let mut table = table.clone();
        table.accept(&changed).expect("rises");
        assert_ne!(word(&table, 1500), before, "{changed:?}");
    }
}

proptest! {
    /// Whatever arrives in whatever order, the numbers held only rise.
    #[test]
    fn numbers_rise(beats in prop::collection::vec((0u64..4, 1u64..6), 0..40)) {
        let mut table = HealthTable::default();
        let mut highest = None;
        for (boot, sequence) in beats {
            let accepted = table.accept(&beat("east-1", boot, sequence, 0)).is_ok();
            prop_assert_eq!(accepted, highest.is_none_or(|highest| (boot, sequence) > highest));
            highest = highest.max(Some((boot, sequence)));
        }
    }
}
