//! `weir release sign`, `discard`, `delist`, `floor` and `renew`: changes of what is published.

use super::{explain, open, published_json, published_text};
use crate::{cli::Format, output};
use std::path::{Path, PathBuf};
use weir_model::Version;
use weir_release::{PublishError, Published, ReleaseDirectory, SigningKey};

fn change(format: Format, path: &Path, edit: impl FnOnce(&ReleaseDirectory, u64) -> Result<Published, PublishError>) -> anyhow::Result<()> {
    let directory = open(path)?;
    let published = edit(&directory, weir_clock::wall_seconds()).map_err(|error| explain(error, path))?;
    output::print(format, &published_json(&published), |_| published_text(&published, path))
}

pub(super) fn sign(format: Format, path: &Path, keys: &[PathBuf]) -> anyhow::Result<()> {
    let keys = keys.iter().map(|key| SigningKey::read(key)).collect::<Result<Vec<_>, _>>()?;
    change(format, path, |directory, now| directory.sign(keys, now))
}

pub(super) fn delist(format: Format, path: &Path, release: Version, arch: &str) -> anyhow::Result<()> {
    change(format, path, |directory, now| directory.delist(release, arch, now))
}

pub(super) fn floor(format: Format, path: &Path, floor: Version) -> anyhow::Result<()> {
    change(format, path, |directory, now| directory.raise_floor(floor, now))
}

pub(super) fn renew(format: Format, path: &Path) -> anyhow::Result<()> {
    change(format, path, ReleaseDirectory::renew)
}

pub(super) fn discard(format: Format, path: &Path) -> anyhow::Result<()> {
    open(path)?.discard().map_err(|error| explain(error, path))?;
    output::print(format, &serde_json::json!({ "waiting": null }), |_| "nothing waits for signatures any more".to_owned())
}
