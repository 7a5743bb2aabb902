//! The arrows.

use super::{Action, Assignment, Event, Figures, Leave, Proof, Stage, Standing, Unmoved, UpdateReason, UpdateState, UpdateTimers};

/// Crashes in Proving or probation that send a device back: the first one in Trial and Proving, this many after it.
const PROBATION_CRASHES: u32 = 2;
/// Requests below which errors of our own making say nothing.
const ERROR_REQUESTS_MIN: u64 = 200;
/// Of a hundred requests, own errors that send a device back.
const ERROR_PERCENT: u64 = 5;
/// Times going back may fail before an operator must come.
const BACK_FAILURES_MAX: u8 = 2;

/// What an event came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// The state to journal.
    pub state: UpdateState,
    /// What to begin then.
    pub action: Option<Action>,
}

impl UpdateState {
    /// A device that was never told anything.
    pub fn new() -> Self {
        Self { stage: Stage::Idle { reason: None }, assignment: None, since_ms: 0, proof: Proof::default(), burned: Vec::new() }
    }

    fn to(&self, stage: Stage, now_ms: u64) -> Stepped {
        Stepped { state: Self { stage, since_ms: now_ms, ..self.clone() }, action: None }
    }

    fn begin(&self, stage: Stage, now_ms: u64, action: Action) -> Stepped {
        Stepped { action: Some(action), ..self.to(stage, now_ms) }
    }

    fn stay(&self) -> Stepped {
        Stepped { state: self.clone(), action: None }
    }

    fn leave(&self) -> Leave {
        self.assignment.as_ref().map_or(Leave::Drained, |assignment| assignment.leave)
    }
}

impl Default for UpdateState {
    fn default() -> Self {
        Self::new()
    }
}

/// The next state, and what to do once it is journalled.
///
/// # Errors
/// [`Unmoved`]: the event changes nothing here.
pub fn step(state: &UpdateState, event: &Event, timers: &UpdateTimers, now_ms: u64) -> Result<Stepped, Unmoved> {
    match event {
        Event::Assigned(assignment) => assign(state, assignment, now_ms),
        Event::Cancel => cancel(state, UpdateReason::Cancelled, now_ms),
        Event::Crashed => crashed(state, now_ms),
        Event::Served(figures) => served(state, *figures, timers, now_ms),
        Event::Tick => tick(state, timers, now_ms),
        other => forward(state, other, timers, now_ms),
    }
}

/// The state after a restart of the device or of its agent, and what to begin again.
pub fn resumed(state: &UpdateState, now_ms: u64) -> Stepped {
    let action = match state.stage {
        Stage::Assigned | Stage::Fetching => Some(Action::Fetch),
        Stage::Blocked => Some(Action::MakeSpace),
        Stage::Committed => Some(Action::Ramp),
        _ => None,
    };
    Stepped { action, ..state.to(state.stage, now_ms) }
}

fn assign(state: &UpdateState, assignment: &Assignment, now_ms: u64) -> Result<Stepped, Unmoved> {
    if let Some(obeyed) = &state.assignment {
        if assignment.stamp <= obeyed.stamp {
            return Err(Unmoved::Stale);
        }
        if !state.stage.at_rest() && !state.stage.before_switching() {
            return Err(Unmoved::Committed);
        }
    }
    if state.burned.contains(&assignment.manifest) {
        return Err(Unmoved::Burned);
    }
    // Where going back failed, the hands that come may bring another image: the way on is the way out.
    let stuck = matches!(state.stage, Stage::NeedsHands { .. });
    if state.stage.holds_lease() && !stuck {
        // The lease goes back first; the manager repeats its word, and finds the device idle then.
        return cancel(state, UpdateReason::Superseded, now_ms);
    }
    let told = UpdateState { assignment: Some(assignment.clone()), proof: Proof::default(), ..state.clone() };
    Ok(told.begin(Stage::Assigned, now_ms, Action::Fetch))
}

fn cancel(state: &UpdateState, reason: UpdateReason, now_ms: u64) -> Result<Stepped, Unmoved> {
    if !state.stage.before_switching() {
        return Err(Unmoved::NotNow);
    }
    Ok(release(state, reason, now_ms))
}

/// Lets the assignment go. A device that never left service is done with that at once.
fn release(state: &UpdateState, reason: UpdateReason, now_ms: u64) -> Stepped {
    match state.stage.holds_lease() {
        true => state.to(Stage::Releasing { reason }, now_ms),
        false => state.to(Stage::Idle { reason: Some(reason) }, now_ms),
    }
}

/// The way to the switch: at once when the device is handed over, else by the offload.
fn go(state: &UpdateState, now_ms: u64) -> Stepped {
    match state.leave() {
        Leave::Drained => state.to(Stage::OffloadRequested, now_ms),
        Leave::HandedOver => state.to(Stage::Switching, now_ms),
    }
}

fn back(state: &UpdateState, reason: UpdateReason, now_ms: u64) -> Stepped {
    let mut to = state.to(Stage::RollingBack { reason, failures: 0 }, now_ms);
    to.state.proof.on_probation = false;
    let blamed = state.assignment.as_ref().filter(|_| reason.burns());
    if let Some(assignment) = blamed.filter(|assignment| !state.burned.contains(&assignment.manifest)) {
        to.state.burned.push(assignment.manifest.clone());
    }
    to
}

fn forward(state: &UpdateState, event: &Event, timers: &UpdateTimers, now_ms: u64) -> Result<Stepped, Unmoved> {
    let auto = state.assignment.as_ref().is_some_and(|assignment| assignment.auto_reload);
    Ok(match (state.stage, event) {
        (Stage::Assigned | Stage::Fetching | Stage::Blocked, Event::Fetched) if auto => go(&state.to(Stage::Staged, now_ms).state, now_ms),
        (Stage::Assigned | Stage::Fetching | Stage::Blocked, Event::Fetched) => state.to(Stage::Staged, now_ms),
        (Stage::Assigned | Stage::Fetching | Stage::Blocked, Event::FetchFailed(reason)) => release(state, *reason, now_ms),
        (Stage::Assigned | Stage::Fetching, Event::NoSpace) => state.begin(Stage::Blocked, now_ms, Action::MakeSpace),
        (Stage::Blocked, Event::Space) => state.begin(Stage::Fetching, now_ms, Action::Fetch),
        (Stage::Staged, Event::Reload) => go(state, now_ms),
        (Stage::OffloadRequested, Event::Offloading) => state.to(Stage::Draining, now_ms),
        (Stage::Draining, Event::Drained) => state.to(Stage::Drained, now_ms),
        (Stage::Switching, Event::Switched) => match state.leave() {
            Leave::Drained => state.to(Stage::Trial, now_ms),
            // It has never left service: it is proven by all its viewers.
            Leave::HandedOver => state.to(Stage::Proving, now_ms),
        },
        (Stage::Switching, Event::SwitchRefused(reason)) => back(state, *reason, now_ms),
        (stage, Event::FellBack(reason)) if stage.tried() => back(state, *reason, now_ms),
        // Whoever wrote the trial or the slot, the device is what it was told to become.
        (Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Staged, Event::Runs(Standing::Active)) => {
            state.to(Stage::Done, now_ms)
        }
        (Stage::Assigned | Stage::Fetching | Stage::Blocked | Stage::Staged, Event::Runs(Standing::OnTrial)) => {
            state.to(Stage::Trial, now_ms)
        }
        (Stage::Trial | Stage::Proving, Event::Reach(reach)) if !reach.new && reach.old && now_ms >= state.since_ms + timers.contact => {
            back(state, UpdateReason::NoContact, now_ms)
        }
        (Stage::Trial, Event::Reach(reach)) if reach.new => state.to(Stage::Readmitting, now_ms),
        (Stage::Trial | Stage::Proving, Event::Reach(_)) => state.stay(),
        (Stage::Readmitting, Event::Readmitted) => state.to(Stage::Proving, now_ms),
        (Stage::RollingBack { reason, .. } | Stage::NeedsHands { reason }, Event::SwitchedBack) => match state.leave() {
            Leave::Drained => state.to(Stage::RolledBack { reason }, now_ms),
            Leave::HandedOver => state.to(Stage::Failed { reason }, now_ms),
        },
        (Stage::RollingBack { reason, failures }, Event::SwitchBackFailed) if failures + 1 < BACK_FAILURES_MAX => {
            state.to(Stage::RollingBack { reason, failures: failures + 1 }, now_ms)
        }
        (Stage::RollingBack { reason, .. }, Event::SwitchBackFailed) => state.to(Stage::NeedsHands { reason }, now_ms),
        (Stage::RolledBack { reason }, Event::Readmitted) => state.to(Stage::Failed { reason }, now_ms),
        (Stage::Releasing { reason }, Event::Readmitted) => state.to(Stage::Idle { reason: Some(reason) }, now_ms),
        _ => return Err(Unmoved::NotNow),
    })
}

fn crashed(state: &UpdateState, now_ms: u64) -> Result<Stepped, Unmoved> {
    let mut counted = state.clone();
    counted.proof.crashes += 1;
    match state.stage {
        Stage::Switching | Stage::Trial | Stage::Readmitting | Stage::Proving => Ok(back(&counted, UpdateReason::Crashed, now_ms)),
        Stage::Committed | Stage::Ramping | Stage::Done if counted.proof.crashes >= PROBATION_CRASHES => {
            Ok(back(&counted, UpdateReason::Crashed, now_ms))
        }
        Stage::Committed | Stage::Ramping | Stage::Done => Ok(counted.stay()),
        _ => Err(Unmoved::NotNow),
    }
}

fn served(state: &UpdateState, figures: Figures, timers: &UpdateTimers, now_ms: u64) -> Result<Stepped, Unmoved> {
    if !matches!(state.stage, Stage::Proving | Stage::Committed | Stage::Ramping | Stage::Done) {
        return Err(Unmoved::NotNow);
    }
    let mut counted = state.clone();
    (counted.proof.requests, counted.proof.own_errors) = (figures.requests, figures.own_errors);
    let bad =
        figures.requests >= ERROR_REQUESTS_MIN && figures.own_errors.saturating_mul(100) >= figures.requests.saturating_mul(ERROR_PERCENT);
    let judged = state.stage != Stage::Done || now_ms < state.since_ms.saturating_add(timers.probation);
    match bad && judged {
        true => Ok(back(&counted, UpdateReason::OwnErrors, now_ms)),
        false => Ok(counted.stay()),
    }
}

fn tick(state: &UpdateState, timers: &UpdateTimers, now_ms: u64) -> Result<Stepped, Unmoved> {
    let for_ms = now_ms.saturating_sub(state.since_ms);
    Ok(match state.stage {
        Stage::Blocked if for_ms >= timers.space => release(state, UpdateReason::NoSpace, now_ms),
        Stage::Assigned => state.begin(Stage::Fetching, now_ms, Action::Fetch),
        Stage::Drained => state.to(Stage::Switching, now_ms),
        // The keeper alone judges whether a worker is ready. One that does nothing and says nothing is no fault of the image's.
        Stage::Switching if for_ms >= timers.ready => back(state, UpdateReason::ImageRefused, now_ms),
        // No manager for as long as a lease lives: it is over, and viewers may come.
        Stage::Trial if for_ms >= timers.lease => state.to(Stage::Readmitting, now_ms),
        Stage::Readmitting if for_ms >= timers.lease => state.to(Stage::Proving, now_ms),
        Stage::Proving => {
            let enough = state.proof.requests >= timers.prove_requests && for_ms >= timers.prove_min;
            match enough || for_ms >= timers.prove_max {
                true => {
                    let mut committed = state.begin(Stage::Committed, now_ms, Action::Ramp);
                    committed.state.proof.on_probation = true;
                    committed
                }
                false => state.stay(),
            }
        }
        Stage::Committed => state.to(Stage::Ramping, now_ms),
        Stage::Ramping if for_ms >= timers.ramp => state.to(Stage::Done, now_ms),
        Stage::Done if for_ms >= timers.probation && state.proof.on_probation => {
            let mut over = state.to(Stage::Done, state.since_ms);
            over.state.proof = Proof::default();
            over
        }
        _ => state.stay(),
    })
}
