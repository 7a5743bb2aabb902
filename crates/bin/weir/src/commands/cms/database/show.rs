//! Backups, checks and what came of verbs, as tables.

use crate::output;
use anyhow::Context;
use sha2::{Digest, Sha256};
use std::{fs::File, io::Read, path::Path};
use weir_operator_api::{Backup, Backups, Maintained, RehearsalCheck, Restored};

/// Bytes hashed at a time.
const CHUNK_BYTES: usize = 256 * 1024;

fn yes(passed: bool) -> String {
    if passed { "yes" } else { "no" }.to_owned()
}

fn rehearsed(backup: &Backup) -> String {
    match &backup.rehearsed {
        None => "-".to_owned(),
        Some(tried) if tried.passed => "passed".to_owned(),
        Some(_) => "FAILED".to_owned(),
    }
}

pub(super) fn list(known: &Backups) -> String {
    let rows = known.items.iter().map(|backup| {
        let places: Vec<_> = backup.copies.iter().map(|copy| copy.place.as_str()).collect();
        let (at, length) = (output::time(backup.at_ms), output::bytes(backup.bytes));
        [backup.name.clone(), at, length, rehearsed(backup), yes(backup.proven), places.join(", ")]
    });
    let table = output::table(["NAME", "MADE", "SIZE", "REHEARSED", "PROVEN", "COPIES"], rows);
    match &known.under_way {
        None => table,
        Some(making) => format!("{table}\none is being made for {}: {}", making.actor, making.stage),
    }
}

pub(super) fn made(backup: &Backup) -> String {
    let mut lines = vec![format!("{} ({}), SHA-256 {}", backup.name, output::bytes(backup.bytes), backup.sha256)];
    if let Some(tried) = &backup.rehearsed {
        lines.push(checks(&tried.checks));
    }
    for copy in &backup.copies {
        let how = match &copy.detail {
            None => "the same".to_owned(),
            Some(why) => format!("NOT PROVEN: {why}"),
        };
        lines.push(format!("{}: {how}", copy.place));
    }
    if !backup.proven {
        let next = format!("fetch it (`weir cms database fetch {} --to FILE`) and confirm it, or set a schedule", backup.name);
        lines.push(format!("no copy on another machine was read back: {next}"));
    }
    lines.join("\n")
}

pub(super) fn checks(checks: &[RehearsalCheck]) -> String {
    let rows = checks.iter().map(|check| [check.check.clone(), yes(check.passed), check.detail.clone()]);
    output::table(["CHECK", "PASSED", "FOUND"], rows)
}

pub(super) fn restored(done: &Restored) -> String {
    let Restored { manifest, term, state, why, previous } = done;
    let before = previous.as_ref().map_or_else(String::new, |previous| format!("\nwhat it replaced is {previous}"));
    let now = why.as_ref().map_or_else(String::new, |why| format!("\nthis box is NOT the primary: it is {}: {why}", state.as_str()));
    format!("restored changeset {} of network {}; the network goes on with term {term}{before}{now}", manifest.rev, manifest.network)
}

pub(super) fn maintained(done: &Maintained) -> String {
    let Maintained { bytes_before, bytes_after, took_ms } = done;
    format!("{} before, {} now, {took_ms} ms", output::bytes(*bytes_before), output::bytes(*bytes_after))
}

/// Length and SHA-256 of a file.
pub(super) fn measured(path: &Path) -> anyhow::Result<(u64, String)> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let (mut hash, mut chunk, mut bytes) = (Sha256::new(), vec![0; CHUNK_BYTES], 0);
    loop {
        match file.read(&mut chunk).with_context(|| format!("read {}", path.display()))? {
            0 => return Ok((bytes, hex::encode(hash.finalize()))),
            read => {
                hash.update(&chunk[..read]);
                bytes += read as u64;
            }
        }
    }
}
