//! What a store may use.

use std::path::PathBuf;

/// What a store may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Bytes of RAM.
    pub ram_bytes: u64,
    /// The disk tier; without one what leaves RAM is gone.
    pub disk: Option<DiskSettings>,
}

/// What a disk tier may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSettings {
    /// Its directory, for nothing else; made when it is absent.
    pub directory: PathBuf,
    /// Bytes of all its segments together.
    pub bytes: u64,
}
