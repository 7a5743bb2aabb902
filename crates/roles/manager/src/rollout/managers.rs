//! What a rollout wants of the managers: freeze, backups, switches, levels. Each is asked for again until the facts show it.

use super::orders;
use crate::{
    app::App,
    backup::prove,
    cms::{Asker, Frozen},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use weir_device_api::{PairHello, SwitchOrder, SwitchStand, SwitchState};
use weir_model::{DeviceName, Version};
use weir_operator_api::{CmsState, PairCondition, Problem, Reason};
use weir_rollout::{
    pair_order::{Direction, Seat},
    plan::{Action, BackupFacts, BackupKind, Cms, ManagerFacts, PairFacts, Plan, Proof},
};

/// What is in memory of the managers' way: all of it is found again.
#[derive(Default)]
pub(super) struct Managers {
    asker: OnceLock<Option<Asker>>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The other manager as it answered last.
    other: Option<Other>,
    /// Backups by who asked for them: what came of each; absent of one that is being made.
    backups: BTreeMap<String, Option<Result<(), String>>>,
    /// Seats whose switch an operator has let try again.
    again: Vec<Seat>,
}

/// The other manager.
#[derive(Debug, Clone)]
pub(super) struct Other {
    pub(super) name: DeviceName,
    address: SocketAddr,
    /// As it answered last.
    pub(super) hello: Option<PairHello>,
    /// It answered in this round.
    pub(super) is_heard: bool,
}

impl std::fmt::Debug for Managers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Managers").finish_non_exhaustive()
    }
}

impl Managers {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The other manager, as it answered last.
    pub(super) fn other(&self) -> Option<Other> {
        self.lock().other.clone()
    }

    /// An operator lets the rollout go on: what failed is tried again.
    pub(super) fn try_again(&self) {
        let mut inner = self.lock();
        inner.again = vec![Seat::Primary, Seat::Standby];
        inner.backups.retain(|_, came| !matches!(came, Some(Err(_))));
    }

    fn is_again(&self, seat: Seat) -> bool {
        self.lock().again.contains(&seat)
    }

    fn asker(&self, app: &App) -> Option<&Asker> {
        self.asker.get_or_init(|| Asker::of(app)).as_ref()
    }

    /// Asks the other manager where it stands.
    async fn ask(&self, app: &App) -> Option<Other> {
        let asked = match self.asker(app) {
            Some(asker) => asker.others(app).await.into_iter().next(),
            None => None,
        };
        let mut inner = self.lock();
        let known = inner.other.take().and_then(|other| other.hello);
        inner.other = asked.map(|(name, address, hello)| {
            let is_heard = hello.is_some();
            let known = known.filter(|known| known.name == name);
            Other { name, address, hello: hello.or(known), is_heard }
        });
        inner.other.clone()
    }
}

/// Whether the last switch of a manager to one of the two versions of this hop failed, and no operator has let it try again.
fn is_failed(plan: Option<&Plan>, stand: Option<&SwitchStand>, again: bool) -> bool {
    let Some((plan, stand)) = plan.zip(stand) else { return false };
    let (from, to) = plan.hop();
    stand.state == SwitchState::Failed && !again && [from, to].contains(&stand.version)
}

fn cms_of(hello: &PairHello) -> Cms {
    let is = |state: CmsState| hello.cms == state.as_str();
    if is(CmsState::DisabledSchemaAhead) {
        Cms::SchemaAhead
    } else if is(CmsState::Primary) || is(CmsState::Standby) || hello.cms.is_empty() {
        Cms::Running
    } else {
        Cms::Disabled
    }
}

/// How the managers stand. `stamp` is left to whoever knows the devices.
pub(super) async fn pair(app: &App, plan: Option<&Plan>) -> PairFacts {
    let managers = &app.rollouts.managers;
    let info = app.pair.info(app);
    let matched = info.as_ref().is_none_or(|info| info.condition == PairCondition::Matched);
    let own = Version::current();
    let other = match plan.is_none_or(Plan::moves_managers) {
        true => managers.ask(app).await,
        false => managers.other(),
    };
    let stand = app.cms.switch_stand();
    let primary = ManagerFacts {
        version: own,
        cms: Cms::Running,
        reachable: true,
        on_trial: false,
        failed: is_failed(plan, stand.as_ref(), managers.is_again(Seat::Primary)),
    };
    let standby = info.map(|info| {
        let hello = other.as_ref().and_then(|other| other.hello.as_ref());
        let said = hello.map(|hello| hello.version.clone()).or(info.version);
        ManagerFacts {
            // One that was never heard is level with nobody, which `matched` says.
            version: said.and_then(|version| version.parse().ok()).unwrap_or(own),
            cms: hello.map_or(Cms::Running, cms_of),
            reachable: other.as_ref().is_some_and(|other| other.is_heard),
            on_trial: hello.and_then(|hello| hello.switch.as_ref()).is_some_and(|stand| stand.state == SwitchState::OnTrial),
            failed: is_failed(plan, hello.and_then(|hello| hello.switch.as_ref()), managers.is_again(Seat::Standby)),
        }
    });
    PairFacts { primary, standby, matched, frozen: app.frozen().is_some(), stamp: weir_model::Stamp::default() }
}

/// Who asks for a backup of a rollout: it names plan and hop, or the freeze.
fn asks(app: &App, plan: &Plan, kind: BackupKind) -> Option<String> {
    let hash: String = plan.design.hash().chars().take(12).collect();
    // One plan may be started twice.
    let started_ms = app.rollouts.kept().map_or(0, |kept| kept.started_ms);
    let back = if plan.course.back { " back" } else { "" };
    match kind {
        BackupKind::Gate => Some(format!("rollout {hash} of {started_ms} before hop {}{back}", plan.course.hop)),
        BackupKind::Frozen => Some(format!("rollout {hash} frozen at {}", app.frozen()?.since_ms)),
    }
}

/// How far the rollout's two backups are proven.
pub(super) async fn backups(app: &App, plan: Option<&Plan>) -> Result<BackupFacts, Problem> {
    let has_safe_place = prove::has_safe_place(app).await;
    let Some(plan) = plan.filter(|plan| plan.moves_managers()) else {
        return Ok(BackupFacts { gate: Proof::Missing, frozen: Proof::Missing, has_safe_place });
    };
    let gate = proof(app, asks(app, plan, BackupKind::Gate)).await?;
    let frozen = proof(app, asks(app, plan, BackupKind::Frozen)).await?;
    Ok(BackupFacts { gate, frozen, has_safe_place })
}

async fn proof(app: &App, actor: Option<String>) -> Result<Proof, Problem> {
    let Some(actor) = actor else { return Ok(Proof::Missing) };
    match app.rollouts.managers.lock().backups.get(&actor) {
        Some(Some(Ok(()))) => return Ok(Proof::Proven),
        Some(Some(Err(_))) => return Ok(Proof::Failed),
        Some(None) => return Ok(Proof::Missing),
        None => {}
    }
    Ok(if prove::is_proven(app, &actor).await? { Proof::Proven } else { Proof::Missing })
}

/// Why the last backup of this rollout could not be proven.
pub(super) fn backup_trouble(app: &App) -> Option<String> {
    app.rollouts.managers.lock().backups.values().find_map(|came| came.as_ref()?.as_ref().err().cloned())
}

/// Does what is wanted of the managers.
///
/// # Errors
/// The first that could not be asked for: it is wanted again in the next round.
pub(super) async fn carry_out(app: &Arc<App>, plan: &Arc<Plan>, actions: &[Action]) -> Result<(), Problem> {
    for action in actions {
        match action {
            Action::Freeze => freeze(app, plan).await?,
            Action::Unfreeze => app.freeze(None).await?,
            Action::Backup(kind) => back_up(app, plan, *kind),
            Action::SwitchManager { seat, version } => switch(app, plan, *seat, *version).await?,
            Action::RaiseLevel(line) | Action::LowerLevel(line) => super::level::bring(app, *line).await?,
            // Each box does these by itself, as its own switch allows (`cms/switch`); the standby asks for what it lacks.
            Action::DatabaseDowngrade(_) | Action::Enable(_) | Action::Resync => {}
            // Devices hear by their orders and leases.
            Action::Assign { .. } | Action::Reload { .. } | Action::Cancel { .. } | Action::Force { .. } | Action::ReleaseLease { .. } => {}
        }
    }
    Ok(())
}

async fn freeze(app: &Arc<App>, plan: &Plan) -> Result<(), Problem> {
    if app.frozen().is_some() {
        return Ok(());
    }
    tracing::info!("the configuration is frozen: managers are switched");
    let (since_ms, term) = (weir_clock::wall_ms(), app.network().stamp.term);
    app.freeze(Some(Frozen { since_ms, term, plan: plan.design.hash() })).await
}

/// Takes writes again when the rollout that froze them is not the one under way.
pub(super) async fn thaw_orphan(app: &Arc<App>, plan: Option<&Plan>) -> Result<(), Problem> {
    let Some(frozen) = app.frozen() else { return Ok(()) };
    if plan.is_some_and(|plan| plan.moves_managers() && plan.design.hash() == frozen.plan) {
        return Ok(());
    }
    tracing::warn!("the configuration was frozen for a rollout that is not under way; it takes writes again");
    app.freeze(None).await
}

/// The order to become a version, as far as there is an image of it.
fn order(app: &App, plan: &Plan, version: Version, again: bool) -> Result<SwitchOrder, Problem> {
    let missing = || Problem::new(Reason::SwitchRefused, format!("the rollout has no image of {version}"));
    let manifest = plan.design.images.get(&version).ok_or_else(missing)?;
    // A version that ran before is in its slot still.
    let file = orders::image(&app.software.records(), manifest).map_or(0, |(file, _)| file);
    Ok(SwitchOrder { stamp: plan.stamp, version, manifest: manifest.clone(), file, again })
}

async fn switch(app: &Arc<App>, plan: &Plan, seat: Seat, version: Version) -> Result<(), Problem> {
    let managers = &app.rollouts.managers;
    let order = order(app, plan, version, managers.is_again(seat))?;
    match seat {
        Seat::Primary => app.cms.become_version(order, true).await?,
        Seat::Standby => {
            let Some(other) = managers.other() else { return Ok(()) };
            if let Some(info) = app.pair.info(app).filter(|info| info.condition == PairCondition::Matched)
                && info.standby_rev != info.primary_rev
            {
                let detail = format!("{} lacks changesets: it has {}, and there are {}", info.name, info.standby_rev, info.primary_rev);
                return Err(Problem::new(Reason::NoStandby, detail));
            }
            let Some(asker) = managers.asker(app) else { return Ok(()) };
            asker.switch(other.address, &order).await?;
        }
    }
    managers.lock().again.retain(|again| *again != seat);
    Ok(())
}

fn back_up(app: &Arc<App>, plan: &Arc<Plan>, kind: BackupKind) {
    let Some(actor) = asks(app, plan, kind) else { return };
    {
        let mut inner = app.rollouts.managers.lock();
        if inner.backups.contains_key(&actor) {
            return;
        }
        // Those of rollouts and freezes before mean nothing any more.
        inner.backups.retain(|_, came| came.is_none());
        inner.backups.insert(actor.clone(), None);
    }
    let (of_task, plan) = (Arc::clone(app), Arc::clone(plan));
    app.spawn("backup of a rollout", async move {
        let came = proven(&of_task, &plan, actor.clone()).await.map_err(|problem| problem.to_string());
        if let Err(why) = &came {
            tracing::error!(why, "the rollout's backup is not proven");
        }
        of_task.rollouts.managers.lock().backups.insert(actor, Some(came));
        of_task.rollouts.nudge();
    });
}

/// Upward the build that comes says that it can read the backup; downward the ways back are this build's to try.
async fn proven(app: &Arc<App>, plan: &Plan, actor: String) -> Result<(), Problem> {
    let program = match plan.course.direction {
        Direction::Up => Some(app.cms.stage_version(order(app, plan, plan.hop().1, false)?).await?),
        Direction::Down => None,
    };
    prove::prove(app, actor, program).await
}
