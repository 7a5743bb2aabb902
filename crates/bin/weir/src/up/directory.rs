//! The directory of a network: its lock, what it was made with, its image, its devices' data directories.

use crate::commands::Misconfigured;
use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use weir_model::{Role, version};
use weir_slots::{DataDirectory, FileSystem, Image, InstallError, Installed};

/// Size of a Unix socket's path in the kernel, final zero included (unix(7)).
const SOCKET_PATH_BYTES: usize = 108;

/// What a network was made with; read again by each later start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Version of the network.
    pub(crate) version: String,
    /// Its /24.
    pub(crate) base: Ipv4Addr,
    /// Number of engines.
    pub(crate) engines: u16,
    /// Its origin; absent: the demo origin.
    pub(crate) origin: Option<String>,
}

/// An opened directory; its lock is held as long as this lives.
pub(crate) struct Directory {
    root: PathBuf,
    _lock: File,
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl Directory {
    /// Opens, and makes when absent, a network's directory, for this process alone.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        let refused = |error: &io::Error, what: &str| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Misconfigured(format!("no permission to {what} {}; choose another --dir or change its owner", dir.display()))
            }
            _ => Misconfigured(format!("cannot {what} {}: {error}; choose another --dir", dir.display())),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| refused(&e, "create"))?;
        let root = std::fs::canonicalize(dir).map_err(|e| refused(&e, "open"))?;
        let socket = root.join("devices/manager-1").join(weir_operator_api::paths::LOCAL_SOCKET);
        if socket.as_os_str().len() >= SOCKET_PATH_BYTES {
            let longest = SOCKET_PATH_BYTES - 1 - (socket.as_os_str().len() - root.as_os_str().len());
            return Err(Misconfigured(format!(
                "the path {} is too long for a local socket below it; --dir may have {longest} bytes",
                root.display()
            ))
            .into());
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(root.join("lock"))
            .map_err(|e| refused(&e, "write into"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Misconfigured(format!("another `weir up` runs in {}; stop it, or choose another --dir", root.display())).into());
        }
        Ok(Self { root, _lock: lock })
    }

    /// Its path, absolute.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What it was made with, if it was made before.
    pub(crate) fn made(&self) -> anyhow::Result<Option<Made>> {
        let path = self.root.join("made.json");
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("read {}", path.display()))?,
        };
        let made: Made =
            serde_json::from_str(&text).map_err(|e| Misconfigured(format!("{} is damaged ({e}); choose another --dir", path.display())))?;
        if made.version != version() {
            return Err(Misconfigured(format!(
                "{dir} is a network of version {was}, this is {this}; a network changes version by its own software update: run the {was} program on it and \
                 register an archive of this one: weir --network {dir} software register --file weir-{this}-{arch}.weir (weir release build writes it). Registering is all this version can do with it; or choose another --dir",
                dir = self.root.display(),
                was = made.version,
                this = version(),
                arch = std::env::consts::ARCH,
            ))
            .into());
        }
        Ok(Some(made))
    }

    /// Remembers what it was made with.
    pub(crate) fn keep(&self, made: &Made) -> anyhow::Result<()> {
        Ok(weir_slots::durable_write_private(&self.root.join("made.json"), &serde_json::to_vec_pretty(made)?)?)
    }

    /// Forgets the network.json of a run that has ended.
    pub(crate) fn forget_network(&self) -> anyhow::Result<()> {
        remove_if_present(&super::network::NetworkFile::path(&self.root)).context("remove the network.json of the run before")
    }

    /// The data directory of a device.
    pub(crate) fn device(&self, name: &str) -> PathBuf {
        self.root.join("devices").join(name)
    }

    /// Where the network's CA certificate is kept for clients.
    pub(crate) fn ca(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    /// The administrator's API token, if one was made.
    pub(crate) fn admin_token(&self) -> Option<String> {
        std::fs::read_to_string(self.root.join("admin.token")).ok().map(|t| t.trim().to_owned())
    }

    /// Keeps the administrator's API token.
    pub(crate) fn keep_admin_token(&self, token: &str) -> anyhow::Result<()> {
        Ok(weir_slots::durable_write_private(&self.root.join("admin.token"), token.as_bytes())?)
    }

    fn phrase(&self) -> PathBuf {
        self.root.join("recovery-phrase")
    }

    /// Whether this is the phrase that is kept.
    pub(crate) fn has_phrase(&self, phrase: &str) -> bool {
        std::fs::read_to_string(self.phrase()).is_ok_and(|kept| kept.trim() == phrase)
    }

    /// Keeps the network key's phrase, for its owner's eyes only.
    pub(crate) fn keep_phrase(&self, phrase: &str) -> anyhow::Result<()> {
        Ok(weir_slots::durable_write_private(&self.phrase(), format!("{phrase}\n").as_bytes())?)
    }

    /// Where images lie that slots are linked from.
    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Makes a device's data directory: device.toml and a slot of `image`. Says what became of the slot. An engine or router
    /// that was updated to another version since goes on with it: only an update changes it back.
    pub(crate) fn prepare(&self, name: &str, role: Role, device_file: &str, image: &Image) -> anyhow::Result<Installed> {
        let data = self.device(name);
        std::fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
        weir_slots::durable_write_private(&data.join("device.toml"), device_file.as_bytes())?;
        match weir_slots::install(&mut FileSystem, &DataDirectory::new(&data), image) {
            Err(InstallError::OtherVersion { .. }) if role != Role::Manager => Ok(Installed::Unchanged),
            installed => installed.with_context(|| format!("install the slot of {name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().expect("dir");
        let long = dir.path().join("x".repeat(90));
        let refused = Directory::open(&long).err().expect("refused").to_string();
        assert!(refused.contains("too long") && refused.contains("bytes"), "{refused}");
        assert!(!long.join("lock").exists());
    }

    #[test]
    fn an_updated_engine_keeps_its_version_and_a_manager_does_not_change_its_own() {
        let dir = tempfile::tempdir().expect("dir");
        let directory = Directory::open(dir.path()).expect("open");
        let program = dir.path().join("program");
        std::fs::write(&program, "a program").expect("write");
        let image = |version| {
            let files = vec![weir_slots::ImageFile { path: weir_slots::PROGRAM.into(), source: program.clone() }];
            Image::measure(version, files).expect("an image")
        };
        for (name, role) in [("east-1", Role::Engine), ("manager-1", Role::Manager)] {
            directory.prepare(name, role, "", &image("1.1.0-b1")).expect("first");
        }
        assert_eq!(directory.prepare("east-1", Role::Engine, "", &image("1.0.0-b1")).expect("kept"), Installed::Unchanged);
        let record = weir_slots::boot::read(&DataDirectory::new(directory.device("east-1"))).expect("a record").record;
        assert_eq!(record.active.version, "1.1.0-b1");
        directory.prepare("manager-1", Role::Manager, "", &image("1.0.0-b1")).expect_err("another version");
    }

    #[test]
    fn one_network_a_directory_and_one_version() {
        let dir = tempfile::tempdir().expect("dir");
        let directory = Directory::open(dir.path()).expect("open");
        let second = Directory::open(dir.path()).err().expect("refused").to_string();
        assert!(second.contains("another `weir up` runs"), "{second}");
        let mut made = Made { version: version().into(), base: Ipv4Addr::new(127, 77, 0, 0), engines: 6, origin: None };
        directory.keep(&made).expect("keep");
        assert_eq!(directory.made().expect("made"), Some(made.clone()));
        made.version = "0.9.0-b1".into();
        directory.keep(&made).expect("keep");
        let refused = directory.made().expect_err("another version").to_string();
        assert!(refused.contains("0.9.0-b1") && refused.contains("--dir"), "{refused}");
        assert!(refused.contains("software register --file"), "{refused}");
    }
}
