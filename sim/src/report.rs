//! What a person reads of a run.

use crate::{
    fault::{Defect, Fault},
    world::{Outcome, Setup},
};
use std::{collections::BTreeMap, fmt::Write};

/// A duration as hours, minutes and seconds.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The summary of one run.
pub fn summary(setup: &Setup, outcome: &Outcome, real_ms: u64) -> String {
    let ended = outcome.ended.as_ref().map_or("not ended", |state| state.as_str());
    let mean_us = outcome.tick_sum_us / outcome.ticks.max(1);
    let mut text = format!(
        "seed {}: {} devices, {} by {}, {} lines, {} faults, image {}: {ended} after {} (simulated)\n",
        setup.seed,
        setup.devices,
        setup.direction,
        setup.driver,
        setup.lines,
        setup.faults,
        setup.defect,
        duration(outcome.took_ms)
    );
    let lines = [
        format!("{} events, {} rounds of the planner, {real_ms} ms real time", outcome.events, outcome.ticks),
        format!("a round took {mean_us} us on average, {} us at most", outcome.tick_max_us),
        format!("configuration frozen for {} at most at once", duration(outcome.frozen_max_ms)),
        format!("{} devices ran a bad image, {} are the first canaries", outcome.touched, outcome.canaries),
    ];
    for line in lines {
        writeln!(text, "  {line}").expect("text takes what is written");
    }
    for broken in &outcome.broken {
        writeln!(text, "  BROKEN {broken}").expect("text takes what is written");
    }
    text
}

/// A failing run, so that it can be kept: the setup and the faults that are left.
pub fn failing(setup: &Setup, faults: &[Fault], outcome: &Outcome) -> String {
    let mut text = format!("seed {} fails with {} of {} faults:\n", setup.seed, faults.len(), setup.faults);
    for fault in faults {
        writeln!(text, "  {} for {}: {:?}", duration(fault.at_ms), duration(fault.for_ms), fault.kind).expect("text takes what is written");
    }
    for broken in &outcome.broken {
        writeln!(text, "  BROKEN {broken}").expect("text takes what is written");
    }
    text
}

/// Many runs, counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    runs: u64,
    failed: Vec<u64>,
    events: u64,
    ticks: u64,
    tick_max_us: u64,
    ends: BTreeMap<&'static str, u64>,
    /// By defect: runs in which a device ran it, and of these those in which only canaries did.
    bad: BTreeMap<Defect, (u64, u64)>,
}

impl Tally {
    /// Counts a run.
    pub fn add(&mut self, setup: &Setup, outcome: &Outcome) {
        self.runs += 1;
        self.events += outcome.events;
        self.ticks += outcome.ticks;
        self.tick_max_us = self.tick_max_us.max(outcome.tick_max_us);
        *self.ends.entry(outcome.ended.as_ref().map_or("not ended", |state| state.as_str())).or_default() += 1;
        if !outcome.broken.is_empty() {
            self.failed.push(setup.seed);
        }
        if setup.defect != Defect::None && outcome.touched > 0 {
            let (runs, contained) = self.bad.entry(setup.defect).or_default();
            *runs += 1;
            *contained += u64::from(outcome.touched <= outcome.canaries);
        }
    }

    /// Whether no run broke anything.
    pub fn is_well(&self) -> bool {
        self.failed.is_empty()
    }

    /// The runs in a few lines.
    pub fn text(&self, real_ms: u64) -> String {
        let ends: Vec<String> = self.ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
        let mut text = format!("{} seeds in {real_ms} ms: {}; {} broke something\n", self.runs, ends.join(", "), self.failed.len());
        writeln!(text, "  {} events, {} rounds, the longest {} us", self.events, self.ticks, self.tick_max_us)
            .expect("text takes what is written");
        for (defect, (runs, contained)) in &self.bad {
            writeln!(text, "  image {defect}: stayed with the canaries in {contained} of {runs} runs").expect("text takes what is written");
        }
        if !self.failed.is_empty() {
            writeln!(text, "  failing seeds: {:?}", self.failed).expect("text takes what is written");
        }
        text
    }
}
