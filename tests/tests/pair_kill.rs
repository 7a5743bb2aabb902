//! Managers killed at random points under continuous writes: nothing that was acknowledged is lost, and both end with the same configuration.
//!
//! `WEIR_PAIR_ROUNDS` says how many rounds (20 in CI, 500 in `cargo xtask soak`), `WEIR_PAIR_SEED` repeats a run.

use anyhow::{Context, ensure};
use std::time::Duration;
use weir_tests::{
    Network, Part, Registers, Seat,
    process::{self, Signal},
    wait_for,
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

/// What is done to the pair in a round.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// Processes die, and their keepers or `weir up` start them again.
    Kill,
    /// The primary's box dies and stays down: the standby takes over.
    Overtake,
    /// Somebody dies in the middle of a planned promotion.
    Cut,
}

/// In turns, so that the short form has each of them.
const DEEDS: [Deed; 5] = [Deed::Kill, Deed::Kill, Deed::Overtake, Deed::Kill, Deed::Cut];
/// A planned promotion is cut at most this long after it began.
const CUT_MS_MOST: u64 = 200;

/// The network, what is written to it, and who is its primary.
struct Trial {
    network: Network,
    registers: Registers,
    primary: Seat,
    chance: Chance,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills_of_either_manager_or_both() -> anyhow::Result<()> {
    let rounds = number("WEIR_PAIR_ROUNDS")?.unwrap_or(ROUNDS);
    let seed = number("WEIR_PAIR_SEED")?.unwrap_or_else(weir_clock::wall_ms);
    eprintln!("WEIR_PAIR_SEED={seed}, {rounds} rounds");
    let network = Network::builder().engines(3).start().await?;
    network.matched(Seat::Manager).await;
    let managers = vec![network.api_of(Seat::Manager)?, network.api_of(Seat::Standby)?];
    let registers = Registers::begin(managers).await?;
    let mut trial = Trial { network, registers, primary: Seat::Manager, chance: Chance(seed) };
    for (round, deed) in (0..rounds).zip(DEEDS.into_iter().cycle()) {
        let what = format!("round {round} of seed {seed}: {deed:?}");
        // The point of the kill is the chance: in the middle of a write, of a checkpoint, of a start.
        tokio::time::sleep(Duration::from_millis(trial.chance.below(WAIT_MS_MOST))).await;
        let killed = weir_clock::monotonic();
        match deed {
            Deed::Kill => trial.kill(&what).await,
            Deed::Overtake => trial.overtake(&what).await,
            Deed::Cut => trial.cut(&what).await,
        }
        .with_context(|| what.clone())?;
        let took = trial.registers.next(&format!("{what}: a write"), killed, WRITE_DEADLINE, |_| true).await;
        let primary = trial.network.api_of(trial.primary)?;
        trial.registers.all_at(&primary).await.with_context(|| what.clone())?;
        eprintln!("{what}: next write after {took:?}");
    }
    trial.judge().await
}

impl Trial {
    fn strike(&self, seat: Seat, part: Part) -> bool {
        // One that has just been killed may not be back yet.
        let id = self.network.id(self.network.seat(seat), part);
        id.is_some_and(|id| {
            process::signal(id, Signal::KILL);
            true
        })
    }

    async fn kill(&mut self, what: &str) -> anyhow::Result<()> {
        let victims = VICTIMS[usize::try_from(self.chance.below(VICTIMS.len() as u64))?];
        let struck = victims.iter().filter(|(seat, part)| self.strike(*seat, *part)).count();
        eprintln!("{what}: {struck} of {victims:?}");
        // Every now and then the pair gets time to match, so that kills hit a resync and also a pair in step.
        if self.chance.below(2) == 0 {
            self.network.matched(self.primary).await;
        }
        Ok(())
    }

    /// The standby takes over from a primary that is gone: it has every write that both acknowledged.
    async fn overtake(&mut self, what: &str) -> anyhow::Result<()> {
        self.network.matched(self.primary).await;
        let now = weir_clock::monotonic();
        self.registers.next(&format!("{what}: a write that both have"), now, WRITE_DEADLINE, |one| one.replicated == Some(true)).await;
        let (gone, next) = (self.primary, self.primary.other());
        self.network.keep_down(self.network.seat(gone)).await?;
        let change = self.network.cms_json(next, &["role", "primary", "--accept-loss", "1000"]).await?;
        ensure!(change["kind"] == "unplanned", "{change}");
        self.primary = next;
        self.registers.survived_at(&self.network.api_of(next)?).await?;
        self.network.bring_back(self.network.seat(gone))?;
        self.network.matched(next).await;
        Ok(())
    }

    /// Whoever dies in the middle of a planned promotion, one primary is left or comes back, and nobody has to do anything.
    async fn cut(&mut self, what: &str) -> anyhow::Result<()> {
        self.network.matched(self.primary).await;
        let victim = if self.chance.below(2) == 0 { self.primary } else { self.primary.other() };
        let after = Duration::from_millis(self.chance.below(CUT_MS_MOST));
        let (network, standby) = (&self.network, self.primary.other());
        let cut = async {
            tokio::time::sleep(after).await;
            self.strike(victim, Part::Worker)
        };
        let (asked, struck) = tokio::join!(network.cms(standby, &["role", "primary"]), cut);
        let outcome = asked?.status.code();
        let primary = wait_for(&format!("{what}: there is one primary"), WRITE_DEADLINE, || async {
            let states = [network.info(Seat::Manager).await?, network.info(Seat::Standby).await?].map(|info| info["state"].clone());
            ensure!(states.iter().filter(|state| **state == "primary").count() == 1, "{states:?}");
            network.primary().await
        })
        .await;
        eprintln!("{what}: {victim:?} (struck: {struck}) after {after:?}, the command ended with {outcome:?}, {primary:?} is the primary");
        network.matched(primary).await;
        self.primary = primary;
        Ok(())
    }

    /// Everything that was acknowledged is there, and both boxes are sound.
    async fn judge(self) -> anyhow::Result<()> {
        let Self { network, registers, primary, .. } = self;
        let acknowledged = registers.end(&network.api_of(primary)?).await?;
        network.matched(primary).await;
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
}
