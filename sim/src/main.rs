//! `weir-sim`: simulates software updates of a whole network.
#![allow(clippy::print_stdout, reason = "what it prints is its output")]

use anyhow::Context;
use clap::{Parser, ValueEnum};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};
use weir_rollout::pair_order::{Direction, Driver};
use weir_sim::{
    fault::Defect,
    replay, report, shrink, svg,
    world::{Outcome, Setup, run},
};

/// Simulates a software update of a whole network through weir-rollout's planner and the machine that devices run.
///
/// Ends with 0 when nothing was broken, 1 when something was, 64 when it was called wrongly.
#[derive(Debug, Parser)]
#[command(name = "weir-sim", version)]
struct Arguments {
    /// Engines and routers.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    devices: u32,
    /// The seed; with --seeds the first of them.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to run, each with the faults it draws; a failing one is shrunk and printed.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Faults of each run; by default none of one seed, and up to 24, by the seed, of many.
    #[arg(long)]
    faults: Option<usize>,
    /// Which way; by default up for one seed, and by the seed for many.
    #[arg(long)]
    direction: Option<Way>,
    /// Who takes the managers' steps; by default the rollout for one seed, and by the seed for many.
    #[arg(long)]
    driver: Option<By>,
    /// Lines from the start to the target.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    lines: u32,
    /// The rollout's timers.
    #[arg(long, default_value = "standard", value_parser = ["standard", "fast", "rehearsal", "emergency"])]
    profile: String,
    /// What is wrong with the image; by default nothing for one seed, and by the seed for many.
    #[arg(long, value_parser = Defect::ALL.map(Defect::as_str))]
    image: Option<String>,
    /// Where to write a picture of the run of one seed.
    #[arg(long, conflicts_with = "seeds")]
    svg: Option<PathBuf>,
    /// Replay the rollouts of this exported journal, JSON lines, instead.
    #[arg(long, value_name = "FILE", exclusive = true)]
    replay: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    Up,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Gui,
    Cli,
}

impl Arguments {
    fn setup(&self, seed: u64) -> Setup {
        let many = self.seeds.is_some();
        let mut setup = if many { Setup::of_seed(seed, self.devices) } else { Setup::calm(seed, self.devices) };
        setup.lines = self.lines;
        setup.profile.clone_from(&self.profile);
        setup.faults = self.faults.unwrap_or(setup.faults);
        setup.direction = match self.direction {
            None => setup.direction,
            Some(Way::Up) => Direction::Up,
            Some(Way::Down) => Direction::Down,
        };
        setup.driver = match self.driver {
            None => setup.driver,
            Some(By::Gui) => Driver::Gui,
            Some(By::Cli) => Driver::Cli,
        };
        let image = Defect::ALL.into_iter().find(|defect| Some(defect.as_str()) == self.image.as_deref());
        setup.defect = image.unwrap_or(setup.defect);
        setup
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            let is_asked = !wrong.use_stderr();
            // Nobody is left to tell when that does not work.
            let _ = wrong.print();
            return if is_asked { ExitCode::SUCCESS } else { ExitCode::from(64) };
        }
    };
    let found = match (&arguments.replay, arguments.seeds) {
        (Some(path), _) => again(path),
        (None, Some(seeds)) => Ok(many(&arguments, seeds)),
        (None, None) => one(&arguments),
    };
    match found {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("weir-sim: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

/// A journal: whether every step could follow the one before.
fn again(path: &Path) -> anyhow::Result<bool> {
    let journal = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let replayed = replay::replay(&journal);
    print!("{}", replayed.text());
    Ok(replayed.broken.is_empty())
}

/// One seed: whether nothing was broken.
fn one(arguments: &Arguments) -> anyhow::Result<bool> {
    let setup = arguments.setup(arguments.seed);
    let begun_ms = weir_clock::monotonic_ms();
    let faults = setup.draw();
    let outcome = run(&setup, &faults);
    print!("{}", report::summary(&setup, &outcome, weir_clock::monotonic_ms() - begun_ms));
    if let Some(path) = &arguments.svg {
        std::fs::write(path, svg::picture(&setup, &outcome)).with_context(|| format!("writing {}", path.display()))?;
    }
    if !outcome.broken.is_empty() {
        let (faults, outcome) = shrink::shrink(&setup, faults);
        print!("{}", report::failing(&setup, &faults, &outcome));
    }
    Ok(outcome.broken.is_empty())
}

/// Many seeds: whether nothing was broken in any.
fn many(arguments: &Arguments, seeds: u64) -> bool {
    let begun_ms = weir_clock::monotonic_ms();
    let mut tally = report::Tally::default();
    for seed in arguments.seed..arguments.seed.saturating_add(seeds) {
        let setup = arguments.setup(seed);
        let faults = setup.draw();
        let outcome: Outcome = run(&setup, &faults);
        tally.add(&setup, &outcome);
        if !outcome.broken.is_empty() {
            let (faults, outcome) = shrink::shrink(&setup, faults);
            print!("{}", report::failing(&setup, &faults, &outcome));
        }
    }
    print!("{}", tally.text(weir_clock::monotonic_ms() - begun_ms));
    tally.is_well()
}
