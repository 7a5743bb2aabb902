//! SQLite: writer thread, readers, migrations with a ledger.
