//! What a box says of itself, in every state.

use super::{Cms, Life, settle::Settled};
use crate::{follower, network_key::NetworkKey, tables::migrations};
use std::sync::Arc;
use weir_device_api::PairHello;
use weir_model::version;
use weir_operator_api::{CmsInfo, CmsState, PrimaryAddress};

impl Cms {
    /// The state, why, and what to do next.
    pub(super) fn standing(&self) -> Settled {
        self.now().settled.clone()
    }

    /// Everything. Reads the key's file and, on a primary, the database.
    pub(crate) async fn info(self: &Arc<Self>) -> CmsInfo {
        let Settled { state, why, mut next } = self.standing();
        let life = self.life();
        let hello = self.hello().await;
        let (at, unreplicated) = (self.state.clone(), self.state.clone());
        let read = tokio::task::spawn_blocking(move || (NetworkKey::load(&at), follower::unreplicated::list(&unreplicated))).await;
        let (key, unreplicated) = read.unwrap_or_else(|_| (Ok(None), Vec::new()));
        if !unreplicated.is_empty() {
            next.push("weir cms unreplicated: make again what is still wanted, then `weir cms unreplicated dismiss NAME`".to_owned());
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
            key_fingerprint: key.ok().flatten().map(|key| key.fingerprint()),
            pair: match &life {
                Life::Primary(app) => app.pair.info(app),
                Life::Standby(follower) => follower.info(),
                Life::Disabled => None,
            },
            unreplicated,
        }
    }

    /// Where this box stands.
    pub(crate) async fn hello(self: &Arc<Self>) -> PairHello {
        match self.life() {
            Life::Primary(app) => match crate::pair::hello(&app).await {
                Ok(hello) => hello,
                Err(_) => self.hello_of_disk(),
            },
            Life::Standby(follower) => follower.hello(),
            Life::Disabled => self.hello_of_disk(),
        }
    }

    /// As `config.db` said when it was last looked at.
    fn hello_of_disk(&self) -> PairHello {
        let (journal, journal_hash) = self.journal.end();
        let fence = self.box_file.fenced().map_or(0, |fence| fence.term);
        let listeners = self.settings.listeners;
        let known = self.now().known.clone();
        PairHello {
            name: self.name().clone(),
            version: version().to_owned(),
            primary: false,
            term: known.as_ref().map_or(0, |known| known.term).max(fence),
            step: if known.is_some() { migrations::newest() } else { 0 },
            rev: known.as_ref().map_or(0, |known| known.rev),
            hash: known.as_ref().map_or_else(String::new, |known| known.hash.clone()),
            digest: known.map_or_else(String::new, |known| known.digest),
            journal,
            journal_hash,
            device: listeners.device,
            api: listeners.https,
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
        let kept = self.identity.kept().filter(|kept| kept.manager_name != *self.name())?;
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
        let kept = self.identity.kept().filter(|kept| kept.manager_name != *self.name())?;
        Some(kept.manager.to_string())
    }

    /// Whether the box serves nothing but its status.
    pub(crate) fn is_disabled(&self) -> bool {
        self.standing().is_disabled()
    }

    /// The CMS state.
    pub(crate) fn state(&self) -> CmsState {
        self.standing().state
    }
}
