//! Access records: one JSON line per request, written by one thread, never waited for.
//!
//! A request appends its line to a bounded buffer in memory under a lock held for a copy; the writer takes the whole buffer
//! every [`WRITE_EVERY`], or when it is half full: the writer is woken for that record only, so a hit costs no system call for
//! its record. When the buffer is full the record is dropped and counted. `docs/protocols/access-record.md` lists the fields.

use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use std::{
    cell::RefCell,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Bytes of records waiting for the writer; more are dropped and counted.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of records for which the writer is woken.
const WAKE_BYTES: usize = BUFFER_BYTES / 2;
/// How often the writer takes what is there.
const WRITE_EVERY: Duration = Duration::from_millis(200);
/// Bytes of one file; the file before it is kept, older ones are not.
const FILE_BYTES: u64 = 64 * 1024 * 1024;
/// The file being written.
const FILE: &str = "access.log";
/// The file before it.
const FILE_BEFORE: &str = "access.log.1";

/// One request, as the record shows it.
#[derive(Serialize)]
pub(crate) struct Record<'a> {
    pub(crate) clock_ms: u64,
    pub(crate) client: std::net::IpAddr,
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) service: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) duration_us: u64,
    pub(crate) range: Option<&'a str>,
    pub(crate) outcome: &'a str,
    pub(crate) detail: Option<&'a str>,
    pub(crate) parent: Option<&'a str>,
    pub(crate) hops: u32,
    pub(crate) session: Option<String>,
    pub(crate) complete: bool,
}

struct Waiting {
    lines: Vec<u8>,
    stop: bool,
}

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    dropped: Counter,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where records go.
pub(crate) struct AccessLog {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl AccessLog {
    /// Opens the file in `directory` and starts the writer.
    pub(crate) fn open(directory: &Path, dropped: Counter) -> io::Result<Self> {
        Self::writing_every(WRITE_EVERY, directory, dropped)
    }

    fn writing_every(every: Duration, directory: &Path, dropped: Counter) -> io::Result<Self> {
        let mut files = Files::open(directory)?;
        let shared = Arc::new(Shared { waiting: Mutex::new(Waiting { lines: Vec::new(), stop: false }), wake: Condvar::new(), dropped });
        let theirs = shared.clone();
        let writer = thread::Builder::new().name("access-log".into()).spawn(move || write_on(&theirs, every, &mut files))?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }

    /// Queues one record.
    pub(crate) fn record(&self, record: &Record<'_>) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            serde_json::to_writer(&mut *line, record).expect("a record is plain values, and memory takes them");
            line.push(b'\n');
            let mut waiting = self.shared.lock();
            if waiting.lines.len() + line.len() > BUFFER_BYTES {
                self.shared.dropped.inc();
                return;
            }
            let before = waiting.lines.len();
            waiting.lines.extend_from_slice(line);
            let woken = before < WAKE_BYTES && waiting.lines.len() >= WAKE_BYTES;
            drop(waiting);
            if woken {
                self.shared.wake.notify_one();
            }
        });
    }

    /// Writes what is queued and ends the writer.
    pub(crate) fn close(&self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("access record writer panicked");
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.close();
    }
}

fn write_on(shared: &Shared, every: Duration, files: &mut Files) {
    let mut lines = Vec::new();
    loop {
        let waiting = shared.lock();
        let (mut waiting, _) = shared
            .wake
            .wait_timeout_while(waiting, every, |w| !w.stop && w.lines.len() < WAKE_BYTES)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.lines, &mut lines);
        let stop = waiting.stop;
        drop(waiting);
        if let Err(error) = files.write(&lines) {
            shared.dropped.inc_by(lines.iter().filter(|b| **b == b'\n').count() as u64);
            tracing::warn!(error = %error, "access records not written");
        }
        lines.clear();
        if stop {
            return;
        }
    }
}

struct Files {
    directory: PathBuf,
    file: File,
    bytes: u64,
}

impl Files {
    fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = OpenOptions::new().create(true).read(true).append(true).open(directory.join(FILE))?;
        let bytes = file.metadata()?.len();
        let mut files = Self { directory: directory.to_owned(), file, bytes };
        files.end_line()?;
        Ok(files)
    }

    /// Ends the line that a process which stopped in the middle of it left.
    fn end_line(&mut self) -> io::Result<()> {
        let mut last = [b'\n'];
        if let Some(at) = self.bytes.checked_sub(1) {
            self.file.read_exact_at(&mut last, at)?;
        }
        if last != *b"\n" {
            self.file.write_all(b"\n")?;
            self.bytes += 1;
        }
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.bytes > 0 && self.bytes + lines.len() as u64 > FILE_BYTES {
            fs::rename(self.directory.join(FILE), self.directory.join(FILE_BEFORE))?;
            *self = Self::open(&self.directory)?;
        }
        if let Err(error) = self.file.write_all(lines) {
            // Part of it may be there, up to the middle of a line: all of it counts as lost, so none of it stays.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str) -> Record<'_> {
        Record {
            clock_ms: 1,
            client: "127.0.0.1".parse().expect("address"),
            method: "GET",
            host: "demo.weir.test",
            service: Some("demo"),
            path,
            query: None,
            status: 200,
            bytes: 3,
            duration_us: 4,
            range: None,
            outcome: "hit",
            detail: None,
            parent: None,
            hops: 0,
            session: None,
            complete: true,
        }
    }

    #[test]
    fn every_record_is_one_line_and_a_restart_appends() {
        let directory = tempfile::tempdir().expect("directory");
        for path in ["/a", "/\"\n\u{1}é"] {
            let log = AccessLog::open(directory.path(), Counter::default()).expect("opens");
            log.record(&record(path));
            log.close();
        }
        let text = fs::read_to_string(directory.path().join(FILE)).expect("file");
        let paths: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("json")["path"].as_str().expect("text").to_owned())
            .collect();
        assert_eq!(paths, ["/a", "/\"\n\u{1}é"]);
    }

    #[test]
    fn a_full_file_is_put_aside() {
        let directory = tempfile::tempdir().expect("directory");
        let mut files = Files::open(directory.path()).expect("opens");
        files.bytes = FILE_BYTES - 3;
        files.write(b"12\n").expect("fits");
        files.write(b"34\n").expect("turns");
        assert_eq!(fs::read(directory.path().join(FILE_BEFORE)).expect("file"), b"12\n");
        assert_eq!(fs::read(directory.path().join(FILE)).expect("file"), b"34\n");
    }

    #[test]
    fn a_line_cut_by_a_crash_does_not_swallow_the_next_one() {
        let directory = tempfile::tempdir().expect("directory");
        for (left, read) in [("", "1\n"), ("whole\n", "whole\n1\n"), ("whole\nhal", "whole\nhal\n1\n")] {
            fs::write(directory.path().join(FILE), left).expect("written");
            Files::open(directory.path()).expect("opens").write(b"1\n").expect("written");
            assert_eq!(fs::read_to_string(directory.path().join(FILE)).expect("file"), read);
        }
    }

    #[test]
    fn a_half_full_buffer_does_not_wait_for_the_writers_turn() {
        let directory = tempfile::tempdir().expect("directory");
        let dropped = Counter::default();
        let an_hour = Duration::from_secs(3600);
        let log = AccessLog::writing_every(an_hour, directory.path(), dropped.clone()).expect("opens");
        log.record(&record(&"x".repeat(WAKE_BYTES)));
        let deadline = weir_clock::monotonic() + Duration::from_secs(30);
        while !log.shared.lock().lines.is_empty() {
            assert!(weir_clock::monotonic() < deadline, "the writer was not woken");
            thread::yield_now();
        }
        assert_eq!(dropped.get(), 0);
    }

    #[test]
    fn a_full_buffer_drops_and_counts() {
        let directory = tempfile::tempdir().expect("directory");
        let dropped = Counter::default();
        let log = AccessLog::open(directory.path(), dropped.clone()).expect("opens");
        let path = "x".repeat(BUFFER_BYTES);
        log.record(&record(&path));
        assert_eq!(dropped.get(), 1);
    }
}
