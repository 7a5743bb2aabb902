//! The journal: who was promoted, fenced, restored, and why, outside SQLite, so that a box that cannot open its database still knows.
//!
//! One JSON object a line in `state/manager/journal.log`, each with the SHA-256 of the line before it; only the primary appends,
//! the standby mirrors. Every call but [`Journal::end`] reads or writes a file and flushes it: call from where blocking is allowed.
//! Page: `docs/protocols/journal.md`.

mod aside;
pub(crate) mod line;
mod note;
mod stretch;

use crate::keep;
use aside::Aside;
use line::{LINE_BYTES_MAX, Line, LineError, Scan};
use std::{
    fs::{File, Permissions},
    io::{self, BufReader},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// The journal's name in the state directory.
const FILE: &str = "journal.log";
/// Bytes the journal may have: a rollout of 10,000 devices at 16 records of 500 bytes each is 80 MB. Beyond it nothing is appended.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of lines one answer carries; a single line always goes.
const AFTER_BYTES_MAX: usize = 1 << 20;

/// Why the journal cannot be read or written. Nothing of the call was kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The file.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A record that is too long.
    #[error("a journal record of {bytes} bytes is longer than {LINE_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The journal has its full length.
    #[error("the journal has {FILE_BYTES_MAX} bytes and takes no more")]
    Full,
    /// A flush failed and what was written could not be taken back: what the file holds is known only when it is opened anew.
    #[error("the journal failed to write before; restart this manager")]
    Broken,
    /// A line to mirror is none.
    #[error("journal line {seq} is not one")]
    Line {
        /// The sequence number it should have had.
        seq: u64,
        /// What is wrong with it.
        #[source]
        source: LineError,
    },
    /// Lines to mirror begin beyond what is here.
    #[error("journal lines begin at {first}, and the last here is {last}")]
    Gap {
        /// The first sent.
        first: u64,
        /// The last here.
        last: u64,
    },
}

/// What comes after a line somebody names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The lines after it, in order; none when it is the last.
    Lines(Vec<String>),
    /// That line is not ours; [`Journal::around`] is what to send instead.
    Diverged,
}

/// The journal of this box.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    held: Mutex<Held>,
    /// The last record and its hash, as [`Held`] has them: whoever only asks for them does not wait for a flush.
    end: watch::Sender<(u64, String)>,
}

#[derive(Debug)]
struct Held {
    file: File,
    /// Where each line begins.
    starts: Vec<u64>,
    /// Bytes of all lines.
    length: u64,
    /// Hash of the last line; empty when there is none.
    hash: String,
    broken: bool,
}

impl Journal {
    /// Opens the journal, or begins one. A last line that was not finished is cut off; from a line that is not what was written on,
    /// the rest is set aside as `journal-damaged-<seq>.log` and said in the log.
    ///
    /// # Errors
    /// The file or its directory.
    pub(crate) fn open(state: &Path) -> Result<Self, JournalError> {
        keep::directory(state).map_err(at("create directory", state))?;
        let path = state.join(FILE);
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(at("open", &path))?;
        file.set_permissions(Permissions::from_mode(0o600)).map_err(at("protect", &path))?;
        File::open(state).and_then(|directory| directory.sync_all()).map_err(at("flush directory", state))?;
        let Scan { starts, length, hash, damage } = line::scan(BufReader::new(&file)).map_err(at("read", &path))?;
        let held = Held { file, starts, length, hash, broken: false };
        let whole = held.file.metadata().map_err(at("read", &path))?.len();
        if let Some(damage) = damage {
            let seq = held.end() + 1;
            let rest = held.bytes(length, whole).map_err(at("read", &path))?;
            let kept = aside::keep(state, Aside::Damaged { seq }, &rest).map_err(at("set aside a part of", &path))?;
            tracing::error!(seq, error = %damage, kept = %kept.display(), "the journal is not as it was written from this record on");
        }
        if whole > length {
            held.file.set_len(length).and_then(|()| held.file.sync_all()).map_err(at("cut", &path))?;
        }
        let end = watch::Sender::new(held.last());
        Ok(Self { path, held: Mutex::new(held), end })
    }

    /// Appends a record, durably; its sequence number. `body` holds no secret: the journal is shown and copied.
    ///
    /// # Errors
    /// [`JournalError`]; the journal is then as it was.
    pub(crate) fn append(&self, at_ms: u64, term: u64, kind: &'static str, body: serde_json::Value) -> Result<u64, JournalError> {
        self.append_all(at_ms, term, vec![(kind, body)])
    }

    /// Appends records, durably, one after the other with one flush; the sequence number of the last. A crash in the middle may leave
    /// the first ones of them.
    ///
    /// # Errors
    /// [`JournalError`]; the journal is then as it was.
    pub(crate) fn append_all(&self, at_ms: u64, term: u64, records: Vec<(&'static str, serde_json::Value)>) -> Result<u64, JournalError> {
        let mut held = self.held();
        let (mut seq, mut before) = (held.end(), held.hash.clone());
        let mut lines = Vec::with_capacity(records.len());
        for (kind, body) in records {
            seq += 1;
            let line = Line { seq, at_ms, term, kind: kind.to_owned(), body, before }.text();
            if line.len() > LINE_BYTES_MAX {
                return Err(JournalError::TooLong { bytes: line.len() });
            }
            before = line::hash(line.as_bytes());
            lines.push(line);
        }
        self.write(&mut held, &lines)
    }

    /// Calls `f` with each record of these kinds, in order.
    ///
    /// # Errors
    /// The file.
    pub(crate) fn each(&self, kinds: &[&str], mut f: impl FnMut(Line)) -> Result<(), JournalError> {
        let held = self.held();
        for seq in 1..=held.end() {
            let text = held.line(seq).map_err(at("read", &self.path))?;
            let line = line::parse(text.as_bytes()).map_err(|source| JournalError::Line { seq, source })?;
            if kinds.contains(&line.kind.as_str()) {
                f(line);
            }
        }
        Ok(())
    }

    /// The last record's sequence number and the hash of its line, hex; `(0, "")` when there is none. Reads no file and waits for none.
    pub(crate) fn end(&self) -> (u64, String) {
        self.end.borrow().clone()
    }

    /// The lines after the one named, at most so many, when it is ours.
    pub(crate) fn after(&self, seq: u64, hash: &str, at_most: usize) -> After {
        let held = self.held();
        match held.hash_of(seq) {
            Ok(Some(ours)) if ours == hash => After::Lines(self.lines(&held, seq + 1, at_most)),
            Ok(_) => After::Diverged,
            Err(error) => {
                let error = at("read", &self.path)(error);
                tracing::error!(seq, error = %weir_telemetry::Chain(&error), "the journal cannot be read");
                After::Lines(Vec::new())
            }
        }
    }

    /// For somebody whose line `seq` is not ours: the lines up to there, at most so many, and one more, if there is. Where they
    /// begin after both have parted, [`Journal::mirror`] goes back to before them, so that the next ones begin earlier.
    pub(crate) fn around(&self, seq: u64, at_most: usize) -> Vec<String> {
        let held = self.held();
        let last = held.end().min(seq.saturating_add(1));
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for seq in (1..=last).rev().take(at_most) {
            let Some(line) = self.line(&held, seq) else { break };
            bytes += line.len();
            if !lines.is_empty() && bytes > AFTER_BYTES_MAX {
                break;
            }
            lines.push(line);
        }
        lines.reverse();
        lines
    }

    /// Takes over lines of the primary: those already here are passed over, what is here and the primary does not have is set aside
    /// as `journal-<term>-<seq>.log`, the rest is appended durably. Lines that are all here end where the primary's journal does.
    /// The last sequence number then.
    ///
    /// # Errors
    /// [`JournalError`]; the journal is then as it was, or, when only appending failed, ends where both part.
    pub(crate) fn mirror(&self, lines: &[String]) -> Result<u64, JournalError> {
        let records = line::chained(lines).map_err(|(seq, source)| JournalError::Line { seq, source })?;
        let mut held = self.held();
        let Some(first) = records.first() else { return Ok(held.end()) };
        if first.seq > held.end() + 1 {
            return Err(JournalError::Gap { first: first.seq, last: held.end() });
        }
        let read = |error| at("read", &self.path)(error);
        if held.hash_of(first.seq - 1).map_err(read)?.as_ref() != Some(&first.before) {
            // What is here parted from the primary's below all that was sent.
            self.part(&mut held, first.seq - 1)?;
            return Ok(held.end());
        }
        let mut common = 0;
        while common < lines.len() && first.seq + common as u64 <= held.end() {
            if held.line(first.seq + common as u64).map_err(read)? != lines[common] {
                break;
            }
            common += 1;
        }
        let from = first.seq + common as u64;
        if from <= held.end() {
            self.part(&mut held, from)?;
        }
        let new = &lines[common..];
        if new.is_empty() { Ok(held.end()) } else { self.write(&mut held, new) }
    }

    /// Told with the last sequence number and its hash after each change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<(u64, String)> {
        self.end.subscribe()
    }

    /// From line `first` on, as many as one answer carries.
    fn lines(&self, held: &Held, first: u64, at_most: usize) -> Vec<String> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for seq in (first..=held.end()).take(at_most) {
            let Some(line) = self.line(held, seq) else { break };
            bytes += line.len();
            if !lines.is_empty() && bytes > AFTER_BYTES_MAX {
                break;
            }
            lines.push(line);
        }
        lines
    }

    fn line(&self, held: &Held, seq: u64) -> Option<String> {
        let failed = |error: io::Error| {
            let error = at("read", &self.path)(error);
            tracing::error!(seq, error = %weir_telemetry::Chain(&error), "the journal cannot be read");
        };
        held.line(seq).map_err(failed).ok()
    }

    /// Sets the lines from `from` on aside.
    fn part(&self, held: &mut Held, from: u64) -> Result<(), JournalError> {
        let start = held.starts[index(from)];
        let line = held.line(from).map_err(at("read", &self.path))?;
        let term = line::parse(line.as_bytes()).map_err(|source| JournalError::Line { seq: from, source })?.term;
        let tail = held.bytes(start, held.length).map_err(at("read", &self.path))?;
        let hash = held.hash_of(from - 1).map_err(at("read", &self.path))?.unwrap_or_default();
        let state = self.path.parent().unwrap_or(Path::new(""));
        let kept = aside::keep(state, Aside::Forked { term, seq: from }, &tail).map_err(at("set aside a part of", &self.path))?;
        tracing::warn!(from, to = held.end(), kept = %kept.display(), "journal records that the primary does not have are set aside");
        held.cut(index(from), start, hash).map_err(at("cut", &self.path))?;
        self.end.send_replace(held.last());
        Ok(())
    }

    fn write(&self, held: &mut Held, lines: &[String]) -> Result<u64, JournalError> {
        if held.broken {
            return Err(JournalError::Broken);
        }
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        if held.length + bytes as u64 > FILE_BYTES_MAX {
            return Err(JournalError::Full);
        }
        let mut text = String::with_capacity(bytes);
        let mut starts = Vec::with_capacity(lines.len());
        for line in lines {
            starts.push(held.length + text.len() as u64);
            text.push_str(line);
            text.push('\n');
        }
        let written = held.file.write_all_at(text.as_bytes(), held.length).and_then(|()| held.file.sync_data());
        if let Err(source) = written {
            // What a failed flush left in the file is not known: it is taken back, or nothing more is written.
            held.broken = held.file.set_len(held.length).and_then(|()| held.file.sync_all()).is_err();
            return Err(at("append to", &self.path)(source));
        }
        held.starts.extend(starts);
        held.length += bytes as u64;
        held.hash = lines.last().map(|line| line::hash(line.as_bytes())).unwrap_or_else(|| held.hash.clone());
        self.end.send_replace(held.last());
        Ok(held.end())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Whatever panicked, the fields are changed only after the file was.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a reader makes of a journal's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalCheck {
    /// Records from the first on that are what was written.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether what follows is damage, and not a last record that was not finished.
    pub damaged: bool,
}

/// Checks the bytes of a journal, or of a part of one that begins with its first record.
pub fn check(bytes: &[u8]) -> JournalCheck {
    let Scan { starts, length, damage, .. } = line::scan(bytes).expect("bytes in memory are always read");
    JournalCheck { records: starts.len() as u64, bytes: length, damaged: damage.is_some() }
}

impl Held {
    fn end(&self) -> u64 {
        self.starts.len() as u64
    }

    fn last(&self) -> (u64, String) {
        (self.end(), self.hash.clone())
    }

    fn bytes(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    /// A line that is here, without its end.
    fn line(&self, seq: u64) -> io::Result<String> {
        let start = self.starts[index(seq)];
        let end = self.starts.get(index(seq) + 1).copied().unwrap_or(self.length);
        String::from_utf8(self.bytes(start, end - 1)?).map_err(io::Error::other)
    }

    /// The hash of a line; of the one before the first it is empty, and there is none of one that is not here.
    fn hash_of(&self, seq: u64) -> io::Result<Option<String>> {
        match seq {
            0 => Ok(Some(String::new())),
            seq if seq > self.end() => Ok(None),
            seq if seq == self.end() => Ok(Some(self.hash.clone())),
            seq => Ok(Some(line::hash(self.line(seq)?.as_bytes()))),
        }
    }

    fn cut(&mut self, lines: usize, length: u64, hash: String) -> io::Result<()> {
        self.file.set_len(length)?;
        self.starts.truncate(lines);
        (self.length, self.hash) = (length, hash);
        self.file.sync_all()
    }
}

/// Where a line's beginning is in the list of them.
fn index(seq: u64) -> usize {
    usize::try_from(seq - 1).expect("lines that are here are fewer than the bytes of the file")
}

fn at<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::File { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
