//! The other managers of a network that is restored: by the backup and by what this box has, asked with a certificate of the backup's
//! own CA. A box that takes another's place has no certificate of that network yet.

use super::{Scratch, of_manager, open};
use crate::{
    backup::restore::{self, OnRecord, Said},
    cms::{Cms, fence::Asker},
    manager::{ManagerError, authority},
    tables::devices,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use weir_model::{DeviceName, Role};
use weir_net::identity::Subject;
use weir_operator_api::{BackupManifest, Problem, Reason};

/// Who they are, and how they are asked.
pub(super) struct Others {
    /// Where each is; absent: nobody knows, and it counts as silent.
    addresses: BTreeMap<DeviceName, Option<SocketAddr>>,
    /// Whether this box's own record names all of them.
    on_record: OnRecord,
    ca_pem: String,
    certificate_pem: String,
    key_pem: String,
    /// Every term one of them said that it has or has heard of.
    terms: Mutex<Vec<u64>>,
}

impl Others {
    /// Of a backup that lies in the scratch directory.
    pub(super) async fn of(cms: &Arc<Cms>, scratch: &Scratch, manifest: &BackupManifest) -> Result<Self, Problem> {
        let (database, seal) = open(cms, scratch).await?;
        let read = database.read(move |tx| Ok::<_, ManagerError>((authority(tx, &seal)?, devices::all(tx)?)));
        let read = read.await;
        database.close().await;
        let (authority, devices) = read.map_err(of_manager)?;
        let (state, network_id) = (cms.state_directory().to_owned(), manifest.network_id.clone());
        let here = tokio::task::spawn_blocking(move || restore::managers_here(&state, &network_id)).await;
        let (here, on_record) = here.map_err(|_| Problem::new(Reason::Internal, "reading who the other managers are failed"))?;
        let of_backup = devices.into_iter().filter(|device| device.role == Role::Manager);
        let mut addresses: BTreeMap<_, _> = of_backup.map(|device| (device.name, device.addresses.device)).collect();
        // What this box knows is newer than the backup.
        addresses.extend(here);
        if let Some(fence) = cms.box_file().fenced()
            && let (Some(name), Some(address)) = (fence.name, fence.address)
        {
            addresses.insert(name, Some(address));
        }
        addresses.remove(cms.name());
        let subject = Subject { device: cms.name().to_string(), role: Role::Manager.to_string() };
        let pair = authority.issue(&subject, &[], weir_clock::wall()).map_err(|error| of_manager(error.into()))?;
        Ok(Self {
            addresses,
            on_record,
            ca_pem: authority.certificate_pem().to_owned(),
            certificate_pem: pair.certificate_pem,
            key_pem: pair.key_pem,
            terms: Mutex::default(),
        })
    }

    /// Whether a restore may go on by what each says now; whether all there may be were heard.
    pub(super) async fn allow(&self, accept_loss: bool) -> Result<bool, Problem> {
        restore::may_take_over(&self.ask().await, &self.on_record, accept_loss)
    }

    /// What each says now.
    pub(super) async fn ask(&self) -> Vec<Said> {
        let known = self.addresses.iter().filter_map(|(name, address)| Some((name.clone(), (*address)?))).collect();
        let mut said: BTreeMap<_, _> = self.addresses.keys().map(|name| (name.clone(), None)).collect();
        if let Some(asker) = Asker::new(&self.ca_pem, &self.certificate_pem, &self.key_pem) {
            said.extend(asker.asked(known, None).await);
        }
        let mut terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        terms.extend(said.values().flatten().flat_map(|hello| [hello.term, hello.heard]));
        said.into_iter()
            .map(|(name, hello)| Said { name: name.to_string(), hello: hello.map(|hello| (hello.term, hello.primary)) })
            .collect()
    }

    /// Every term that was said so far.
    pub(super) fn terms(&self) -> Vec<Option<u64>> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().map(Some).collect()
    }
}
