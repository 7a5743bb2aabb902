//! A rollout from an exported journal, step by step: what happened, and whether each step could follow the one before.

mod amiss;
mod words;

use amiss::amiss;
use std::{fmt::Write, sync::Arc};
use weir_rollout::plan::{
    Plan,
    record::{Entry, Reader, Record, Said},
};

/// What a journal came to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// A row for each record.
    pub rows: Vec<Row>,
    /// What must not be, with the number of its record.
    pub broken: Vec<String>,
    /// Rollouts that were begun.
    pub rollouts: u32,
    plan: Option<Arc<Plan>>,
}

/// One record, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When, as the journal has it, milliseconds since 1970.
    pub at_ms: u64,
    /// The plan's term and generation.
    pub stamp: String,
    /// Where it stands as a whole.
    pub status: &'static str,
    /// The phase.
    pub phase: &'static str,
    /// What changed, and who said what.
    pub what: String,
}

/// Follows the lines of a journal.
pub fn replay(journal: &str) -> Replayed {
    let (mut reader, mut replayed) = (Reader::default(), Replayed::default());
    for (number, line) in journal.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match reader.take(line) {
            Ok(Some(entry)) => replayed.follow(entry),
            Ok(None) => {}
            Err(refused) => {
                let source = std::error::Error::source(&refused).map(|source| format!(": {source}"));
                replayed.broken.push(format!("line {}: {refused}{}", number + 1, source.unwrap_or_default()));
            }
        }
    }
    replayed
}

impl Replayed {
    fn follow(&mut self, Entry { seq, at_ms, record }: Entry) {
        match record {
            Record::Began { plan, by } => {
                let found = amiss::at_start(self.plan.as_deref(), &plan);
                self.breaks(seq, found);
                self.rollouts += 1;
                self.row(at_ms, &plan, format!("{by} began it: {}", words::design(&plan)));
                self.plan = Some(Arc::from(plan));
            }
            Record::Step { commit, said } => {
                let Some(parent) = self.plan.clone() else {
                    return self.breaks(seq, vec!["a step of a rollout whose beginning is not in the journal".to_owned()]);
                };
                match parent.with(*commit) {
                    Ok(next) => self.step(seq, at_ms, &parent, next, said.as_ref()),
                    Err(refused) => self.breaks(seq, vec![refused.to_string()]),
                }
            }
        }
    }

    fn step(&mut self, seq: u64, at_ms: u64, parent: &Plan, next: Plan, said: Option<&Said>) {
        self.breaks(seq, amiss(parent, &next, said));
        let said = said.map(words::said);
        let what: Vec<String> = said.into_iter().chain(words::changes(parent, &next)).collect();
        self.row(at_ms, &next, what.join("; "));
        self.plan = Some(Arc::new(next));
    }

    fn row(&mut self, at_ms: u64, plan: &Plan, what: String) {
        let stamp = format!("{}.{}", plan.stamp.term, plan.stamp.generation);
        self.rows.push(Row { at_ms, stamp, status: plan.status(), phase: plan.phase.as_str(), what });
    }

    fn breaks(&mut self, seq: u64, found: Vec<String>) {
        self.broken.extend(found.into_iter().map(|what| format!("record {seq}: {what}")));
    }

    /// The table, what was broken, and a summary line.
    pub fn text(&self) -> String {
        let mut text = format!("{:<19}  {:>10}  {:<10}  {:<13}  what\n", "time (UTC)", "generation", "state", "phase");
        let mut put = |line: String| writeln!(text, "{}", line.trim_end()).expect("text takes what is written");
        for Row { at_ms, stamp, status, phase, what } in &self.rows {
            put(format!("{}  {stamp:>10}  {status:<10}  {phase:<13}  {what}", words::time(*at_ms)));
        }
        for broken in &self.broken {
            put(format!("BROKEN {broken}"));
        }
        let end = self.plan.as_ref().map_or("nothing of a rollout", |plan| plan.status());
        put(format!("{} rollouts, {} records, at the end: {end}; {} broken", self.rollouts, self.rows.len(), self.broken.len()));
        text
    }
}

#[cfg(test)]
mod tests;
