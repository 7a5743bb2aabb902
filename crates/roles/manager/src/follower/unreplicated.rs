//! Changes this box acknowledged alone when it was primary, and which the network does not have: kept as JSON lines until an
//! operator dismisses them.
//!
//! `state/manager/unreplicated/<term>-<first rev>-<last rev>.jsonl`, one line for each changeset: what it did, with its audit
//! entries before and after. No secret is in it: audit entries have none.

use crate::{
    keep as files,
    tables::{changesets, shipped},
};
use rusqlite::Transaction;
use std::{fs, io, path::Path, time::UNIX_EPOCH};
use weir_database::DatabaseError;
use weir_operator_api::UnreplicatedFile;

/// Their directory in the manager's state directory.
const DIRECTORY: &str = "unreplicated";
/// Changesets that are kept of one resync: those beyond are named by number alone.
const KEPT_MAX: usize = 10_000;
/// What of one file is shown.
const SHOWN_MAX: usize = 100;

/// Keeps the changesets of this database that a snapshot does not have, durably; the file's name, if there are any.
///
/// # Errors
/// They cannot be read or written: then the snapshot must not take the database's place.
pub(crate) fn keep(tx: &Transaction<'_>, snapshot: &Path, directory: &Path, now_ms: u64) -> Result<Option<String>, DatabaseError> {
    let mut other = weir_database::look(snapshot)?;
    let lost = lost(tx, &other.transaction()?)?;
    let (Some(first), Some(last)) = (lost.first(), lost.last()) else { return Ok(None) };
    let name = format!("{}-{}-{}.jsonl", last.term, first.rev, last.rev);
    let mut text = String::new();
    for record in lost.iter().take(KEPT_MAX) {
        text.push_str(&shipped::told(tx, record)?.to_string());
        text.push('\n');
    }
    let directory = directory.join(DIRECTORY);
    let path = directory.join(&name);
    let written = files::directory(&directory).and_then(|()| files::file(&path, text.as_bytes()));
    written.map_err(|source| DatabaseError::File { what: "write", path, source })?;
    tracing::warn!(first = first.rev, last = last.rev, now_ms, "changes of this box are not in the network");
    Ok(Some(name))
}

/// Our changesets after the last that both have, oldest first. Where the other log begins after ours ends nothing can be said: this
/// box was away for long, and is behind.
fn lost(ours: &Transaction<'_>, theirs: &Transaction<'_>) -> rusqlite::Result<Vec<changesets::Record>> {
    let (newest, oldest) = (changesets::last(ours)?, shipped::oldest(theirs)?);
    if newest == 0 || (oldest > 1 && newest < oldest) {
        return Ok(Vec::new());
    }
    let mut lost = Vec::new();
    for rev in (1..=newest).rev() {
        let Some(record) = changesets::get(ours, rev)? else { break };
        if shipped::is_ours(theirs, rev, &record.hash)? {
            break;
        }
        lost.push(record);
    }
    lost.reverse();
    Ok(lost)
}

/// The files, oldest first.
pub(crate) fn list(directory: &Path) -> Vec<UnreplicatedFile> {
    let directory = directory.join(DIRECTORY);
    let Ok(entries) = fs::read_dir(&directory) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut files: Vec<_> = names.filter_map(|name| shown(&directory, name)).collect();
    files.sort_by_key(|file| (file.term, file.first_rev));
    files
}

fn shown(directory: &Path, name: String) -> Option<UnreplicatedFile> {
    let (term, first_rev, last_rev) = numbers(&name)?;
    let path = directory.join(&name);
    let modified = fs::metadata(&path).ok()?.modified().ok()?;
    let kept_ms = modified.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let text = fs::read_to_string(&path).unwrap_or_default();
    let words = |line: &str| -> Option<Vec<String>> {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["did"].as_array()?.iter().filter_map(|did| did.as_str().map(str::to_owned)).collect())
    };
    let did = text.lines().filter_map(words).flatten().take(SHOWN_MAX).collect();
    Some(UnreplicatedFile { name, term, first_rev, last_rev, kept_ms, did })
}

/// Term, first and last changeset of a file by its name; `None` for every other file.
fn numbers(name: &str) -> Option<(u64, u64, u64)> {
    let mut parts = name.strip_suffix(".jsonl")?.split('-').map(str::parse::<u64>);
    let (Some(Ok(term)), Some(Ok(first)), Some(Ok(last)), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    (first <= last).then_some((term, first, last))
}

/// How many changes are kept.
pub(crate) fn count(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory.join(DIRECTORY)) else { return 0 };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| numbers(&name)).map(|(_, first, last)| last - first + 1).sum()
}

/// Removes a file that an operator has read.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] when there is none of this name.
pub(crate) fn dismiss(directory: &Path, name: &str) -> io::Result<()> {
    // A name of these cannot lead out of the directory.
    numbers(name).ok_or(io::ErrorKind::NotFound)?;
    let directory = directory.join(DIRECTORY);
    fs::remove_file(directory.join(name))?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_these_files_are_taken() {
        assert_eq!(numbers("2-10-12.jsonl"), Some((2, 10, 12)));
        for other in ["2-10.jsonl", "2-12-10.jsonl", "../2-10-12.jsonl", "2-10-12.jsonl.tmp", "2-10-12-13.jsonl", "a-1-2.jsonl"] {
            assert_eq!(numbers(other), None, "{other}");
        }
    }

    #[test]
    fn files_are_listed_counted_and_dismissed() {
        let dir = tempfile::tempdir().expect("dir");
        assert_eq!((list(dir.path()).len(), count(dir.path())), (0, 0));
        fs::create_dir(dir.path().join(DIRECTORY)).expect("directory");
        for (name, did) in [("2-10-12.jsonl", "create location east"), ("1-3-3.jsonl", "delete location west")] {
            fs::write(dir.path().join(DIRECTORY).join(name), format!("{{\"rev\":10,\"did\":[\"{did}\"]}}\n")).expect("file");
        }
        let listed: Vec<_> = list(dir.path()).into_iter().map(|file| (file.name, file.last_rev, file.did)).collect();
        let of = |name: &str, last, did: &str| (name.to_owned(), last, vec![did.to_owned()]);
        assert_eq!(listed, [of("1-3-3.jsonl", 3, "delete location west"), of("2-10-12.jsonl", 12, "create location east")]);
        assert_eq!(count(dir.path()), 4);
        assert_eq!(dismiss(dir.path(), "../box.json").expect_err("refused").kind(), io::ErrorKind::NotFound);
        dismiss(dir.path(), "2-10-12.jsonl").expect("dismissed");
        assert_eq!(count(dir.path()), 1);
    }
}
