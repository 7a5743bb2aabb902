//! `device.toml` as the worker reads it: name, role, where it listens, and its role's own table.

use crate::commands::Misconfigured;
use anyhow::Context;
use serde::Deserialize;
use std::{net::SocketAddr, ops::RangeInclusive, path::Path};
use weir_device_api::Listeners;
use weir_model::{DeviceName, Profile, Role};
use weir_slots::{DataDirectory, DeviceFile};

/// Bytes of a mebibyte.
const MIB: u64 = 1024 * 1024;
/// RAM an engine keeps content in when device.toml says nothing, in MiB.
const STORE_MIB: u64 = 256;
/// Smallest and largest RAM store an engine may be given, in MiB.
const STORE_MIB_RANGE: RangeInclusive<u64> = 8..=1_048_576;
/// Disk an engine keeps content on when device.toml says nothing, in MiB.
const DISK_MIB: u64 = 10_240;
/// Smallest and largest disk store an engine may be given, in MiB: eight segments of half their size, and 16 TiB. 0 is none.
const DISK_MIB_RANGE: RangeInclusive<u64> = 256..=16_777_216;

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
    /// Engines: bytes of disk for content; absent: none.
    pub(crate) disk_bytes: Option<u64>,
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
    disk_mib: Option<u64>,
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
        let disk_mib = own.engine.disk_mib.unwrap_or(DISK_MIB);
        if disk_mib != 0 && !DISK_MIB_RANGE.contains(&disk_mib) {
            let (least, most) = (DISK_MIB_RANGE.start(), DISK_MIB_RANGE.end());
            return Err(wrong(format!("engine.disk_mib is {disk_mib}; write {least} to {most}, or 0 for none")).into());
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
            store_bytes: store_mib * MIB,
            disk_bytes: (disk_mib != 0).then_some(disk_mib * MIB),
            network: own.manager.network.unwrap_or_else(|| "weir".into()),
            profile,
        })
    }
}

fn listeners(file: &DeviceFile) -> Listeners {
    let at = |name: &str| -> Option<SocketAddr> { file.listeners.iter().find(|l| l.name.as_str() == name).map(|l| l.address) };
    Listeners { dns: at("dns"), http: at("http"), https: at("https"), device: at("device"), admin: at("admin"), keepalive: at("keepalive") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device with this table reads.
    fn read(engine: &str) -> anyhow::Result<Device> {
        let data = tempfile::tempdir().expect("directory");
        std::fs::write(data.path().join("device.toml"), format!("name = \"east-1\"\nrole = \"engine\"\n{engine}")).expect("writes");
        Device::read(data.path())
    }

    #[test]
    fn an_engine_has_the_disk_its_file_says() {
        for (table, mib) in [
            ("", Some(10_240)),
            ("[engine]\n", Some(10_240)),
            ("[engine]\ndisk_mib = 0\n", None),
            ("[engine]\ndisk_mib = 256\n", Some(256)),
            ("[engine]\nstore_mib = 64\ndisk_mib = 16777216\n", Some(16_777_216)),
        ] {
            assert_eq!(read(table).expect(table).disk_bytes, mib.map(|mib: u64| mib * MIB), "{table}");
        }
    }

    #[test]
    fn too_little_or_too_much_disk_is_refused_with_what_to_write() {
        for mib in ["1", "255", "16777217"] {
            let error = read(&format!("[engine]\ndisk_mib = {mib}\n")).err().expect("refused");
            assert!(error.to_string().contains(&format!("engine.disk_mib is {mib}; write 256 to 16777216, or 0 for none")), "{error}");
        }
    }
}
