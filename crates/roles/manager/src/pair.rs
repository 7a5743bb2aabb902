//! The primary's side of the pair: what the standby has, whether writes wait for it, and making way for it.
//!
//! ```text
//! standby ── poll ──> answer: verdict, changesets, journal ── its next poll acknowledges ──> standing ──> writes that wait
//! ```
//! Page: `docs/protocols/pair.md`.

pub(crate) mod alarms;
mod answer;
pub(crate) mod copying;
mod making_way;
mod recount;
pub(crate) mod replicated;
mod standing;
mod verdict;

pub(crate) use answer::{hello, poll, stand};
pub(crate) use making_way::{step_down, yield_to};
pub(crate) use recount::{begin, run, settle_in};

use crate::{app::App, change::Caller, cms::Fence, follower::unreplicated::Counted, snapshot::Snapshot};
use copying::Copies;
pub(crate) use standing::SILENT_MS;
use standing::{Heard, Standing};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use weir_device_api::{OrderedBy, PairHello, PairPoll, Verdict};
use weir_model::{DeviceName, Role};
use weir_operator_api::{PairCondition, PairInfo, Problem, Reason};

/// How long a second standby is refused after the first was last heard: two of them would acknowledge for each other.
const ONE_STANDBY_MS: u64 = 10_000;

/// How long the standby is told that it is asked to take over.
pub(crate) const TAKE_OVER: Duration = Duration::from_secs(30);

/// What is told of a fence that was written.
type WhenFenced = Box<dyn Fn(Fence) + Send + Sync>;

/// What a primary knows of its standby.
pub(crate) struct Pair {
    heard: Mutex<Option<Heard>>,
    standing: watch::Sender<Standing>,
    /// Rises when the standby is asked to take over.
    asked: watch::Sender<u64>,
    /// Until when it is told so, monotonic milliseconds, and who asked.
    take_over: Mutex<Option<(u64, OrderedBy)>>,
    /// The last of `asked` that it was told of: it is told at once, and then at the pace of its polls.
    told: AtomicU64,
    /// Who makes way or steps down: one at a time.
    handing: tokio::sync::Mutex<()>,
    /// How many hold writes back for now.
    holds: AtomicUsize,
    /// Nothing is written any more in this life: somebody else is primary.
    ended: AtomicBool,
    /// What is not as it was written, by what it is about.
    broken: Mutex<BTreeMap<&'static str, String>>,
    when_fenced: OnceLock<WhenFenced>,
    /// The standby has followed since this manager became primary.
    followed: AtomicBool,
    /// Monotonic milliseconds since when the standby on record does not follow.
    unmatched_ms: Mutex<Option<u64>>,
    /// The copy of the database that is made for the standby.
    copies: Copies,
    /// What this box itself acknowledged alone when it was primary before.
    unreplicated: Counted,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("standing", &*self.standing.borrow()).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pair {
    /// Of the manager `own` in this network; nothing was heard yet.
    pub(crate) fn new(network: &Snapshot, own: &DeviceName) -> Self {
        let standing = Standing { expected: on_record(network, own).is_some(), ..Standing::default() };
        Self {
            heard: Mutex::default(),
            standing: watch::Sender::new(standing),
            asked: watch::Sender::new(0),
            take_over: Mutex::default(),
            told: AtomicU64::new(0),
            handing: tokio::sync::Mutex::default(),
            holds: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            broken: Mutex::default(),
            when_fenced: OnceLock::new(),
            followed: AtomicBool::new(false),
            unmatched_ms: Mutex::new(Some(weir_clock::monotonic_ms())),
            copies: Copies::default(),
            unreplicated: Counted::default(),
        }
    }

    /// Whom to tell of a fence, once: whoever decides what this box is.
    pub(crate) fn when_fenced(&self, told: impl Fn(Fence) + Send + Sync + 'static) {
        // Set twice would be a second life of the same app; the first one stays.
        let _ = self.when_fenced.set(Box::new(told));
    }

    fn tell_fenced(&self, fence: Fence) {
        match self.when_fenced.get() {
            Some(told) => told(fence),
            None => tracing::error!(term = fence.term, "fenced, and nobody decides what this box is"),
        }
    }

    /// A change may have made or deleted the standby.
    pub(crate) fn learn(&self, network: &Snapshot, own: &DeviceName) {
        let expected = on_record(network, own).is_some();
        self.standing.send_if_modified(|standing| {
            let differs = standing.expected != expected;
            *standing = Standing { expected, follows: standing.follows && expected, ..*standing };
            differs
        });
    }

    /// Waits until the standby has the changeset at this place, or does not follow any more; `None` without a standby.
    pub(crate) async fn acknowledged(&self, rev: u64) -> Option<bool> {
        self.look(weir_clock::monotonic_ms());
        let mut standing = self.standing.subscribe();
        let wait = standing.wait_for(|standing| standing.answer(rev).is_some());
        match tokio::time::timeout(Duration::from_millis(SILENT_MS), wait).await {
            Ok(Ok(standing)) => standing.answer(rev).flatten(),
            // The sender lives as long as `self`.
            Ok(Err(_)) => None,
            Err(_) => {
                tracing::warn!(rev, "the standby does not acknowledge; writes are acknowledged alone");
                self.standing.send_modify(|standing| *standing = standing.missed(rev));
                Some(false)
            }
        }
    }

    /// Whether the standby has everything up to this place, after at most so long.
    async fn has(&self, rev: u64, patience: Duration) -> bool {
        let mut standing = self.standing.subscribe();
        let wait = standing.wait_for(|standing| standing.rev >= rev);
        tokio::time::timeout(patience, wait).await.is_ok_and(|waited| waited.is_ok())
    }

    /// Notes a standby that has fallen silent.
    fn look(&self, now_ms: u64) {
        let heard_ms = locked(&self.heard).as_ref().map(|heard| heard.at_ms);
        self.standing.send_if_modified(|standing| {
            let now = standing.at(heard_ms, now_ms);
            if now.follows != standing.follows {
                tracing::warn!("the standby is silent or does not apply what it is sent; writes are acknowledged alone");
            }
            std::mem::replace(standing, now) != now
        });
        let follows = self.standing.borrow().follows;
        if follows {
            self.followed.store(true, Ordering::Relaxed);
        }
        let mut unmatched = locked(&self.unmatched_ms);
        *unmatched = if follows { None } else { unmatched.or(Some(now_ms)) };
    }

    /// Takes a poll in, with what we make of it, when our newest changeset is `newest`. Returns what the journal is to say of it: that
    /// the versions differ from here on, or do so no more.
    ///
    /// # Errors
    /// [`Reason::CmsState`]: it is a second standby's; nothing of it was taken in.
    fn polled(&self, poll: &PairPoll, verdict: &Verdict, newest: u64) -> Result<Option<&'static str>, Problem> {
        let at_ms = weir_clock::monotonic_ms();
        let heard = Heard {
            hello: poll.hello.clone(),
            verdict: verdict.clone(),
            at_ms,
            unreplicated: poll.unreplicated,
            unreplicated_open: poll.unreplicated_open,
            trouble: poll.trouble.clone(),
        };
        // Judged and taken in as one: of two that ask at once one is the standby.
        let mut last = locked(&self.heard);
        is_only(last.as_ref(), &poll.hello.name, at_ms)?;
        let before = last.replace(heard);
        self.standing.send_if_modified(|standing| {
            let now = standing.polled(verdict, poll.hello.rev, newest, at_ms);
            std::mem::replace(standing, now) != now
        });
        drop(last);
        let differed = before.is_some_and(|before| matches!(before.verdict, Verdict::VersionMismatch { .. }));
        Ok(match (differed, matches!(verdict, Verdict::VersionMismatch { .. })) {
            (false, true) => Some("versions_differ"),
            (true, false) => Some("versions_match"),
            _ => None,
        })
    }

    /// The standby gave a sign of life that is no poll: it takes a snapshot.
    pub(crate) fn touch(&self) {
        if let Some(heard) = &mut *locked(&self.heard) {
            heard.at_ms = weir_clock::monotonic_ms();
        }
    }

    /// Refuses a second standby beside one that was heard a moment ago.
    pub(crate) fn only(&self, name: &DeviceName) -> Result<(), Problem> {
        is_only(locked(&self.heard).as_ref(), name, weir_clock::monotonic_ms())
    }

    /// Whether what acknowledges is this standby.
    fn is_of(&self, name: &DeviceName) -> bool {
        locked(&self.heard).as_ref().is_some_and(|heard| heard.hello.name == *name && heard.verdict == Verdict::Matched)
    }

    /// Asks the standby to take over: it is told in the answers to its polls for [`TAKE_OVER`], or until it does.
    pub(crate) fn ask_take_over(&self, by: &Caller) {
        let until_ms = weir_clock::monotonic_ms() + weir_clock::millis(TAKE_OVER);
        *locked(&self.take_over) = Some((until_ms, OrderedBy { actor: by.actor.to_string(), source: by.source.clone() }));
        self.asked.send_modify(|asked| *asked += 1);
    }

    /// Asks no more: it does, or whoever wanted it waits no more.
    pub(crate) fn stop_asking(&self) {
        *locked(&self.take_over) = None;
    }

    /// Waits until nobody makes way or steps down any more.
    pub(crate) async fn handed(&self) {
        drop(self.handing.lock().await);
    }

    /// Who asks the standby to take over, if somebody does; and whether it was not told yet.
    fn take_over(&self) -> (Option<OrderedBy>, bool) {
        let now_ms = weir_clock::monotonic_ms();
        let by = locked(&self.take_over).as_ref().filter(|(until_ms, _)| now_ms < *until_ms).map(|(_, by)| by.clone());
        let is_news = by.is_some() && self.told.load(Ordering::Relaxed) < *self.asked.borrow();
        (by, is_news)
    }

    /// It was told.
    fn told_to_take_over(&self) {
        self.told.store(*self.asked.borrow(), Ordering::Relaxed);
    }

    /// Holds writes back until as many [`Pair::release`]s.
    pub(crate) fn hold(&self) {
        self.holds.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn release(&self) {
        self.holds.fetch_sub(1, Ordering::AcqRel);
    }

    /// Nothing is written any more in this life.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether the rows here are not what the log of writes says.
    pub(crate) fn doubts_rows(&self) -> bool {
        recount::is_doubted(self)
    }

    /// Refuses a write while the standby takes over, and afterwards.
    pub(crate) fn writable(&self) -> Result<(), Problem> {
        if self.ended.load(Ordering::Acquire) || self.holds.load(Ordering::Acquire) > 0 {
            return Err(Problem::new(Reason::HandingOver, "this manager hands over to another one and takes no more writes"));
        }
        Ok(())
    }

    /// A standby that has heard of a term above ours, and that term.
    pub(crate) fn hears_of_more(&self, app: &App) -> Option<(DeviceName, u64)> {
        let own = app.network().stamp.term;
        locked(&self.heard).as_ref().filter(|heard| heard.hello.heard > own).map(|heard| (heard.hello.name.clone(), heard.hello.heard))
    }

    /// The standby, as the primary knows it; `None` without one on record.
    pub(crate) fn info(&self, app: &App) -> Option<PairInfo> {
        let network = app.network();
        let heard = locked(&self.heard).clone();
        let record = heard
            .as_ref()
            .and_then(|heard| network.devices.get(&heard.hello.name))
            .filter(|record| record.active && record.name != app.name)
            .or_else(|| on_record(&network, &app.name))?;
        let now_ms = weir_clock::monotonic_ms();
        self.look(now_ms);
        let (standing, primary_rev) = (*self.standing.borrow(), *app.watch_changesets().borrow());
        let url = record.addresses.https.map(|https| format!("https://{https}"));
        let Some(heard) = heard.filter(|heard| heard.hello.name == record.name) else {
            return Some(PairInfo {
                name: record.name.clone(),
                condition: PairCondition::Waiting,
                detail: format!("{} has not been heard since this manager became primary", record.name),
                version: None,
                standby_rev: 0,
                primary_rev,
                silent_ms: None,
                digest_equal: None,
                url,
            });
        };
        let silent_ms = now_ms.saturating_sub(heard.at_ms);
        let (condition, detail) = stands(&heard, standing, silent_ms, primary_rev);
        Some(PairInfo {
            name: record.name.clone(),
            condition,
            detail,
            digest_equal: match heard.verdict {
                Verdict::Matched => Some(true),
                Verdict::Resync { .. } => Some(false),
                _ => None,
            },
            version: Some(heard.hello.version),
            standby_rev: heard.hello.rev,
            primary_rev,
            silent_ms: Some(silent_ms),
            url,
        })
    }
}

/// Refuses a standby of this name while another one was heard a moment ago.
fn is_only(heard: Option<&Heard>, name: &DeviceName, now_ms: u64) -> Result<(), Problem> {
    match heard.filter(|heard| heard.hello.name != *name && now_ms.saturating_sub(heard.at_ms) < ONE_STANDBY_MS) {
        None => Ok(()),
        Some(heard) => {
            let detail = format!("{} is the standby; a pair has one", heard.hello.name);
            Err(Problem::new(Reason::CmsState, detail).next_step("deactivate one of the two"))
        }
    }
}

/// How the pair stands, in a word and a sentence.
fn stands(heard: &Heard, standing: Standing, silent_ms: u64, newest: u64) -> (PairCondition, String) {
    let PairHello { name, version, rev, .. } = &heard.hello;
    let lacks = newest.saturating_sub(*rev);
    match &heard.verdict {
        Verdict::VersionMismatch { next } => {
            let own = weir_model::version();
            (PairCondition::Mismatch, format!("{name} runs {version} and this manager {own}: it applies nothing; {next}"))
        }
        Verdict::Diverged { detail } => (PairCondition::Lagging, detail.clone()),
        _ if silent_ms > SILENT_MS => {
            (PairCondition::Lagging, format!("{name} has been silent for {} s and lacks {lacks} changesets", silent_ms / 1_000))
        }
        _ if heard.trouble.is_some() => {
            let trouble = heard.trouble.as_deref().unwrap_or_default();
            (PairCondition::Lagging, format!("{name} cannot go on and lacks {lacks} changesets: {trouble}"))
        }
        Verdict::Resync { reason } => (PairCondition::Syncing, format!("{name} takes a snapshot: {reason}")),
        Verdict::Matched if standing.follows => (PairCondition::Matched, format!("{name} has each write before it is acknowledged")),
        Verdict::Matched if lacks > 0 => (PairCondition::Syncing, format!("{name} catches up and lacks {lacks} changesets")),
        Verdict::Matched => (PairCondition::Lagging, format!("{name} did not acknowledge in time")),
        Verdict::Fenced | Verdict::Unknown => (PairCondition::Lagging, format!("{name} takes over")),
    }
}

/// The manager that is to follow the primary `own`.
pub(crate) fn on_record<'n>(network: &'n Snapshot, own: &DeviceName) -> Option<&'n crate::snapshot::DeviceRecord> {
    network.active(Role::Manager).find(|record| record.name != *own)
}
