//! Parts of a transaction that can be taken back alone.

use rusqlite::{Result, Transaction};

/// Begins a part. They do not overlap; each is either kept or taken back.
pub(crate) fn begin(tx: &Transaction<'_>) -> Result<()> {
    tx.execute_batch("SAVEPOINT part")
}

/// Keeps what the part wrote, as far as the transaction is.
pub(crate) fn keep(tx: &Transaction<'_>) -> Result<()> {
    tx.execute_batch("RELEASE part")
}

/// Takes back what the part wrote.
pub(crate) fn take_back(tx: &Transaction<'_>) -> Result<()> {
    tx.execute_batch("ROLLBACK TO part; RELEASE part")
}
