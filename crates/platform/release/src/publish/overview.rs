//! What is in a release directory: keys that are here, and what waits.

use super::{
    Lacking, PublishError, ReleaseDirectory,
    change::{Draft, lack},
    failed,
};
use crate::{
    document,
    keys::{KeyId, PublicKey, SigningKey},
    tuf::Role,
};
use std::{fs, io, path::PathBuf};

/// A private key in `keys/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Its file.
    pub path: PathBuf,
    /// Its public half.
    pub public: PublicKey,
}

impl ReleaseDirectory {
    /// The private keys that are here, by file.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn key_files(&self) -> Result<Vec<KeyFile>, PublishError> {
        let paths = self.key_paths()?;
        paths.into_iter().map(|path| Ok(KeyFile { public: SigningKey::read(&path)?.public(), path })).collect()
    }

    /// The signatures that a waiting change lacks, those of keys that are here not counted as lacking for snapshot and
    /// timestamp, which are signed last; `None` when nothing waits.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn waiting(&self) -> Result<Option<Vec<Lacking>>, PublishError> {
        let Some(Draft { root, targets }) = self.staged()? else { return Ok(None) };
        let before = self.current()?.root.signed;
        let mut lacking = Vec::new();
        if let Some(root) = &root {
            for of in [&before, &root.signed] {
                lack(&mut lacking, document::verify(root, of, Role::Root))?;
            }
        }
        let root = root.map_or(before, |root| root.signed);
        lack(&mut lacking, document::verify(&targets, &root, Role::Targets))?;
        let here: Vec<KeyId> = self.key_files()?.iter().map(|key| key.public.id()).collect();
        for role in [Role::Snapshot, Role::Timestamp] {
            let Some(keys) = root.roles.get(&role.tuf()) else { continue };
            let valid = keys.keyids.iter().filter(|id| here.contains(&KeyId::of(id))).count() as u64;
            if valid < keys.threshold.get() {
                lacking.push(Lacking { role, needed: keys.threshold.get(), valid });
            }
        }
        Ok(Some(lacking))
    }

    /// The waiting change; one whose publishing has begun waits no more.
    pub(super) fn staged(&self) -> Result<Option<Draft>, PublishError> {
        if self.journal().exists() {
            return Ok(None);
        }
        let staged = self.folder("staged");
        let read = |name: &str| match fs::read(staged.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &staged.join(name))(error)),
        };
        let Some(targets) = read("targets.json")? else { return Ok(None) };
        let root = read("root.json")?.map(|bytes| document::parse(&bytes, Role::Root)).transpose()?;
        Ok(Some(Draft { root, targets: document::parse(&targets, Role::Targets)? }))
    }
}
