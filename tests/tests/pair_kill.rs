//! Managers killed at random points under continuous writes: nothing that was acknowledged is lost, and both end with the same configuration.
//!
//! `WEIR_PAIR_ROUNDS` says how many rounds (20 in CI, 500 in `cargo xtask soak`), `WEIR_PAIR_SEED` repeats a run.

use anyhow::{Context, ensure};
use std::time::Duration;
use weir_tests::{
    Network, Part, Registers, Seat,
    process::{self, Signal},
};

/// Rounds when the environment does not say.
const ROUNDS: u64 = 20;
/// Patience for a write after a kill: the longest back-off, a start, and five times that.
const WRITE_DEADLINE: Duration = Duration::from_secs(60);
/// A kill comes at most this long after the round before it.
const WAIT_MS_MOST: u64 = 1_500;

/// Numbers from a seed: splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn number(variable: &str) -> anyhow::Result<Option<u64>> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty());
    text.map(|text| text.parse().with_context(|| format!("{variable} is a number"))).transpose()
}

/// Whose processes die in a round.
const VICTIMS: [&[(Seat, Part)]; 6] = [
    &[(Seat::Manager, Part::Worker)],
    &[(Seat::Manager, Part::Keeper)],
    &[(Seat::Standby, Part::Worker)],
    &[(Seat::Standby, Part::Keeper)],
    &[(Seat::Manager, Part::Worker), (Seat::Standby, Part::Worker)],
    &[(Seat::Manager, Part::Keeper), (Seat::Manager, Part::Worker), (Seat::Standby, Part::Keeper), (Seat::Standby, Part::Worker)],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills_of_either_manager_or_both() -> anyhow::Result<()> {
    let rounds = number("WEIR_PAIR_ROUNDS")?.unwrap_or(ROUNDS);
    let seed = number("WEIR_PAIR_SEED")?.unwrap_or_else(weir_clock::wall_ms);
    eprintln!("WEIR_PAIR_SEED={seed}, {rounds} rounds");
    let mut chance = Chance(seed);
    let network = Network::builder().engines(3).start().await?;
    network.matched(Seat::Manager).await;
    let primary = network.api_of(Seat::Manager)?;
    let registers = Registers::begin(vec![network.api_of(Seat::Manager)?]).await?;
    for round in 0..rounds {
        // The point of the kill is the chance: in the middle of a write, of a checkpoint, of a start.
        tokio::time::sleep(Duration::from_millis(chance.below(WAIT_MS_MOST))).await;
        let victims = VICTIMS[usize::try_from(chance.below(VICTIMS.len() as u64))?];
        for (seat, part) in victims {
            // One that has just been killed may not be back yet.
            if let Some(id) = network.id(network.seat(*seat), *part) {
                process::signal(id, Signal::KILL);
            }
        }
        let killed = weir_clock::monotonic();
        let what = format!("round {round} of seed {seed}: a write after {victims:?}");
        let took = registers.next(&what, killed, WRITE_DEADLINE, |_| true).await;
        registers.all_at(&primary).await.with_context(|| what.clone())?;
        eprintln!("round {round}: {victims:?}, next write after {took:?}");
        // Every now and then the pair gets time to match, so that kills hit a resync and also a pair in step.
        if chance.below(2) == 0 {
            network.matched(Seat::Manager).await;
        }
    }
    let acknowledged = registers.end(&primary).await?;
    network.matched(Seat::Manager).await;
    let both = acknowledged.iter().filter(|one| one.replicated == Some(true)).count();
    eprintln!("{both} of {} were acknowledged by both", acknowledged.len());
    ensure!(both > 0, "a standby in step acknowledges too");
    ensure!(acknowledged.iter().all(|one| one.replicated.is_some()), "each answer says whether the standby has it");
    for seat in Seat::ALL {
        let checked = network.cms(seat, &["database", "validate"]).await?;
        ensure!(checked.status.success(), "the database of {seat:?} is sound: {checked:?}");
    }
    Ok(())
}
