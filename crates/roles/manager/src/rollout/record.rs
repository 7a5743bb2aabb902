//! The rollout as the journal has it: how it began, and each step since. Page: `docs/protocols/journal.md`.
//!
//! A record that one line holds is a `rollout`; a longer one is written as `rollout_part`s, text of the same JSON, and counts once
//! the last part is there.

use crate::journal::{Journal, JournalError};
use serde_json::json;
use std::sync::Arc;
use weir_rollout::plan::{
    CommitError, Plan,
    record::{self, Reader},
};

pub(super) use weir_rollout::plan::record::{KIND, KIND_PART, Part, Record, Said};

/// Bytes of JSON that go into one line: as text in a part every one of them may become two.
const TEXT_BYTES_MAX: usize = 28 << 10;

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

/// Why the journal's rollout cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The journal.
    #[error("read the journal")]
    Journal(#[from] JournalError),
    /// A record of it.
    #[error(transparent)]
    NoRollout(#[from] record::RecordError),
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
    let (mut reader, mut kept, mut failed) = (Reader::default(), None, None);
    journal.each(&[KIND, KIND_PART], |line| {
        if failed.is_none() {
            let taken = reader.take_body(line.seq, &line.kind, line.body).map_err(RecordError::from);
            failed = taken.and_then(|record| record.map_or(Ok(()), |record| follow(&mut kept, line.seq, line.at_ms, record))).err();
        }
    })?;
    failed.map_or(Ok(kept), Err)
}

fn follow(kept: &mut Option<Kept>, seq: u64, at_ms: u64, record: Record) -> Result<(), RecordError> {
    match (record, kept) {
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

#[cfg(test)]
mod tests;
