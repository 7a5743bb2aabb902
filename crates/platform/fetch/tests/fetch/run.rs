//! One download, and all it said on the way.

use std::{io, sync::Mutex, time::Duration};
use weir_fetch::{Credentials, FetchError, Fetched, Limits, Part, Sink, Source, Watch, fetch, resume};
use weir_model::{FetchReason, SoftwareCheck, SourceAllow};

/// A download that hangs is a failure of its own.
const HANGS: Duration = Duration::from_secs(25);

/// What is downloaded, and how.
pub(crate) struct Run {
    pub(crate) url: String,
    pub(crate) credentials: Credentials,
    pub(crate) allow: &'static str,
    pub(crate) expected: Option<u64>,
    pub(crate) limits: Limits,
    pub(crate) disk_bytes: usize,
    /// What is there already of a file of `expected` bytes.
    pub(crate) held: Vec<u8>,
    /// How long to wait after each piece.
    pub(crate) pause: Duration,
}

/// What came of it.
pub(crate) struct Ran {
    pub(crate) result: Result<Fetched, FetchError>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) passed: Vec<(SoftwareCheck, String)>,
    pub(crate) progress: Vec<(u64, Option<u64>)>,
}

impl Run {
    /// From a server on loopback, which is allowed, within limits that an honest server never meets.
    pub(crate) fn of(url: impl Into<String>) -> Self {
        let patient = Duration::from_secs(20);
        let mut limits = Limits::for_archives(1 << 20);
        (limits.resolve, limits.connect, limits.idle, limits.total) = (patient, patient, patient, patient);
        (limits.slow_window, limits.redirects_max) = (patient, 3);
        Self {
            url: url.into(),
            credentials: Credentials::None,
            allow: "127.0.0.0/8",
            expected: None,
            limits,
            disk_bytes: usize::MAX,
            held: Vec::new(),
            pause: Duration::ZERO,
        }
    }

    pub(crate) async fn go(self) -> Ran {
        let Self { url, credentials, allow, expected, limits, disk_bytes, held, pause } = self;
        let allow = SourceAllow(allow.split_whitespace().map(|network| network.parse().expect("a network")).collect());
        let source = Source { url, credentials };
        let from = u64::try_from(held.len()).expect("small");
        let (mut disk, watch) = (Disk { bytes: held, max: disk_bytes }, Seen { pause, ..Seen::default() });
        let download = async {
            match from {
                0 => fetch(&source, &allow, expected, &limits, &mut disk, &watch).await,
                from => resume(&source, &allow, Part { from, expected: expected.expect("known") }, &limits, &mut disk, &watch).await,
            }
        };
        let result = tokio::time::timeout(HANGS, download).await.expect("a download that ends");
        let Seen { passed, progress, .. } = watch;
        let ran =
            Ran { result, bytes: disk.bytes, passed: passed.into_inner().expect("whole"), progress: progress.into_inner().expect("whole") };
        ran.check_order();
        ran
    }

    /// Runs it and expects it to fail like this; the detail.
    pub(crate) async fn fails(self, check: SoftwareCheck, reason: FetchReason) -> String {
        self.go().await.failed(check, reason)
    }
}

impl Ran {
    pub(crate) fn failed(&self, check: SoftwareCheck, reason: FetchReason) -> String {
        match &self.result {
            Err(FetchError::Source { check: found, reason: why, detail }) => {
                assert_eq!((*found, *why), (check, reason), "{detail}");
                assert!(!detail.is_empty() && !detail.ends_with('.'), "{detail:?}");
                detail.clone()
            }
            other => panic!("not {reason} but {other:?}"),
        }
    }

    /// What was found by `check`.
    pub(crate) fn found(&self, check: SoftwareCheck) -> Option<&str> {
        self.passed.iter().find(|(passed, _)| *passed == check).map(|(_, detail)| detail.as_str())
    }

    /// Checks pass in their order, each once, and none is passed over.
    fn check_order(&self) {
        let passed: Vec<_> = self.passed.iter().map(|(check, _)| *check).collect();
        let all: Vec<_> = SoftwareCheck::all().collect();
        assert_eq!(passed, all[..passed.len()]);
        if let Err(FetchError::Source { check, .. }) = &self.result {
            assert_eq!(*check, all[passed.len()], "the check after those that passed");
        }
        assert!(self.progress.is_sorted(), "{:?}", self.progress);
    }
}

struct Disk {
    bytes: Vec<u8>,
    max: usize,
}

impl Sink for Disk {
    fn begin(&mut self, at: u64) -> io::Result<()> {
        self.bytes.truncate(usize::try_from(at).expect("small"));
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes.len() + bytes.len() > self.max {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

#[derive(Default)]
struct Seen {
    passed: Mutex<Vec<(SoftwareCheck, String)>>,
    progress: Mutex<Vec<(u64, Option<u64>)>>,
    pause: Duration,
}

impl Watch for Seen {
    fn passed(&self, check: SoftwareCheck, detail: String) {
        self.passed.lock().expect("whole").push((check, detail));
    }

    fn progress(&self, done: u64, total: Option<u64>) {
        self.progress.lock().expect("whole").push((done, total));
    }

    fn pause(&self, _bytes: u64) -> Duration {
        self.pause
    }
}
