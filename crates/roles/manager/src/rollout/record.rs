//! The rollout as the journal has it: how it began, and each step since. Page: `docs/protocols/journal.md`.
//!
//! A record that one line holds is a `rollout`; a longer one is written as `rollout_part`s, text of the same JSON, and counts once
//! the last part is there.

use crate::journal::{Journal, JournalError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use weir_rollout::plan::{Command, Commit, CommitError, Plan};

/// A whole record.
pub(super) const KIND: &str = "rollout";
/// A part of one.
pub(super) const KIND_PART: &str = "rollout_part";
/// Bytes of JSON that go into one line: as text in a part every one of them may become two.
const TEXT_BYTES_MAX: usize = 28 << 10;

/// What happened to a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    /// It was started, in the place of the one before.
    Began {
        /// The plan, as it was after the start.
        plan: Box<Plan>,
        /// By whom.
        by: String,
    },
    /// It came one step further.
    Step {
        /// What changed.
        commit: Box<Commit>,
        /// What an operator said, when that was the step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<Said>,
    },
}

/// What an operator said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// What.
    pub(super) command: Command,
    /// Why, in the operator's words, where the command itself has no place for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// Who.
    pub(super) by: String,
}

/// The rollout there is, or was last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) plan: Arc<Plan>,
    /// Who started it, and when, milliseconds since 1970.
    pub(crate) by: String,
    pub(crate) started_ms: u64,
    /// When it came to its end.
    pub(crate) ended_ms: Option<u64>,
}

/// A part of a record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) of: u32,
    pub(super) text: String,
}

/// Why the journal's rollout cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The journal.
    #[error("read the journal")]
    Journal(#[from] JournalError),
    /// A record of it.
    #[error("journal record {seq} is no rollout")]
    NoRollout {
        /// Its number.
        seq: u64,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A step that is not the next one.
    #[error("journal record {seq} is not the rollout's next step")]
    NotNext {
        /// Its number.
        seq: u64,
        /// Why not.
        #[source]
        source: CommitError,
    },
}

/// Appends a record durably. Call it from where blocking is allowed.
pub(super) fn append(journal: &Journal, at_ms: u64, term: u64, record: &Record) -> Result<(), JournalError> {
    let text = serde_json::to_string(record).expect("plans and commits are JSON: their maps have text or numbers for keys");
    let records = if text.len() <= TEXT_BYTES_MAX {
        vec![(KIND, serde_json::from_str(&text).expect("it was written just now"))]
    } else {
        let parts = cut(&text);
        let of = u32::try_from(parts.len()).expect("a plan has fewer parts than a file has bytes");
        let part = |(number, text): (u32, &str)| (KIND_PART, json!(Part { number, of, text: text.to_owned() }));
        (1..).zip(parts).map(part).collect()
    };
    journal.append_all(at_ms, term, records).map(drop)
}

/// Text in pieces of at most [`TEXT_BYTES_MAX`], between characters.
fn cut(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while text.len() > TEXT_BYTES_MAX {
        let (part, rest) = text.split_at(text.floor_char_boundary(TEXT_BYTES_MAX));
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

/// The last rollout of a journal.
///
/// # Errors
/// [`RecordError`]: the journal is whole, and yet what it says of the rollout is not to be followed.
pub(crate) fn read(journal: &Journal) -> Result<Option<Kept>, RecordError> {
    let mut reader = Reader::default();
    let mut failed = None;
    journal.each(&[KIND, KIND_PART], |line| {
        if failed.is_none() {
            failed = reader.take(line.seq, line.at_ms, &line.kind, line.body).err();
        }
    })?;
    failed.map_or(Ok(reader.kept), Err)
}

#[derive(Default)]
struct Reader {
    kept: Option<Kept>,
    /// Parts of a record that is not complete yet.
    text: String,
    parts: u32,
}

impl Reader {
    fn take(&mut self, seq: u64, at_ms: u64, kind: &str, body: Value) -> Result<(), RecordError> {
        let no_rollout = |source| RecordError::NoRollout { seq, source };
        if kind == KIND {
            // Whatever was begun before it was cut off by a crash.
            self.text.clear();
            return self.follow(seq, at_ms, serde_json::from_value(body).map_err(no_rollout)?);
        }
        let part: Part = serde_json::from_value(body).map_err(no_rollout)?;
        if part.number == 1 {
            self.text.clear();
            self.parts = 0;
        }
        self.parts += 1;
        self.text.push_str(&part.text);
        if self.parts != part.number || part.number != part.of {
            return Ok(());
        }
        let record = serde_json::from_str(&std::mem::take(&mut self.text)).map_err(no_rollout)?;
        self.follow(seq, at_ms, record)
    }

    fn follow(&mut self, seq: u64, at_ms: u64, record: Record) -> Result<(), RecordError> {
        match (record, &mut self.kept) {
            (Record::Began { plan, by }, kept) => *kept = Some(Kept { plan: Arc::from(plan), by, started_ms: at_ms, ended_ms: None }),
            (Record::Step { commit, .. }, Some(kept)) => {
                let next = kept.plan.with(*commit).map_err(|source| RecordError::NotNext { seq, source })?;
                kept.ended_ms = next.is_over().then_some(at_ms);
                kept.plan = Arc::new(next);
            }
            // What it belongs to went aside with a damaged part of the journal.
            (Record::Step { .. }, None) => tracing::warn!(seq, "a step of a rollout whose beginning is not in the journal"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
