//! Sees a switch of this box to its end: looks at the box, and does what the rule says.

use super::{BACK, KeeperAsk, own_slot, tended};
use crate::cms::{
    Cms, Life, SwitchNote,
    control::{downgrade as way_back, enabled},
    downgrade, fence,
};
use std::{sync::Arc, time::Duration};
use tended::{Here, Next, Runs};
use weir_operator_api::{CmsState, DowngradeRequest, Problem, Reason};
use weir_slots::SlotRef;

/// How often a box that becomes another version looks at itself.
const PERIOD: Duration = Duration::from_millis(500);
/// A primary that was heard in this time is one that the standby hears.
const CONTACT_MS: u64 = 3_000;

/// Tends until the box stops.
pub(in crate::cms) async fn run(cms: Arc<Cms>) {
    let mut stopping = cms.stopping.subscribe();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut tending = Tending { life: 0, since_ms: weir_clock::monotonic_ms(), said: String::new() };
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
        let Some(note) = cms.box_file().switch() else { continue };
        let done = tending.tend(&cms, &note).await;
        let trouble = done.err().map_or_else(String::new, |problem| problem.to_string());
        if !trouble.is_empty() && trouble != tending.said {
            tracing::error!(trouble, "this box goes on becoming another version, and this keeps it");
        }
        tending.said = trouble;
    }
}

struct Tending {
    /// The life that was seen last, and since when.
    life: u64,
    since_ms: u64,
    said: String,
}

impl Tending {
    async fn tend(&mut self, cms: &Arc<Cms>, note: &SwitchNote) -> Result<(), Problem> {
        let life = cms.lives().borrow().number;
        if life != self.life {
            (self.life, self.since_ms) = (life, weir_clock::monotonic_ms());
        }
        let here = self.here(cms, note).await;
        match tended::next(note, here) {
            Next::Nothing => Ok(()),
            Next::Commit => ask(cms, KeeperAsk::Commit).await,
            Next::Back => ask(cms, KeeperAsk::Back { reason: BACK }).await,
            Next::Database => take_back(cms).await,
            Next::Forget => {
                tracing::info!(version = %note.to, "this box has become another version");
                let (file, note) = (Arc::clone(cms.box_file()), note.clone());
                let written = tokio::task::spawn_blocking(move || file.end_switch(&note)).await;
                let written = written.unwrap_or_else(|_| Err(std::io::ErrorKind::Interrupted.into()));
                written.map_err(|error| Problem::new(Reason::Internal, format!("box.json cannot be written: {error}")))
            }
        }
    }

    async fn here(&self, cms: &Arc<Cms>, note: &SwitchNote) -> Here {
        let of_box = Arc::clone(cms);
        let read = tokio::task::spawn_blocking(move || {
            let record = of_box.boot_record()?;
            let own = own_slot(&of_box.data(), &record)?;
            Some((record, own))
        });
        let now_ms = weir_clock::monotonic_ms();
        let own_version = weir_model::version().parse().ok();
        let runs = match (read.await.ok().flatten(), own_version) {
            (Some((record, SlotRef { manifest, .. })), Some(version)) => tended::runs(note, &record, &manifest.to_string(), version),
            _ => Runs::Other,
        };
        let why = cms.box_file().why();
        let half_back = [downgrade::WHY_BEFORE, downgrade::WHY].map(Some).contains(&why.as_deref());
        let state = cms.state();
        let ahead = state == CmsState::DisabledSchemaAhead || half_back;
        Here {
            runs,
            state,
            since_ms: now_ms.saturating_sub(self.since_ms),
            held: cms.held_for().is_some(),
            half_back,
            frozen: cms.box_file().frozen(cms.stamp().term).is_some(),
            in_contact: match cms.life() {
                Life::Standby(follower) => follower.primary_seen().is_some_and(|seen| now_ms.saturating_sub(seen.at_ms) <= CONTACT_MS),
                _ => false,
            },
            together: ahead && matches!(runs, Runs::Target | Runs::OnTrial) && note.way_back && together(cms).await,
        }
    }
}

/// Whether every other active manager says that it runs what this box runs.
pub(in crate::cms) async fn together(cms: &Cms) -> bool {
    let known = cms.now().known.clone();
    let Some(known) = known else { return false };
    let said = fence::say(cms).await;
    let is_there = |name| said.iter().any(|hello| hello.name == name && hello.version == weir_model::version());
    known.others(cms.name()).all(|manager| is_there(manager.name.clone()))
}

async fn ask(cms: &Arc<Cms>, word: KeeperAsk) -> Result<(), Problem> {
    let Some(keeper) = cms.settings().keeper.clone() else { return Ok(()) };
    tracing::info!(?word, "asks the keeper");
    let asked = tokio::task::spawn_blocking(move || keeper(word)).await;
    let asked = asked.unwrap_or_else(|error| Err(error.to_string()));
    asked.map_err(|why| Problem::new(Reason::Unavailable, format!("the keeper is not asked: {why}")))
}

/// Takes the database back to what this build reads, and enables the box.
async fn take_back(cms: &Arc<Cms>) -> Result<(), Problem> {
    way_back::take_back(cms, DowngradeRequest::default()).await?;
    enabled(cms).await.map(drop)
}
