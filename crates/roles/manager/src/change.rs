//! A change: one write transaction, its audit rows, its changeset, and the next generation if it changes configuration.

use crate::{
    access::Access,
    cms::Frozen,
    confirm, domain, published,
    snapshot::Snapshot,
    software,
    tables::{
        audit, changesets, device_updates, digests, migrations, settings,
        tokens::{self, Kept},
        users::{self, User},
    },
    updates,
};
use rusqlite::Transaction;
use serde::Serialize;
use serde_json::Value;
use std::{
    cell::{Cell, RefCell},
    fmt,
};
use weir_database::{DatabaseError, Recorder};
use weir_model::DeviceName;
use weir_operator_api::{ApiToken, AuditEntry, Problem, Reason};

/// Who asks for a change, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    /// Address, or `local`.
    pub(crate) source: String,
    /// What it may do.
    pub(crate) access: Access,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Whoever may open the manager's own socket.
    Local,
    /// An API token, by name.
    Token(String),
    /// Somebody who signed in to the pages, by name.
    User(String),
    /// Somebody who has not signed in.
    Visitor,
    /// A device, by name.
    Device(String),
    /// A device that enrols, by the token's id.
    EnrolmentToken(String),
    /// The manager itself.
    Manager,
    /// Whoever ordered it at the other manager, as that names them.
    Elsewhere(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Local => f.write_str("local"),
            Actor::Token(name) => write!(f, "token:{name}"),
            Actor::User(name) => write!(f, "user:{name}"),
            Actor::Device(name) => write!(f, "device:{name}"),
            Actor::EnrolmentToken(id) => write!(f, "enrolment-token:{id}"),
            Actor::Visitor => f.write_str("visitor"),
            Actor::Manager => f.write_str("manager"),
            Actor::Elsewhere(actor) => f.write_str(actor),
        }
    }
}

impl Caller {
    /// The manager's own doing.
    pub(crate) fn manager() -> Self {
        Self { actor: Actor::Manager, source: "local".to_owned(), access: Access::admin() }
    }
}

/// Why a change was not made. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// A rule says no.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// The database does.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal::Problem(Box::new(problem))
    }
}
impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Refusal::Database(error.into())
    }
}

impl Refusal {
    /// As the caller is told; a fault of ours is logged with its causes.
    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Refusal::Problem(problem) => *problem,
            Refusal::Database(DatabaseError::DiskFull) => Problem::new(Reason::DiskFull, "the write was not kept"),
            Refusal::Database(DatabaseError::Closed) => Problem::new(Reason::Unavailable, "the manager is stopping"),
            Refusal::Database(error) => {
                tracing::error!(error = %weir_telemetry::Chain(&error), "database refused");
                Problem::new(Reason::Internal, "the database refused; the log has the particulars")
            }
        }
    }
}

/// A change under way.
pub(crate) struct Change<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    /// The network before the change; changes are made one at a time, so this is exact.
    pub(crate) before: &'a Snapshot,
    pub(crate) now_ms: u64,
    caller: &'a Caller,
    /// Absent: a part, whose change records it.
    recorder: Option<Recorder<'a>>,
    /// Ids of the audit entries written.
    entries: RefCell<Vec<i64>>,
    undoes: Cell<Option<u64>>,
    /// The term after it.
    term: Cell<u64>,
    /// The generation after it is above this one.
    above: Cell<u64>,
    /// The word of whoever asks that what it takes away may go.
    confirm: RefCell<Option<String>>,
    /// It may be made while the configuration is frozen.
    emergency: Cell<bool>,
    configures: Cell<bool>,
    enrols: Cell<bool>,
    changes_tokens: Cell<bool>,
    changes_users: Cell<bool>,
    changes_software: Cell<bool>,
    changes_updates: Cell<bool>,
}

/// What others must learn once a change is committed.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) network: Option<Snapshot>,
    pub(crate) api_tokens: Option<Vec<Kept<ApiToken>>>,
    pub(crate) users: Option<Vec<User>>,
    pub(crate) software: Option<software::Kept>,
    pub(crate) updates: Option<updates::record::Kept>,
    /// The changeset that was kept.
    pub(crate) rev: Option<u64>,
}

impl<'a> Change<'a> {
    /// # Errors
    /// What the database says.
    pub(crate) fn new(tx: &'a Transaction<'a>, before: &'a Snapshot, caller: &'a Caller, now_ms: u64) -> Result<Self, DatabaseError> {
        Ok(Self {
            tx,
            before,
            now_ms,
            caller,
            recorder: Some(Recorder::begin(tx, &changesets::NOT_RECORDED)?),
            entries: RefCell::default(),
            undoes: Cell::new(None),
            term: Cell::new(before.stamp.term),
            above: Cell::new(0),
            confirm: RefCell::default(),
            emergency: Cell::new(false),
            configures: Cell::new(false),
            enrols: Cell::new(false),
            changes_tokens: Cell::new(false),
            changes_users: Cell::new(false),
            changes_software: Cell::new(false),
            changes_updates: Cell::new(false),
        })
    }

    /// A part of this change, which finds the network as the parts before left it.
    pub(crate) fn on<'b>(&'b self, network: &'b Snapshot) -> Change<'b> {
        Change {
            tx: self.tx,
            before: network,
            now_ms: self.now_ms,
            caller: self.caller,
            recorder: None,
            entries: RefCell::default(),
            undoes: Cell::new(None),
            term: Cell::new(self.term.get()),
            above: Cell::new(self.above.get()),
            confirm: RefCell::default(),
            emergency: Cell::new(false),
            configures: Cell::new(self.configures.get()),
            enrols: Cell::new(false),
            changes_tokens: Cell::new(false),
            changes_users: Cell::new(false),
            changes_software: Cell::new(false),
            changes_updates: Cell::new(false),
        }
    }

    /// Takes over what a part that was made has noted.
    pub(crate) fn absorb(&self, part: Change<'_>) {
        self.entries.borrow_mut().extend(part.entries.into_inner());
        let notes = [
            (&self.configures, part.configures),
            (&self.enrols, part.enrols),
            (&self.changes_tokens, part.changes_tokens),
            (&self.changes_users, part.changes_users),
            (&self.changes_software, part.changes_software),
            (&self.changes_updates, part.changes_updates),
        ];
        for (note, of_part) in notes {
            note.set(note.get() || of_part.get());
        }
    }

    /// What whoever makes it may do.
    pub(crate) fn access(&self) -> &Access {
        &self.caller.access
    }

    /// Who makes it.
    pub(crate) fn actor(&self) -> &Actor {
        &self.caller.actor
    }

    /// It may be made while the configuration is frozen: what takes viewers away from harm does not wait.
    pub(crate) fn in_emergency(&self) {
        self.emergency.set(true);
    }

    /// Whether it has to wait while the configuration is frozen: what only the audit learns does not, nor what the manager itself does.
    fn waits_for_thaw(&self) -> bool {
        let changes = [&self.configures, &self.enrols, &self.changes_tokens, &self.changes_users, &self.changes_software];
        let own = matches!(self.caller.actor, Actor::Manager) || self.emergency.get();
        !own && (self.changes_updates.get() || changes.into_iter().any(Cell::get))
    }

    /// Refuses it while the configuration is frozen.
    pub(crate) fn thawed(&self, frozen: Option<&Frozen>) -> Result<(), Problem> {
        let Some(frozen) = frozen.filter(|_| self.waits_for_thaw()) else { return Ok(()) };
        let since_s = self.now_ms.saturating_sub(frozen.since_ms) / 1_000;
        Err(Problem::new(Reason::Frozen, format!("the managers are being switched; frozen for {since_s} s")))
    }

    /// The generation this change's configuration carries. Asking makes the change one of configuration.
    pub(crate) fn revision(&self) -> u64 {
        self.configures.set(true);
        self.generation()
    }

    /// Goes on with generations above this one, which devices know of a configuration that this network has lost.
    pub(crate) fn continue_above(&self, generation: u64) {
        self.above.set(generation);
        self.configures.set(true);
    }

    /// Makes a manager the primary, with a term of its own.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) fn take_over(&self, primary: &DeviceName, term: u64) -> rusqlite::Result<()> {
        settings::set(self.tx, settings::PRIMARY, primary.as_str())?;
        settings::set_number(self.tx, settings::TERM, term)?;
        self.term.set(term);
        self.revision();
        let side = |primary: &DeviceName, term: u64| serde_json::json!({ "primary": primary, "term": term });
        let (before, after) = (side(&self.before.primary, self.before.stamp.term), side(primary, term));
        self.audit("promote", format_args!("manager {primary}"), Some(&before), Some(&after))
    }

    /// Notes that it takes another changeset back.
    pub(crate) fn undoes(&self, rev: u64) {
        self.undoes.set(Some(rev));
    }

    /// Takes the hash by which whoever asks confirms what the change takes away.
    pub(crate) fn confirm(&self, given: Option<String>) {
        *self.confirm.borrow_mut() = given;
    }

    /// Notes that the coverage zones, or a name they use, are new.
    pub(crate) fn zones_changed(&self) -> rusqlite::Result<()> {
        settings::set_number(self.tx, settings::ZONES_REVISION, self.revision())
    }

    /// Notes that a device's record is new, although no document may have changed.
    pub(crate) fn enrolled(&self) {
        self.enrols.set(true);
    }

    /// Notes that API tokens are new.
    pub(crate) fn api_tokens_changed(&self) {
        self.changes_tokens.set(true);
    }

    /// Notes that users are new.
    pub(crate) fn users_changed(&self) {
        self.changes_users.set(true);
    }

    /// Notes that software files, or where they may be fetched from, are new.
    pub(crate) fn software_changed(&self) {
        self.changes_software.set(true);
    }

    /// Notes that what devices were assigned is new.
    pub(crate) fn updates_changed(&self) {
        self.changes_updates.set(true);
    }

    /// Writes the audit row of one object. Neither `before` nor `after` may hold a secret.
    pub(crate) fn audit(
        &self,
        verb: &str,
        object: impl fmt::Display,
        before: Option<&impl Serialize>,
        after: Option<&impl Serialize>,
    ) -> rusqlite::Result<()> {
        let json = |value: serde_json::Result<Value>| value.expect("records are JSON");
        let entry = AuditEntry {
            id: 0,
            at_ms: self.now_ms,
            actor: self.caller.actor.to_string(),
            source: self.caller.source.clone(),
            verb: verb.to_owned(),
            object: object.to_string(),
            before: before.map(|b| json(serde_json::to_value(b))),
            after: after.map(|a| json(serde_json::to_value(a))),
            generation: self.generation(),
            rev: None,
        };
        self.entries.borrow_mut().push(audit::insert(self.tx, &entry)?);
        Ok(())
    }

    /// The generation there is after it, as far as it has come.
    pub(crate) fn generation(&self) -> u64 {
        let generation = self.before.stamp.generation;
        if self.configures.get() { generation.max(self.above.get()).saturating_add(1) } else { generation }
    }

    /// Raises the generation if configuration changed, refuses what devices could not load, and keeps the changeset.
    pub(crate) fn finish(self) -> Result<Outcome, Refusal> {
        let mut outcome = Outcome::default();
        if self.configures.get() {
            countable(self.generation())?;
            settings::set_number(self.tx, settings::GENERATION, self.generation())?;
        }
        if self.configures.get() || self.enrols.get() {
            let mut network = Snapshot::load(self.tx, &self.before.seal, Some(self.before))?;
            // Who the primary is must not depend on what it finds.
            if self.term.get() == self.before.stamp.term {
                published::allowed(self.before, &network)?;
            }
            confirm::check(self.before, &network, self.confirm.borrow().as_deref())?;
            if self.configures.get() {
                published::keep(self.tx, self.before, &network)?;
                confirm::note(self.tx, self.before, &mut network, &self.caller.actor)?;
            }
            outcome.network = Some(network);
        }
        if self.changes_tokens.get() {
            outcome.api_tokens = Some(tokens::api_all(self.tx)?);
        }
        if self.changes_users.get() {
            outcome.users = Some(users::all(self.tx)?);
        }
        if self.changes_software.get() {
            outcome.software = Some(software::kept(self.tx)?);
        }
        if self.changes_updates.get() {
            outcome.updates = Some(device_updates::all(self.tx)?);
        }
        outcome.rev = self.keep()?;
        Ok(outcome)
    }

    /// Keeps what was done as a changeset; `None` when nothing was.
    fn keep(self) -> rusqlite::Result<Option<u64>> {
        let generation = self.generation();
        let Some(recorder) = self.recorder else { return Ok(None) };
        let changeset = recorder.finish()?;
        if changeset.is_empty() {
            return Ok(None);
        }
        let record = changesets::Record {
            rev: 0,
            at_ms: self.now_ms,
            actor: self.caller.actor.to_string(),
            source: self.caller.source.clone(),
            term: self.term.get(),
            generation,
            step: migrations::newest().into(),
            undoes: self.undoes.get(),
            undoable: changeset.any(|row| domain::changesets::UNDONE.contains(&row.table.as_str()))?,
            hash: [0; 32],
            digest: digests::follow(self.tx, &changeset)?.of_all(),
        };
        changesets::append(self.tx, record, &changeset, &self.entries.into_inner()).map(|kept| Some(kept.rev))
    }
}

/// Highest generation there can be: databases keep 63 bits, and a higher one would be read as this.
const GENERATION_MAX: u64 = i64::MAX.unsigned_abs();

/// Refuses a generation that a database does not keep as it is: the one after it would be given twice. Pure.
fn countable(generation: u64) -> Result<(), Problem> {
    if generation <= GENERATION_MAX {
        return Ok(());
    }
    let detail = format!("generation {generation} would be needed, and {GENERATION_MAX} is the last there is");
    Err(Problem::new(Reason::LimitExceeded, detail).next_step("restore a backup from before generations went so high"))
}

/// For [`Change::audit`]: there is no such side.
pub(crate) const NOTHING: Option<&Value> = None;

#[cfg(test)]
mod tests;
