//! Schema steps: what they are, in which order, and what a release says of them.
//!
//! The text of a step lies in `migrations/{config,state}/<id>-<words>.up.sql`, its way back in `.down.sql` beside it; each is
//! taken byte for byte, because its SHA-256 is in the ledger of every database it built and in every signed release. A step
//! that was released never changes; a change is another step. To add one: write the two files, add a line to [`CONFIG`] or
//! [`STATE`] with the next id, and its digest to the test below. Ids are never used again.
//!
//! A step **only adds**: `CREATE TABLE`, `CREATE INDEX`, `ALTER TABLE .. ADD COLUMN` that is null or has a default, and
//! `INSERT` into a table it made. Its way back may drop only what it made, and parks what would be lost: a table with rows, or a
//! column of a table with rows, is dropped only once there is an attic table `attic_<id>_<table>` for it, made by the same
//! program. The step takes back what is parked when it runs again, and drops the attic:
//!
//! ```sql
//! -- 8-words.up.sql
//! ALTER TABLE device ADD COLUMN words TEXT;
//! CREATE TABLE IF NOT EXISTS attic_8_device (id INTEGER PRIMARY KEY, words TEXT) STRICT;
//! UPDATE device SET words = attic.words FROM attic_8_device AS attic WHERE attic.id = device.id;
//! DROP TABLE attic_8_device;
//! -- 8-words.down.sql
//! CREATE TABLE attic_8_device (id INTEGER PRIMARY KEY, words TEXT) STRICT;
//! INSERT INTO attic_8_device SELECT id, words FROM device WHERE words IS NOT NULL;
//! ALTER TABLE device DROP COLUMN words;
//! ```
//!
//! Steps up to [`CONFIG_OLDEST`] are those of line 1.0 and have no way back; each later one has one. What the programs are held to when they run: `docs/protocols/schema-steps.md`.

use weir_database::Migration;
use weir_model::Span;

/// Steps of `config.db`.
pub(crate) const CONFIG: &[Migration] = &[
    Migration { id: 1, name: "first schema", up_sql: include_str!("migrations/config/1-first-schema.up.sql"), down_sql: None },
    // A device is out while it has a row in `offload`, which it has while it has one in `offload_lease`.
    Migration { id: 2, name: "server offload", up_sql: include_str!("migrations/config/2-server-offload.up.sql"), down_sql: None },
    Migration { id: 3, name: "users", up_sql: include_str!("migrations/config/3-users.up.sql"), down_sql: None },
    // Refused sign-ins are counted and trimmed by their verb.
    Migration { id: 4, name: "audit by verb", up_sql: include_str!("migrations/config/4-audit-by-verb.up.sql"), down_sql: None },
    Migration { id: 5, name: "software files", up_sql: include_str!("migrations/config/5-software-files.up.sql"), down_sql: None },
    // What devices were assigned, the image each was last known to have rightly, and digests an operator lets be tried again.
    Migration { id: 6, name: "device updates", up_sql: include_str!("migrations/config/6-device-updates.up.sql"), down_sql: None },
    // The log of writes, digests of what is replicated, backups, roles of users and tokens, what was last published of a service.
    Migration { id: 7, name: "manager pair", up_sql: include_str!("migrations/config/7-manager-pair.up.sql"), down_sql: None },
    #[cfg(feature = "synthetic-next")]
    Migration {
        id: 8,
        name: "service detail",
        up_sql: include_str!("migrations/config/8-service-detail.up.sql"),
        down_sql: Some(include_str!("migrations/config/8-service-detail.down.sql")),
    },
];

/// The newest step of line 1.0: below it there is no build to go back to, so no step up to it needs a way back. It rises
/// with each step that is added while 1.0 is the newest line, and never after.
const CONFIG_OLDEST: u32 = 7;

/// Steps of `state.db`.
pub(crate) const STATE: &[Migration] = &[
    Migration { id: 1, name: "first schema", up_sql: include_str!("migrations/state/1-first-schema.up.sql"), down_sql: None },
    // `minute_client_bytes` is the most bytes a device sent to clients in one minute of the hour.
    Migration { id: 2, name: "series", up_sql: include_str!("migrations/state/2-series.up.sql"), down_sql: None },
    Migration { id: 3, name: "sessions", up_sql: include_str!("migrations/state/3-sessions.up.sql"), down_sql: None },
    // `password_sha256` is of the hash that was proven; a session from before has none and is over. `sign_in_place` is where
    // users signed in from. `series_network` holds what all engines did together, a row for each minute of `series_minute`.
    Migration {
        id: 4,
        name: "sign-ins and the network's minutes",
        up_sql: include_str!("migrations/state/4-sign-ins.up.sql"),
        down_sql: None,
    },
];

/// What a release says of the schema of `config.db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The steps this build can run on: from what line 1.0 had, up to its newest.
    pub span: Span,
    /// Every step, in order.
    pub steps: Vec<SchemaStep>,
}

/// One step of a [`Schema`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaStep {
    /// The schema after it.
    pub step: u32,
    /// SHA-256 of the program up, in hex.
    pub up: String,
    /// SHA-256 of the program down, in hex; `None` for a step that nothing goes back over.
    pub down: Option<String>,
}

/// The schema of `config.db` as this build has it.
pub fn schema() -> Schema {
    let steps: Vec<_> = CONFIG.iter().map(|step| SchemaStep { step: step.id, up: step.up_sha256(), down: step.down_sha256() }).collect();
    Schema { span: Span { min: CONFIG_OLDEST, max: newest() }, steps }
}

/// The newest step a database has gone through, by its own ledger; 0 before the first.
pub(crate) fn applied(connection: &rusqlite::Connection) -> rusqlite::Result<u32> {
    connection.query_row("SELECT coalesce(max(id), 0) FROM schema_ledger", [], |row| row.get(0))
}

/// The newest step of `config.db`.
pub(crate) fn newest() -> u32 {
    CONFIG.last().expect("a database has a first step").id
}

#[cfg(test)]
mod tests;
