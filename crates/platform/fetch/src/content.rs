//! The content: into the sink, within the limits of size and time.

use crate::{
    Failure, FetchError, Limits, Sink, Watch,
    budget::{Budget, Late, seconds},
    exchange::Answer,
    pace::Pace,
};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, RuntimeFlavor};
use weir_model::{FetchReason, SoftwareCheck};

/// Bytes the sink is given at once, except the last.
const WRITE_BYTES: usize = 256 << 10;
/// Shortest time between two reports of the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// How the content is taken.
pub(crate) struct Content<'a> {
    pub(crate) expected: Option<u64>,
    pub(crate) limits: &'a Limits,
    pub(crate) budget: &'a Budget,
    pub(crate) watch: &'a dyn Watch,
}

/// How far it came.
struct Progress {
    done: u64,
    total: Option<u64>,
    told: Instant,
}

impl Content<'_> {
    /// Takes all of it; its length in bytes.
    pub(crate) async fn take(&self, mut answer: Answer, sink: &mut dyn Sink) -> Result<u64, FetchError> {
        let begun = weir_clock::monotonic();
        let begins = answer.begins();
        let total = answer.announced().map(|length| length.saturating_add(begins));
        if let Some(total) = total {
            self.check_announced(total)?;
        }
        sink.begin(begins).map_err(FetchError::Sink)?;
        let mut progress = Progress { done: begins, total, told: begun };
        self.watch.progress(begins, total);
        let mut pace = Pace::new(self.limits);
        let mut gathered = Vec::new();
        while let Some(piece) = self.next_or_keep(&mut answer, &mut pace, (&mut *sink, &mut gathered)).await? {
            progress.done += piece.len() as u64;
            self.check_length(progress.done)?;
            gathered.extend_from_slice(&piece);
            if gathered.len() >= WRITE_BYTES {
                write(sink, &mut gathered)?;
            }
            self.tell(&mut progress);
            self.pause(piece.len() as u64).await?;
        }
        write(sink, &mut gathered)?;
        self.watch.progress(progress.done, total);
        let took = weir_clock::monotonic().duration_since(begun);
        self.complete(progress.done, took)?;
        Ok(progress.done)
    }

    /// The next piece, none at the end. When there is an error instead, the sink takes what came before it: it may be resumed.
    async fn next_or_keep(
        &self,
        answer: &mut Answer,
        pace: &mut Pace<'_>,
        (sink, gathered): (&mut dyn Sink, &mut Vec<u8>),
    ) -> Result<Option<Bytes>, FetchError> {
        let next = self.next(answer, pace).await;
        if next.is_err() {
            write(sink, gathered)?;
        }
        next
    }

    /// The next piece, none at the end.
    async fn next(&self, answer: &mut Answer, pace: &mut Pace<'_>) -> Result<Option<Bytes>, FetchError> {
        let at = |failure: Failure| failure.at(SoftwareCheck::Download);
        loop {
            let before = weir_clock::monotonic();
            let arrived = self.budget.within(pace.patience(), answer.piece()).await;
            let waited = weir_clock::monotonic().duration_since(before);
            match arrived {
                Ok(None) => return Ok(None),
                Ok(Some(piece)) => {
                    let piece = piece.map_err(at)?;
                    pace.wait(waited, piece.len() as u64).map_err(at)?;
                    return Ok(Some(piece));
                }
                Err(Late::Step) => pace.wait(waited, 0).map_err(at)?,
                Err(Late::Total) => return Err(at(Failure::new(FetchReason::Timeout, self.budget.told()))),
            }
        }
    }

    /// Judges a length before its bytes come.
    fn check_announced(&self, total: u64) -> Result<(), FetchError> {
        let max = self.limits.bytes_max;
        if total > max {
            let detail = format!("the server announced {total} bytes, and {max} are taken at most");
            return Err(Failure::new(FetchReason::FileTooLarge, detail).at(SoftwareCheck::Download));
        }
        match self.expected {
            Some(expected) if expected != total => {
                let detail = format!("the server announced {total} bytes, and {expected} were stated");
                Err(self.differs("not begun, since its length is not the stated one", detail))
            }
            _ => Ok(()),
        }
    }

    /// Judges what came so far.
    fn check_length(&self, done: u64) -> Result<(), FetchError> {
        let max = self.limits.bytes_max;
        if done > max {
            let detail = format!("more than {max} bytes came");
            return Err(Failure::new(FetchReason::FileTooLarge, detail).at(SoftwareCheck::Download));
        }
        match self.expected {
            Some(expected) if done > expected => {
                let detail = format!("more than {expected} bytes came, which were stated");
                Err(self.differs("ended, since it is longer than stated", detail))
            }
            _ => Ok(()),
        }
    }

    fn differs(&self, download: &str, detail: String) -> FetchError {
        self.watch.skipped(SoftwareCheck::Download, download.to_owned());
        Failure::new(FetchReason::FileSizeDiffers, detail).at(SoftwareCheck::Size)
    }

    fn complete(&self, done: u64, took: Duration) -> Result<(), FetchError> {
        self.watch.passed(SoftwareCheck::Download, format!("{done} bytes in {}", seconds(took)));
        match self.expected {
            Some(expected) if expected != done => {
                let detail = format!("{done} bytes came, and {expected} were stated");
                Err(Failure::new(FetchReason::FileSizeDiffers, detail).at(SoftwareCheck::Size))
            }
            Some(_) => {
                self.watch.passed(SoftwareCheck::Size, format!("{done} bytes, as stated"));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Waits as long as the caller says, and no longer than everything may take.
    async fn pause(&self, bytes: u64) -> Result<(), FetchError> {
        let pause = self.watch.pause(bytes);
        if pause.is_zero() {
            return Ok(());
        }
        match self.budget.within(pause, std::future::pending::<()>()).await {
            Err(Late::Total) => Err(Failure::new(FetchReason::Timeout, self.budget.told()).at(SoftwareCheck::Download)),
            Ok(()) | Err(Late::Step) => Ok(()),
        }
    }

    fn tell(&self, progress: &mut Progress) {
        let now = weir_clock::monotonic();
        if now.duration_since(progress.told) >= PROGRESS_INTERVAL {
            progress.told = now;
            self.watch.progress(progress.done, progress.total);
        }
    }
}

fn write(sink: &mut dyn Sink, gathered: &mut Vec<u8>) -> Result<(), FetchError> {
    if gathered.is_empty() {
        return Ok(());
    }
    // A disk that has to catch up can hold a write for seconds. Elsewhere than on a multi-thread runtime there is nobody to make room.
    let taken = match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(|| sink.take(gathered)),
        _ => sink.take(gathered),
    };
    gathered.clear();
    taken.map_err(FetchError::Sink)
}
