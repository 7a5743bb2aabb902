//! One keeper per data directory: the lock, and the process ids in `run/`.

use crate::{
    account::{Account, append_as, make_dir_as},
    failure::Failure,
};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};
use weir_slots::DataDirectory;

/// A claimed data directory; the lock goes with the process.
pub(crate) struct Claim {
    data: DataDirectory,
    _lock: File,
}

impl Claim {
    /// Makes the directories the worker writes in, but `state/`; takes the lock and writes `run/keeper.pid`.
    pub(crate) fn take(data: &DataDirectory, worker_user: Option<Account>) -> Result<Self, Failure> {
        for dir in [data.run(), data.log(), data.journal(), data.staging()] {
            make_dir_as(&dir, worker_user).map_err(refused(&dir))?;
        }
        let path = data.keeper_lock();
        let lock = append_as(&path, None).map_err(refused(&path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let pid = fs::read_to_string(data.keeper_pid()).ok().and_then(|text| text.trim().parse().ok());
                return Err(Failure::Claimed { data: data.root().display().to_string(), pid });
            }
            Err(errno) => return Err(refused(&path)(errno.into())),
        }
        Ok(Self { data: data.clone(), _lock: lock })
    }

    /// Writes `run/keeper.pid`. The lock is what keeps others out: a full disk must not keep a device from starting.
    pub(crate) fn keeper_started(&self) -> io::Result<()> {
        write_pid(&self.data.keeper_pid(), std::process::id())
    }

    /// Writes `run/worker.pid`.
    pub(crate) fn worker_started(&self, pid: u32) -> io::Result<()> {
        write_pid(&self.data.worker_pid(), pid)
    }

    /// Removes `run/worker.pid`.
    pub(crate) fn worker_gone(&self) {
        // An id left behind is only stale, and the next start writes over it.
        let _ = fs::remove_file(self.data.worker_pid());
    }

    /// Removes the process ids of an orderly end.
    pub(crate) fn release(self) {
        self.worker_gone();
        let _ = fs::remove_file(self.data.keeper_pid());
    }
}

/// A reader never sees half an id. Not durable: an id means nothing after a power cut.
fn write_pid(path: &Path, pid: u32) -> io::Result<()> {
    let beside = path.with_extension("pid.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Made new, so that no link left in its place is followed.
    OpenOptions::new().write(true).create_new(true).open(&beside)?.write_all(format!("{pid}\n").as_bytes())?;
    fs::rename(&beside, path)
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.display().to_string();
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Failure::NotOurs { path, source },
        _ => Failure::System { action: "claim the data directory", source },
    }
}
