//! One life after the other: begun from what is found, served on the same sockets, ended by an order.

use super::{
    Cms, Fence, KeptIdentity, Life, fence, identity,
    look::{Known, Look, glance, look},
    role::{self, Promotion},
    settle::{Config, Facts, Key, Settled, settle},
};
use crate::{
    domain::users,
    follower::{Follower, FollowerParts},
    manager::{Manager, ManagerError, ManagerListeners},
    standby::Apart,
};
use axum::Router;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};
use weir_model::DeviceName;
use weir_operator_api::{CmsState, Problem, Reason, RoleChange};
use weir_telemetry::{Chain, Tasks};

/// Patience with requests under way when one life ends for another.
const LIFE_END: Duration = Duration::from_secs(5);

/// Ends the life that runs, for another one.
pub(super) enum Order {
    /// Look again.
    Settle,
    /// Somebody wants `config.db` alone.
    Hold {
        /// Why, one sentence.
        why: String,
        /// Told when the life has ended.
        done: oneshot::Sender<()>,
    },
    /// This standby becomes the primary.
    Promote {
        /// How.
        promotion: Promotion,
        /// Told once the new primary serves, or why it does not.
        done: oneshot::Sender<Result<RoleChange, Problem>>,
    },
    /// The box stops.
    Stop {
        /// Patience with requests under way.
        deadline: Duration,
        /// Told whether all was done.
        done: oneshot::Sender<bool>,
    },
}

/// Which life runs, as the worker is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LifeNow {
    /// How many there were before.
    pub number: u64,
    /// Whether it is that of a standby, which has an agent beside it.
    pub is_standby: bool,
    /// Whether it is that of the primary.
    pub is_primary: bool,
}

/// A life that was begun.
pub(super) enum Begun {
    Primary(Box<Manager>),
    /// The box is no primary: it follows one when it is the standby.
    Apart {
        apart: Apart,
        following: Option<Following>,
    },
}

/// A follower with what runs beside it.
pub(super) struct Following {
    follower: Arc<Follower>,
    tasks: Tasks,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Begun {
    /// Decides the state and opens what belongs to it.
    ///
    /// # Errors
    /// What belongs to it cannot be opened; or the promotion was not written.
    pub(super) async fn begin(cms: &Arc<Cms>, held: Option<String>, promotion: Option<&Promotion>) -> Result<Self, ManagerError> {
        let mut promotion = promotion;
        loop {
            cms.read_identity().await;
            let mut found = match (&held, cms.box_file.enabled()) {
                (Some(_), _) => Look::not_taken(None),
                // An older build may be the one that is to open it next: it is read and not migrated.
                (None, false) => Look::not_taken(glance(&cms.state).await),
                (None, true) => look(&cms.state, cms.name()).await,
            };
            if let Some(known) = found.known.take() {
                cms.now().known = Some(known);
            }
            if let (Some(promotion), Some(database)) = (promotion.take(), &found.database) {
                role::write(cms, database, promotion).await?;
                if let Some(database) = found.database.take() {
                    database.close().await;
                }
                continue;
            }
            let settled = settle(&facts(cms, &found, held.clone()));
            tracing::info!(state = settled.state.as_str(), why = settled.why.as_deref(), "CMS state");
            let begun = match settled.state {
                CmsState::Primary => Self::primary(cms, &mut found).await?,
                CmsState::Standby => Some(Self::standby(cms, &mut found).await?),
                _ => {
                    if let Some(database) = found.database.take() {
                        database.close().await;
                    }
                    Some(Self::disabled(cms)?)
                }
            };
            let Some(begun) = begun else { continue };
            let has_config = tokio::fs::try_exists(cms.state.join("config.db")).await.unwrap_or(true);
            let mut now = cms.now();
            now.unread = now.known.is_none() && (has_config || settled.state == CmsState::DisabledDamaged);
            (now.settled, now.life, now.local) = (settled, begun.life(), begun.local());
            return Ok(begun);
        }
    }

    /// `None`: another manager has a higher term, this box is fenced, and the state is another one.
    async fn primary(cms: &Arc<Cms>, found: &mut Look) -> Result<Option<Self>, ManagerError> {
        let known = cms.now().known.clone().filter(|_| matches!(found.config, Config::Present { .. }));
        let before = match &known {
            Some(known) => fence::ask_before(cms, known).await,
            None => None,
        };
        if let Some(fence) = before.as_ref().and_then(|before| before.fence.clone()) {
            if let Some(database) = found.database.take() {
                database.close().await;
            }
            fenced(cms, fence).await?;
            return Ok(None);
        }
        cms.doubts.begin(None);
        let manager = Manager::open(cms, found.database.take()).await?;
        let app = Arc::clone(manager.app());
        identity::issue(cms, &app.authority).await;
        let before = match before {
            Some(before) => before,
            None => fence::ask_others(&app).await,
        };
        if let Some(fence) = before.fence {
            fenced(cms, fence).await?;
            manager.stop(Duration::ZERO).await;
            return Ok(None);
        }
        cms.doubts.begin(before.doubt);
        // What is told belongs to the life: it must not keep it.
        let of_box = Arc::downgrade(cms);
        app.pair.when_fenced(move |_| {
            if let Some(cms) = of_box.upgrade() {
                tracing::warn!(term = cms.stamp().term, "not the primary any more");
                cms.settle_again();
            }
        });
        Ok(Some(Begun::Primary(Box::new(manager))))
    }

    async fn standby(cms: &Arc<Cms>, found: &mut Look) -> Result<Self, ManagerError> {
        let kept = cms.identity().ok_or_else(|| ManagerError::NotEnrolled(cms.state.clone()))?;
        let kept = identity::point_at(cms, kept, primary_of(cms)).await;
        let tasks = Tasks::new();
        let apart = Apart::new(Arc::clone(cms), Some(&kept))?;
        let follower = Follower::start(follower_parts(cms, kept, found), &tasks);
        role::watch(cms, &follower, &tasks);
        tasks.spawn("one-time passwords", users::forget_when_chosen(cms.state.clone(), Arc::clone(&follower)));
        Ok(Begun::Apart { apart, following: Some(Following { follower, tasks }) })
    }

    fn disabled(cms: &Arc<Cms>) -> Result<Self, ManagerError> {
        let apart = match Apart::new(Arc::clone(cms), cms.identity().as_ref()) {
            Ok(apart) => apart,
            // The control socket is where it is mended.
            Err(error) => {
                tracing::error!(error = %Chain(&error), "this box's identity cannot be used; it answers on its control socket only");
                Apart::new(Arc::clone(cms), None)?
            }
        };
        Ok(Begun::Apart { apart, following: None })
    }

    fn life(&self) -> Life {
        match self {
            Begun::Primary(manager) => Life::Primary(Arc::clone(manager.app())),
            Begun::Apart { following: Some(following), .. } => Life::Standby(Arc::clone(&following.follower)),
            Begun::Apart { following: None, .. } => Life::Disabled,
        }
    }

    fn local(&self) -> Router {
        match self {
            Begun::Primary(manager) => manager.local(),
            Begun::Apart { apart, .. } => apart.local(),
        }
    }

    /// Serves on copies of the listening sockets, which stay open for the next life.
    pub(super) async fn serve(&self, cms: &Cms, listeners: &ManagerListeners) -> Result<(), ManagerError> {
        let own = listeners.try_clone().map_err(ManagerError::Serve)?;
        match self {
            Begun::Primary(manager) => manager.serve(own).await?,
            Begun::Apart { apart, .. } => apart.serve(own)?,
        }
        let (is_primary, is_standby) = (matches!(self.life(), Life::Primary(_)), matches!(self.life(), Life::Standby(_)));
        cms.lives.send_modify(|now| *now = LifeNow { number: now.number + 1, is_standby, is_primary });
        Ok(())
    }

    /// Ends it and closes its databases; whether all was done in time.
    pub(super) async fn end(self, cms: &Cms, deadline: Duration) -> bool {
        {
            let mut now = cms.now();
            (now.life, now.local) = (Life::Disabled, super::control::between());
        }
        match self {
            Begun::Primary(manager) => {
                let stamp = manager.app().network().stamp;
                if let Some(known) = &mut cms.now().known {
                    (known.term, known.generation) = (stamp.term, stamp.generation);
                }
                manager.stop(deadline).await
            }
            Begun::Apart { apart, following } => {
                if let Some(following) = following {
                    following.follower.close().await;
                }
                apart.stop(deadline).await
            }
        }
    }
}

async fn fenced(cms: &Arc<Cms>, fence: Fence) -> Result<(), ManagerError> {
    let file = Arc::clone(&cms.box_file);
    let written = tokio::task::spawn_blocking(move || file.fence(fence)).await;
    let written = written.unwrap_or_else(|_| Err(std::io::ErrorKind::Interrupted.into()));
    written.map_err(crate::manager::at("write box.json in", &cms.state))
}

fn facts(cms: &Cms, found: &Look, held: Option<String>) -> Facts {
    Facts {
        name: cms.name().clone(),
        disabled: (!cms.box_file.enabled()).then(|| cms.box_file.why()),
        held,
        config: found.config.clone(),
        key: found.key.clone(),
        enrolled_with: cms.identity_or_why().map(|kept| kept.map(|kept| kept.manager_name)),
        had_network: found.had_files || cms.journal.end().0 > 0,
        fence: cms.box_file.fenced(),
    }
}

fn follower_parts(cms: &Cms, kept: KeptIdentity, found: &mut Look) -> FollowerParts {
    FollowerParts {
        name: cms.name().clone(),
        directory: cms.state.clone(),
        config: found.database.take(),
        journal: Arc::clone(&cms.journal),
        box_file: Arc::clone(&cms.box_file),
        ca_pem: kept.ca_pem,
        certificate_pem: kept.certificate_pem,
        key_pem: kept.key_pem,
        manager: (kept.manager_name != *cms.name()).then_some(kept.manager),
        listeners: cms.settings.listeners,
    }
}

/// The primary as far as this box knows: whoever fenced it, else whom `config.db` names.
fn primary_of(cms: &Cms) -> Option<(DeviceName, SocketAddr, Option<SocketAddr>)> {
    let known: Option<Known> = cms.now().known.clone();
    let term = known.as_ref().map_or(0, |known| known.term);
    let fence = cms.box_file.fenced().filter(|fence| fence.term > term);
    let api_of = |name: &DeviceName| known.as_ref().and_then(|known| known.manager(name.as_str())).and_then(|manager| manager.api);
    if let Some((name, device)) = fence.and_then(|fence| Some((fence.name?, fence.address?))) {
        let api = api_of(&name);
        return Some((name, device, api));
    }
    let known = known?;
    let named = known.manager(known.primary.as_str()).filter(|manager| manager.name != *cms.name());
    let named = named.or_else(|| known.others(cms.name()).next())?;
    Some((named.name.clone(), named.device?, named.api))
}

/// Runs lives until the box stops.
pub(super) async fn run(cms: Arc<Cms>, first: Begun, listeners: ManagerListeners, mut orders: mpsc::Receiver<Order>) {
    let mut life = Some(first);
    while let Some(order) = orders.recv().await {
        // Whoever holds the box decides the state anew when it lets go.
        if let (Order::Settle, Some(_)) = (&order, cms.held_for()) {
            continue;
        }
        let order = match (order, cms.held_for()) {
            (Order::Promote { done, .. }, Some(why)) => {
                let _ = done.send(Err(Problem::new(Reason::CmsState, format!("on this box {why}"))));
                continue;
            }
            (order, _) => order,
        };
        let deadline = if let Order::Stop { deadline, .. } = &order { *deadline } else { LIFE_END };
        let ended = match life.take() {
            Some(life) => life.end(&cms, deadline).await,
            None => true,
        };
        if !ended && !matches!(order, Order::Stop { .. }) {
            tracing::warn!("some requests were cut off when this box changed its state");
        }
        let mut has_it_alone = None;
        let (held, promotion, told) = match order {
            Order::Settle => (None, None, None),
            Order::Hold { why, done } => {
                has_it_alone = Some(done);
                (Some(why), None, None)
            }
            Order::Promote { promotion, done } => (None, Some(promotion), Some(done)),
            Order::Stop { done, .. } => {
                let _ = done.send(ended);
                return;
            }
        };
        let (begun, outcome) = next(&cms, &listeners, held, promotion).await;
        life = begun;
        if let Some(done) = has_it_alone {
            // Whoever asked may have gone, and has let go of the box then.
            let _ = done.send(());
        }
        if let Some(told) = told {
            let _ = told.send(outcome);
        }
    }
}

/// Begins the next life; one that cannot be begun leaves the box disabled, with the reason.
async fn next(
    cms: &Arc<Cms>,
    listeners: &ManagerListeners,
    held: Option<String>,
    promotion: Option<Promotion>,
) -> (Option<Begun>, Result<RoleChange, Problem>) {
    let none = || Err(Problem::new(Reason::CmsState, "this box is not the primary"));
    match serve_next(cms, listeners, held, promotion.as_ref()).await {
        Ok(begun) => {
            let outcome = match (&promotion, begun.life()) {
                (Some(promotion), Life::Primary(_)) => Ok(role::done(cms, promotion).await),
                _ => none(),
            };
            (Some(begun), outcome)
        }
        Err(error) => {
            let why = Chain(&error).to_string();
            tracing::error!(error = why, "this box is disabled: what belongs to its state does not run");
            let outcome = Err(Problem::new(Reason::Internal, why.clone()));
            // A promotion that was not written leaves a standby.
            let again = if promotion.is_some() { serve_next(cms, listeners, None, None).await.ok() } else { None };
            let begun = match again {
                Some(begun) => Some(begun),
                None => serve_next(cms, listeners, Some(why), None).await.ok(),
            };
            (begun, outcome)
        }
    }
}

async fn serve_next(
    cms: &Arc<Cms>,
    listeners: &ManagerListeners,
    held: Option<String>,
    promotion: Option<&Promotion>,
) -> Result<Begun, ManagerError> {
    let begun = Begun::begin(cms, held, promotion).await?;
    begun.serve(cms, listeners).await?;
    Ok(begun)
}

impl Look {
    /// Somebody else has `config.db` alone, or nobody is to open it.
    fn not_taken(known: Option<Known>) -> Self {
        Self { config: Config::Absent, key: Key::Opens, known, database: None, had_files: false }
    }
}

impl Settled {
    /// Whether the box serves nothing but its status.
    pub(super) fn is_disabled(&self) -> bool {
        !matches!(self.state, CmsState::Primary | CmsState::Standby)
    }
}
