//! The log of writes: each one is kept as a changeset, which can be taken back.

use crate::{AuditEntry, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One write of the configuration, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changeset {
    /// Its place in the log; rises by one.
    pub rev: u64,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// Who, as in [`AuditEntry::actor`].
    pub actor: String,
    /// Address the request came from; `local` for the manager's own socket.
    pub source: String,
    /// Term of the manager that made it.
    pub term: u64,
    /// Configuration generation after it.
    pub generation: u64,
    /// The changeset it takes back; null where it takes none.
    pub undoes: Option<u64>,
    /// What was done to which objects, such as `change location east`.
    pub did: Vec<String>,
    /// SHA-256, in hex, over this changeset and the hash of the one before.
    pub hash: String,
}

/// One changeset with its particulars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangesetDetail {
    /// The changeset.
    pub changeset: Changeset,
    /// Each object it changed, before and after.
    pub entries: Vec<AuditEntry>,
    /// Why it cannot be taken back; null when, as far as is seen without trying, it can.
    pub undo_refused: Option<Problem>,
}

/// Which changesets of one object are wanted, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Those before this one, the `next` of a page; absent: from the newest.
    pub before: Option<u64>,
    /// At most so many, up to 10,000; absent: 1,000.
    pub limit: Option<u32>,
}

/// Which changesets are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangesetQuery {
    /// Those after this one, oldest first; absent: from the oldest that is kept.
    pub after: Option<u64>,
    /// At most so many, up to 10,000; absent: 1,000.
    pub limit: Option<u32>,
    /// The newest so many, up to 10,000, oldest first. In place of the others.
    pub newest: Option<u32>,
    /// Those after this one, as soon as there is one: the answer waits up to 30 s, and is empty then. In place of `after`.
    pub watch: Option<u64>,
}
