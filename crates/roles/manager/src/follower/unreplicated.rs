//! Changes this box acknowledged alone when it was primary, and which the network does not have: kept as JSON lines until an
//! operator dismisses them.
//!
//! `state/manager/unreplicated/<term>-<first rev>-<last rev>.jsonl`, one line for each changeset: what it did, with its audit
//! entries before and after. No secret is in it: audit entries have none. Where the logs do not reach back to a changeset that both
//! have, the name ends in `-open.jsonl` and the first line says so.

use crate::{
    keep as files,
    tables::{changesets, settings, shipped},
};
use rusqlite::Transaction;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use weir_database::DatabaseError;
use weir_model::DeviceName;
use weir_operator_api::UnreplicatedFile;

/// Their directory in the manager's state directory.
pub(crate) const DIRECTORY: &str = "unreplicated";
/// A directory that has not changed for so long is taken as it was counted: two changes within one tick of its clock look like one.
const SETTLED: Duration = Duration::from_secs(2);
/// What of one file is shown.
const SHOWN_MAX: usize = 100;
/// What the first line of an open file says.
const OPEN: &str = "the logs do not reach back to a changeset that both have: some of these may be in the network, and more may be missing";

/// The changesets of this box that another database does not have.
struct Lost {
    first: u64,
    last: u64,
    /// Of the last one.
    term: u64,
    /// No changeset that both have is known.
    is_open: bool,
}

/// Keeps the changesets of this database that a snapshot does not have, all of them, durably; the file's name, if there are any.
///
/// # Errors
/// They cannot be read or written: then the snapshot must not take the database's place.
pub(crate) fn keep(tx: &Transaction<'_>, snapshot: &Path, directory: &Path, own: &DeviceName) -> Result<Option<String>, DatabaseError> {
    let mut other = weir_database::look(snapshot)?;
    let Some(lost) = lost(tx, &other.transaction()?, own)? else { return Ok(None) };
    let Lost { first, last, term, is_open } = lost;
    let name = format!("{term}-{first}-{last}{}.jsonl", if is_open { "-open" } else { "" });
    let directory = directory.join(DIRECTORY);
    let (path, part) = (directory.join(&name), directory.join(format!("{name}.part")));
    let failed = |source| DatabaseError::File { what: "write", path: path.clone(), source };
    files::directory(&directory).map_err(failed)?;
    let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&part).map_err(failed)?;
    let mut to = BufWriter::new(file);
    if is_open {
        writeln!(to, "{}", serde_json::json!({ "note": OPEN })).map_err(failed)?;
    }
    for rev in first..=last {
        let Some(record) = changesets::get(tx, rev)? else { continue };
        writeln!(to, "{}", shipped::told(tx, &record)?).map_err(failed)?;
    }
    let file = to.into_inner().map_err(|error| failed(error.into_error()))?;
    let named = || {
        file.sync_all()?;
        fs::rename(&part, &path)?;
        File::open(&directory)?.sync_all()
    };
    named().map_err(failed)?;
    tracing::warn!(first, last, is_open, "changes of this box are not in the network");
    Ok(Some(name))
}

/// What came after the last changeset that both have. Where no such changeset is known, it is what this box wrote in its newest term,
/// if it was the primary then: a standby acknowledges nothing by itself.
fn lost(ours: &Transaction<'_>, theirs: &Transaction<'_>, own: &DeviceName) -> rusqlite::Result<Option<Lost>> {
    let Some(tip) = changesets::tip(ours)? else { return Ok(None) };
    let (last, term) = (tip.rev, tip.term);
    let (mut first, mut of_term) = (last + 1, last + 1);
    while first > 1 {
        let Some(record) = changesets::get(ours, first - 1)? else { break };
        if shipped::is_ours(theirs, record.rev, &record.hash)? {
            return Ok((first <= last).then_some(Lost { first, last, term, is_open: false }));
        }
        first = record.rev;
        if record.term == term {
            of_term = record.rev;
        }
    }
    // Both logs from their beginning on, and nothing in common: all of it.
    if first == 1 && shipped::oldest(theirs)? <= 1 {
        return Ok(Some(Lost { first, last, term, is_open: false }));
    }
    let was_primary = settings::get(ours, settings::PRIMARY)?.as_deref() == Some(own.as_str());
    Ok(was_primary.then_some(Lost { first: of_term, last, term, is_open: true }))
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
    let words = |line: &str| -> Option<Vec<String>> {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        if let Some(note) = line["note"].as_str() {
            return Some(vec![note.to_owned()]);
        }
        Some(line["did"].as_array()?.iter().filter_map(|did| did.as_str().map(str::to_owned)).collect())
    };
    // No more of it is read than is shown.
    let lines = BufReader::new(File::open(&path).ok()?).lines().map_while(Result::ok);
    let did = lines.filter_map(|line| words(&line)).flatten().take(SHOWN_MAX).collect();
    Some(UnreplicatedFile { name, term, first_rev, last_rev, kept_ms, did })
}

/// Term, first and last changeset of a file by its name; `None` for every other file.
fn numbers(name: &str) -> Option<(u64, u64, u64)> {
    let name = name.strip_suffix(".jsonl")?;
    let mut parts = name.strip_suffix("-open").unwrap_or(name).split('-').map(str::parse::<u64>);
    let (Some(Ok(term)), Some(Ok(first)), Some(Ok(last)), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    (first <= last).then_some((term, first, last))
}

/// How many changes are kept and whether there may be more, counted again when their directory has changed.
#[derive(Debug, Default)]
pub(crate) struct Counted(Mutex<Option<(SystemTime, (u64, bool))>>);

impl Counted {
    /// As [`count`]. What has not changed for [`SETTLED`] costs one look at the directory.
    pub(crate) fn now(&self, directory: &Path) -> (u64, bool) {
        let Ok(changed) = fs::metadata(directory.join(DIRECTORY)).and_then(|of| of.modified()) else { return (0, false) };
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((then, counted)) if *then == changed && weir_clock::wall().duration_since(changed).is_ok_and(|age| age > SETTLED) => {
                *counted
            }
            _ => {
                let counted = count(directory);
                *last = Some((changed, counted));
                counted
            }
        }
    }
}

/// How many changes are kept, and whether there may be more than that.
fn count(directory: &Path) -> (u64, bool) {
    let Ok(entries) = fs::read_dir(directory.join(DIRECTORY)) else { return (0, false) };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let counted = names.filter_map(|name| Some((numbers(&name)?, name.ends_with("-open.jsonl"))));
    counted.fold((0, false), |(changes, open), ((_, first, last), is_open)| (changes + (last - first + 1), open || is_open))
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
    use rusqlite::Connection;
    use weir_database::Changeset;

    #[test]
    fn only_names_of_these_files_are_taken() {
        assert_eq!(numbers("2-10-12.jsonl"), Some((2, 10, 12)));
        assert_eq!(numbers("2-10-12-open.jsonl"), Some((2, 10, 12)));
        for other in [
            "2-10.jsonl",
            "2-12-10.jsonl",
            "../2-10-12.jsonl",
            "2-10-12.jsonl.tmp",
            "2-10-12-13.jsonl",
            "a-1-2.jsonl",
            "2-10-12-open.jsonl.part",
        ] {
            assert_eq!(numbers(other), None, "{other}");
        }
    }

    #[test]
    fn files_are_listed_counted_and_dismissed() {
        let dir = tempfile::tempdir().expect("dir");
        assert_eq!((list(dir.path()).len(), count(dir.path())), (0, (0, false)));
        fs::create_dir(dir.path().join(DIRECTORY)).expect("directory");
        for (name, did) in [("2-10-12.jsonl", "create location east"), ("1-3-3.jsonl", "delete location west")] {
            fs::write(dir.path().join(DIRECTORY).join(name), format!("{{\"rev\":10,\"did\":[\"{did}\"]}}\n")).expect("file");
        }
        let listed: Vec<_> = list(dir.path()).into_iter().map(|file| (file.name, file.last_rev, file.did)).collect();
        let of = |name: &str, last, did: &str| (name.to_owned(), last, vec![did.to_owned()]);
        assert_eq!(listed, [of("1-3-3.jsonl", 3, "delete location west"), of("2-10-12.jsonl", 12, "create location east")]);
        assert_eq!(count(dir.path()), (4, false));
        let counted = Counted::default();
        assert_eq!([counted.now(dir.path()), counted.now(dir.path())], [(4, false); 2]);
        assert_eq!(dismiss(dir.path(), "../box.json").expect_err("refused").kind(), io::ErrorKind::NotFound);
        dismiss(dir.path(), "2-10-12.jsonl").expect("dismissed");
        assert_eq!((count(dir.path()), counted.now(dir.path())), ((1, false), (1, false)));
    }

    /// A database with these changesets, each of a term, in which `primary` is the primary.
    fn database(path: &Path, primary: &str, changesets: impl Iterator<Item = (u64, u64)>) -> Connection {
        let mut connection = Connection::open(path).expect("opens");
        for step in crate::tables::migrations::CONFIG {
            connection.execute_batch(step.up_sql).expect("runs");
        }
        let tx = connection.transaction().expect("begins");
        settings::set(&tx, settings::PRIMARY, primary).expect("set");
        for (term, at_ms) in changesets {
            let record = changesets::Record {
                rev: 0,
                at_ms,
                actor: "a".into(),
                source: "s".into(),
                term,
                generation: 1,
                step: 7,
                undoes: None,
                undoable: false,
                hash: [0; 32],
                digest: [0; 32],
            };
            changesets::append(&tx, record, &Changeset::from_bytes(Vec::new()), &[]).expect("kept");
        }
        tx.commit().expect("commits");
        connection
    }

    #[test]
    fn what_the_other_does_not_have_is_kept_however_much_it_is() {
        let own: DeviceName = "manager-1".parse().expect("name");
        let kept = |mut ours: Connection, theirs: Connection, dir: &Path| {
            drop(theirs);
            let tx = ours.transaction().expect("begins");
            let name = keep(&tx, &dir.join("theirs.db"), dir, &own).expect("kept");
            let lines = |name: &String| fs::read_to_string(dir.join(DIRECTORY).join(name)).expect("a file").lines().count();
            (name.as_ref().map(lines), name)
        };
        let many = 12_000;
        let dir = tempfile::tempdir().expect("dir");
        let [one, two] = ["ours.db", "theirs.db"].map(|name| dir.path().join(name));
        let ours = database(&one, "manager-1", (1..=many).map(|at_ms| (1, at_ms)));
        let theirs = database(&two, "manager-2", [(1, 1), (1, 2), (2, 9)].into_iter());
        let expected = format!("1-3-{many}.jsonl");
        assert_eq!(kept(ours, theirs, dir.path()), (Some(11_998), Some(expected)));
        // A log that begins after ours ends: what the box wrote as primary, with a word that nobody knows where it parted.
        for (primary, expected) in [("manager-1", Some("2-3-4-open.jsonl")), ("manager-2", None)] {
            let dir = tempfile::tempdir().expect("dir");
            let [one, two] = ["ours.db", "theirs.db"].map(|name| dir.path().join(name));
            let ours = database(&one, primary, [(1, 1), (1, 2), (2, 3), (2, 4)].into_iter());
            let theirs = database(&two, "manager-2", (1..=9).map(|at_ms| (3, 100 + at_ms)));
            theirs.execute_batch("DELETE FROM changeset WHERE rev < 8").expect("forgotten");
            let (lines, name) = kept(ours, theirs, dir.path());
            assert_eq!((name.as_deref(), lines), (expected, expected.map(|_| 3)), "{primary}");
            assert_eq!(count(dir.path()), if expected.is_some() { (2, true) } else { (0, false) });
            assert_eq!(list(dir.path()).first().map(|file| file.did[0].as_str()), expected.map(|_| OPEN));
        }
        // All of it is there.
        let dir = tempfile::tempdir().expect("dir");
        let [one, two] = ["ours.db", "theirs.db"].map(|name| dir.path().join(name));
        let [ours, theirs] = [(one, 2), (two, 5)].map(|(path, last)| database(&path, "manager-1", (1..=last).map(|at_ms| (1, at_ms))));
        assert_eq!(kept(ours, theirs, dir.path()), (None, None));
    }
}
