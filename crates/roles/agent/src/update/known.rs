//! What poll, report and driver know of one another: the manager's last word, whether a manager answers, and what a report says.

use super::download::Progress;
use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::watch;
use weir_device_api::{KeeperReport, Load, SlotsReport, UpdateReport, UpdateWord};
use weir_keeper_api::Parked;
use weir_model::Stamp;
use weir_rollout::update::{Leave, Stage, UpdateState};

/// Longest sentence of a report about its update, in bytes.
const DETAIL_MAX_BYTES: usize = 1000;

/// What a report says of the update, as its driver left it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) state: UpdateState,
    pub(super) detail: String,
    pub(super) parked: bool,
    pub(super) slots: SlotsReport,
}

impl Headline {
    /// Whether somebody drives.
    pub(crate) fn is_known(&self) -> bool {
        self.stage.is_some()
    }
}

/// What a report is sent for at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Headline {
    stage: Option<Stage>,
    stamp: Option<Stamp>,
    burned: usize,
    parked: bool,
}

/// A worker parked beside this one: what it said first and last.
#[derive(Debug, Clone, Copy, Default)]
struct Elder {
    first: Parked,
    last: Parked,
    is_there: bool,
}

/// The meeting point of one agent.
pub(crate) struct Update {
    word: watch::Sender<Option<UpdateWord>>,
    /// When a manager last answered this worker, on the monotonic clock, one more than milliseconds; 0 before the first answer.
    reached_ms: AtomicU64,
    shown: Mutex<Option<Shown>>,
    headline: watch::Sender<Headline>,
    pub(super) progress: watch::Sender<Progress>,
    elder: Mutex<Option<Elder>>,
    /// The journal was driven in this process before.
    driven: AtomicBool,
    /// What this worker had done when it took its boot number: a report counts from there.
    done_before: Mutex<Load>,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            word: watch::Sender::new(None),
            reached_ms: AtomicU64::new(0),
            shown: Mutex::default(),
            headline: watch::Sender::default(),
            progress: watch::Sender::default(),
            elder: Mutex::default(),
            driven: AtomicBool::new(false),
            done_before: Mutex::default(),
        }
    }
}

impl Update {
    /// Names the last word, for the next poll.
    pub(crate) fn revision(&self) -> u64 {
        self.word.borrow().as_ref().map_or(0, |word| word.revision)
    }

    /// Takes the manager's word.
    pub(crate) fn told(&self, word: UpdateWord) {
        self.word.send_replace(Some(word));
    }

    pub(super) fn word(&self) -> watch::Receiver<Option<UpdateWord>> {
        self.word.subscribe()
    }

    /// A manager has answered a poll or a report.
    pub(crate) fn reached(&self) {
        self.reached_ms.store(weir_clock::monotonic_ms() + 1, Ordering::Relaxed);
    }

    /// Whether a manager has answered within the last `within_ms`.
    pub(super) fn is_reached(&self, within_ms: u64, now_ms: u64) -> bool {
        let at_ms = self.reached_ms.load(Ordering::Relaxed);
        at_ms > 0 && now_ms.saturating_sub(at_ms) <= within_ms
    }

    /// Whether nobody drove in this process before; says so once.
    pub(super) fn is_first_drive(&self) -> bool {
        !self.driven.swap(true, Ordering::Relaxed)
    }

    /// This worker speaks under a new boot number: nothing it was told or heard before counts.
    pub(crate) fn begin_anew(&self, done: Load) {
        self.reached_ms.store(0, Ordering::Relaxed);
        // The other worker obeyed newer ones: an old one would clear digests that it burned. The next poll asks for the last.
        self.word.send_replace(None);
        *self.done_before.lock().expect("no panic while held") = done;
        *self.elder.lock().expect("no panic while held") = None;
        *self.shown.lock().expect("no panic while held") = None;
        self.headline.send_replace(Headline::default());
    }

    pub(super) fn parked(&self, said: Parked) {
        let mut elder = self.elder.lock().expect("no panic while held");
        let first = elder.map_or(said, |elder| elder.first);
        *elder = Some(Elder { first, last: said, is_there: true });
    }

    /// Nobody is parked any more; what was done stays done.
    pub(super) fn nobody_parked(&self) {
        if let Some(elder) = &mut *self.elder.lock().expect("no panic while held") {
            elder.is_there = false;
        }
    }

    /// The device's work: this worker's, and what the one parked beside it still does. Both count from this worker's boot number,
    /// with which counters begin at 0.
    pub(crate) fn load(&self, own: Load) -> Load {
        let before = *self.done_before.lock().expect("no panic while held");
        let elder = self.elder.lock().expect("no panic while held").unwrap_or_default();
        let Elder { first, last, is_there } = elder;
        let now = |count: u64| u32::try_from(if is_there { count } else { 0 }).unwrap_or(u32::MAX);
        Load {
            requests: own.requests.saturating_sub(before.requests) + last.requests.saturating_sub(first.requests),
            client_bytes: own.client_bytes.saturating_sub(before.client_bytes) + last.client_bytes.saturating_sub(first.client_bytes),
            origin_bytes: own.origin_bytes.saturating_sub(before.origin_bytes),
            active_requests: own.active_requests.saturating_add(now(last.active)),
            sessions: own.sessions.saturating_add(now(last.sessions)),
            store_bytes: own.store_bytes,
        }
    }

    pub(super) fn show(&self, shown: Shown) {
        let headline = Headline {
            stage: Some(shown.state.stage),
            stamp: shown.state.assignment.as_ref().map(|assignment| assignment.stamp),
            burned: shown.state.burned.len(),
            parked: shown.parked,
        };
        *self.shown.lock().expect("no panic while held") = Some(shown);
        self.headline.send_if_modified(|before| std::mem::replace(before, headline.clone()) != headline);
    }

    /// Changes when a report is to go out at once.
    pub(crate) fn headline(&self) -> watch::Receiver<Headline> {
        self.headline.subscribe()
    }

    /// What a report says; `None` as long as nobody drives.
    pub(crate) fn report(&self, keeper: Option<KeeperReport>) -> Option<UpdateReport> {
        let Shown { state, detail, parked, slots } = self.shown.lock().expect("no panic while held").clone()?;
        let fetching = matches!(state.stage, Stage::Fetching | Stage::Assigned);
        let progress = fetching.then(|| self.progress.borrow().clone()).filter(|progress| progress.total > 0);
        Some(UpdateReport {
            for_ms: weir_clock::monotonic_ms().saturating_sub(state.since_ms),
            lease: state.lease_wish(),
            detail: clipped(detail),
            fetched_bytes: progress.as_ref().map(|progress| progress.done),
            archive_bytes: progress.as_ref().map(|progress| progress.total),
            from: progress.and_then(|progress| progress.from),
            state,
            parked,
            slots,
            keeper,
        })
    }

    /// Whether viewers come at a tenth of the weight only, until the image is committed.
    pub(crate) fn holds_share(&self) -> bool {
        let shown = self.shown.lock().expect("no panic while held");
        let Some(state) = shown.as_ref().map(|shown| &shown.state) else { return false };
        // A device that was handed over never left service.
        let drained = state.assignment.as_ref().is_some_and(|assignment| assignment.leave == Leave::Drained);
        drained && (state.stage.is_proving() || state.stage == Stage::Committed)
    }
}

fn clipped(mut detail: String) -> String {
    let end = (0..=DETAIL_MAX_BYTES.min(detail.len())).rev().find(|at| detail.is_char_boundary(*at)).expect("0 is a boundary");
    detail.truncate(end);
    detail
}

#[cfg(test)]
mod tests;
