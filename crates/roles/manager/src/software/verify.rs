//! The checks of an archive that is on the disk: a row each, with what was found. Blocks on files and hashing.

use super::{
    archives::is_full,
    board::Board,
    outcome::{Ended, ListedImages},
};
use serde_json::Value;
use std::path::Path;
use weir_model::{Lineage, OwnReason, SoftwareCheck, SoftwareReason, Version};
use weir_operator_api::SoftwareRelease;
use weir_release::{Archive, Expected, Invalid, TrustError, TrustStore, Verified};
use weir_slots::digest_of_file;
use weir_telemetry::Chain;

/// What an archive is compared with.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The size that was stated, in bytes.
    pub(super) bytes: Option<u64>,
    /// The version that was stated.
    pub(super) version: Option<Version>,
    /// What was verified behind the same URL before: the digest of the image, hex.
    pub(super) image_sha256: Option<String>,
    /// The architecture of this manager.
    pub(super) arch: String,
    /// The version of this manager.
    pub(super) running: Version,
    /// The clock, in seconds since 1970.
    pub(super) now: u64,
}

/// What the checks came to.
pub(super) struct Checked {
    pub(super) ended: Ended,
    /// What may be installed by the newest metadata, if there is any.
    pub(super) newest: Option<Newest>,
}

/// The newest signed metadata.
pub(super) struct Newest {
    pub(super) images: ListedImages,
    pub(super) lineage: Lineage,
}

/// The newest signed metadata of a trust store; `None` before the first was loaded.
pub(super) fn newest(trust: &Path) -> Result<Option<Newest>, TrustError> {
    let listing = TrustStore::open(trust)?.listing()?;
    Ok(listing.map(|listing| Newest {
        images: listing.images.into_iter().map(|(name, listed)| (name, listed.sha256.to_string())).collect(),
        lineage: listing.lineage,
    }))
}

/// Checks the archive at `path` against the trust store in `trust`.
pub(super) fn check(path: &Path, trust: &Path, wanted: &Wanted, board: &Board) -> Checked {
    let ended = checks(path, trust, wanted, board).unwrap_or_else(|ended| ended);
    // A store that cannot be read has failed the signature's row already.
    Checked { ended, newest: newest(trust).ok().flatten() }
}

fn checks(path: &Path, trust: &Path, wanted: &Wanted, board: &Board) -> Result<Ended, Ended> {
    let failed = |check: SoftwareCheck, reason: SoftwareReason, detail: String| {
        board.fail(check, reason, detail.clone());
        Ended::Failed { reason, detail }
    };
    let unread = |error: std::io::Error| {
        let reason = if is_full(&error) { OwnReason::NoSpace.into() } else { weir_model::InvalidReason::Unreadable.into() };
        failed(SoftwareCheck::Size, reason, format!("the archive that was kept cannot be read: {error}"))
    };
    let (archive_sha256, archive_bytes) = digest_of_file(path).map_err(unread)?;
    compare_size(archive_bytes, wanted.bytes, board)?;
    let archive = match Archive::open(path) {
        Ok(archive) => archive,
        Err(error) => {
            let invalid = Invalid::Archive(error);
            let ended = failed(SoftwareCheck::Archive, invalid.reason().into(), Chain(&invalid).to_string());
            return Err(changed_to(None, wanted).unwrap_or(ended));
        }
    };
    let (image_bytes, image_sha256) = archive.content().image_digest();
    let image_sha256 = image_sha256.to_string();
    let name = archive.content().image_name().to_owned();
    board.pass(SoftwareCheck::Archive, format!("{archive_bytes} bytes with {name} of {image_bytes} bytes"));
    let changed = changed_to(Some(&image_sha256), wanted);
    let verified = signed(archive, trust, wanted, board);
    if let Some(Ended::Changed { detail }) = changed {
        if verified.is_ok() {
            board.fail(SoftwareCheck::Content, OwnReason::ContentChanged.into(), detail.clone());
        }
        return Err(Ended::Changed { detail });
    }
    let verified = verified?;
    Ok(Ended::Proven(Box::new(release(&verified, archive_sha256.to_string(), archive_bytes, image_sha256))))
}

fn compare_size(found: u64, stated: Option<u64>, board: &Board) -> Result<(), Ended> {
    match stated {
        None => board.skip(SoftwareCheck::Size, format!("no size was stated; it has {found} bytes")),
        Some(stated) if stated == found => board.pass(SoftwareCheck::Size, format!("{found} bytes, as stated")),
        Some(stated) => {
            let detail = format!("it has {found} bytes, {stated} were stated");
            let reason = weir_model::FetchReason::FileSizeDiffers.into();
            board.fail(SoftwareCheck::Size, reason, detail.clone());
            return Err(Ended::Failed { reason, detail });
        }
    }
    Ok(())
}

/// Whether another image came than was verified before; what is no archive at all is another content too.
fn changed_to(image_sha256: Option<&str>, wanted: &Wanted) -> Option<Ended> {
    let before = wanted.image_sha256.as_deref()?;
    let detail = match image_sha256 {
        Some(now) if now == before => return None,
        Some(now) => format!("the image behind the URL is {now} now; {before} was verified"),
        None => format!("behind the URL is no archive any more; one with the image {before} was verified"),
    };
    Some(Ended::Changed { detail })
}

/// Everything from the signature on.
fn signed(archive: Archive, trust: &Path, wanted: &Wanted, board: &Board) -> Result<Verified, Ended> {
    let failed = |check: SoftwareCheck, reason: SoftwareReason, detail: String| {
        board.fail(check, reason, detail.clone());
        Ended::Failed { reason, detail }
    };
    let store = TrustStore::open(trust).map_err(|_| {
        let detail = "this manager has no release root to verify signatures with".to_owned();
        failed(SoftwareCheck::Signature, OwnReason::NoReleaseRoot.into(), detail)
    })?;
    let expected = Expected { version: wanted.version, arch: Some(wanted.arch.clone()) };
    let outcome = store.verify(archive, &expected, wanted.now);
    let reached = outcome.as_ref().map_or_else(|invalid| invalid.check().into(), |_| SoftwareCheck::Migrations);
    if reached > SoftwareCheck::Signature {
        board.pass(SoftwareCheck::Signature, signature_found(&store).unwrap_or_default());
    }
    match outcome {
        Ok(verified) => {
            show(&verified, wanted, board);
            Ok(verified)
        }
        Err(invalid) => Err(failed(invalid.check().into(), invalid.reason().into(), Chain(&invalid).to_string())),
    }
}

/// Who signed what is trusted, which metadata it is, and until when.
fn signature_found(store: &TrustStore) -> Option<String> {
    let claims = store.metadata().ok()??.claims().ok()?;
    let root: Value = serde_json::from_slice(&store.root().ok()?).ok()?;
    let targets = &root["signed"]["roles"]["targets"];
    let (threshold, keys) = (targets["threshold"].as_u64()?, targets["keyids"].as_array()?.len());
    let until = jiff::Timestamp::from_second(i64::try_from(claims.expires).ok()?).ok()?;
    Some(format!("{threshold} of {keys} keys of root {} sign metadata {}, valid until {until}", claims.root, claims.timestamp))
}

/// Fills in what a verified archive is.
fn show(verified: &Verified, wanted: &Wanted, board: &Board) {
    let manifest = &verified.manifest;
    board.pass(SoftwareCheck::Listed, format!("{} is listed", verified.listed.name));
    board.pass(SoftwareCheck::Content, format!("{} bytes, SHA-256 {}", verified.listed.bytes, verified.listed.sha256));
    board.pass(SoftwareCheck::Manifest, format!("{} files with {} bytes", manifest.files.len(), manifest.file_bytes()));
    match wanted.version {
        Some(_) => board.pass(SoftwareCheck::Version, format!("{}, as stated", manifest.version)),
        None => board.skip(SoftwareCheck::Version, format!("no version was stated; it is {}", manifest.version)),
    }
    board.pass(SoftwareCheck::Arch, format!("{}, as this manager", manifest.arch));
    board.pass(SoftwareCheck::Lineage, line_found(&verified.lineage, wanted.running, manifest.version));
    board.pass(SoftwareCheck::Migrations, migrations_found(verified));
}

fn line_found(lineage: &Lineage, running: Version, version: Version) -> String {
    let (from, to) = (running.line, version.line);
    match lineage.path(from, to).as_deref() {
        Some([_]) => format!("line {to}, which runs here"),
        Some([_, _]) => format!("line {to}, one step from {from}, which runs here"),
        Some(lines) => {
            let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
            format!("line {to}, {} steps from {from}, which runs here: {}", lines.len() - 1, lines.join(", "))
        }
        None => format!("line {to}; no released lines lead there from {from}, which runs here"),
    }
}

fn migrations_found(verified: &Verified) -> String {
    let manifest = &verified.manifest;
    let schema = manifest.interface.schema;
    let above: Vec<_> = manifest.migrations.iter().filter(|step| step.step > schema.min).collect();
    let back = above.iter().filter(|step| step.down.is_some()).count();
    match above.len() {
        0 => format!("it runs on schema {} and brings no step beyond", schema.min),
        ups => format!("it runs on schema {} to {}: {ups} steps up, {back} back", schema.min, schema.max),
    }
}

fn release(verified: &Verified, archive_sha256: String, archive_bytes: u64, image_sha256: String) -> SoftwareRelease {
    let manifest = &verified.manifest;
    let schema = manifest.interface.schema;
    SoftwareRelease {
        version: manifest.version,
        line: manifest.line,
        arch: manifest.arch.clone(),
        archive_sha256,
        archive_bytes,
        image_sha256,
        manifest_sha256: verified.release.manifest.to_string(),
        schema: (schema.min, schema.max),
        gates: manifest.interface.gates.iter().map(|gate| gate.name.clone()).collect(),
        notes: manifest.notes.clone(),
    }
}

#[cfg(test)]
mod tests;
