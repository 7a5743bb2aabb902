//! Where things are in a data directory.

use std::path::{Path, PathBuf};

/// The data directory of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirectory {
    root: PathBuf,
}

impl DataDirectory {
    /// The data directory at `root`; nothing is read or made.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `device.toml`: what the device is and where it listens.
    pub fn device_file(&self) -> PathBuf {
        self.root.join("device.toml")
    }

    /// `boot/`: the boot record and the listeners bound later.
    pub fn boot(&self) -> PathBuf {
        self.root.join("boot")
    }

    /// One half of the boot record.
    pub fn boot_half(&self, half: usize) -> PathBuf {
        self.boot().join(format!("{half}.rec"))
    }

    /// `boot/listeners.json`: listeners the worker asked for while running.
    pub fn later_listeners(&self) -> PathBuf {
        self.boot().join("listeners.json")
    }

    /// `boot/keeper.json`: the keeper that was started in the place of another and has not had a worker ready yet.
    pub fn keeper_mark(&self) -> PathBuf {
        self.boot().join("keeper.json")
    }

    /// `slots/`: one read-only tree per installed image.
    pub fn slots(&self) -> PathBuf {
        self.root.join("slots")
    }

    /// One slot's tree.
    pub fn slot(&self, name: &str) -> PathBuf {
        self.slots().join(name)
    }

    /// `staging/`: archives on their way into a slot.
    pub fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// `journal/`.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// `journal/update.log`: where the device's update stands.
    pub fn update_journal(&self) -> PathBuf {
        self.journal().join("update.log")
    }

    /// `release-root.json`: whose releases may be installed, as the operator gave it.
    pub fn release_root(&self) -> PathBuf {
        self.root.join("release-root.json")
    }

    /// `state/<role>/`: what the role keeps.
    pub fn state(&self, role: &str) -> PathBuf {
        self.root.join("state").join(role)
    }

    /// `run/`: process ids, locks and local sockets; nothing in it outlives the processes.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// `run/keeper.lock`: held by the keeper for life.
    pub fn keeper_lock(&self) -> PathBuf {
        self.run().join("keeper.lock")
    }

    /// `run/keeper.pid`.
    pub fn keeper_pid(&self) -> PathBuf {
        self.run().join("keeper.pid")
    }

    /// `run/worker.pid`.
    pub fn worker_pid(&self) -> PathBuf {
        self.run().join("worker.pid")
    }

    /// `log/`.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// `log/device.log`: JSON lines of keeper and worker.
    pub fn device_log(&self) -> PathBuf {
        self.log().join("device.log")
    }

    /// `log/worker.stderr`: what the worker writes beside its log, such as the message of a panic.
    pub fn worker_stderr(&self) -> PathBuf {
        self.log().join("worker.stderr")
    }
}
