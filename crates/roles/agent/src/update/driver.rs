//! The driver: takes events to the machine, makes each new state durable, then does what it says.

use super::{
    evidence::{self, Slots},
    fetch::{self, About, Missed, OUTCOMES_MAX, Outcome, Work},
    image::ImageRefusal,
    journal::UpdateJournal,
    keeper::{self, Ask},
    known::Shown,
};
use crate::{KeeperNews, agent::Shared};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use weir_device_api::SlotsReport;
use weir_model::Stamp;
use weir_rollout::update::{Action, Event, Figures, Leave, Proof, Stage, Unmoved, UpdateReason, UpdateState, UpdateTimers, resumed, step};
use weir_slots::{BootRecord, boot, staging};
use weir_sockets::ControlSender;
use weir_telemetry::{Chain, Tasks};

mod act;
mod facts;
mod hear;
mod word;

/// How often the boot record is read again although the keeper has not said that it changed.
const RECORD_PERIOD_MS: u64 = 1_000;
/// How long the keeper may take to do or refuse what it was asked before it is asked again.
const ASK_PATIENCE_MS: u64 = 5_000;
/// Silence after which a parked worker is taken for one that reaches nobody: it speaks every second.
const PARKED_SILENCE_MS: u64 = 5_000;
/// Time beyond the new worker's READY that the keeper may take to say what became of it: it alone judges, and a drain of the worker
/// before, or a slow disk, may keep it.
const READY_GRACE_MS: u64 = 60_000;
/// How long the boot record may be behind what the keeper did before going back counts as a crash, in milliseconds.
const BEHIND_MAX_MS: u64 = 10_000;
/// Events that may follow from one another at once; the machine has fewer stages.
const SETTLE_MAX: usize = 32;

/// A worker parked beside this one.
#[derive(Debug, Clone, Copy, Default)]
struct ParkedWorker {
    is_there: bool,
    reaches_manager: bool,
    heard_ms: u64,
}

/// The driver of one device's update.
pub(super) struct Driver {
    shared: Arc<Shared>,
    keeper: ControlSender,
    /// Absent while a record is being written.
    journal: Option<UpdateJournal>,
    /// The journal is behind: the disk refused a state that had to be taken all the same.
    unwritten: bool,
    state: UpdateState,
    record: BootRecord,
    record_ms: u64,
    running: String,
    parked: ParkedWorker,
    /// What was asked of the keeper last, and when.
    asked: Option<(Ask, u64)>,
    /// What this worker had served when its proving began.
    served_before: Figures,
    work: Tasks,
    to_outcomes: mpsc::Sender<About>,
    pub(super) outcomes: mpsc::Receiver<About>,
    /// The particulars of the present reason.
    detail: String,
    /// What the work in hand waits for.
    waits: String,
    /// Why a state could not be made durable.
    disk: String,
    /// What the work came to, while the disk refuses to journal it.
    not_taken: Option<(Stamp, Event)>,
    obeyed: word::Obeyed,
    is_over: bool,
}

/// The boot record; without one nobody knows what runs, and nothing is driven.
async fn read_record(shared: &Arc<Shared>) -> BootRecord {
    let mut told = false;
    loop {
        let data = shared.settings.data.clone();
        match tokio::task::spawn_blocking(move || boot::read(&data)).await {
            Ok(Ok(found)) => return found.record,
            Ok(Err(error)) if !told => tracing::error!(error = %Chain(&error), "no update is driven without a boot record"),
            Ok(Err(_)) => {}
            Err(error) => tracing::error!(%error, "reading the boot record failed"),
        }
        told = true;
        tokio::time::sleep(Duration::from_millis(RECORD_PERIOD_MS)).await;
    }
}

impl Driver {
    /// Goes on where the worker before this one stopped. `running` is the slot of this worker; the active one when nobody knows.
    pub(super) async fn open(shared: Arc<Shared>, keeper: ControlSender, running: Option<String>) -> Self {
        let record = read_record(&shared).await;
        let (data, read) = (shared.settings.data.clone(), record.clone());
        let opened = tokio::task::spawn_blocking(move || UpdateJournal::open(&data, &read)).await;
        let (journal, state) = opened.expect("opening a journal does not panic");
        let (to_outcomes, outcomes) = mpsc::channel(OUTCOMES_MAX);
        let now_ms = weir_clock::monotonic_ms();
        let again = resumed(&state, now_ms);
        let mut driver = Self {
            running: running.unwrap_or_else(|| record.active.name.clone()),
            served_before: (shared.hooks.served)(),
            shared,
            keeper,
            journal: Some(journal),
            unwritten: false,
            state: again.state,
            record,
            record_ms: now_ms,
            parked: ParkedWorker::default(),
            asked: None,
            work: Tasks::new(),
            to_outcomes,
            outcomes,
            detail: String::new(),
            waits: String::new(),
            disk: String::new(),
            not_taken: None,
            obeyed: word::Obeyed::default(),
            is_over: false,
        };
        tracing::info!(stage = driver.state.stage.as_str(), slot = driver.running, "update resumed");
        driver.act(again.action).await;
        driver.count_crash().await;
        driver.settle().await;
        driver
    }

    /// The keeper has left this worker's slot: another worker drives.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// A worker that is started anew in the life of one keeper, after its image was committed, follows one that crashed. Before
    /// that, the keeper goes back at once.
    async fn count_crash(&mut self) {
        let on_probation = match self.state.stage {
            Stage::Committed | Stage::Ramping => true,
            Stage::Done => self.state.proof.on_probation,
            _ => false,
        };
        let first = self.shared.update.is_first_drive();
        let runs = self.state.assignment.as_ref().and_then(evidence::slot_of).is_some_and(|slot| slot.name == self.running);
        if on_probation && runs && first && self.shared.settings.worker_crashes > 0 {
            self.take(Event::Crashed).await;
        }
    }

    fn slots(&self) -> Slots<'_> {
        Slots { record: &self.record, running: &self.running }
    }

    /// Takes one event to the machine; whether its stage, its assignment or its burned digests moved.
    async fn take(&mut self, event: Event) -> bool {
        let now_ms = weir_clock::monotonic_ms();
        let stepped = match step(&self.state, &event, &self.timers(), now_ms) {
            Ok(stepped) => stepped,
            Err(unmoved) => {
                self.unmoved(&event, unmoved);
                return false;
            }
        };
        if !is_news(&self.state, &stepped.state) {
            self.state = stepped.state;
            return false;
        }
        if !self.write(&stepped.state).await {
            if must_be_durable(&self.state, &stepped.state) {
                return false;
            }
            self.unwritten = true;
        }
        let before = std::mem::replace(&mut self.state, stepped.state);
        self.moved(&before);
        self.act(stepped.action).await;
        before.stage != self.state.stage || before.assignment != self.state.assignment
    }

    fn unmoved(&mut self, event: &Event, unmoved: Unmoved) {
        if let (Event::Assigned(_), Unmoved::Burned) = (event, unmoved) {
            self.detail = format!("not begun: {unmoved}; an operator may clear its digest");
        }
        tracing::trace!(?event, %unmoved, "nothing moves");
    }

    fn timers(&self) -> UpdateTimers {
        let timers = UpdateTimers::of(&self.shared.profile());
        UpdateTimers { ready: timers.ready.saturating_add(READY_GRACE_MS), ..timers }
    }

    /// Makes a state durable; whether it is.
    async fn write(&mut self, state: &UpdateState) -> bool {
        let mut journal = self.journal.take().expect("a record is written before the next one");
        let record = state.clone();
        let written = tokio::task::spawn_blocking(move || {
            let written = journal.write(&record);
            (journal, written)
        });
        let (journal, written) = written.await.expect("writing a record does not panic");
        self.journal = Some(journal);
        let disk = match &written {
            Ok(()) => String::new(),
            Err(error) => format!("{}: the update journal cannot be written: {}", UpdateReason::NoSpace, Chain(error)),
        };
        if disk != self.disk {
            match &written {
                Ok(()) => tracing::info!("update journal written again"),
                Err(error) => tracing::error!(error = %Chain(error), "update journal not written"),
            }
            self.disk = disk;
        }
        written.is_ok()
    }

    /// The stage changed, or the order did.
    fn moved(&mut self, before: &UpdateState) {
        let same_order = before.assignment == self.state.assignment;
        if before.stage == self.state.stage && same_order {
            return;
        }
        tracing::info!(
            from = before.stage.as_str(),
            to = self.state.stage.as_str(),
            reason = self.state.stage.reason().map(UpdateReason::as_str),
            "update"
        );
        if matches!(self.state.stage, Stage::Assigned) {
            self.detail.clear();
        }
        let silent = matches!(self.state.stage, Stage::RollingBack { reason: UpdateReason::ImageRefused, .. });
        if before.stage == Stage::Switching && silent && self.detail.is_empty() {
            self.detail = "the keeper neither started the new worker nor said why".to_owned();
        }
        if !same_order || !matches!(self.state.stage, Stage::Assigned | Stage::Fetching | Stage::Blocked) {
            self.waits.clear();
        }
        if matches!(self.state.stage, Stage::Proving) {
            self.served_before = (self.shared.hooks.served)();
        }
        // A fetch outlives only the step from told to begun: that of another order waits for what no word names again.
        if !(same_order && matches!((before.stage, self.state.stage), (Stage::Assigned, Stage::Fetching))) {
            self.work.cancel();
        }
        if matches!(self.state.stage, Stage::Idle { .. }) {
            self.leave_nothing();
        }
    }

    /// An assignment that was let go leaves no part of an image behind: the disk may be full because of it.
    fn leave_nothing(&self) {
        let data = self.shared.settings.data.clone();
        self.work.spawn("clear staging", async move {
            let clear = move || staging::clear(&data, None).map_err(|error| ImageRefusal::Again(Chain(&error).to_string()));
            if let Err(Missed::Again(error)) = fetch::blocking(clear).await {
                tracing::warn!(error, "staging not cleared");
            }
        });
    }

    fn show(&self) {
        let slots = SlotsReport {
            active: self.version_of_running(),
            manifest: self.manifest_of_running(),
            previous: self.record.previous.as_ref().map(|slot| slot.version.clone()),
            last_good: self.record.last_good.as_ref().map(|slot| slot.version.clone()),
        };
        let detail = [&self.disk, &self.waits, &self.detail].into_iter().find(|text| !text.is_empty());
        self.shared.update.show(Shown {
            state: self.state.clone(),
            detail: detail.cloned().unwrap_or_default(),
            parked: self.parked.is_there,
            slots,
        });
    }
}

/// Whether a step is worth a record: everything but time and figures that begin anew with the worker.
fn is_news(before: &UpdateState, after: &UpdateState) -> bool {
    let lasting =
        |state: &UpdateState| UpdateState { since_ms: 0, proof: Proof { requests: 0, own_errors: 0, ..state.proof }, ..state.clone() };
    lasting(before) != lasting(after)
}

/// Whether a state may only be taken once it is on the disk. Letting an assignment go changes nothing that a restart must know; past
/// the point of no return the device goes on to where it is safe, whatever its disk does.
fn must_be_durable(before: &UpdateState, after: &UpdateState) -> bool {
    let lets_go = matches!(after.stage, Stage::Releasing { .. } | Stage::Idle { .. });
    (before.stage.before_switching() || before.stage.at_rest()) && !lets_go
}
