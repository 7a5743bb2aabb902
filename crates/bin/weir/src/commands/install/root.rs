//! The root of release keys in a data directory: what a device begins to trust releases from.

use crate::{cli::InstallArgs, commands::Misconfigured};
use anyhow::Context;
use std::{io, path::Path};

/// Its name in a data directory, beside device.toml.
const RELEASE_ROOT: &str = "release-root.json";

/// Reads a root from a file.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let root = std::fs::read(file).map_err(|error| Misconfigured(format!("cannot read the root {shown}: {error}")))?;
    weir_release::check_root(&root).map_err(|error| Misconfigured(format!("{shown} is no root of release keys: {error}")))?;
    Ok(root)
}

/// The root an archive is verified from: the one that was named, or the device's own.
pub(super) fn of(arguments: &InstallArgs) -> anyhow::Result<Vec<u8>> {
    if let Some(file) = &arguments.root {
        return read(file);
    }
    let own = arguments.data.join(RELEASE_ROOT);
    if !own.exists() {
        let text = format!("{} is not there to verify the archive from; give --release-root FILE once, or --root FILE", own.display());
        return Err(Misconfigured(text).into());
    }
    read(&own)
}

/// Puts a root into a data directory. Another one that is there stays: what a device trusts is changed by a signed
/// rotation, or on purpose by removing the file and what was pinned by it.
pub(crate) fn keep(data: &Path, root: &[u8]) -> anyhow::Result<()> {
    let path = data.join(RELEASE_ROOT);
    match std::fs::read(&path) {
        Ok(present) if present == root => Ok(()),
        Ok(_) => Err(Misconfigured(format!(
            "{} is another root of release keys; to trust other keys from now on, remove it and state/manager/trust",
            path.display()
        ))
        .into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(weir_slots::durable_write(&path, root)?),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_kept_once_and_another_is_refused() {
        let data = tempfile::tempdir().expect("dir");
        keep(data.path(), b"one").expect("kept");
        keep(data.path(), b"one").expect("the same again");
        let refused = keep(data.path(), b"two").expect_err("another").to_string();
        assert!(refused.contains(RELEASE_ROOT) && refused.contains("remove it"), "{refused}");
        assert_eq!(std::fs::read(data.path().join(RELEASE_ROOT)).expect("file"), b"one");
    }

    #[test]
    fn what_is_no_root_is_not_read() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("root.json");
        std::fs::write(&file, b"{}").expect("write");
        let refused = read(&file).expect_err("no root").to_string();
        assert!(refused.contains("is no root of release keys"), "{refused}");
    }
}
