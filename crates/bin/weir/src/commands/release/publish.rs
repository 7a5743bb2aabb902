//! `weir release sign`, `discard`, `delist`, `floor` and `renew`: changes of what is published.

use super::{conclude, explain, open, open_to_sign, published_json};
use crate::{
    cli::{Format, Signing},
    output,
};
use std::path::{Path, PathBuf};
use weir_model::Version;
use weir_release::{PublishError, Published, ReleaseDirectory, SigningKey};

fn change(
    format: Format,
    at: &Signing,
    edit: impl FnOnce(&ReleaseDirectory, u64) -> Result<Published, PublishError>,
) -> anyhow::Result<()> {
    let path = &at.directory;
    let directory = open_to_sign(at)?;
    let published = edit(&directory, weir_clock::wall_seconds()).map_err(|error| explain(error, path))?;
    conclude(format, &published_json(&published), &published, path, String::new)
}

pub(super) fn sign(format: Format, at: &Signing, keys: &[PathBuf]) -> anyhow::Result<()> {
    let keys = keys.iter().map(|key| SigningKey::read(key)).collect::<Result<Vec<_>, _>>()?;
    change(format, at, |directory, now| directory.sign(keys, now))
}

pub(super) fn delist(format: Format, at: &Signing, release: Version, arch: &str) -> anyhow::Result<()> {
    change(format, at, |directory, now| directory.delist(release, arch, now))
}

pub(super) fn floor(format: Format, at: &Signing, floor: Version) -> anyhow::Result<()> {
    change(format, at, |directory, now| directory.raise_floor(floor, now))
}

pub(super) fn renew(format: Format, at: &Signing) -> anyhow::Result<()> {
    change(format, at, ReleaseDirectory::renew)
}

pub(super) fn discard(format: Format, path: &Path) -> anyhow::Result<()> {
    open(path)?.discard().map_err(|error| explain(error, path))?;
    output::print(format, &serde_json::json!({ "waiting": null }), |_| "nothing waits for signatures any more".to_owned())
}
