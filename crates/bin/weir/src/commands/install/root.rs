//! The root of release keys in a data directory: what a device begins to trust releases from.

use crate::{cli::InstallArgs, commands::Misconfigured};
use anyhow::Context;
use std::{io, path::Path};
use weir_release::{Archive, Expected, Invalid, TrustError, TrustStore, Verified, succeeds, verify_from};
use weir_slots::DataDirectory;

/// Its name in a data directory, beside device.toml.
const RELEASE_ROOT: &str = "release-root.json";

/// Reads a root from a file.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let root = std::fs::read(file).map_err(|error| Misconfigured(format!("cannot read the root {shown}: {error}")))?;
    weir_release::check_root(&root).map_err(|error| Misconfigured(format!("{shown} is no root of release keys: {error}")))?;
    Ok(root)
}

/// What an archive is verified by; each that is there must accept it.
pub(super) struct Trusted {
    root: Option<Vec<u8>>,
    /// The memory of a manager on this box: it knows what was taken off the list.
    store: Option<TrustStore>,
}

impl Trusted {
    /// Verifies an archive.
    pub(super) fn verify(&self, archive: &Path, expected: &Expected, now: u64) -> Result<Verified, Invalid> {
        let by_root = self.root.as_ref().map(|root| verify_from(root, Archive::open(archive)?, expected, now)).transpose()?;
        match (&self.store, by_root) {
            (Some(store), _) => store.verify(Archive::open(archive)?, expected, now),
            (None, Some(verified)) => Ok(verified),
            (None, None) => unreachable!("`trusted` gives one of them"),
        }
    }
}

/// What the archive is verified by: the root that was named with it and what this box remembers; where there is neither,
/// the root that was offered to be kept, or the device's own.
pub(super) fn trusted(arguments: &InstallArgs, offered: Option<&[u8]>) -> anyhow::Result<Trusted> {
    let store = store(&arguments.data)?;
    let root = match (&arguments.root, &store, offered) {
        (Some(file), _, _) => Some(read(file)?),
        (None, Some(_), _) => None,
        (None, None, Some(offered)) => Some(offered.to_vec()),
        (None, None, None) => Some(own(&arguments.data)?),
    };
    Ok(Trusted { root, store })
}

fn own(data: &Path) -> anyhow::Result<Vec<u8>> {
    let own = data.join(RELEASE_ROOT);
    if !own.exists() {
        let text = format!("{} is not there to verify the archive from; give --release-root FILE once, or --root FILE", own.display());
        return Err(Misconfigured(text).into());
    }
    read(&own)
}

/// What a manager on this box has pinned and seen since.
fn store(data: &Path) -> anyhow::Result<Option<TrustStore>> {
    let trust = DataDirectory::new(data).state("manager").join("trust");
    match TrustStore::open(&trust) {
        Ok(store) => Ok(Some(store)),
        Err(TrustError::NotPinned(_)) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", trust.display())),
    }
}

/// Whether a root may be given to a device: it has none, or it is of the chain of the one it has. What a device trusts is
/// changed by a signed rotation; gives what to write, if anything.
pub(super) fn judge(data: &Path, root: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let path = data.join(RELEASE_ROOT);
    let present = match std::fs::read(&path) {
        Ok(present) => Some(present),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let Some(store) = store(data)? else {
        return match present {
            None => Ok(Some(root.to_vec())),
            Some(present) if present == root || succeeds(&present, root) => Ok(None),
            Some(_) => Err(Misconfigured(format!(
                "{} is another root of release keys; give the root that continues it, signed by its keys, or, to trust other keys from now on, \
                 remove that file first: releases of the keys before install no more",
                path.display()
            ))
            .into()),
        };
    };
    let trust = DataDirectory::new(data).state("manager").join("trust");
    if !store.follows(root).with_context(|| format!("read {}", trust.display()))? {
        return Err(Misconfigured(format!(
            "the root pinned in {} is another one, and this does not continue it; give a root of its publisher (a later one is learnt from an archive that has it). \
             To trust other keys from now on, stop the manager and remove that directory and {}: with them goes the memory of which releases were taken off the list, \
             so that old archives install again, and every software file is verified anew",
            trust.display(),
            path.display()
        ))
        .into());
    }
    // What was pinned is what this file says, however far the chain has come.
    Ok(if present.is_none() { Some(store.pinned()?) } else { None })
}

/// Puts a root into a data directory, unless it has one that continues to it.
pub(crate) fn keep(data: &Path, root: &[u8]) -> anyhow::Result<()> {
    match judge(data, root)? {
        Some(root) => Ok(weir_slots::durable_write(&data.join(RELEASE_ROOT), &root)?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
