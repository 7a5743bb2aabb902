//! What the managers of a pair say to each other: one long poll of the standby, a snapshot, a yield. Page: `docs/protocols/pair.md`.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use weir_model::{DeviceName, Stamp, Version};

/// Most bytes of changesets in one answer; one larger than this travels alone.
pub const ANSWER_BYTES: usize = 4 << 20;
/// Most journal records in one answer.
pub const JOURNAL_RECORDS: usize = 1_000;

/// Where one manager of the pair stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairHello {
    /// Its device name.
    pub name: DeviceName,
    /// Its full version, `X.Y.Z-bB`: compared as a whole.
    pub version: String,
    /// Whether it is the primary.
    pub primary: bool,
    /// The term of the configuration it holds.
    pub term: u64,
    /// The highest term it has heard of, whoever's it is; at least `term` where it is told at all.
    #[serde(default)]
    pub heard: u64,
    /// Newest schema step of its `config.db`; 0 when it has none.
    pub step: u32,
    /// The newest changeset that is durable there; 0 when it has none.
    pub rev: u64,
    /// The chain hash at `rev`, hex; empty when it has none.
    pub hash: String,
    /// The digest at `rev`, hex; empty when it has none.
    pub digest: String,
    /// The last journal record it has; 0 when it has none.
    pub journal: u64,
    /// The hash of that record, hex; empty when it has none.
    pub journal_hash: String,
    /// Where its device API is.
    #[serde(default)]
    pub device: Option<SocketAddr>,
    /// Where its operator API is.
    #[serde(default)]
    pub api: Option<SocketAddr>,
    /// Its CMS state, as `weir cms info` names it; empty: it does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cms: String,
    /// Where its switch to another version stands; absent: none was ordered, or it is at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchStand>,
}

/// The primary orders the other manager to become another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchOrder {
    /// Which of several orders: a lower one is refused, an equal one is the same order.
    pub stamp: Stamp,
    /// The version.
    pub version: Version,
    /// SHA-256 of its MANIFEST, hex.
    pub manifest: String,
    /// The software file that has it.
    pub file: i64,
    /// An operator says that it be tried again although it failed before.
    #[serde(default)]
    pub again: bool,
}

/// Where a manager's switch to another version stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchStand {
    /// To which version.
    pub version: Version,
    /// SHA-256 of its MANIFEST, hex.
    pub manifest: String,
    /// How far it is.
    pub state: SwitchState,
    /// The particulars, where there are any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// How far a manager's switch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchState {
    /// The image is made ready, or the keeper starts it.
    Switching,
    /// It runs, and may still fall back.
    OnTrial,
    /// It runs for good.
    Committed,
    /// It fell back, or could not be begun.
    Failed,
    /// What this build does not know.
    #[serde(other)]
    Unknown,
}

/// The standby's poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairPoll {
    /// Where it stands. Naming a rev acknowledges it.
    pub hello: PairHello,
    /// It cannot go on from where it is, and why: it wants a snapshot.
    #[serde(default)]
    pub resync: Option<String>,
    /// How long an answer may wait when there is nothing to say, milliseconds.
    pub wait_ms: u64,
    /// Changes this box acknowledged alone when it was primary, which no operator has dismissed.
    #[serde(default)]
    pub unreplicated: u64,
    /// There are such changes, and its log does not reach back to what both have: there may be more of them.
    #[serde(default)]
    pub unreplicated_open: bool,
    /// Why it cannot apply what it was sent although it fits, one sentence: it asks for the same again.
    #[serde(default)]
    pub trouble: Option<String>,
    /// An operator of this box has said that what it has may be overwritten by what a primary has.
    #[serde(default)]
    pub overwrite: Option<Overwrite>,
    /// It cannot write its journal now: the answer has no records.
    #[serde(default)]
    pub skip_journal: bool,
}

/// Whose configuration may overwrite that of the standby, as an operator saw it there: no other primary's, and not this one's once it
/// has lost some of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overwrite {
    /// The primary.
    pub name: DeviceName,
    /// Its term.
    pub term: u64,
    /// The newest changeset it had.
    pub rev: u64,
}

/// The primary's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairAnswer {
    /// Where the primary stands.
    pub hello: PairHello,
    /// What it makes of the standby.
    pub verdict: Verdict,
    /// The changesets after the standby's rev, in order; only when matched.
    #[serde(default)]
    pub changesets: Vec<ShippedChangeset>,
    /// Journal lines after the standby's last, in order, as they are in the file.
    #[serde(default)]
    pub journal: Vec<String>,
    /// An operator asks the standby to take over.
    #[serde(default)]
    pub take_over: bool,
    /// Who does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_over_by: Option<OrderedBy>,
}

/// Who ordered something at the other manager, as its audit entries would name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedBy {
    /// Such as `user:anna` or `local`.
    pub actor: String,
    /// From where.
    pub source: String,
}

/// What the primary makes of the standby that polls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// It may apply what is sent.
    Matched,
    /// The versions differ: nothing is applied.
    VersionMismatch {
        /// The next legal step, one sentence.
        next: String,
    },
    /// It has to take a snapshot.
    Resync {
        /// Why, one sentence.
        reason: String,
    },
    /// Neither can go on from the other, and what the standby has may be the only good copy: an operator decides.
    Diverged {
        /// Which box has what, and the commands for either.
        detail: String,
    },
    /// Its term is above ours: we are no longer the primary.
    Fenced,
    /// What this build does not know.
    #[serde(other)]
    Unknown,
}

/// A changeset as the standby needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippedChangeset {
    /// Its columns as `docs/protocols/changesets.md` names them.
    pub rev: u64,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// Who.
    pub actor: String,
    /// From where.
    pub source: String,
    /// Term after it.
    pub term: u64,
    /// Generation after it.
    pub generation: u64,
    /// Schema step it was made on.
    pub step: u32,
    /// The changeset it takes back.
    #[serde(default)]
    pub undoes: Option<u64>,
    /// Whether it changed rows an undo brings back.
    pub undoable: bool,
    /// Bytes of all changesets before it.
    pub bytes_before: u64,
    /// Chain hash, hex.
    pub hash: String,
    /// Digest of the configuration after it, hex.
    pub digest: String,
    /// The changeset, base64.
    pub changeset: String,
    /// Its audit entries, in order of id.
    pub entries: Vec<ShippedEntry>,
}

/// An audit entry as its row holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippedEntry {
    /// Its id.
    pub id: i64,
    /// When.
    pub at_ms: u64,
    /// Who.
    pub actor: String,
    /// From where.
    pub source: String,
    /// What was done.
    pub verb: String,
    /// To what.
    pub object: String,
    /// Before, JSON as text.
    #[serde(default)]
    pub before: Option<String>,
    /// After, JSON as text.
    #[serde(default)]
    pub after: Option<String>,
    /// Generation.
    pub generation: u64,
}

/// The standby asks the primary to make way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct YieldRequest {
    /// Who takes over, and where it stands.
    pub hello: PairHello,
    /// The term it takes over with.
    pub term: u64,
    /// It has asked before and does not know what became of it: who has made way says so again, who has not refuses.
    #[serde(default)]
    pub resume: bool,
}

/// The primary has made way: it is fenced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct YieldAnswer {
    /// Where it stood when it stopped; the standby must stand there too.
    pub hello: PairHello,
}
