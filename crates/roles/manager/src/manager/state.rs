//! What a manager finds in its state directory, or puts there when the network begins.

use super::{ManagerError, ManagerSettings, at};
use crate::{
    change::{Caller, NOTHING},
    domain::{enrolment, tokens},
    keep,
    snapshot::DeviceRecord,
    tables::{self, migrations, settings},
};
use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use weir_database::{Database, DatabaseError};
use weir_device_api::Listeners;
use weir_model::{Role, Version};
use weir_net::{
    identity::{Authority, Subject, fingerprint_of},
    tls::{ClientAuth, first_certificate, server_config},
};
use weir_operator_api::{Addresses, AuditEntry};

/// How long a manager waits for the one before it on the same state to end.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(15);
const LOCK_RETRY: Duration = Duration::from_millis(100);
/// The term of a network's first primary.
const FIRST_TERM: u64 = 1;

/// Takes the lock; the worker before this one may need a moment to let go.
pub(super) async fn lock(path: &Path) -> Result<File, ManagerError> {
    let file = File::options().create(true).append(true).open(path).map_err(at("open", path))?;
    let deadline = weir_clock::monotonic() + LOCK_PATIENCE;
    let mut tries = tokio::time::interval(LOCK_RETRY);
    loop {
        tries.tick().await;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if weir_clock::monotonic() < deadline => {}
            Err(TryLockError::WouldBlock) => return Err(ManagerError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(at("lock", path)(source)),
        }
    }
}

/// Reads the CA, or makes it when there is no network yet.
pub(super) fn authority(state: &Path, network_name: &str, now: SystemTime) -> Result<Authority, ManagerError> {
    let (certificate, key) = (state.join("ca.pem"), state.join("ca.key"));
    if let Some(lost) = [&certificate, &key].into_iter().find(|p| !p.exists()) {
        if state.join("config.db").exists() {
            return Err(ManagerError::AuthorityLost(lost.clone()));
        }
        let authority = Authority::create(network_name, now)?;
        keep::file(&key, authority.key_pem().as_bytes()).map_err(at("write", &key))?;
        keep::file(&certificate, authority.certificate_pem().as_bytes()).map_err(at("write", &certificate))?;
    }
    let read = |path: &Path| fs::read_to_string(path).map_err(at("read", path));
    let key = zeroize::Zeroizing::new(read(&key)?);
    Ok(Authority::load(&read(&certificate)?, &key)?)
}

/// Opens `config.db` and `state.db`. A `state.db` that cannot be used is begun anew: devices tell it all again. What
/// it was before its last step stays beside it.
pub(super) async fn databases(state: PathBuf) -> Result<(Database, Database), ManagerError> {
    let open = move || {
        let (now_ms, version) = (weir_clock::wall_ms(), weir_model::version());
        let config = Database::open(&state.join("config.db"), migrations::CONFIG, now_ms, version)?;
        let path = state.join("state.db");
        match Database::open(&path, migrations::STATE, now_ms, version) {
            Ok(kept) => Ok((config, kept)),
            Err(error) if is_unusable(&error) => {
                tracing::warn!(error = %weir_telemetry::Chain(&error), "last reports and alarms are begun anew");
                weir_database::remove(&path)?;
                Ok((config, Database::open(&path, migrations::STATE, now_ms, version)?))
            }
            Err(error) => Err(error.into()),
        }
    };
    tokio::task::spawn_blocking(open).await.unwrap_or(Err(ManagerError::Database(DatabaseError::Closed)))
}

/// Whether the file is at fault, or the steps of this build on it: both would be so at each start. Not the disk or the moment.
fn is_unusable(error: &DatabaseError) -> bool {
    use DatabaseError::{Damaged, Migration, SchemaAhead, SchemaChanged, Touched, Unsound};
    matches!(error, Damaged { .. } | Migration { .. } | SchemaAhead { .. } | SchemaChanged { .. } | Touched { .. } | Unsound { .. })
}

/// What a new network begins with.
pub(super) struct FirstStart {
    record: DeviceRecord,
    network_name: String,
    profile: String,
    keepalive_secret: String,
}

impl FirstStart {
    pub(super) fn new(settings: &ManagerSettings) -> Result<Self, ManagerError> {
        let secret = tokens::random::<32>().map_err(ManagerError::Refused)?;
        let record = DeviceRecord {
            id: 0,
            name: settings.name.clone(),
            role: Role::Manager,
            active: true,
            location: None,
            weight: 0,
            capacity_mbps: None,
            activated_generation: 1,
            addresses: Addresses::default(),
            public_key_sha256: String::new(),
            certificate_sha256: String::new(),
            enrolled_with: String::new(),
            enrolled_ms: weir_clock::wall_ms(),
            revision: 1,
        };
        Ok(Self {
            record: DeviceRecord { addresses: enrolment::addresses(&settings.listeners), ..record },
            network_name: settings.network_name.clone(),
            profile: settings.profile.clone(),
            keepalive_secret: hex::encode(secret),
        })
    }

    /// Writes generation 1, unless there is a network already.
    pub(super) fn write(self, tx: &rusqlite::Transaction<'_>) -> Result<(), ManagerError> {
        if settings::get(tx, settings::TERM)?.is_some() {
            return Ok(());
        }
        settings::set(tx, settings::NETWORK, &self.network_name)?;
        settings::set(tx, settings::PROFILE, &self.profile)?;
        settings::set(tx, settings::LEVEL, &Version::current().line.to_string())?;
        settings::set(tx, settings::PRIMARY, self.record.name.as_str())?;
        settings::set_number(tx, settings::TERM, FIRST_TERM)?;
        settings::set_number(tx, settings::GENERATION, 1)?;
        settings::add_keepalive_key(tx, &self.keepalive_secret, self.record.enrolled_ms)?;
        tables::devices::insert(tx, &self.record, None)?;
        let entry = AuditEntry {
            id: 0,
            at_ms: self.record.enrolled_ms,
            actor: Caller::manager().actor.to_string(),
            source: "local".to_owned(),
            verb: "create".to_owned(),
            object: format!("network {}", self.network_name),
            before: NOTHING.cloned(),
            after: Some(serde_json::to_value(&self.record).expect("records are JSON")),
            generation: 1,
            rev: None,
        };
        tables::audit::insert(tx, &entry)?;
        Ok(())
    }
}

/// What the manager shows to those who connect.
pub(super) struct Certificate {
    pub(super) sha256: String,
    pub(super) tls: Arc<rustls::ServerConfig>,
    pub(super) device_tls: Arc<rustls::ServerConfig>,
}

/// A fresh certificate for this life of the manager; its key never leaves memory.
pub(super) fn certificate(authority: &Authority, settings: &ManagerSettings, now: SystemTime) -> Result<Certificate, ManagerError> {
    let Listeners { https, device, admin, .. } = settings.listeners;
    let mut addresses: BTreeSet<IpAddr> = settings.addresses.iter().copied().collect();
    addresses.extend([https, device, admin].into_iter().flatten().map(|a| a.ip()));
    let subject = Subject { device: settings.name.to_string(), role: Role::Manager.to_string() };
    let pair = authority.issue(&subject, &addresses.into_iter().collect::<Vec<_>>(), now)?;
    let der = first_certificate(&pair.certificate_pem).expect("what was just issued is a certificate");
    // The CA goes along, so that an enrolling device can pin it.
    let chain = format!("{}{}", pair.certificate_pem, authority.certificate_pem());
    let tls = server_config(&chain, &pair.key_pem, ClientAuth::None, &[b"h2", b"http/1.1"])?;
    let client_auth = ClientAuth::Optional { ca_pem: authority.certificate_pem() };
    let device_tls = server_config(&chain, &pair.key_pem, client_auth, &[b"h2", b"http/1.1"])?;
    Ok(Certificate { sha256: hex::encode(fingerprint_of(&der)), tls, device_tls })
}

#[cfg(test)]
mod tests;
