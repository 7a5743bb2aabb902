//! The network as it is configured at one generation: what rules check against, documents are compiled from, lists show.

use crate::published::{self, Held, Rendition};
use crate::seal::Seal;
use crate::tables::{delivery_services, devices, locations, offload, settings, zones};
use rusqlite::{Result, Transaction};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};
use weir_model::{
    DeviceName, FIRST_LEVEL, Line, LocationName, OffloadEpoch, Profile, Role, Stamp,
    configuration::{Confirmed, KeepaliveKey, ZoneEntry},
};
use weir_operator_api::{Addresses, DeliveryService, Location, OffloadLease};

/// Everything configured, at one (term, generation).
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// Opens and makes what lies sealed in the database.
    pub(crate) seal: Arc<Seal>,
    pub(crate) stamp: Stamp,
    pub(crate) network: String,
    pub(crate) profile: Profile,
    /// The line whose features the whole network may use.
    pub(crate) level: Line,
    /// Generation of the last change of the level; 0: it never changed.
    pub(crate) level_generation: u64,
    /// Device name of the primary.
    pub(crate) primary: DeviceName,
    pub(crate) keepalive_keys: Vec<KeepaliveKey>,
    pub(crate) locations: BTreeMap<LocationName, Location>,
    pub(crate) devices: BTreeMap<DeviceName, DeviceRecord>,
    /// Devices that Server Offload holds.
    pub(crate) outside: BTreeMap<DeviceName, Outside>,
    /// By name.
    pub(crate) services: Vec<DeliveryService>,
    pub(crate) zones_revision: u64,
    /// By network. Shared by snapshots between which it did not change.
    pub(crate) zones: Arc<Vec<ZoneEntry>>,
    /// Delivery services, by id, of which devices get the last that could be run, or nothing.
    pub(crate) held: BTreeMap<i64, Held>,
    /// By id, what was published before of those that an older line cannot run.
    pub(crate) earlier: BTreeMap<i64, Vec<Rendition>>,
    /// Why no device could run from this at all.
    pub(crate) unfit: Option<String>,
    /// What operators said may be out of service.
    pub(crate) confirmed: Confirmed,
}

/// A device as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DeviceRecord {
    pub(crate) id: i64,
    pub(crate) name: DeviceName,
    pub(crate) role: Role,
    pub(crate) active: bool,
    pub(crate) location: Option<LocationName>,
    pub(crate) weight: u8,
    /// What it can send, in Mbit/s; absent: unknown.
    pub(crate) capacity_mbps: Option<u32>,
    /// Generation its activation was written with; it is pending until it runs that one or a later one.
    pub(crate) activated_generation: u64,
    pub(crate) addresses: Addresses,
    /// SHA-256 of its public key, hex; the same key is the same device.
    pub(crate) public_key_sha256: String,
    /// SHA-256 of the one certificate it may show, hex.
    pub(crate) certificate_sha256: String,
    /// Id of the token it enrolled with.
    pub(crate) enrolled_with: String,
    pub(crate) enrolled_ms: u64,
    pub(crate) revision: u64,
}

/// How Server Offload holds a device: out of service while any lease lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outside {
    /// When its first lease was taken, milliseconds since 1970.
    pub(crate) since_ms: u64,
    /// Generation from which on no viewer is placed on it.
    pub(crate) clients_generation: u64,
    /// Generation from which on no engine fills from it; absent: not that far yet. Routers never are.
    pub(crate) peers_generation: Option<u64>,
    /// By owner; never empty.
    pub(crate) leases: Vec<OffloadLease>,
}

impl Outside {
    pub(crate) fn epoch(&self) -> OffloadEpoch {
        if self.peers_generation.is_some() { OffloadEpoch::Peers } else { OffloadEpoch::Clients }
    }

    /// Whether it was taken out although that breaks a floor.
    pub(crate) fn overrides(&self) -> bool {
        self.leases.iter().any(|l| l.overrides)
    }
}

/// A setting that every database has is not there, or says what it cannot.
fn missing(setting: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidParameterName(format!("setting {setting} is missing or not readable"))
}

impl Snapshot {
    /// Reads the network, opening what is sealed; takes the coverage zones over from `previous` when they did not change.
    pub(crate) fn load(tx: &Transaction<'_>, seal: &Arc<Seal>, previous: Option<&Snapshot>) -> Result<Self> {
        let text = |name: &'static str| settings::get(tx, name)?.ok_or_else(|| missing(name));
        let zones_revision = settings::number(tx, settings::ZONES_REVISION)?;
        let zones = match previous {
            Some(previous) if previous.zones_revision == zones_revision => Arc::clone(&previous.zones),
            _ => Arc::new(zones::all(tx)?),
        };
        let (services, unreadable) = delivery_services::all(tx)?;
        let mut network = Self {
            seal: Arc::clone(seal),
            stamp: Stamp { term: settings::number(tx, settings::TERM)?, generation: settings::number(tx, settings::GENERATION)? },
            network: text(settings::NETWORK)?,
            profile: Profile::named(&text(settings::PROFILE)?).ok_or_else(|| missing(settings::PROFILE))?,
            level: settings::get(tx, settings::LEVEL)?
                .map_or(Ok(FIRST_LEVEL), |level| level.parse().map_err(|_| missing(settings::LEVEL)))?,
            level_generation: settings::number(tx, settings::LEVEL_GENERATION)?,
            primary: text(settings::PRIMARY)?.parse().map_err(|_| missing(settings::PRIMARY))?,
            keepalive_keys: settings::keepalive_keys(tx, seal)?,
            locations: locations::all(tx)?.into_iter().map(|l| (l.name.clone(), l)).collect(),
            devices: devices::all(tx)?.into_iter().map(|d| (d.name.clone(), d)).collect(),
            outside: offload::all(tx)?,
            services,
            zones_revision,
            zones,
            held: BTreeMap::new(),
            earlier: BTreeMap::new(),
            unfit: None,
            confirmed: settings::confirmed(tx)?,
        };
        published::settle(tx, &mut network, unreadable)?;
        Ok(network)
    }

    /// The delivery service of this name.
    pub(crate) fn service(&self, name: &str) -> Option<&DeliveryService> {
        let at = self.services.binary_search_by(|s| s.name.as_str().cmp(name)).ok()?;
        self.services.get(at)
    }

    /// Whether a feature may be used in this network.
    #[cfg(feature = "synthetic-next")]
    pub(crate) fn is_open(&self, gate: &weir_model::Gate) -> bool {
        gate.is_open(Some(self.level))
    }

    /// Active devices of a role, by name.
    pub(crate) fn active(&self, role: Role) -> impl Iterator<Item = &DeviceRecord> {
        self.devices.values().filter(move |d| d.active && d.role == role)
    }

    /// Whether `below` is `above` or somewhere under it in the tree.
    pub(crate) fn is_under(&self, below: &LocationName, above: &LocationName) -> bool {
        let mut at = Some(below);
        let mut seen = BTreeSet::new();
        while let Some(name) = at {
            if name == above {
                return true;
            }
            // A loop cannot be written; a damaged database must not hang the manager.
            if !seen.insert(name) {
                return false;
            }
            at = self.locations.get(name).and_then(|l| l.parent.as_ref());
        }
        false
    }

    /// Addresses managers listen at.
    pub(crate) fn manager_addresses(&self) -> BTreeSet<IpAddr> {
        let managers = self.devices.values().filter(|d| d.role == Role::Manager);
        managers.flat_map(|d| [d.addresses.https, d.addresses.device, d.addresses.admin]).flatten().map(|a| a.ip()).collect()
    }
}
