//! What a manager finds in its state directory, or puts there when the network begins.

use super::{ManagerError, ManagerSettings, at};
use crate::{
    change::{Caller, NOTHING},
    domain::{enrolment, tokens},
    keep,
    network_key::NetworkKey,
    seal::{Seal, place},
    snapshot::DeviceRecord,
    tables::{self, migrations, settings},
};
use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use weir_database::{Database, DatabaseError, Maintenance};
use weir_device_api::Listeners;
use weir_model::{Role, Version};
use weir_net::{
    identity::{Authority, Subject, fingerprint_of},
    tls::{ClientAuth, first_certificate, server_config},
};
use weir_operator_api::{Addresses, AuditEntry};
use zeroize::Zeroizing;

/// How long a manager waits for the one before it on the same state to end.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(15);
const LOCK_RETRY: Duration = Duration::from_millis(100);
/// The term of a network's first primary.
const FIRST_TERM: u64 = 1;

/// Takes the lock; the worker before this one may need a moment to let go.
pub(crate) async fn lock(path: &Path) -> Result<File, ManagerError> {
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

/// Opens `config.db`, unless it is open, and `state.db`. A `state.db` that cannot be used is begun anew: devices tell it all again. What
/// it was before its last step stays beside it.
pub(super) async fn databases(state: PathBuf, config: Option<Database>) -> Result<(Database, Database), ManagerError> {
    let open = move || {
        let (now_ms, version) = (weir_clock::wall_ms(), weir_model::version());
        let config = match config {
            Some(config) => config,
            None => Database::open(&state.join("config.db"), migrations::CONFIG, now_ms, version)?,
        };
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

    /// Writes generation 1.
    fn write(self, tx: &rusqlite::Transaction<'_>, seal: &Seal) -> Result<(), ManagerError> {
        settings::set(tx, settings::NETWORK, &self.network_name)?;
        settings::set(tx, settings::PROFILE, &self.profile)?;
        settings::set(tx, settings::LEVEL, &Version::current().line.to_string())?;
        settings::set(tx, settings::PRIMARY, self.record.name.as_str())?;
        settings::set_number(tx, settings::TERM, FIRST_TERM)?;
        settings::set_number(tx, settings::GENERATION, 1)?;
        settings::add_keepalive_key(tx, seal, &self.keepalive_secret, self.record.enrolled_ms)?;
        tables::devices::insert(tx, &self.record, None)?;
        let after = serde_json::to_value(&self.record).expect("records are JSON");
        let entry = Self::entry("create", format!("network {}", self.network_name), after, 1);
        tables::audit::insert(tx, &entry)?;
        Ok(())
    }

    fn entry(verb: &str, object: String, after: serde_json::Value, generation: u64) -> AuditEntry {
        AuditEntry {
            id: 0,
            at_ms: weir_clock::wall_ms(),
            actor: Caller::manager().actor.to_string(),
            source: "local".to_owned(),
            verb: verb.to_owned(),
            object,
            before: NOTHING.cloned(),
            after: Some(after),
            generation,
            rev: None,
        }
    }
}

/// The network key of this box for this database, with the CA of the network. Makes both when there is no network yet; seals what a
/// build before sealing left plain, writes `config.db` anew, whose pages keep the bytes of what was there before, and then takes the CA's
/// plain key file away.
///
/// # Errors
/// [`ManagerError::KeyMissing`] when the key is not there or another one; the database, a file.
pub(crate) async fn network(state: &Path, config: &Database, settings: &ManagerSettings) -> Result<(Arc<Seal>, Authority), ManagerError> {
    let missing = |why: String| ManagerError::KeyMissing(why);
    let kept = NetworkKey::load(state).map_err(|error| missing(weir_telemetry::Chain(&error).to_string()))?;
    let sealed = config.read(|tx| Ok::<_, ManagerError>(tables::settings::get(tx, settings::CA_KEY)?.is_some())).await?;
    let key = match kept {
        Some(key) => key,
        None if sealed => return Err(missing("there is no network key on this box".to_owned())),
        None => NetworkKey::create(state).map_err(|error| missing(weir_telemetry::Chain(&error).to_string()))?,
    };
    let seal = Arc::new(Seal::new(&key));
    let (plain_key, now) = (state.join("ca.key"), weir_clock::wall());
    let first = FirstStart::new(settings)?;
    let (sealing, files) = (Arc::clone(&seal), state.to_owned());
    config.write(move |tx| begin(tx, &sealing, first, &files, now)).await?;
    let sealing = Arc::clone(&seal);
    let authority = config.read(move |tx| authority(tx, &sealing)).await?;
    keep_certificate(&state.join("ca.pem"), &authority)?;
    if plain_key.exists() {
        let path = state.join("config.db");
        let rewritten = tokio::task::spawn_blocking(move || weir_database::maintain(&path, Maintenance::Whole)).await;
        if let Err(error) = rewritten.unwrap_or(Err(DatabaseError::Closed)) {
            // The next start tries again: the plain key's file says that it is to be done.
            tracing::error!(error = %weir_telemetry::Chain(&error), "config.db still has bytes of secrets that were plain");
            return Ok((seal, authority));
        }
    }
    // What is sealed was just read back and opened: the plain one is of no use any more.
    match fs::remove_file(&plain_key) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(at("remove", &plain_key)(source)),
        _ => Ok((seal, authority)),
    }
}

/// Writes what a network begins with, or seals what an older build left plain; nothing in every other case. It is no changeset: a
/// changeset of sealing would hold what was plain.
fn begin(tx: &rusqlite::Transaction<'_>, seal: &Seal, first: FirstStart, state: &Path, now: SystemTime) -> Result<(), ManagerError> {
    if settings::get(tx, settings::CA_KEY)?.is_some() {
        return Ok(());
    }
    if settings::get(tx, settings::TERM)?.is_none() {
        put_authority(tx, seal, &Authority::create(&first.network_name, now)?)?;
        return first.write(tx, seal);
    }
    put_authority(tx, seal, &plain_authority(state)?)?;
    settings::seal_keepalive_keys(tx, seal)?;
    tables::software_files::seal_all(tx, seal)?;
    let generation = settings::number(tx, settings::GENERATION)?;
    let after = serde_json::json!({ "network_key": seal.fingerprint() });
    tables::audit::insert(tx, &FirstStart::entry("seal", "secrets of the network".to_owned(), after, generation))?;
    Ok(())
}

fn put_authority(tx: &rusqlite::Transaction<'_>, seal: &Seal, authority: &Authority) -> Result<(), ManagerError> {
    let key = Zeroizing::new(authority.key_pem());
    settings::set(tx, settings::CA_CERTIFICATE, authority.certificate_pem())?;
    settings::set(tx, settings::CA_KEY, &seal.seal(place::CA_KEY, key.as_bytes()))?;
    Ok(())
}

/// The CA in the files of a build that kept it there.
fn plain_authority(state: &Path) -> Result<Authority, ManagerError> {
    let (certificate, key) = (state.join("ca.pem"), state.join("ca.key"));
    if let Some(lost) = [&certificate, &key].into_iter().find(|p| !p.exists()) {
        return Err(ManagerError::AuthorityLost(lost.clone()));
    }
    let read = |path: &Path| fs::read_to_string(path).map_err(at("read", path));
    let key = Zeroizing::new(read(&key)?);
    Ok(Authority::load(&read(&certificate)?, &key)?)
}

/// The CA as the database holds it.
pub(crate) fn authority(tx: &rusqlite::Transaction<'_>, seal: &Seal) -> Result<Authority, ManagerError> {
    let of = |setting| settings::get(tx, setting)?.ok_or_else(|| ManagerError::KeyMissing(format!("config.db has no setting {setting}")));
    let (certificate, sealed) = (of(settings::CA_CERTIFICATE)?, of(settings::CA_KEY)?);
    let key = seal.open_text(place::CA_KEY, &sealed).map_err(|error| ManagerError::KeyMissing(error.to_string()))?;
    Ok(Authority::load(&certificate, &key)?)
}

/// The CA certificate as a file: what operators' clients are pointed at.
pub(crate) fn keep_certificate(path: &Path, authority: &Authority) -> Result<(), ManagerError> {
    let pem = authority.certificate_pem().as_bytes();
    if fs::read(path).is_ok_and(|kept| kept == pem) {
        return Ok(());
    }
    keep::file(path, pem).map_err(at("write", path))
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
