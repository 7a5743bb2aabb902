//! Plans and rollouts as operators see them.

use super::{held::Found, managers, record::Kept};
use crate::{app::App, snapshot::Snapshot, updates};
use std::collections::BTreeMap;
use weir_device_api::{SwitchStand, SwitchState};
use weir_model::{DeviceName, Version};
use weir_operator_api::{
    CmsState, DeviceUpdate, Direction, Problem, Reason, Rollout, RolloutConsole, RolloutLane, RolloutManager, RolloutNote, RolloutPlan,
    RolloutReason, RolloutWave,
};
use weir_rollout::{
    pair_order::Direction as Way,
    plan::{Arm, Comparison, Excuse, Hold, Lane, PauseReason, Phase, Plan, Policy, Refusal, Risk, Scope, State, Stay, WaveFailure, Worse},
};

/// A reason against a plan.
fn against(refusal: &Refusal) -> RolloutReason {
    RolloutReason { reason: refusal.as_str().to_owned(), text: refusal.to_string(), next: refusal.next_step() }
}

/// Every reason against a plan, as one problem.
pub(super) fn problem(refusals: &[Refusal]) -> Problem {
    let shown: Vec<RolloutReason> = refusals.iter().map(against).collect();
    let detail = shown.iter().map(|reason| reason.text.as_str()).collect::<Vec<_>>().join("; ");
    let problem = Problem::new(Reason::PlanRefused, detail);
    match shown.into_iter().next() {
        Some(first) => problem.next_step(first.next),
        None => problem,
    }
}

fn direction(way: Way) -> Direction {
    match way {
        Way::Up => Direction::Upgrade,
        Way::Down => Direction::Downgrade,
    }
}

/// The phases in which something happens: managers have none in a rollout that does not move them.
fn phases(policy: &Policy, way: Way) -> Vec<String> {
    let is_run = |phase: &&Phase| policy.scope == Scope::Network || phase.role().is_some() || **phase == Phase::Preposition;
    Phase::all(way).iter().filter(is_run).map(|phase| phase.as_str().to_owned()).collect()
}

/// A plan that can be started.
pub(super) fn planned(plan: &Plan, hash: String) -> RolloutPlan {
    let design = &plan.design;
    let risk = |risk: &Risk| RolloutNote { word: risk.as_str().to_owned(), text: risk.to_string(), next: None };
    let in_scope = design.members.iter().filter(|member| member.wave.is_some()).count();
    RolloutPlan {
        hash: Some(hash),
        direction: direction(design.policy.direction),
        scope: design.policy.scope.to_string(),
        versions: design.rungs.clone(),
        profile: design.policy.profile.name.clone(),
        phases: phases(&design.policy, design.policy.direction),
        waves: waves(plan, &BTreeMap::new()),
        devices: count(in_scope),
        risks: design.risks.iter().map(risk).collect(),
        eta_ms: design.eta_ms,
        refused: Vec::new(),
    }
}

/// What cannot be planned.
pub(super) fn refused(policy: &Policy, refusals: &[Refusal]) -> RolloutPlan {
    RolloutPlan {
        hash: None,
        direction: direction(policy.direction),
        scope: policy.scope.to_string(),
        versions: vec![policy.target],
        profile: policy.profile.name.clone(),
        phases: Vec::new(),
        waves: Vec::new(),
        devices: 0,
        risks: Vec::new(),
        eta_ms: 0,
        refused: refusals.iter().map(against).collect(),
    }
}

/// The plan's waves; `done`: whether a device is where it is to be.
fn waves(plan: &Plan, done: &BTreeMap<usize, bool>) -> Vec<RolloutWave> {
    let members = |number: usize| {
        let wave = u16::try_from(number).ok();
        let planned = plan.design.waves[number].members.iter().map(|position| *position as usize);
        let first_late = plan.design.members.len();
        let late = (first_late..plan.lanes.len()).filter(move |position| plan.lanes[*position].wave == wave);
        planned.chain(late).collect::<Vec<usize>>()
    };
    let one = |number: usize| {
        let (wave, members) = (&plan.design.waves[number], members(number));
        RolloutWave {
            number: u16::try_from(number).expect("a plan has fewer waves than 2^16"),
            role: wave.role,
            kind: wave.kind.as_str().to_owned(),
            state: plan.waves[number].as_str().to_owned(),
            done: count(members.iter().filter(|position| done.get(position).copied().unwrap_or(false)).count()),
            devices: members.into_iter().map(|position| plan.member(position).name.clone()).collect(),
            failure: u16::try_from(number).ok().and_then(|number| failure(plan, number)),
        }
    };
    // An empty wave waits for devices that join: nothing to see before one has.
    (0..plan.design.waves.len()).map(one).filter(|wave| !wave.devices.is_empty()).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).expect("a network has fewer devices than 2^32")
}

/// How the rollout stands.
pub(super) fn view(app: &App, kept: &Kept, found: &Found) -> Rollout {
    let (plan, network) = (&*kept.plan, app.network());
    let design = &plan.design;
    let stay = |position: usize| found.stays.get(position).copied().flatten();
    let done: BTreeMap<usize, bool> = (0..plan.lanes.len()).map(|position| (position, is_done(plan, stay(position)))).collect();
    let in_scope = |position: &usize| plan.lanes[*position].wave.is_some();
    let mut lanes: Vec<RolloutLane> =
        (0..plan.lanes.len()).filter(in_scope).map(|position| lane(app, &network, plan, position, stay(position))).collect();
    lanes.sort_by(|a, b| a.device.cmp(&b.device));
    let (from, to) = plan.hop();
    let hold = found.hold.as_ref().filter(|_| !plan.is_over());
    let managers = managers_of(app, plan);
    Rollout {
        hash: design.hash(),
        generation: plan.stamp.generation,
        direction: direction(design.policy.direction),
        scope: design.policy.scope.to_string(),
        versions: design.rungs.clone(),
        hop: [from, to],
        profile: design.policy.profile.name.clone(),
        status: plan.status().to_owned(),
        over: plan.is_over(),
        back: plan.course.back,
        phase: plan.phase.as_str().to_owned(),
        phases: phases(&design.policy, plan.course.direction),
        paused: paused(plan, managers::backup_trouble(app)),
        aborted: match &plan.state {
            State::Aborting { why } | State::Aborted { why } => Some(why.clone()),
            _ => None,
        },
        waits: hold.map(|hold| waits(hold, found.trouble.as_deref())),
        console: hold.and_then(|hold| console(hold, &managers)),
        waves: waves(plan, &done),
        done: count(done.iter().filter(|(position, done)| **done && in_scope(position)).count()),
        devices: count(lanes.len()),
        lanes,
        managers,
        driver: plan.course.driver.as_str().to_owned(),
        frozen: app.frozen().is_some(),
        held: plan.held.clone(),
        eta_ms: design.eta_ms,
        started_ms: kept.started_ms,
        by: kept.by.clone(),
        ended_ms: kept.ended_ms,
    }
}

/// Whether a device is where the rollout leads; when that is over, whoever was not set aside is.
fn is_done(plan: &Plan, stay: Option<Stay>) -> bool {
    match stay {
        Some(Stay::AtGoal) => true,
        Some(Stay::Over) => plan.is_over(),
        _ => false,
    }
}

/// The managers of a rollout that moves them, the primary first.
fn managers_of(app: &App, plan: &Plan) -> Vec<RolloutManager> {
    if !plan.moves_managers() {
        return Vec::new();
    }
    let (from, to) = plan.hop();
    let goal = if plan.is_over() || plan.course.back { to } else { plan.design.policy.target };
    let one = |device: &DeviceName, seat: &str, running: Option<Version>, cms: &str, stand: Option<&SwitchStand>, is_heard: bool| {
        // Others are of a rollout before.
        let (state, detail) = match stand.filter(|stand| [from, to].contains(&stand.version)) {
            _ if !is_heard => ("silent", None),
            Some(stand) if stand.state == SwitchState::Failed => ("failed", Some(stand.detail.clone())),
            _ if cms == CmsState::DisabledSchemaAhead.as_str() => ("database", None),
            Some(stand) if stand.state == SwitchState::OnTrial => ("on_trial", None),
            Some(stand) if stand.state == SwitchState::Switching => ("switching", Some(stand.detail.clone())),
            _ if running == Some(goal) => ("done", None),
            _ => ("waiting", None),
        };
        let detail = detail.filter(|detail| !detail.is_empty());
        RolloutManager { device: device.clone(), seat: seat.to_owned(), running, state: state.to_owned(), detail }
    };
    let own = one(&app.name, "primary", Some(Version::current()), "", app.cms.switch_stand().as_ref(), true);
    let other = app.rollouts.managers.other().map(|other| {
        let hello = other.hello.as_ref();
        let running = hello.and_then(|hello| hello.version.parse().ok());
        let (cms, stand) = (hello.map_or("", |hello| hello.cms.as_str()), hello.and_then(|hello| hello.switch.as_ref()));
        one(&other.name, "standby", running, cms, stand, other.is_heard)
    });
    std::iter::once(own).chain(other).collect()
}

/// What somebody must type, and where.
fn console(hold: &Hold, managers: &[RolloutManager]) -> Option<RolloutConsole> {
    let Hold::AwaitingConsole(step) = hold else { return None };
    let seat = step.seat().as_str();
    let named = managers.iter().find(|manager| manager.seat == seat);
    Some(RolloutConsole { command: step.command(), seat: seat.to_owned(), device: named.map(|manager| manager.device.clone()) })
}

/// `trouble`: what could not be done of what it wants.
fn waits(hold: &Hold, trouble: Option<&str>) -> RolloutNote {
    let text = trouble.map_or_else(|| hold.to_string(), |trouble| format!("{hold}; what it wants was not done: {trouble}"));
    RolloutNote { word: hold.as_str().to_owned(), text, next: None }
}

/// `backup`: why the last backup could not be proven.
fn paused(plan: &Plan, backup: Option<String>) -> Option<RolloutReason> {
    let State::Paused { reason } = &plan.state else { return None };
    let mut text = pause_words(plan, reason);
    if *reason == PauseReason::BackupFailed
        && let Some(why) = backup
    {
        text = format!("{text}: {why}");
    }
    Some(RolloutReason { reason: reason.as_str().to_owned(), text, next: reason.next_step().to_owned() })
}

/// Why a wave failed, one sentence.
fn failure(plan: &Plan, wave: u16) -> Option<String> {
    Some(match plan.failures.get(&wave)? {
        WaveFailure::Devices { failed: 1, first } => format!("{} went back, or was lost on the way", plan.member(*first as usize).name),
        WaveFailure::Devices { failed, first } => {
            format!("{failed} devices went back, or were lost on the way, {} the first", plan.member(*first as usize).name)
        }
        WaveFailure::Answers { worse, comparison: Comparison { new, control } } => {
            let (wave, others) = (told(*worse, new), told(*worse, control));
            format!("its engines {wave}; engines beside them that were not updated {others}")
        }
    })
}

/// What some engines answered, as far as it was worse.
fn told(worse: Worse, arm: &Arm) -> String {
    let requests = arm.requests;
    match worse {
        Worse::OwnErrors => format!("answered {} of {requests} requests with an error of their own", arm.own_errors),
        Worse::Resets => format!("reset {} connections in {requests} requests", arm.resets),
        Worse::Delay => format!("took {} ms to the first byte of the slowest percent of {requests} requests", arm.ttfb_p99_ms),
    }
}

/// Why it is paused, with names.
pub(super) fn pause_words(plan: &Plan, reason: &PauseReason) -> String {
    let name = |position: u32| plan.member(position as usize).name.clone();
    match reason {
        PauseReason::Operator { why } => format!("an operator said so: {why}"),
        PauseReason::WaveFailed { wave } => {
            failure(plan, *wave).map_or_else(|| format!("wave {wave} failed"), |why| format!("wave {wave} failed: {why}"))
        }
        PauseReason::WaveInconclusive { wave } => format!("too little of wave {wave} could be judged"),
        PauseReason::Behind { devices: 1, first } => format!("{} is not what it is to be", name(*first)),
        PauseReason::Behind { devices, first } => format!("{devices} devices are not what they are to be, {} the first", name(*first)),
        PauseReason::OutOfBand { device } => format!("{} runs a version that nobody told it", name(*device)),
        PauseReason::ManagerOutOfBand => "a manager runs a version that nobody told it".to_owned(),
        PauseReason::DrainTimeout { device } => format!("{} drains for longer than the hard limit", name(*device)),
        PauseReason::ManagerFailed => "a manager's switch fell back".to_owned(),
        PauseReason::BackupFailed => "a backup could not be proven".to_owned(),
        PauseReason::FrozenTooLong => "the configuration was frozen for too long".to_owned(),
        PauseReason::ImageWithdrawn => "the image is no longer one that may be installed".to_owned(),
        PauseReason::Parking => "objects would be parked, and nobody said that they may be".to_owned(),
    }
}

fn lane(app: &App, network: &Snapshot, plan: &Plan, position: usize, stay: Option<Stay>) -> RolloutLane {
    let (member, lane) = (plan.member(position), &plan.lanes[position]);
    let update = network.devices.get(&member.name).map(|record| updates::of(app, network, record));
    RolloutLane {
        device: member.name.clone(),
        role: member.role,
        location: member.location.clone(),
        wave: lane.wave,
        running: update.as_ref().and_then(|update| update.running.clone()),
        told: lane.word.map(|word| word.version),
        stage: update.as_ref().map_or_else(|| "gone".to_owned(), |update| update.stage.clone()),
        status: update.as_ref().map_or_else(|| "Deleted".to_owned(), |update| update.status.clone()),
        sessions: update.as_ref().map_or(0, |update| update.sessions),
        stays: stays(lane, stay, update.as_ref(), plan.is_over()),
        excused: lane.excuse == Excuse::Dead,
        pinned: pinned(plan, &member.name),
    }
}

/// Why a device does not move: the plan's reason, with what may be done while the rollout is not over, or what its own update waits for.
fn stays(lane: &Lane, stay: Option<Stay>, update: Option<&DeviceUpdate>, is_over: bool) -> Option<RolloutNote> {
    if let Some(stay) = stay {
        let next = update.filter(|_| !is_over).and_then(|update| stay.next_step(update.device.as_str()));
        return Some(RolloutNote { word: stay.as_str().to_owned(), text: stay.to_string(), next });
    }
    // The plan waits for the word to switch, not the operator.
    let waits =
        update?.waiting.as_ref().filter(|waits| !["reload_needed", "rollout"].contains(&waits.reason.as_str()) || lane.is_let_go())?;
    // Its next step is one of a device that is told by itself, which a rollout refuses.
    Some(RolloutNote { word: waits.reason.clone(), text: waits.detail.clone(), next: None })
}

fn pinned(plan: &Plan, name: &DeviceName) -> Option<String> {
    plan.pin(name, weir_clock::wall_ms()).map(|pin| pin.why.clone())
}

#[cfg(test)]
mod tests;
