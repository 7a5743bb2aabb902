//! The checks of an archive that is on the disk: a row each, with what was found. Blocks on files and hashing.

use super::{archives::is_full, board::Board, outcome::Ended};
use serde_json::Value;
use std::path::Path;
use weir_model::{InvalidReason, Lineage, OwnReason, ReleaseCheck, SoftwareCheck, Version};
use weir_operator_api::SoftwareRelease;
use weir_release::{Archive, ArchiveError, Expected, Invalid, MetadataSet, TrustStore, Verified};
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

/// Checks the archive at `path` against the trust store in `trust`.
pub(super) fn check(path: &Path, trust: &Path, wanted: &Wanted, board: &Board) -> Ended {
    checks(path, trust, wanted, board).unwrap_or_else(|ended| ended)
}

fn checks(path: &Path, trust: &Path, wanted: &Wanted, board: &Board) -> Result<Ended, Ended> {
    let unread = |error: std::io::Error| {
        let reason = if is_full(&error) { OwnReason::NoSpace.into() } else { InvalidReason::Unreadable.into() };
        board.end(SoftwareCheck::Size, reason, format!("the archive that was kept cannot be read: {error}"))
    };
    let (archive_sha256, archive_bytes) = digest_of_file(path).map_err(unread)?;
    let size = compare_size(archive_bytes, wanted.bytes, board);
    if wanted.image_sha256.is_none() {
        size.clone()?;
    }
    let archive = match Archive::open(path) {
        Ok(archive) => archive,
        Err(error) => {
            let (invalid, changed) = unopened(error, wanted);
            size.clone().map_err(|ended| changed.clone().unwrap_or(ended))?;
            let ended = board.end(ReleaseCheck::Archive, invalid.reason().into(), Chain(&invalid).to_string());
            return Err(changed.unwrap_or(ended));
        }
    };
    let (image_bytes, image_sha256) = archive.content().image_digest();
    let image_sha256 = image_sha256.to_string();
    if let Err(ended) = size {
        return Err(changed_to(Some(&image_sha256), wanted).unwrap_or_else(|| same_image(ended, board)));
    }
    let name = archive.content().image_name().to_owned();
    board.pass(ReleaseCheck::Archive, format!("{archive_bytes} bytes with {name} of {image_bytes} bytes"));
    let changed = changed_to(Some(&image_sha256), wanted);
    let verified = signed(archive, trust, wanted, board);
    if let Some(Ended::Changed { detail }) = changed {
        // What failed before its content is the nearer reason; what would fail after it is of no interest any more.
        if !board.failed_before(ReleaseCheck::Content) {
            board.fail(ReleaseCheck::Content, OwnReason::ContentChanged.into(), detail.clone());
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
            return Err(board.end(SoftwareCheck::Size, reason, detail));
        }
    }
    Ok(())
}

/// Why an archive cannot be opened, and whether that means another content than was verified: a fault of this box does not.
fn unopened(error: ArchiveError, wanted: &Wanted) -> (Invalid, Option<Ended>) {
    let invalid = Invalid::Archive(error);
    let changed = (invalid.reason() != InvalidReason::Unreadable).then(|| changed_to(None, wanted)).flatten();
    (invalid, changed)
}

/// Another size than was stated, of an archive with the image that was verified before: says so.
fn same_image(ended: Ended, board: &Board) -> Ended {
    match ended {
        Ended::Failed { reason, detail } => {
            let detail = format!("{detail}; its image is the one that was verified before");
            board.end(SoftwareCheck::Size, reason, detail)
        }
        other => other,
    }
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
    let store = TrustStore::open(trust).map_err(|_| {
        let detail = "this manager has no release root to verify signatures with".to_owned();
        board.end(ReleaseCheck::Signature, OwnReason::NoReleaseRoot.into(), detail)
    })?;
    let expected = Expected { version: wanted.version, arch: Some(wanted.arch.clone()) };
    let own = archive.content().metadata().clone();
    let outcome = store.verify(archive, &expected, wanted.now);
    let reached = outcome.as_ref().map_or_else(Invalid::check, |_| ReleaseCheck::Migrations);
    if reached > ReleaseCheck::Signature {
        if let Some(foreign) = outcome.as_ref().err().and_then(|invalid| foreign(&store, &own, invalid)) {
            return Err(board.end(ReleaseCheck::Signature, foreign.reason().into(), Chain(&foreign).to_string()));
        }
        board.pass(ReleaseCheck::Signature, signature_found(&store, &own).unwrap_or_default());
    }
    match outcome {
        Ok(verified) => {
            show(&verified, wanted, board);
            Ok(verified)
        }
        Err(invalid) => Err(board.end(invalid.check(), invalid.reason().into(), Chain(&invalid).to_string())),
    }
}

/// Why the metadata of an archive is not the publisher's. It was not looked at when what is trusted is as new, and does not matter
/// then for an image that is listed, by its digest; of any other image it says where it came from.
fn foreign(store: &TrustStore, own: &MetadataSet, invalid: &Invalid) -> Option<Invalid> {
    let as_listed = match invalid {
        Invalid::Delisted { .. } | Invalid::WrongSize { .. } | Invalid::WrongDigest { .. } => false,
        other => other.check() > ReleaseCheck::Content,
    };
    // Expired is what is trusted, not the archive.
    if as_listed || invalid.reason() == InvalidReason::Expired {
        return None;
    }
    store.vouches(own).err().map(Invalid::from)
}

/// Who signed what is trusted, which metadata it is, and until when; or that an archive's `own` metadata did not matter.
fn signature_found(store: &TrustStore, own: &MetadataSet) -> Option<String> {
    let trusted = store.metadata().ok()??;
    let claims = trusted.claims().ok()?;
    let timestamp = |set: &MetadataSet| set.files().last().map(|(_, body)| body.to_vec());
    if timestamp(&trusted) != timestamp(own) {
        let version = claims.timestamp;
        let judged = format!("judged by the metadata this network already trusts (version {version})");
        return Some(format!("{judged}; the archive's own was not needed"));
    }
    let root: Value = serde_json::from_slice(&store.root().ok()?).ok()?;
    let targets = &root["signed"]["roles"]["targets"];
    let (threshold, keys) = (targets["threshold"].as_u64()?, targets["keyids"].as_array()?.len());
    let until = jiff::Timestamp::from_second(i64::try_from(claims.expires).ok()?).ok()?;
    Some(format!("{threshold} of {keys} keys of root {} sign metadata {}, valid until {until}", claims.root, claims.timestamp))
}

/// Fills in what a verified archive is.
fn show(verified: &Verified, wanted: &Wanted, board: &Board) {
    let manifest = &verified.manifest;
    board.pass(ReleaseCheck::Listed, format!("the newest list has {}", verified.listed.name));
    board.pass(ReleaseCheck::Content, format!("{} bytes, SHA-256 {}", verified.listed.bytes, verified.listed.sha256));
    board.pass(ReleaseCheck::Manifest, files_found(manifest.files.len(), manifest.file_bytes()));
    match wanted.version {
        Some(_) => board.pass(ReleaseCheck::Version, format!("{}, as stated", manifest.version)),
        None => board.skip(ReleaseCheck::Version, format!("no version was stated; it is {}", manifest.version)),
    }
    board.pass(ReleaseCheck::Arch, format!("it is built for {}, as this manager is", manifest.arch));
    board.pass(ReleaseCheck::Lineage, line_found(&verified.lineage, wanted.running, manifest.version));
    board.pass(ReleaseCheck::Migrations, migrations_found(verified));
}

fn files_found(files: usize, bytes: u64) -> String {
    if files == 1 { format!("1 file with {bytes} bytes") } else { format!("{files} files with {bytes} bytes") }
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
