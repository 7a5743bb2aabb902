//! Programs: the statements of a step, which may change tables and nothing else.
//!
//! A program down was written by another build, and both kinds run inside a transaction that must stay whole: they may not
//! end it, reach another file, change how the connection works, or write the ledger.

use crate::ledger::LEDGER;
use rusqlite::{
    Batch, Connection,
    fallible_iterator::FallibleIterator,
    hooks::{AuthAction, AuthContext, Authorization},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// SQLite asks for this one itself when a column with a CHECK is added.
const OWN_PRAGMA: &str = "quick_check";

/// A connection's rules, in force while a program runs.
pub(crate) struct Programs {
    running: Arc<AtomicBool>,
}

impl Programs {
    /// Sets the rules up on a connection.
    pub(crate) fn on(connection: &mut Connection) -> rusqlite::Result<Self> {
        let running = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&running);
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            let refused = asked.load(Ordering::Relaxed) && !allowed(context.action);
            if refused { Authorization::Deny } else { Authorization::Allow }
        }))?;
        Ok(Self { running })
    }

    /// Runs a program, statement by statement; `before` is told of each.
    pub(crate) fn run(&self, connection: &Connection, sql: &str, mut before: impl FnMut() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        self.running.store(true, Ordering::Relaxed);
        let outcome = statements(connection, sql, &mut before);
        self.running.store(false, Ordering::Relaxed);
        outcome
    }

    /// Takes the rules off the connection.
    pub(crate) fn off(self, connection: &mut Connection) -> rusqlite::Result<()> {
        connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
    }
}

fn statements(connection: &Connection, sql: &str, before: &mut dyn FnMut() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    let mut batch = Batch::new(connection, sql);
    while let Some(mut statement) = batch.next()? {
        before()?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
    }
    Ok(())
}

fn allowed(action: AuthAction<'_>) -> bool {
    use AuthAction::{
        AlterTable, Attach, CreateTrigger, CreateVtable, Delete, Detach, DropTable, DropVtable, Insert, Pragma, Savepoint, Transaction,
        Unknown, Update,
    };
    match action {
        Transaction { .. } | Savepoint { .. } | Attach { .. } | Detach { .. } | CreateVtable { .. } | DropVtable { .. } => false,
        // A trigger on the ledger would be a write to it later.
        CreateTrigger { table_name, .. } => table_name != LEDGER,
        Pragma { pragma_name, .. } => pragma_name == OWN_PRAGMA,
        Insert { table_name }
        | Delete { table_name }
        | Update { table_name, .. }
        | DropTable { table_name }
        | AlterTable { table_name, .. } => table_name != LEDGER,
        Unknown { .. } => false,
        _ => true,
    }
}
