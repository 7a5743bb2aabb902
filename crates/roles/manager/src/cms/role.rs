//! Promotion: who becomes primary, when it is refused, and how it goes on after a crash. Decision 0008 has the order of the steps.

use super::{BoxFile, Cms, Fence, Life, doubt, fence, look::Known, run::Order};
use crate::{
    access::Access,
    app::App,
    backup::restore::term_above,
    change::{Actor, Caller, Change, Refusal},
    follower::Follower,
    manager::{ManagerError, network as open_network},
    network_key::NetworkKey,
    pair::{self, TAKE_OVER},
    seal::{Seal, Settled, settled},
    snapshot::Snapshot,
    tables::devices,
};
use rusqlite::Transaction;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval, timeout},
};
use weir_database::{Database, DatabaseError};
use weir_device_api::{OrderedBy, PairHello};
use weir_model::{DeviceName, version};
use weir_operator_api::{PairCondition, Problem, Reason, RoleChange, RoleRequest};
use weir_telemetry::{Chain, Tasks};

/// A primary heard within this time is asked to make way; one that is silent for longer is silent.
const HEARD_MS: u64 = 3_000;
/// Patience for what the standby still lacks when the primary has made way.
const CATCH_UP: Duration = Duration::from_secs(10);
/// How often a promotion that was cut short is tried again, and a new primary is looked for.
const AGAIN: Duration = Duration::from_millis(500);
/// Longest pause between two tries of a promotion that fails on this box; it doubles from [`AGAIN`] on.
const AGAIN_MAX: Duration = Duration::from_secs(30);

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
        ("primary", Life::Standby(follower)) => by_operator(cms, follower, caller, request.accept_loss, began_ms).await,
        ("standby", Life::Primary(app)) => {
            let of_box = Arc::clone(cms);
            cms.to_its_end("hand over", async move { hand_over(&of_box, &app, &caller, began_ms).await }).await
        }
        ("primary", Life::Primary(app)) => {
            if let Some((by, term)) = app.pair.hears_of_more(&app) {
                cms.doubts.named(&by, term);
            }
            doubt::decide(cms, &app, caller, began_ms).await
        }
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

/// An operator promotes this standby. It goes on to its end whether or not they wait for it.
async fn by_operator(
    cms: &Arc<Cms>,
    follower: Arc<Follower>,
    caller: Caller,
    accept_loss: Option<u64>,
    began_ms: u64,
) -> Result<RoleChange, Problem> {
    let of_box = Arc::clone(cms);
    let promoted = async move {
        let _turn = of_box.turn().await?;
        promote(&of_box, &follower, caller, accept_loss, began_ms).await
    };
    cms.to_its_end("promote", promoted).await
}

/// The primary asks its standby to take over; returns once this box is fenced.
async fn hand_over(cms: &Arc<Cms>, app: &Arc<App>, caller: &Caller, began_ms: u64) -> Result<RoleChange, Problem> {
    let _turn = cms.turn().await?;
    let Some(info) = app.pair.info(app) else {
        return Err(Problem::new(Reason::NoStandby, "there is no other manager on record"));
    };
    match info.condition {
        PairCondition::Matched => {}
        PairCondition::Mismatch => return Err(Problem::new(Reason::PairMismatch, info.detail)),
        _ => return Err(Problem::new(Reason::NoStandby, info.detail)),
    }
    let own_term = app.network().stamp.term;
    let fence = || cms.box_file.fenced().filter(|fence| fence.term > own_term);
    app.pair.ask_take_over(caller);
    let mut tries = interval(AGAIN);
    let deadline = began_ms + weir_clock::millis(TAKE_OVER);
    while fence().is_none() {
        tries.tick().await;
        if weir_clock::monotonic_ms() > deadline {
            app.pair.stop_asking();
            // What has begun by now decides.
            app.pair.handed().await;
            break;
        }
    }
    if let Some(Fence { term, name: Some(primary), .. }) = fence() {
        let took_ms = weir_clock::monotonic_ms().saturating_sub(began_ms);
        return Ok(RoleChange { primary, term, kind: "planned".to_owned(), lost: 0, took_ms });
    }
    let detail = format!("{} did not take over within {} s and is not asked any more", info.name, TAKE_OVER.as_secs());
    Err(Problem::new(Reason::NoStandby, detail).next_step("read `weir cms info` and the log of the other manager"))
}

async fn promote(
    cms: &Arc<Cms>,
    follower: &Arc<Follower>,
    caller: Caller,
    accept_loss: Option<u64>,
    began_ms: u64,
) -> Result<RoleChange, Problem> {
    let seal = has_key(cms, follower).await?;
    is_active(cms, follower).await?;
    let asked = cms.box_file.promoting();
    let others = fence::say(cms).await;
    let heard = heard(cms, follower, &others);
    let term = next_term(cms, follower, &others)?;
    fits(cms, follower, seal, caller.clone(), term).await?;
    // Whoever accepts the loss does not wait for a primary that is silent, whatever was begun before.
    if let Some(term) = asked
        && (heard.is_some() || accept_loss.is_none())
    {
        match make_way(cms, follower, term, true).await {
            Ok(()) => return take(cms, Promotion { term, caller, is_planned: true, lost: 0, began_ms }).await,
            Err(problem) if may_have_yielded(&problem) && heard.is_some() && accept_loss.is_none() => return Err(problem),
            // Nobody answers: what may be lost is for whoever asks to accept.
            Err(problem) if may_have_yielded(&problem) => tracing::warn!(term, %problem, "the primary is silent"),
            // It has not made way then: this is a new beginning.
            Err(problem) => tracing::warn!(term, %problem, "the promotion that was begun before is not"),
        }
    }
    let Some(seen) = heard else { return take(cms, unplanned(follower, caller, accept_loss, term, began_ms)?).await };
    if seen.version != version() {
        let detail = format!("{} runs {} and this box {}", seen.name, seen.version, version());
        return Err(Problem::new(Reason::PairMismatch, detail));
    }
    note_promoting(cms, move |file| file.set_promoting(Some(term))).await?;
    match make_way(cms, follower, term, false).await {
        Ok(()) => take(cms, Promotion { term, caller, is_planned: true, lost: 0, began_ms }).await,
        // It was heard a moment ago and is silent now: whoever asks has accepted what may be lost.
        Err(problem) if may_have_yielded(&problem) && accept_loss.is_some() => {
            tracing::warn!(term, %problem, "the primary is silent");
            take(cms, unplanned(follower, caller, accept_loss, term, began_ms)?).await
        }
        Err(problem) => Err(problem),
    }
}

/// The primary, when it is not silent: heard by the follower a moment ago, or it says now that it is. One that gives a snapshot
/// answers no poll meanwhile.
fn heard(cms: &Cms, follower: &Follower, others: &[PairHello]) -> Option<PairHello> {
    let seen = follower.primary_seen();
    let name = seen.as_ref().map(|seen| seen.hello.name.clone());
    let name = name.or_else(|| cms.now().known.as_ref().map(|known| known.primary.clone()));
    let recent = seen.filter(|seen| weir_clock::monotonic_ms().saturating_sub(seen.at_ms) <= HEARD_MS).map(|seen| seen.hello);
    recent.or_else(|| others.iter().find(|hello| hello.primary && Some(&hello.name) == name.as_ref()).cloned())
}

/// The term after every one this box has heard of, and after every one that other managers have.
fn next_term(cms: &Cms, follower: &Follower, others: &[PairHello]) -> Result<u64, Problem> {
    let seen = follower.primary_seen().map_or(0, |seen| seen.hello.term.max(seen.hello.heard));
    let fence = cms.box_file.fenced().map_or(0, |fence| fence.term);
    let own = cms.now().known.as_ref().map_or(0, |known| known.term).max(follower.hello().heard);
    let asked = cms.box_file.promoting().unwrap_or(0);
    let said = others.iter().flat_map(|hello| [hello.term, hello.heard]);
    term_above(said.chain([seen, fence, own, asked]).map(Some), true)
}

/// A manager that is not active is nobody's primary: no device is told of it, and the other manager answers it nothing.
async fn is_active(cms: &Cms, follower: &Follower) -> Result<(), Problem> {
    let Some(database) = follower.database() else { return Ok(()) };
    let name = cms.name().clone();
    let record = database.read(move |tx| Ok::<_, DatabaseError>(devices::all(tx)?.into_iter().find(|device| device.name == name)));
    match record.await.map_err(|error| Problem::new(Reason::Internal, Chain(&error).to_string()))? {
        Some(record) if !record.active => {
            let next = format!(
                "run `weir device activate {0}` on the primary; when that is lost, restore its backup: `weir cms database restore FILE`",
                cms.name()
            );
            Err(Problem::new(Reason::CmsState, format!("{} is not active", cms.name())).next_step(next))
        }
        _ => Ok(()),
    }
}

/// The promotion, as far as it is a change of `config.db`.
fn promoted(tx: &Transaction<'_>, seal: &Arc<Seal>, caller: &Caller, name: &DeviceName, term: u64) -> Result<(), Refusal> {
    let before = Snapshot::load(tx, seal, None)?;
    if before.stamp.term >= term {
        return Ok(());
    }
    // Behind the changeset of the promotion nobody would see that the digests are those of another schema.
    pair::settle_in(tx)?;
    let change = Change::new(tx, &before, caller, weir_clock::wall_ms())?;
    change.take_over(name, term)?;
    change.finish()?;
    Ok(())
}

/// Makes the promotion on this box and takes it back: what would fail afterwards fails before the primary makes way.
async fn fits(cms: &Cms, follower: &Follower, seal: Seal, caller: Caller, term: u64) -> Result<(), Problem> {
    let (name, seal) = (cms.name().clone(), Arc::new(seal));
    let rehearsed = follower.rehearse(move |tx| promoted(tx, &seal, &caller, &name, term));
    rehearsed.await.map_err(|problem| {
        let next = problem.next.clone();
        Problem::new(problem.reason, format!("this box could not become the primary: {}", problem.detail)).next_step(next)
    })
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
async fn has_key(cms: &Cms, follower: &Follower) -> Result<Seal, Problem> {
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
    let opens = database.read(move |tx| Ok::<_, DatabaseError>((settled(tx, &seal)?, seal))).await;
    match opens.map_err(|error| Problem::new(Reason::Internal, Chain(&error).to_string()))? {
        (Settled::OtherKey, _) => Err(missing("the network key on this box does not open what is sealed in config.db".to_owned())),
        (Settled::Opens | Settled::Nothing, seal) => Ok(seal),
    }
}

async fn note_promoting(cms: &Cms, work: impl FnOnce(&BoxFile) -> io::Result<()> + Send + 'static) -> Result<(), Problem> {
    let file = Arc::clone(&cms.box_file);
    let written = tokio::task::spawn_blocking(move || work(&file)).await;
    let failed = |why: String| Problem::new(Reason::Internal, format!("box.json cannot be written: {why}"));
    written.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

/// The primary makes way, and this box has everything it ever acknowledged. `resume`: it was asked before, and is not asked anew.
async fn make_way(cms: &Cms, follower: &Arc<Follower>, term: u64, resume: bool) -> Result<(), Problem> {
    let answer = match follower.ask_yield(term, resume).await {
        Ok(answer) => answer,
        Err(problem) if may_have_yielded(&problem) => {
            let detail = format!("{}; whether the primary has made way is not known, and this box goes on asking", problem.detail);
            return Err(Problem::new(problem.reason, detail).next_step(
                "wait and read `weir cms info` on both boxes; when the primary is lost, `weir cms role primary --accept-loss N`",
            ));
        }
        Err(problem) => {
            // Another one may have been begun since this one asked.
            note_promoting(cms, move |file| file.end_promoting(term)).await?;
            return Err(problem);
        }
    };
    let waited = follower.wait_for(answer.hello.rev, &answer.hello.digest, CATCH_UP).await;
    // It has made way: there is no going back, and what is missing may come yet.
    waited.map_err(|problem| Problem::new(Reason::HandingOver, format!("the primary has made way, and {}", problem.detail)))
}

/// Whether the primary may be fenced although it did not say so: but for what only one that is not says.
fn may_have_yielded(problem: &Problem) -> bool {
    !matches!(problem.reason, Reason::PairMismatch | Reason::CmsState | Reason::NoStandby)
}

/// Ends the life of the standby and begins that of the primary.
async fn take(cms: &Cms, promotion: Promotion) -> Result<RoleChange, Problem> {
    let (done, wait) = oneshot::channel();
    let stopping = || Problem::new(Reason::Unavailable, "the manager is stopping");
    cms.orders.send(Order::Promote { promotion, done }).await.map_err(|_| stopping())?;
    wait.await.unwrap_or_else(|_| Err(stopping()))
}

/// The promotion itself: one transaction of `config.db`, which nobody else has open for writing.
pub(super) async fn write(cms: &Cms, database: &Database, promotion: &Promotion) -> Result<(), ManagerError> {
    let (seal, _) = open_network(&cms.state, database, cms.settings()).await?;
    let (name, how) = (cms.name().clone(), promotion.clone());
    let written = database.write(move |tx| promoted(tx, &seal, &how.caller, &name, how.term));
    written.await.map_err(|refusal| ManagerError::Refused(refusal.into_problem()))
}

/// What is left to do once the new primary serves.
pub(super) async fn done(cms: &Cms, promotion: &Promotion) -> RoleChange {
    let term = promotion.term;
    if let Err(problem) = note_promoting(cms, move |file| file.end_promoting(term)).await {
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
        self.journal.note(term, kind, body).await;
    }
}

/// Beside a standby: takes over when the primary asks, and goes on with a promotion of which the end is not known.
pub(super) fn watch(cms: &Arc<Cms>, follower: &Arc<Follower>, tasks: &Tasks) {
    tasks.spawn("take over", when_asked(Arc::clone(cms), Arc::clone(follower)));
    tasks.spawn("promote again", again(Arc::clone(cms), Arc::clone(follower)));
}

async fn when_asked(cms: Arc<Cms>, follower: Arc<Follower>) {
    let mut asked = follower.take_over_asked();
    while asked.wait_for(|asked| *asked).await.is_ok() {
        let began_ms = weir_clock::monotonic_ms();
        tracing::info!("the primary asks this box to take over");
        let by = follower.take_over_by();
        let caller = by.map(|OrderedBy { actor, source }| Caller { actor: Actor::Elsewhere(actor), source, access: Access::admin() });
        if let Err(problem) = by_operator(&cms, Arc::clone(&follower), caller.unwrap_or_else(Caller::manager), None, began_ms).await {
            tracing::warn!(%problem, "not taken over");
        }
        // It is asked as long as somebody wants it: the next answer of the primary says so again.
        follower.take_over_done();
    }
}

/// Goes on with a promotion that this box has noted and nobody is at: cut short by a crash, or without an answer. The primary may be
/// fenced, and then nobody else will serve; one that is not says so, which ends it. Asking keeps no operator from deciding otherwise.
async fn again(cms: Arc<Cms>, follower: Arc<Follower>) {
    let mut tries = interval(AGAIN);
    tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut said, mut pause) = (None, AGAIN);
    loop {
        tries.tick().await;
        let Some(term) = cms.box_file.promoting() else { continue };
        if cms.changing_role.try_lock().is_err() {
            continue;
        }
        if said.replace(term) != Some(term) {
            tracing::warn!(term, "a promotion is not at its end; asking the other manager again");
        }
        match make_way(&cms, &follower, term, true).await {
            Ok(()) => {}
            Err(problem) if may_have_yielded(&problem) => {
                tracing::debug!(%problem, "not yet");
                continue;
            }
            Err(problem) => {
                tracing::warn!(term, %problem, "the other manager has not made way: the promotion is given up");
                continue;
            }
        }
        if let Err(problem) = finish(&cms, term).await {
            tracing::error!(%problem, "the promotion that was cut short failed");
            pause = (pause * 2).min(AGAIN_MAX);
            tries.reset_after(pause);
        }
    }
}

/// Takes over after the primary has made way. The calling task ends with the life it belongs to, and this goes on.
async fn finish(cms: &Arc<Cms>, term: u64) -> Result<(), Problem> {
    let of_box = Arc::clone(cms);
    let finished = async move {
        let _turn = of_box.turn().await?;
        if of_box.box_file.promoting() != Some(term) {
            return Ok(());
        }
        let began_ms = weir_clock::monotonic_ms();
        take(&of_box, Promotion { term, caller: Caller::manager(), is_planned: true, lost: 0, began_ms }).await.map(drop)
    };
    cms.to_its_end("promote again", finished).await
}

/// Waits until a manager answers that it is primary with at least this term; whether it did in time.
pub(super) async fn serves(cms: &Arc<Cms>, primary: &DeviceName, term: u64, patience: Duration) -> bool {
    let known: Option<Known> = cms.now().known.clone();
    let Some(device) = known.as_ref().and_then(|known| known.manager(primary.as_str())).and_then(|manager| manager.device) else {
        return false;
    };
    let Some(kept) = cms.identity() else { return false };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_primary_that_is_not_fenced_ends_the_asking() {
        for (reason, expected) in [
            (Reason::Unavailable, true),
            (Reason::Internal, true),
            (Reason::HandingOver, true),
            // Its box is disabled, and it may have been fenced before.
            (Reason::CmsDisabled, true),
            (Reason::NotPrimary, true),
            (Reason::CmsState, false),
            (Reason::NoStandby, false),
            (Reason::PairMismatch, false),
        ] {
            assert_eq!(may_have_yielded(&Problem::new(reason, "d")), expected, "{reason:?}");
        }
    }
}
