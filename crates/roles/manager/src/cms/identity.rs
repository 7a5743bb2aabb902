//! The certificate this box shows when it is not the primary, and its client certificate to the other manager. The device's agent
//! keeps it on disk; roles do not know the agent, so `bin/weir` gives the two functions.

use super::Cms;
use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError},
};
use weir_model::{DeviceName, Role};
use weir_net::identity::{Authority, Subject};

/// What an enrolled device keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptIdentity {
    /// Certificate, PEM.
    pub certificate_pem: String,
    /// Private key, PEM.
    pub key_pem: String,
    /// The network's CA certificate, PEM.
    pub ca_pem: String,
    /// Device API of the manager to ask first.
    pub manager: SocketAddr,
    /// Its name; this box's own when it made the network.
    pub manager_name: DeviceName,
    /// Its operator API.
    pub manager_api: Option<SocketAddr>,
}

/// Reads what is kept; an error is a sentence.
pub type ReadIdentity = Arc<dyn Fn() -> Result<Option<KeptIdentity>, String> + Send + Sync>;
/// Keeps it, durably; an error is a sentence.
pub type KeepIdentity = Arc<dyn Fn(&KeptIdentity) -> Result<(), String> + Send + Sync>;

/// How this box's identity is read and kept. Both block on the disk.
#[derive(Clone)]
pub struct OwnIdentity {
    /// Reads it.
    pub read: ReadIdentity,
    /// Keeps it.
    pub keep: KeepIdentity,
}

impl Cms {
    /// The identity as it was last read or kept.
    pub(super) fn identity(&self) -> Option<KeptIdentity> {
        self.identity_or_why().ok().flatten()
    }

    /// The same, or why it could not be read.
    pub(super) fn identity_or_why(&self) -> Result<Option<KeptIdentity>, String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads it anew: the agent beside a standby may have another since.
    pub(super) async fn read_identity(&self) {
        let read = Arc::clone(&self.identity.read);
        let read = tokio::task::spawn_blocking(move || read()).await;
        let read = read.unwrap_or_else(|_| Err("reading it failed".to_owned()));
        if let Err(error) = &read {
            tracing::error!(error, "this box's identity cannot be read");
        }
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = read;
    }

    async fn keep_identity(&self, identity: KeptIdentity) -> Result<(), String> {
        let (keep, kept) = (Arc::clone(&self.identity.keep), identity.clone());
        let done = tokio::task::spawn_blocking(move || keep(&kept)).await;
        done.unwrap_or_else(|_| Err("keeping it failed".to_owned()))?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Ok(Some(identity));
        Ok(())
    }
}

/// Issues this box, which holds the CA key, a certificate for the time when it is not the primary any more, and keeps it.
pub(super) async fn issue(cms: &Cms, authority: &Authority) {
    let listeners = cms.settings.listeners;
    let Some(manager) = listeners.device.or(listeners.https) else { return };
    let addresses: Vec<_> = [listeners.https, listeners.device].into_iter().flatten().map(|address| address.ip()).collect();
    let subject = Subject { device: cms.settings.name.to_string(), role: Role::Manager.to_string() };
    let pair = match authority.issue(&subject, &addresses, weir_clock::wall()) {
        Ok(pair) => pair,
        Err(error) => return tracing::error!(error = %weir_telemetry::Chain(&error), "no certificate for the time as standby"),
    };
    let identity = KeptIdentity {
        certificate_pem: pair.certificate_pem,
        key_pem: pair.key_pem,
        ca_pem: authority.certificate_pem().to_owned(),
        manager,
        manager_name: cms.settings.name.clone(),
        manager_api: listeners.https,
    };
    if let Err(error) = cms.keep_identity(identity).await {
        tracing::error!(error, "the certificate for the time as standby is not kept");
    }
}

/// Points the kept identity at this primary, so that the agent beside a standby asks there first.
pub(super) async fn point_at(cms: &Cms, kept: KeptIdentity, primary: Option<(DeviceName, SocketAddr, Option<SocketAddr>)>) -> KeptIdentity {
    let Some((name, device, api)) = primary else { return kept };
    let pointed = KeptIdentity { manager: device, manager_name: name, manager_api: api.or(kept.manager_api), ..kept.clone() };
    if pointed != kept
        && let Err(error) = cms.keep_identity(pointed.clone()).await
    {
        tracing::error!(error, "where the primary is, is not kept");
    }
    pointed
}
