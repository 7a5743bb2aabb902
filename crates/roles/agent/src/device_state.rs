//! What a device keeps on disk under `state/<role>/`: identity, last good configuration, boot counter.

use serde::{Deserialize, Serialize};
use std::{
    fs::DirBuilder,
    io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};
use weir_model::{DeviceConfiguration, DeviceName, Role, Version, version};
use weir_net::identity::IdentityError;

/// Permission bits of the directories here: identities and keepalive keys are nobody else's business.
const PRIVATE_DIR: u32 = 0o700;

/// Why a device's state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A durable write failed.
    #[error(transparent)]
    Write(#[from] weir_slots::DiskError),
    /// A file that is not what it should be.
    #[error("{} is damaged; remove it to start without it", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// What came as the network key is none.
    #[error("the manager sent something else than a network key")]
    NetworkKey,
    /// Another network key lies there, and may be the only copy.
    #[error("{} is the key of another network; use an empty data directory", path.display())]
    OtherNetwork {
        /// Which file.
        path: PathBuf,
    },
    /// A file of another device.
    #[error("{} belongs to {found}, not to {expected}; each device needs its own data directory", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Who it names.
        found: DeviceName,
        /// Who this is.
        expected: DeviceName,
    },
}

/// A device's identity: its certificate, its key, whom it trusts and where the managers are.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Its name.
    pub device: DeviceName,
    /// Its role.
    pub role: Role,
    /// Certificate, PEM.
    pub certificate: String,
    /// Private key, PEM.
    pub key: String,
    /// The network CA, PEM.
    pub ca: String,
    /// The manager it enrolled with: where to ask before a configuration lists the managers.
    pub manager: SocketAddr,
    /// That manager's name.
    pub manager_name: DeviceName,
    /// Its operator API.
    pub manager_api: Option<SocketAddr>,
}

/// The directory `state/<role>/` of one device.
#[derive(Debug, Clone)]
pub struct DeviceState {
    dir: PathBuf,
    device: DeviceName,
}

impl DeviceState {
    /// Opens, and makes when absent, the directory below a data directory.
    pub fn open(data: &Path, device: DeviceName, role: Role) -> Result<Self, StateError> {
        let dir = data.join("state").join(role.as_str());
        for path in [dir.join("identity"), dir.clone()] {
            DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(&path).map_err(|source| StateError::Io {
                action: "create",
                path: path.clone(),
                source,
            })?;
        }
        Ok(Self { dir, device })
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn read<T: serde::de::DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, StateError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Io { action: "read", path: path.to_owned(), source }),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| StateError::Damaged { path: path.to_owned(), source })
    }

    fn write(&self, path: &Path, value: &impl Serialize) -> Result<(), StateError> {
        let bytes = serde_json::to_vec_pretty(value).expect("our own types are JSON");
        Ok(weir_slots::durable_write_private(path, &bytes)?)
    }

    fn owned<T>(&self, path: PathBuf, value: Option<T>, device: impl Fn(&T) -> &DeviceName) -> Result<Option<T>, StateError> {
        match value {
            Some(value) if *device(&value) != self.device => {
                Err(StateError::Foreign { path, found: device(&value).clone(), expected: self.device.clone() })
            }
            value => Ok(value),
        }
    }

    fn identity_path(&self) -> PathBuf {
        self.dir.join("identity/identity.json")
    }

    fn configuration_path(&self) -> PathBuf {
        self.dir.join("configuration.json")
    }

    /// The copy that only builds of this line write: whatever another line made of the file above, this one has its own.
    pub(crate) fn line_path(&self) -> PathBuf {
        let own: Version = version().parse().expect("a build has a version");
        self.dir.join(format!("configuration-{}.json", own.line))
    }

    /// The identity, once enrolled.
    pub fn identity(&self) -> Result<Option<Identity>, StateError> {
        let path = self.identity_path();
        let identity = self.read(&path)?;
        self.owned(path, identity, |i: &Identity| &i.device)
    }

    /// Keeps the identity; the key kept for asking is part of it from now on.
    pub fn keep_identity(&self, identity: &Identity) -> Result<(), StateError> {
        self.write(&self.identity_path(), identity)?;
        match std::fs::remove_file(self.new_key_path()) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Io { action: "remove", path: self.new_key_path(), source })
            }
            _ => Ok(()),
        }
    }

    /// Keeps the network key of a manager, 64 hex digits, as the bytes it is: what it seals lies in the database beside it.
    ///
    /// # Errors
    /// It is none; another one lies there, which may be the only copy; the disk.
    pub fn keep_network_key(&self, key: &str) -> Result<(), StateError> {
        let path = self.dir.join("network.key");
        let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
        if hex::decode_to_slice(key, bytes.as_mut_slice()).is_err() {
            return Err(StateError::NetworkKey);
        }
        match std::fs::read(&path).map(zeroize::Zeroizing::new) {
            Ok(kept) if kept.as_slice() == bytes.as_slice() => Ok(()),
            Ok(_) => Err(StateError::OtherNetwork { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(weir_slots::durable_write_private(&path, bytes.as_slice())?),
            Err(source) => Err(StateError::Io { action: "read", path, source }),
        }
    }

    /// The last good configuration.
    pub fn configuration(&self) -> Result<Option<DeviceConfiguration>, StateError> {
        let path = self.configuration_path();
        let configuration = self.read(&path)?;
        self.owned(path, configuration, |c: &DeviceConfiguration| &c.device)
    }

    /// The last configuration that a build of this line kept.
    pub fn configuration_of_line(&self) -> Result<Option<DeviceConfiguration>, StateError> {
        let path = self.line_path();
        let configuration = self.read(&path)?;
        self.owned(path, configuration, |c: &DeviceConfiguration| &c.device)
    }

    /// Keeps a configuration as the last good one, and a copy for builds of this line.
    pub fn keep_configuration(&self, configuration: &DeviceConfiguration) -> Result<(), StateError> {
        let kept = self.write(&self.configuration_path(), configuration);
        kept.and(self.write(&self.line_path(), configuration))
    }

    /// Raises the boot number, durably, and returns it: routers refuse keepalives of one that does not rise. It is the wall
    /// clock's milliseconds, or one more than the last if that is higher. So it rises too after a start on a full disk, whose
    /// number nobody kept, after damage, and when the device is installed anew; milliseconds, so that two starts never share
    /// one. When it cannot be written the error goes with it: a full disk must not keep a device from starting.
    pub fn next_boot(&self) -> (u64, Option<StateError>) {
        let path = self.dir.join("boot.json");
        let last: u64 = self.read(&path).ok().flatten().unwrap_or(0);
        let boot = last.saturating_add(1).max(weir_clock::wall_ms());
        (boot, self.write(&path, &boot).err())
    }

    fn returned_path(&self) -> PathBuf {
        self.dir.join("returned.json")
    }

    /// When Server Offload last let this engine go, wall clock in milliseconds since 1970.
    pub fn returned(&self) -> Result<Option<u64>, StateError> {
        self.read(&self.returned_path())
    }

    /// Keeps when that was.
    pub fn keep_returned(&self, wall_ms: u64) -> Result<(), StateError> {
        self.write(&self.returned_path(), &wall_ms)
    }

    fn heard_path(&self) -> PathBuf {
        self.dir.join("heard.json")
    }

    /// The highest term a manager has named; 0 before the first.
    pub(crate) fn heard(&self) -> Result<u64, StateError> {
        Ok(self.read(&self.heard_path())?.unwrap_or(0))
    }

    /// Keeps it.
    pub(crate) fn keep_heard(&self, term: u64) -> Result<(), StateError> {
        self.write(&self.heard_path(), &term)
    }

    fn new_key_path(&self) -> PathBuf {
        self.dir.join("identity/new-key.pem")
    }

    /// The private key a device asks for a certificate with: the one it has, else one kept before the first asking, so
    /// that an enrolment cut short is finished by the next with the same key.
    pub fn enrolment_key(&self, make: impl FnOnce() -> Result<String, IdentityError>) -> Result<String, EnrolmentKeyError> {
        if let Some(identity) = self.identity()? {
            return Ok(identity.key);
        }
        let path = self.new_key_path();
        if let Ok(key) = std::fs::read_to_string(&path) {
            return Ok(key);
        }
        let key = make()?;
        weir_slots::durable_write_private(&path, key.as_bytes()).map_err(StateError::Write)?;
        Ok(key)
    }
}

/// Why a device has no key to enrol with.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentKeyError {
    /// Its state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// It could not be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn open(dir: &Path, name: &str) -> DeviceState {
        DeviceState::open(dir, name.parse().expect("name"), Role::Engine).expect("open")
    }

    #[test]
    fn the_boot_counter_rises_over_restarts_and_damage() {
        let dir = tempfile::tempdir().expect("dir");
        let boot = || open(dir.path(), "east-1").next_boot().0;
        let file = dir.path().join("state/engine/boot.json");
        let rises = |before: u64| {
            let (tick, deadline) = (weir_clock::wall_ms(), weir_clock::monotonic() + Duration::from_secs(10));
            while weir_clock::wall_ms() <= tick && weir_clock::monotonic() < deadline {
                std::thread::yield_now();
            }
            let boot = boot();
            assert!(boot > before, "{boot} after {before}");
            boot
        };
        let kept = rises(rises(0));
        // A directory in the place of the file that is written first fails the write for every user, root included.
        std::fs::rename(&file, dir.path().join("aside")).expect("moved");
        std::fs::create_dir(&file).expect("make");
        let unkept = rises(rises(kept));
        std::fs::remove_dir(&file).expect("remove");
        std::fs::rename(dir.path().join("aside"), &file).expect("moved back");
        let again = rises(unkept);
        std::fs::write(&file, b"{torn").expect("damage");
        let ahead = rises(again) + 3_600_000;
        std::fs::write(&file, ahead.to_string()).expect("of a clock that was put back since");
        assert_eq!(boot(), ahead + 1);
    }

    #[test]
    fn a_disk_that_cannot_be_written_keeps_no_device_from_starting() {
        let dir = tempfile::tempdir().expect("dir");
        let state = open(dir.path(), "east-1");
        // A directory in the file's place fails the write for every user, root included.
        std::fs::create_dir(dir.path().join("state/engine/boot.json")).expect("make");
        let (boot, error) = state.next_boot();
        assert!(boot >= 1_700_000_000 && error.is_some());
    }

    #[test]
    fn the_key_of_another_network_is_never_overwritten() {
        let dir = tempfile::tempdir().expect("dir");
        let (ours, theirs) = ("5a".repeat(32), "a5".repeat(32));
        let state = DeviceState::open(dir.path(), "manager-1".parse().expect("name"), Role::Manager).expect("open");
        state.keep_network_key(&ours).expect("the first");
        state.keep_network_key(&ours).expect("an enrolment that is repeated");
        let refused = state.keep_network_key(&theirs).expect_err("it may be the only copy");
        assert!(matches!(refused, StateError::OtherNetwork { .. }) && refused.to_string().contains("empty data directory"), "{refused}");
        assert_eq!(std::fs::read(dir.path().join("state/manager/network.key")).expect("there"), [0x5a; 32]);
    }

    #[test]
    fn an_enrolment_cut_short_asks_again_with_the_same_key() {
        let dir = tempfile::tempdir().expect("dir");
        let ask = |made: &str| open(dir.path(), "east-1").enrolment_key(|| Ok(made.to_owned())).expect("key");
        assert_eq!(ask("first"), "first");
        assert_eq!(ask("second"), "first");
    }

    #[test]
    fn another_devices_identity_is_refused_and_files_are_private() {
        let dir = tempfile::tempdir().expect("dir");
        let identity = Identity {
            device: "east-1".parse().expect("name"),
            role: Role::Engine,
            certificate: String::new(),
            key: "secret".into(),
            ca: String::new(),
            manager: "127.0.0.1:1".parse().expect("address"),
            manager_name: "manager-1".parse().expect("name"),
            manager_api: None,
        };
        open(dir.path(), "east-1").keep_identity(&identity).expect("keep");
        assert!(matches!(open(dir.path(), "west-1").identity(), Err(StateError::Foreign { .. })));
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join("state/engine/identity/identity.json")).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
