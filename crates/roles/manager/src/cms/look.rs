//! What a box finds of itself on its disk: `config.db` opened or why not, the key, the identity. Blocks on the disk.

use super::settle::{Config, Key};
use crate::{
    network_key::NetworkKey,
    seal::{Seal, Settled as Sealed, settled},
    tables::{changesets, devices, migrations, settings},
};
use rusqlite::Transaction;
use std::{net::SocketAddr, path::Path, sync::Arc};
use weir_database::{Database, DatabaseError};
use weir_model::{DeviceName, Role};
use weir_telemetry::Chain;

/// What a box that made a network or was enrolled has beside its `config.db`.
const FILES_OF_A_NETWORK: [&str; 2] = ["network.key", "ca.pem"];

/// A manager as `config.db` knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownManager {
    pub(crate) name: DeviceName,
    /// Its device API.
    pub(crate) device: Option<SocketAddr>,
    /// Its operator API.
    pub(crate) api: Option<SocketAddr>,
    /// Whether it is one to ask, to follow and to promote.
    pub(crate) active: bool,
}

/// What a `config.db` that opened says.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) network: String,
    pub(crate) primary: DeviceName,
    pub(crate) term: u64,
    pub(crate) generation: u64,
    /// Newest schema step, by its own ledger.
    pub(crate) step: u32,
    pub(crate) rev: u64,
    /// Chain hash at `rev`, hex; empty before the first changeset.
    pub(crate) hash: String,
    /// Digest at `rev`, hex; empty before the first changeset.
    pub(crate) digest: String,
    /// Every manager on record.
    pub(crate) managers: Vec<KnownManager>,
}

impl Known {
    /// A manager on record.
    pub(crate) fn manager(&self, name: &str) -> Option<&KnownManager> {
        self.managers.iter().find(|manager| manager.name.as_str() == name)
    }

    /// The other active managers: those a box asks and follows.
    pub(crate) fn others(&self, own: &DeviceName) -> impl Iterator<Item = &KnownManager> {
        self.managers.iter().filter(move |manager| manager.active && manager.name != *own)
    }
}

/// What was found.
pub(super) struct Look {
    pub(super) config: Config,
    pub(super) key: Key,
    pub(super) known: Option<Known>,
    /// Open, when it could be.
    pub(super) database: Option<Database>,
    /// Files that only a network leaves lie beside a `config.db` that is not there.
    pub(super) had_files: bool,
}

/// Opens `config.db` and reads what a state follows from. A file that is not there is not made.
pub(super) async fn look(state: &Path, name: &DeviceName) -> Look {
    let (path, of_key) = (state.join("config.db"), state.to_owned());
    let found = tokio::task::spawn_blocking(move || {
        let had_files = FILES_OF_A_NETWORK.iter().any(|name| path.with_file_name(name).exists());
        (open(&path), key_of(&of_key), had_files)
    });
    let (opened, seal, had_files) = found.await.unwrap_or((Err(DatabaseError::Closed), Err(Key::Missing), true));
    let opened = match opened {
        Ok(Some(database)) => {
            let of_database = seal.clone();
            match database.read(move |tx| Ok::<_, DatabaseError>(known_of(tx, &of_database)?)).await {
                Ok(read) => Ok(Some((database, read))),
                Err(error) => Err(error),
            }
        }
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    let of_file = || seal.as_ref().map_or_else(Clone::clone, |_| Key::Opens);
    match opened {
        Ok(Some((database, Some((known, key))))) => {
            let on_record = known.manager(name.as_str()).is_some();
            let config = Config::Present { primary: known.primary.clone(), term: known.term, on_record };
            Look { config, key, known: Some(known), database: Some(database), had_files: false }
        }
        Ok(Some((database, None))) => {
            Look { config: Config::Absent, key: of_file(), known: None, database: Some(database), had_files: false }
        }
        Ok(None) => Look { config: Config::Absent, key: of_file(), known: None, database: None, had_files },
        Err(error) => {
            let config = of_error(&error);
            // What a newer build wrote may be the network's newest configuration: its term counts for the others.
            let known = if matches!(config, Config::Ahead(_)) { glance(state).await } else { None };
            Look { config, key: of_file(), known, database: None, had_files: false }
        }
    }
}

/// What a `config.db` says that is not opened to be written, as far as this build can read it.
pub(super) async fn glance(state: &Path) -> Option<Known> {
    let path = state.join("config.db");
    let read = move || {
        let mut connection = weir_database::look(&path).ok()?;
        let tx = connection.transaction().ok()?;
        known_of(&tx, &Err(Key::Missing)).ok().flatten().map(|(known, _)| known)
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

fn open(path: &Path) -> Result<Option<Database>, DatabaseError> {
    if !path.exists() {
        return Ok(None);
    }
    Database::open(path, migrations::CONFIG, weir_clock::wall_ms(), weir_model::version()).map(Some)
}

type KeptKey = Result<Arc<Seal>, Key>;

fn key_of(state: &Path) -> KeptKey {
    match NetworkKey::load(state) {
        Ok(Some(key)) => Ok(Arc::new(Seal::new(&key))),
        Ok(None) => Err(Key::Missing),
        Err(error) => Err(Key::Wrong(Chain(&error).to_string())),
    }
}

/// `None` when no network was ever made in it.
fn known_of(tx: &Transaction<'_>, seal: &KeptKey) -> rusqlite::Result<Option<(Known, Key)>> {
    let Some(primary) = settings::get(tx, settings::PRIMARY)? else { return Ok(None) };
    let primary: DeviceName = primary.parse().map_err(|_| rusqlite::Error::InvalidParameterName("setting primary".to_owned()))?;
    let managers = devices::all(tx)?.into_iter().filter(|device| device.role == Role::Manager);
    let managers =
        managers.map(|d| KnownManager { name: d.name, device: d.addresses.device, api: d.addresses.https, active: d.active }).collect();
    let tip = changesets::tip(tx)?;
    let known = Known {
        network: settings::get(tx, settings::NETWORK)?.unwrap_or_default(),
        primary,
        term: settings::number(tx, settings::TERM)?,
        generation: settings::number(tx, settings::GENERATION)?,
        step: migrations::applied(tx)?,
        rev: tip.as_ref().map_or(0, |tip| tip.rev),
        hash: tip.as_ref().map_or_else(String::new, |tip| hex::encode(tip.hash)),
        digest: tip.as_ref().map_or_else(String::new, |tip| hex::encode(tip.digest)),
        managers,
    };
    let key = match seal {
        Ok(seal) => match settled(tx, seal)? {
            Sealed::Opens | Sealed::Nothing => Key::Opens,
            Sealed::OtherKey => Key::Wrong("the network key on this box does not open what is sealed in config.db".to_owned()),
        },
        // A database of a build that did not seal needs none: it gets one.
        Err(_) if settings::get(tx, settings::CA_KEY)?.is_none() => Key::Opens,
        Err(why) => why.clone(),
    };
    Ok(Some((known, key)))
}

/// Whether the file is at fault, a newer build was there, or it is the disk or the moment.
fn of_error(error: &DatabaseError) -> Config {
    use DatabaseError::{Damaged, Migration, SchemaAhead, SchemaChanged, Touched, Unsound};
    let text = Chain(error).to_string();
    match error {
        SchemaAhead { .. } => Config::Ahead(text),
        Damaged { .. } | Migration { .. } | SchemaChanged { .. } | Touched { .. } | Unsound { .. } => Config::Damaged(text),
        _ => Config::Refused(text),
    }
}

#[cfg(test)]
mod tests;
