//! What a box says of itself, in every state.

use super::{Cms, Life, settle::Settled};
use crate::{follower, network_key::NetworkKey, tables::migrations};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use weir_device_api::PairHello;
use weir_model::version;
use weir_operator_api::{CmsInfo, CmsState, PairCondition, PairInfo, PrimaryAddress, Problem, Reason, UnreplicatedFile};

/// A directory that has not changed for so long is taken as it was read: two changes within one tick of a file system's clock have
/// one time.
const TICK: Duration = Duration::from_secs(2);

impl Cms {
    /// The state, why, and what to do next.
    pub(super) fn standing(&self) -> Settled {
        self.now().settled.clone()
    }

    /// Everything, for whoever may open the control socket or is signed in. Reads the key's file and, on a primary, the database; in a
    /// downgrade it asks the other manager.
    pub(crate) async fn info(self: &Arc<Self>) -> CmsInfo {
        let (of_box, state) = (Arc::clone(self), self.state.clone());
        let read = tokio::task::spawn_blocking(move || (NetworkKey::load(&state), of_box.unreplicated.of(&of_box.state))).await;
        let (key, unreplicated) = read.unwrap_or_else(|_| (Ok(None), Vec::new()));
        let mut info = self.info_of_memory().await;
        if info.state == CmsState::DisabledSchemaAhead
            && let Some(first) = self.first_on_the_other_box().await
        {
            info.next.insert(0, first);
        }
        if !unreplicated.is_empty() {
            let next = "weir cms unreplicated: make again what is still wanted, then `weir cms unreplicated dismiss NAME`";
            info.next.push(next.to_owned());
        }
        let held = key.ok().flatten().map(|key| key.fingerprint());
        CmsInfo { key_fingerprint: held, unreplicated, ..info }
    }

    /// What anybody may know who reaches a box that is not the primary: its state, how the pair stands, what to do next.
    pub(crate) async fn info_for_anybody(self: &Arc<Self>) -> CmsInfo {
        let info = self.info_of_memory().await;
        let pair = info.pair.map(|pair| PairInfo { detail: stands(pair.condition).to_owned(), ..pair });
        CmsInfo { why: None, digest: String::new(), pair, ..info }
    }

    async fn info_of_memory(self: &Arc<Self>) -> CmsInfo {
        let Settled { state, mut why, mut next } = self.standing();
        let life = self.life();
        let hello = self.hello().await;
        if let (Life::Primary(_), Some((doubt, way_out))) = (&life, self.doubts.told()) {
            why = Some(doubt);
            next.extend(way_out);
        }
        CmsInfo {
            name: self.name().clone(),
            state,
            why,
            next,
            version: version().to_owned(),
            term: hello.term,
            generation: self.stamp().generation,
            rev: hello.rev,
            digest: hello.digest,
            step: hello.step,
            step_min: migrations::schema().span.min,
            step_max: migrations::newest(),
            key_fingerprint: None,
            pair: match &life {
                Life::Primary(app) => app.pair.info(app),
                Life::Standby(follower) => follower.info(),
                Life::Disabled => None,
            },
            unreplicated: Vec::new(),
        }
    }

    /// Where this box stands.
    pub(crate) async fn hello(self: &Arc<Self>) -> PairHello {
        let hello = match self.life() {
            Life::Primary(app) => match crate::pair::hello(&app).await {
                Ok(hello) => hello,
                Err(_) => self.hello_of_disk(),
            },
            Life::Standby(follower) => follower.hello(),
            Life::Disabled => self.hello_of_disk(),
        };
        PairHello { cms: self.state().as_str().to_owned(), switch: self.switch_stand(), ..hello }
    }

    /// The same for another manager, which draws its conclusions from it.
    ///
    /// # Errors
    /// [`Reason::CmsDisabled`]: the `config.db` of this box is out of reach, and nobody can say where it stands. It counts as silent.
    pub(crate) async fn hello_told(self: &Arc<Self>) -> Result<PairHello, Problem> {
        let is_unread = {
            let now = self.now();
            now.unread && matches!(now.life, Life::Disabled)
        };
        if is_unread {
            let detail = format!("{} cannot read its configuration and does not say where it stands", self.name());
            return Err(Problem::new(Reason::CmsDisabled, detail).next_step("run `weir cms info` on its box"));
        }
        Ok(self.hello().await)
    }

    /// As `config.db` said when it was last looked at.
    fn hello_of_disk(&self) -> PairHello {
        let (journal, journal_hash) = self.journal.end();
        let fence = self.box_file.fenced().map_or(0, |fence| fence.term);
        let listeners = self.settings.listeners;
        let known = self.now().known.clone();
        let term = known.as_ref().map_or(0, |known| known.term);
        PairHello {
            name: self.name().clone(),
            version: version().to_owned(),
            primary: false,
            term,
            heard: term.max(fence),
            step: known.as_ref().map_or(0, |known| known.step),
            rev: known.as_ref().map_or(0, |known| known.rev),
            hash: known.as_ref().map_or_else(String::new, |known| known.hash.clone()),
            digest: known.map_or_else(String::new, |known| known.digest),
            journal,
            journal_hash,
            device: listeners.device,
            api: listeners.https,
            cms: String::new(),
            switch: None,
        }
    }

    /// Name of the network, as far as this box knows.
    pub(crate) fn network_name(&self) -> String {
        self.now().known.as_ref().map_or_else(|| self.settings.network_name.clone(), |known| known.network.clone())
    }

    /// The primary as a standby knows it: as it was heard, else as the identity says.
    pub(crate) fn primary(&self) -> Option<PrimaryAddress> {
        if let Life::Standby(follower) = self.life()
            && let Some(seen) = follower.primary_seen()
            && let Some(api) = seen.hello.api
        {
            return Some(PrimaryAddress { name: seen.hello.name, url: format!("https://{api}") });
        }
        let kept = self.identity().filter(|kept| kept.manager_name != *self.name())?;
        let url = kept.manager_api.map_or_else(|| "its operator API".to_owned(), |api| format!("https://{api}"));
        Some(PrimaryAddress { name: kept.manager_name, url })
    }

    /// Where devices ask instead, in words.
    pub(crate) fn device_address_of_primary(&self) -> Option<String> {
        if let Life::Standby(follower) = self.life()
            && let Some(device) = follower.primary_seen().and_then(|seen| seen.hello.device)
        {
            return Some(device.to_string());
        }
        let kept = self.identity().filter(|kept| kept.manager_name != *self.name())?;
        Some(kept.manager.to_string())
    }

    /// The CMS state.
    pub(crate) fn state(&self) -> CmsState {
        self.standing().state
    }

    /// Whether the box serves nothing but its status.
    pub(crate) fn is_disabled(&self) -> bool {
        self.standing().is_disabled()
    }
}

/// How a pair stands, without a name, an address or a place.
fn stands(condition: PairCondition) -> &'static str {
    match condition {
        PairCondition::Waiting => "the other manager has not been heard yet",
        PairCondition::Matched => "this box has each write before it is acknowledged",
        PairCondition::Syncing => "this box takes what it lacks",
        PairCondition::Lagging => "this box is behind, or the primary is silent",
        PairCondition::Mismatch => "the two managers run different versions",
    }
}

/// What lies in `unreplicated/`, read again when that directory has changed.
#[derive(Default)]
pub(super) struct Listed(Mutex<Option<(SystemTime, Vec<UnreplicatedFile>)>>);

impl Listed {
    /// Blocks.
    fn of(&self, state: &Path) -> Vec<UnreplicatedFile> {
        let Ok(changed) = std::fs::metadata(state.join(follower::unreplicated::DIRECTORY)).and_then(|of| of.modified()) else {
            return Vec::new();
        };
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*listed {
            Some((then, files)) if *then == changed && weir_clock::wall().duration_since(changed).is_ok_and(|age| age > TICK) => {
                files.clone()
            }
            _ => {
                let files = follower::unreplicated::list(state);
                *listed = Some((changed, files.clone()));
                files
            }
        }
    }
}
