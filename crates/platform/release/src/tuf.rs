//! The TUF client: `tough` over a set in memory, and its errors in our words.
//!
//! `tough` judges expiry by the wall clock and remembers the latest time it saw, so one forward jump would block later
//! updates. It runs here without either: `ExpirationEnforcement::Unsafe` and a datastore made anew for each load from the set
//! trusted before, which is what protects against rollback. [`crate::expiry`] judges expiry.

use crate::{
    expiry,
    metadata::{MetadataSet, ROOT_MAX_BYTES, ROOTS_MAX, SMALL_MAX_BYTES, TARGETS_MAX_BYTES},
    scratch::Scratch,
};
use std::{error::Error as _, fmt, fs, io, path::Path, pin::Pin, sync::Arc};
use tough::{
    Bytes, ExpirationEnforcement, Limits, Repository, RepositoryLoader, Transport, TransportError, TransportErrorKind, TransportStream,
    async_trait,
    error::Error,
    schema::{Error as SchemaError, Role as _, RoleType, Signed, Timestamp},
};
use url::Url;

/// A part of the metadata with its own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Says which keys sign what, itself included.
    Root,
    /// Lists images, lineage and security floor.
    Targets,
    /// Says which targets go together.
    Snapshot,
    /// Says which snapshot is the newest.
    Timestamp,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp];

    /// The word in file names and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }

    pub(crate) fn tuf(self) -> RoleType {
        match self {
            Self::Root => RoleType::Root,
            Self::Targets => RoleType::Targets,
            Self::Snapshot => RoleType::Snapshot,
            Self::Timestamp => RoleType::Timestamp,
        }
    }

    fn of(role: RoleType) -> Self {
        match role {
            RoleType::Root => Self::Root,
            RoleType::Targets | RoleType::DelegatedTargets => Self::Targets,
            RoleType::Snapshot => Self::Snapshot,
            RoleType::Timestamp => Self::Timestamp,
        }
    }

    fn of_file(url: &Url) -> Self {
        let named = |role: &Self| url.path().trim_end_matches(".json").ends_with(role.as_str());
        Self::ALL.into_iter().find(named).unwrap_or(Self::Timestamp)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why metadata is not trusted. Nothing of a refused set is kept.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// Not TUF metadata, or not with what we add to it.
    #[error("the {role} metadata cannot be read")]
    Malformed {
        /// Which part.
        role: Role,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that another one points at is not there.
    #[error("the {role} metadata is not in the set")]
    Missing {
        /// Which part.
        role: Role,
    },
    /// Too few valid signatures.
    #[error("the {role} metadata has {valid} of {needed} valid signatures")]
    Threshold {
        /// Which part.
        role: Role,
        /// Signatures the root asks for.
        needed: u64,
        /// Signatures that are valid.
        valid: u64,
    },
    /// Two signatures of one key.
    #[error("the {role} metadata is signed twice by one key")]
    DuplicateSignature {
        /// Which part.
        role: Role,
    },
    /// Older than what was trusted before.
    #[error("the {role} metadata is older than what was seen before")]
    Rollback {
        /// Which part.
        role: Role,
    },
    /// Not the file that the metadata above it names.
    #[error("the {role} metadata is not the one that the rest of the set names")]
    Mixed {
        /// Which part.
        role: Role,
    },
    /// Over its limit.
    #[error("the {role} metadata is over its limit")]
    TooLarge {
        /// Which part.
        role: Role,
    },
    /// Past its expiry.
    #[error("the {role} metadata has expired")]
    Expired {
        /// Which part.
        role: Role,
        /// When, in seconds since 1970.
        expired: u64,
        /// The time it was judged at: the later of the clock and the newest signature.
        now: u64,
    },
    /// Signed before the metadata trusted before, although its version is higher.
    #[error("the timestamp was signed before the one trusted now")]
    SignedBefore,
    /// Anything else the client refuses.
    #[error("the metadata is refused")]
    Refused(#[source] Box<Error>),
    /// The scratch directory of the client.
    #[error("no place to verify metadata in")]
    Scratch(#[from] io::Error),
}

/// A set that was verified, without its expiry.
pub(crate) struct Trusted {
    pub(crate) repository: Repository,
    /// When its timestamp was signed, in seconds since 1970.
    pub(crate) signed_at: u64,
}

impl Trusted {
    /// The version of its root.
    pub(crate) fn root_version(&self) -> u64 {
        self.repository.root().signed.version.get()
    }

    /// Whether every part of it holds.
    pub(crate) fn check_expiry(&self, now: u64) -> Result<(), MetadataError> {
        let of = &self.repository;
        let roles = [
            (Role::Root, of.root().signed.expires()),
            (Role::Timestamp, of.timestamp().signed.expires()),
            (Role::Snapshot, of.snapshot().signed.expires()),
            (Role::Targets, of.targets().signed.expires()),
        ];
        expiry::check(now, self.signed_at, &roles)
    }

    /// Whether both trust the same keys to sign timestamps.
    pub(crate) fn same_timestamp_keys(&self, other: &Self) -> bool {
        let keys = |of: &Self| of.repository.root().signed.roles.get(&RoleType::Timestamp).map(|role| role.keyids.clone());
        keys(self) == keys(other)
    }
}

/// Verifies `set` from the trusted `root`, against what `before` says may not fall. Expiry is not judged.
///
/// # Errors
/// [`MetadataError`].
pub(crate) fn verify(root: &[u8], set: &MetadataSet, before: Option<&MetadataSet>, scratch: &Path) -> Result<Trusted, MetadataError> {
    let datastore = Scratch::new(scratch)?;
    if let Some(before) = before {
        fs::write(datastore.path().join("timestamp.json"), &before.timestamp)?;
        fs::write(datastore.path().join("snapshot.json"), &before.snapshot.1)?;
        fs::write(datastore.path().join("targets.json"), &before.targets.1)?;
    }
    let base = Url::parse("memory:/").expect("a constant URL");
    let limits = Limits {
        max_root_size: ROOT_MAX_BYTES,
        max_targets_size: TARGETS_MAX_BYTES,
        max_timestamp_size: SMALL_MAX_BYTES,
        max_snapshot_size: SMALL_MAX_BYTES,
        max_root_updates: ROOTS_MAX as u64 + 1,
    };
    let loader = RepositoryLoader::new(&root, base.clone(), base)
        .transport(InMemory(Arc::new(set.clone())))
        .limits(limits)
        .datastore(datastore.path())
        .expiration_enforcement(ExpirationEnforcement::Unsafe);
    let repository = block_on(loader.load())?.map_err(of_client)?;
    let signed_at = signed_at(repository.timestamp())?;
    Ok(Trusted { repository, signed_at })
}

/// When a timestamp says it was signed.
pub(crate) fn signed_at(timestamp: &Signed<Timestamp>) -> Result<u64, MetadataError> {
    let text = timestamp.signed._extra.get(expiry::SIGNED_AT).and_then(serde_json::Value::as_str);
    let at = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    at.map(expiry::seconds).ok_or_else(|| MetadataError::Malformed { role: Role::Timestamp, source: "no signed_at".into() })
}

/// Runs the client, which wants a runtime, on a thread of its own: the caller may be inside another one.
fn block_on<F: Future<Output: Send> + Send>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let run = std::thread::scope(|scope| scope.spawn(move || runtime.block_on(future)).join());
    Ok(run.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Serves the files of a set to the client.
#[derive(Debug, Clone)]
struct InMemory(Arc<MetadataSet>);

#[async_trait]
impl Transport for InMemory {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        match self.0.file(url.path().trim_start_matches('/')) {
            Some(body) => Ok(Box::pin(Once(Some(Bytes::copy_from_slice(body))))),
            None => Err(TransportError::new(TransportErrorKind::FileNotFound, url)),
        }
    }
}

/// A stream of one item.
struct Once(Option<Bytes>);

impl futures_core::Stream for Once {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.take().map(Ok))
    }
}

/// The client's error in our words.
fn of_client(error: Error) -> MetadataError {
    match error {
        Error::ParseMetadata { role, source, .. } => MetadataError::Malformed { role: Role::of(role), source: source.into() },
        Error::ParseTrustedMetadata { source, .. } => MetadataError::Malformed { role: Role::Root, source: source.into() },
        Error::VerifyMetadata { role, source, .. } => of_signatures(Role::of(role), source),
        Error::VerifyTrustedMetadata { source, .. } => of_signatures(Role::Root, source),
        Error::OlderMetadata { role, .. } => MetadataError::Rollback { role: Role::of(role) },
        Error::OlderSnapshotInTimestamp { .. } | Error::SnapshotRoleMissing { .. } => MetadataError::Rollback { role: Role::Snapshot },
        Error::SnapshotRoleRollback { .. } => MetadataError::Rollback { role: Role::Targets },
        Error::VersionMismatch { role, .. } => MetadataError::Mixed { role: Role::of(role) },
        Error::Transport { url, source, .. } => of_transport(Role::of_file(&url), &source),
        Error::MaxUpdatesExceeded { .. } => MetadataError::TooLarge { role: Role::Root },
        other => MetadataError::Refused(Box::new(other)),
    }
}

/// Why the signatures of a part do not hold.
pub(crate) fn of_signatures(role: Role, error: SchemaError) -> MetadataError {
    match error {
        SchemaError::SignatureThreshold { threshold, valid, .. } => MetadataError::Threshold { role, needed: threshold, valid },
        SchemaError::DuplicateKeyId { .. } => MetadataError::DuplicateSignature { role },
        other => MetadataError::Malformed { role, source: Box::new(other) },
    }
}

fn of_transport(role: Role, error: &TransportError) -> MetadataError {
    match (error.kind(), error.source().and_then(|source| source.downcast_ref::<Error>())) {
        (TransportErrorKind::FileNotFound, _) => MetadataError::Missing { role },
        (_, Some(Error::MaxSizeExceeded { .. })) => MetadataError::TooLarge { role },
        _ => MetadataError::Mixed { role },
    }
}
