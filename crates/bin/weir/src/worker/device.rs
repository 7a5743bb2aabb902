//! `device.toml` as the worker reads it: name, role, where it listens, and its role's own table.

use crate::commands::Misconfigured;
use anyhow::Context;
use serde::Deserialize;
use std::{net::SocketAddr, path::Path};
use weir_device_api::Listeners;
use weir_model::{DeviceName, Profile, Role};
use weir_slots::{DataDirectory, DeviceFile};

/// RAM an engine keeps content in when device.toml says nothing, in MiB.
const STORE_MIB: u64 = 256;
/// Smallest and largest RAM store an engine may be given, in MiB.
const STORE_MIB_RANGE: std::ops::RangeInclusive<u64> = 8..=1_048_576;

/// A device, as its data directory says.
pub(crate) struct Device {
    /// Its name.
    pub(crate) name: DeviceName,
    /// Its role.
    pub(crate) role: Role,
    /// Where it listens.
    pub(crate) listeners: Listeners,
    /// Its data directory.
    pub(crate) directory: DataDirectory,
    /// Engines: bytes of RAM for content.
    pub(crate) store_bytes: u64,
    /// Managers: the network's name and timers, used at the first start.
    pub(crate) network: String,
    /// Managers: name of the profile used at the first start.
    pub(crate) profile: String,
}

#[derive(Deserialize, Default)]
struct OwnTables {
    #[serde(default)]
    engine: EngineTable,
    #[serde(default)]
    manager: ManagerTable,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct EngineTable {
    store_mib: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ManagerTable {
    network: Option<String>,
    profile: Option<String>,
}

impl Device {
    /// Reads `device.toml` of a data directory.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Self> {
        let directory = DataDirectory::new(data);
        let path = directory.device_file();
        let wrong = |text: String| Misconfigured(format!("{}: {text}", path.display()));
        let file = DeviceFile::read(&path).map_err(|error| Misconfigured(error.to_string()))?;
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let own: OwnTables = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let name = file.name.parse().map_err(|error| wrong(format!("name {:?} {error}", file.name)))?;
        let role = file.role.parse().map_err(|error| wrong(format!("role {:?} {error}", file.role)))?;
        let store_mib = own.engine.store_mib.unwrap_or(STORE_MIB);
        if !STORE_MIB_RANGE.contains(&store_mib) {
            return Err(
                wrong(format!("engine.store_mib is {store_mib}; write {} to {}", STORE_MIB_RANGE.start(), STORE_MIB_RANGE.end())).into()
            );
        }
        let profile = own.manager.profile.unwrap_or_else(|| "standard".into());
        if Profile::named(&profile).is_none() {
            return Err(wrong(format!("manager.profile is {profile:?}; write \"standard\" or \"rehearsal\"")).into());
        }
        Ok(Self {
            name,
            role,
            listeners: listeners(&file),
            directory,
            store_bytes: store_mib * 1024 * 1024,
            network: own.manager.network.unwrap_or_else(|| "weir".into()),
            profile,
        })
    }
}

fn listeners(file: &DeviceFile) -> Listeners {
    let at = |name: &str| -> Option<SocketAddr> { file.listeners.iter().find(|l| l.name.as_str() == name).map(|l| l.address) };
    Listeners { dns: at("dns"), http: at("http"), https: at("https"), device: at("device"), admin: at("admin"), keepalive: at("keepalive") }
}
