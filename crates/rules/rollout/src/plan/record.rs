//! A rollout as the managers' journal has it, read from its lines: `{"seq", "at_ms", "kind", "body", ...}`. Page:
//! `docs/protocols/journal.md`.
//!
//! A record that one line holds is a `rollout`; a longer one is written as `rollout_part`s, text of the same JSON, and counts
//! once the last part is there. Other kinds are passed over.

use super::{Command, Commit, Plan};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A whole record.
pub const KIND: &str = "rollout";
/// A part of one.
pub const KIND_PART: &str = "rollout_part";

/// What happened to a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
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
pub struct Said {
    /// What.
    pub command: Command,
    /// Why, in the operator's words, where the command itself has no place for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Who.
    pub by: String,
}

/// A part of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
    /// JSON of the record.
    pub text: String,
}

/// A whole record and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Number of its last line.
    pub seq: u64,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub record: Record,
}

/// A line that is not to be followed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is no line of a journal.
    #[error("it is no line of a journal")]
    NoLine(#[source] serde_json::Error),
    /// It names a kind of rollouts' and is none of their records.
    #[error("journal record {seq} is no rollout")]
    NoRollout {
        /// Its number.
        seq: u64,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Line {
    seq: u64,
    at_ms: u64,
    kind: String,
    #[serde(default)]
    body: Value,
}

/// A record as a line that [`Reader`] reads, without what chains lines together.
pub fn line(seq: u64, at_ms: u64, record: &Record) -> String {
    serde_json::json!({ "seq": seq, "at_ms": at_ms, "kind": KIND, "body": record }).to_string()
}

/// Reads lines one after the other and puts parts together.
#[derive(Debug, Default)]
pub struct Reader {
    text: String,
    parts: u32,
}

impl Reader {
    /// The record that this line completes, if it does.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn take(&mut self, line: &str) -> Result<Option<Entry>, RecordError> {
        let Line { seq, at_ms, kind, body } = serde_json::from_str(line).map_err(RecordError::NoLine)?;
        let record = self.take_body(seq, &kind, body)?;
        Ok(record.map(|record| Entry { seq, at_ms, record }))
    }

    /// The same of a line that was read already.
    ///
    /// # Errors
    /// [`RecordError::NoRollout`].
    pub fn take_body(&mut self, seq: u64, kind: &str, body: Value) -> Result<Option<Record>, RecordError> {
        let no_rollout = |source| RecordError::NoRollout { seq, source };
        match kind {
            KIND => {
                // Whatever was begun before it was cut off by a crash.
                *self = Self::default();
                serde_json::from_value(body).map(Some).map_err(no_rollout)
            }
            KIND_PART => {
                let part = serde_json::from_value(body).map_err(no_rollout)?;
                let Some(text) = self.join(&part) else { return Ok(None) };
                serde_json::from_str(&text).map(Some).map_err(no_rollout)
            }
            _ => Ok(None),
        }
    }

    /// The text of a record, with its last part.
    fn join(&mut self, part: &Part) -> Option<String> {
        if part.number == 1 {
            *self = Self::default();
        }
        self.parts += 1;
        self.text.push_str(&part.text);
        (self.parts == part.number && part.number == part.of).then(|| std::mem::take(self).text)
    }
}

#[cfg(test)]
mod tests;
