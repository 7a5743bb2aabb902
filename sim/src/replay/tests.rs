//! Every simulated rollout replays; a journal that somebody changed does not.

use super::*;
use crate::world::{Setup, run_written};
use weir_rollout::plan::State;

const DEVICES: u32 = 40;

fn journal(seed: u64) -> (Option<State>, String) {
    let setup = Setup::of_seed(seed, DEVICES);
    let (outcome, lines) = run_written(&setup, &setup.draw());
    (outcome.ended, lines.join("\n"))
}

#[test]
fn what_the_simulator_wrote_replays() {
    for seed in 1..=12 {
        let (ended, journal) = journal(seed);
        let replayed = replay(&journal);
        assert_eq!(replayed.broken, Vec::<String>::new(), "seed {seed}");
        assert_eq!(replayed.rollouts, 1);
        let last = replayed.rows.last().expect("rows");
        assert_eq!(Some(last.status), ended.as_ref().map(State::as_str), "seed {seed}");
        let text = replayed.text();
        assert!(text.contains("operator: ") || !journal.contains("\"said\""), "seed {seed}");
        assert!(text.ends_with("; 0 broken\n"), "{}", text.lines().last().unwrap_or_default());
    }
}

#[test]
fn a_line_that_is_missing_is_noticed() {
    let (_, journal) = journal(2);
    let mut lines: Vec<&str> = journal.lines().collect();
    lines.remove(3);
    let broken = replay(&lines.join("\n")).broken;
    assert!(broken.first().is_some_and(|first| first.contains("it was made from generation")), "{broken:?}");
}

#[test]
fn a_step_that_could_not_follow_is_noticed() {
    let (_, journal) = journal(2);
    let changed = |from: &str, to: &str| replay(&journal.replacen(from, to, 1)).broken;
    let said = changed("\"passed\"", "\"failed\"");
    assert!(said.iter().any(|broken| broken.contains("wave 0 goes from failed to")), "{said:?}");
    let lost = replay(journal.split_once('\n').expect("lines").1).broken;
    assert!(lost.first().is_some_and(|first| first.contains("whose beginning is not in the journal")), "{lost:?}");
    let torn = replay("{\"seq\":1").broken;
    assert!(torn[0].starts_with("line 1: it is no line of a journal"), "{torn:?}");
}
