//! The audit: who changed what, when and from where.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One write, recorded in the transaction that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Rises by one.
    pub id: i64,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// Who: `local`, `token:NAME`, `device:NAME` or `manager`.
    pub actor: String,
    /// Address the request came from; `local` for the manager's own socket.
    pub source: String,
    /// What was done: `create`, `change`, `delete`, `activate`, ...
    pub verb: String,
    /// To what: kind and name, such as `location east`.
    pub object: String,
    /// The object before; null when it is new. Secrets are never here.
    pub before: Option<serde_json::Value>,
    /// The object after; null when it is gone.
    pub after: Option<serde_json::Value>,
    /// Configuration generation after the write.
    pub generation: u64,
    /// The changeset it belongs to; null where nothing of the configuration was written, such as a refused sign-in.
    pub rev: Option<u64>,
}
