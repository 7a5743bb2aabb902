//! Promotion: who becomes primary, when it is refused, and how it goes on after a crash. Decision 0008 has the order of the steps.

use super::{Cms, Fence, Life, fence, look::Known, run::Order};
use crate::{
    access::Access,
    app::App,
    change::{Actor, Caller, Change, Refusal},
    follower::Follower,
    manager::{ManagerError, network as open_network},
    network_key::NetworkKey,
    seal::{Seal, Settled, settled},
    snapshot::Snapshot,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval, timeout},
};
use weir_database::{Database, DatabaseError};
use weir_model::{DeviceName, version};
use weir_operator_api::{PairCondition, Problem, Reason, RoleChange, RoleRequest};
use weir_telemetry::{Chain, Tasks};

/// A primary heard within this time is asked to make way; one that is silent for longer is silent.
const HEARD_MS: u64 = 3_000;
/// Patience for what the standby still lacks when the primary has made way.
const CATCH_UP: Duration = Duration::from_secs(10);
/// Patience for the standby that was asked to take over.
const TAKE_OVER: Duration = Duration::from_secs(30);
/// How often a promotion that was cut short is tried again, and a new primary is looked for.
const AGAIN: Duration = Duration::from_millis(500);

/// How a standby becomes the primary.
#[derive(Debug, Clone)]
pub(super) struct Promotion {
    pub(super) term: u64,
    caller: Caller,
    is_planned: bool,
    /// Changes known to be lost.
    lost: u64,
    /// When it was asked for, monotonic milliseconds.
    began_ms: u64,
}

impl Promotion {
    fn kind(&self) -> &'static str {
        if self.is_planned { "planned" } else { "unplanned" }
    }
}

/// Changes which box is the primary.
///
/// # Errors
/// Why not; the primary is the one it was, or the promotion goes on by itself, which the detail then says.
pub(crate) async fn change(cms: &Arc<Cms>, caller: Caller, request: RoleRequest) -> Result<RoleChange, Problem> {
    let began_ms = weir_clock::monotonic_ms();
    match (request.role.as_str(), cms.life()) {
        ("primary", Life::Standby(follower)) => {
            let Ok(_one) = cms.changing_role.try_lock() else {
                return Err(Problem::new(Reason::CmsState, "a change of roles is under way on this box").next_step("wait for its end"));
            };
            promote(cms, &follower, caller, request.accept_loss, began_ms).await
        }
        ("standby", Life::Primary(app)) => hand_over(cms, &app, began_ms).await,
        ("primary", Life::Primary(_)) => Err(Problem::new(Reason::CmsState, "this box is the primary already")),
        ("standby", Life::Standby(_)) => Err(Problem::new(Reason::CmsState, "this box is the standby already")),
        ("primary" | "standby", Life::Disabled) => Err(disabled(cms)),
        (other, _) => Err(Problem::new(Reason::InvalidField, format!("{other:?} is no role; write primary or standby")).at("role")),
    }
}

fn disabled(cms: &Cms) -> Problem {
    let info = cms.standing();
    let why = info.why.unwrap_or_default();
    let reason = if info.state == weir_operator_api::CmsState::DisabledKeyMissing { Reason::KeyMissing } else { Reason::CmsState };
    Problem::new(reason, format!("this box is {}: {why}", info.state.as_str()))
}

/// The primary asks its standby to take over; returns once this box is fenced.
async fn hand_over(cms: &Arc<Cms>, app: &Arc<App>, began_ms: u64) -> Result<RoleChange, Problem> {
    let Some(info) = app.pair.info(app) else {
        return Err(Problem::new(Reason::NoStandby, "there is no other manager on record"));
    };
    match info.condition {
        PairCondition::Matched => {}
        PairCondition::Mismatch => return Err(Problem::new(Reason::PairMismatch, info.detail)),
        _ => return Err(Problem::new(Reason::NoStandby, info.detail)),
    }
    let own_term = app.network().stamp.term;
    app.pair.ask_take_over();
    let mut tries = interval(AGAIN);
    let deadline = began_ms + weir_clock::millis(TAKE_OVER);
    loop {
        tries.tick().await;
        if let Some(Fence { term, name: Some(primary), .. }) = cms.box_file.fenced().filter(|fence| fence.term > own_term) {
            let took_ms = weir_clock::monotonic_ms().saturating_sub(began_ms);
            return Ok(RoleChange { primary, term, kind: "planned".to_owned(), lost: 0, took_ms });
        }
        if weir_clock::monotonic_ms() > deadline {
            let detail = format!("{} did not take over within {} s; this box is still the primary", info.name, TAKE_OVER.as_secs());
            return Err(Problem::new(Reason::NoStandby, detail).next_step("read the log of the other manager"));
        }
    }
}

async fn promote(
    cms: &Arc<Cms>,
    follower: &Arc<Follower>,
    caller: Caller,
    accept_loss: Option<u64>,
    began_ms: u64,
) -> Result<RoleChange, Problem> {
    has_key(cms, follower).await?;
    let heard = follower.primary_seen().filter(|seen| weir_clock::monotonic_ms().saturating_sub(seen.at_ms) <= HEARD_MS);
    let term = next_term(cms, follower);
    let Some(seen) = heard else { return take(cms, follower, unplanned(follower, caller, accept_loss, term, began_ms)?).await };
    if seen.hello.version != version() {
        let detail = format!("{} runs {} and this box {}", seen.hello.name, seen.hello.version, version());
        return Err(Problem::new(Reason::PairMismatch, detail));
    }
    let term = cms.box_file.promoting().unwrap_or(term).max(term);
    note_promoting(cms, Some(term)).await?;
    make_way(cms, follower, term).await?;
    take(cms, follower, Promotion { term, caller, is_planned: true, lost: 0, began_ms }).await
}

/// The term after every one this box has heard of.
fn next_term(cms: &Cms, follower: &Follower) -> u64 {
    let seen = follower.primary_seen().map_or(0, |seen| seen.hello.term);
    let fence = cms.box_file.fenced().map_or(0, |fence| fence.term);
    let own = cms.now().known.as_ref().map_or(0, |known| known.term).max(follower.hello().term);
    seen.max(fence).max(own) + 1
}

/// The primary is silent: what is known to be missing, and whether that may be lost.
fn unplanned(follower: &Follower, caller: Caller, accept_loss: Option<u64>, term: u64, began_ms: u64) -> Result<Promotion, Problem> {
    let own = follower.hello();
    let (lost, heard) = match follower.primary_seen() {
        Some(seen) => {
            let silent_ms = weir_clock::monotonic_ms().saturating_sub(seen.at_ms);
            let lost = seen.hello.rev.saturating_sub(own.rev);
            let of = format!("{} was last heard {} s ago, at changeset {}", seen.hello.name, silent_ms / 1000, seen.hello.rev);
            (lost, of)
        }
        None => (0, "no primary was heard since this box started".to_owned()),
    };
    if accept_loss.is_some_and(|accepted| accepted >= lost) {
        return Ok(Promotion { term, caller, is_planned: false, lost, began_ms });
    }
    let detail = format!(
        "{heard}; this box has changeset {}: {lost} changes are known to be missing, and what it acknowledged since nobody knows",
        own.rev
    );
    let next = format!("bring the primary back, or accept the loss: `weir cms role primary --accept-loss {lost}`");
    Err(Problem::new(Reason::WouldLose, detail).next_step(next))
}

/// Without the key nobody could issue a certificate or open a secret.
async fn has_key(cms: &Cms, follower: &Follower) -> Result<(), Problem> {
    let missing = |why: String| Problem::new(Reason::KeyMissing, why);
    let Some(database) = follower.database() else {
        return Err(
            Problem::new(Reason::CmsState, "this box has no configuration yet").next_step("wait until `weir cms info` says matched")
        );
    };
    let state = cms.state.clone();
    let key = tokio::task::spawn_blocking(move || NetworkKey::load(&state)).await;
    let key = key.map_err(|error| missing(error.to_string()))?.map_err(|error| missing(Chain(&error).to_string()))?;
    let key = key.ok_or_else(|| missing("there is no network key on this box".to_owned()))?;
    let seal = Seal::new(&key);
    let opens = database.read(move |tx| Ok::<_, DatabaseError>(settled(tx, &seal)?)).await;
    match opens.map_err(|error| Problem::new(Reason::Internal, Chain(&error).to_string()))? {
        Settled::OtherKey => Err(missing("the network key on this box does not open what is sealed in config.db".to_owned())),
        Settled::Opens | Settled::Nothing => Ok(()),
    }
}

async fn note_promoting(cms: &Cms, term: Option<u64>) -> Result<(), Problem> {
    let file = Arc::clone(&cms.box_file);
    let written = tokio::task::spawn_blocking(move || file.set_promoting(term)).await;
    let failed = |why: String| Problem::new(Reason::Internal, format!("box.json cannot be written: {why}"));
    written.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

/// The primary makes way, and this box has everything it ever acknowledged.
async fn make_way(cms: &Cms, follower: &Arc<Follower>, term: u64) -> Result<(), Problem> {
    let answer = match follower.ask_yield(term).await {
        Ok(answer) => answer,
        Err(problem) if may_have_yielded(&problem) => {
            let detail = format!("{}; whether the primary has made way is not known, and this box goes on asking", problem.detail);
            return Err(Problem::new(problem.reason, detail).next_step(
                "wait and read `weir cms info` on both boxes; when the primary is lost, `weir cms role primary --accept-loss N`",
            ));
        }
        Err(problem) => {
            note_promoting(cms, None).await?;
            return Err(problem);
        }
    };
    follower.wait_for(answer.hello.rev, &answer.hello.digest, CATCH_UP).await
}

/// Whether the primary may be fenced although it did not say so.
fn may_have_yielded(problem: &Problem) -> bool {
    matches!(problem.reason, Reason::Unavailable | Reason::Internal | Reason::HandingOver)
}

/// Ends the life of the standby and begins that of the primary.
async fn take(cms: &Cms, _: &Follower, promotion: Promotion) -> Result<RoleChange, Problem> {
    let (done, wait) = oneshot::channel();
    let stopping = || Problem::new(Reason::Unavailable, "the manager is stopping");
    cms.orders.send(Order::Promote { promotion, done }).await.map_err(|_| stopping())?;
    wait.await.unwrap_or_else(|_| Err(stopping()))
}

/// The promotion itself: one transaction of `config.db`, which nobody else has open for writing.
pub(super) async fn write(cms: &Cms, database: &Database, promotion: &Promotion) -> Result<(), ManagerError> {
    let (seal, _) = open_network(&cms.state, database, cms.settings()).await?;
    let (name, how) = (cms.name().clone(), promotion.clone());
    let written = database.write(move |tx| {
        let before = Snapshot::load(tx, &seal, None)?;
        if before.stamp.term >= how.term {
            return Ok(());
        }
        let change = Change::new(tx, &before, &how.caller, weir_clock::wall_ms())?;
        change.take_over(&name, how.term)?;
        change.finish()?;
        Ok::<_, Refusal>(())
    });
    written.await.map_err(|refusal| ManagerError::Refused(refusal.into_problem()))
}

/// What is left to do once the new primary serves.
pub(super) async fn done(cms: &Cms, promotion: &Promotion) -> RoleChange {
    if let Err(problem) = note_promoting(cms, None).await {
        tracing::warn!(%problem, "the promotion is done, and box.json still says that it is under way");
    }
    let body = serde_json::json!({
        "primary": cms.name(), "kind": promotion.kind(), "lost": promotion.lost, "by": promotion.caller.actor.to_string(),
    });
    cms.record(promotion.term, "promoted", body).await;
    let took_ms = weir_clock::monotonic_ms().saturating_sub(promotion.began_ms);
    tracing::warn!(term = promotion.term, kind = promotion.kind(), lost = promotion.lost, took_ms, "this box is the primary now");
    RoleChange { primary: cms.name().clone(), term: promotion.term, kind: promotion.kind().to_owned(), lost: promotion.lost, took_ms }
}

impl Cms {
    /// Appends to the journal; one that cannot be written is logged.
    pub(crate) async fn record(&self, term: u64, kind: &'static str, body: serde_json::Value) {
        let journal = Arc::clone(&self.journal);
        let written = tokio::task::spawn_blocking(move || journal.append(weir_clock::wall_ms(), term, kind, body)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(error = %Chain(&error), kind, "not written into the journal");
        }
    }
}

/// Beside a standby: takes over when the primary asks, and goes on with a promotion that was cut short.
pub(super) fn watch(cms: &Arc<Cms>, follower: &Arc<Follower>, tasks: &Tasks) {
    let (of_box, followed, mut asked) = (Arc::clone(cms), Arc::clone(follower), follower.take_over_asked());
    let local = || Caller { actor: Actor::Manager, source: "local".to_owned(), access: Access::admin() };
    tasks.spawn("take over", async move {
        while asked.wait_for(|asked| *asked).await.is_ok() {
            let began_ms = weir_clock::monotonic_ms();
            let Ok(_one) = of_box.changing_role.try_lock() else { return };
            tracing::info!("the primary asks this box to take over");
            if let Err(problem) = promote(&of_box, &followed, local(), None, began_ms).await {
                tracing::warn!(%problem, "not taken over");
            }
            if asked.changed().await.is_err() {
                return;
            }
        }
    });
    if let Some(term) = cms.box_file.promoting() {
        let (of_box, followed) = (Arc::clone(cms), Arc::clone(follower));
        tasks.spawn("promote again", async move { again(&of_box, &followed, term, local()).await });
    }
}

/// A promotion was cut short after this box noted it: the primary may be fenced, and then nobody else will serve.
async fn again(cms: &Arc<Cms>, follower: &Arc<Follower>, term: u64, caller: Caller) {
    let mut tries = interval(AGAIN);
    tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tracing::warn!(term, "a promotion was cut short; asking the other manager again");
    while cms.box_file.promoting() == Some(term) {
        tries.tick().await;
        let Ok(_one) = cms.changing_role.try_lock() else { continue };
        let began_ms = weir_clock::monotonic_ms();
        match make_way(cms, follower, term).await {
            Ok(()) => {
                let promotion = Promotion { term, caller: caller.clone(), is_planned: true, lost: 0, began_ms };
                // The task ends with the life it belongs to, as soon as that is ended for the next.
                if let Err(problem) = take(cms, follower, promotion).await {
                    tracing::error!(%problem, "the promotion that was cut short failed");
                }
                return;
            }
            Err(problem) => tracing::debug!(%problem, "not yet"),
        }
    }
}

/// Waits until a manager answers that it is primary with at least this term; whether it did in time.
pub(super) async fn serves(cms: &Arc<Cms>, primary: &DeviceName, term: u64, patience: Duration) -> bool {
    let known: Option<Known> = cms.now().known.clone();
    let Some(device) = known.as_ref().and_then(|known| known.manager(primary.as_str())).and_then(|manager| manager.device) else {
        return false;
    };
    let Some(kept) = cms.identity.kept() else { return false };
    let wait = async {
        let mut tries = interval(AGAIN);
        loop {
            tries.tick().await;
            let hello = fence::hello_of(device, &kept.ca_pem, &kept.certificate_pem, &kept.key_pem).await;
            if hello.is_some_and(|hello| hello.primary && hello.term >= term) {
                return;
            }
        }
    };
    timeout(patience, wait).await.is_ok()
}
