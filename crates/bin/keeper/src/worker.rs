//! One worker process: its start, its control socket and its end.

use crate::{
    account::{Account, append_as},
    listeners::SOCKETS_VARIABLE,
    program::Program,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use weir_slots::{DataDirectory, SlotRef, VerifiedSlot};
use weir_sockets::ControlSocket;

/// `log/worker.stderr` longer than this, in bytes, is renamed to `.1` before the next worker starts.
const STDERR_BYTES_MAX: u64 = 1024 * 1024;

/// Tells the worker how often workers ended unexpectedly since this keeper started.
const CRASHES_VARIABLE: &str = "WEIR_WORKER_CRASHES";

/// Tells the worker how the one before it ended: `signal 9`, `code 1`.
const LAST_EXIT_VARIABLE: &str = "WEIR_LAST_EXIT";

/// Tells the worker the version of the keeper that runs.
const KEEPER_VERSION_VARIABLE: &str = "WEIR_KEEPER_VERSION";

/// Tells the worker whether that keeper is, byte for byte, the one of the worker's slot, or is not the worker's to replace.
const KEEPER_CURRENT_VARIABLE: &str = "WEIR_KEEPER_CURRENT";

/// Whether a worker may have its keeper replaced by the one in a slot. Slots and boot record are the worker's user's to write,
/// so a keeper of another user would run whatever that user likes with its own rights.
pub(crate) fn may_replace_keeper(worker_user: Option<Account>) -> bool {
    worker_user.is_none()
}

/// What a worker is told of those before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Unexpected exits since the keeper started.
    pub(crate) crashes: u32,
    /// How the last one ended.
    pub(crate) last_exit: Option<String>,
}

impl History {
    /// One more ended unexpectedly.
    pub(crate) fn add(&mut self, exit: String) {
        *self = Self { crashes: self.crashes.saturating_add(1), last_exit: Some(exit) };
    }
}

/// Why the keeper ends a worker's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillReason {
    /// It was not ready in time.
    NotReady,
    /// It did not end in time after STOP and DRAIN, or EXIT.
    StopOverdue,
    /// It closed its control socket and did not end.
    ControlClosed,
    /// It does not read its control socket, or speaks another protocol over it.
    ControlBroken,
    /// A second signal asked for haste.
    SecondSignal,
    /// It was parked and did not serve again in time.
    NotUnparked,
}

impl KillReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            KillReason::NotReady => "not_ready",
            KillReason::StopOverdue => "stop_overdue",
            KillReason::ControlClosed => "control_closed",
            KillReason::ControlBroken => "control_broken",
            KillReason::SecondSignal => "second_signal",
            KillReason::NotUnparked => "not_unparked",
        }
    }
}

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Started, not READY.
    Starting,
    /// READY, and waits until the worker that serves is parked.
    Ready,
    /// Told to ACCEPT: it serves.
    Accepting,
    /// Told to PARK, and has not answered.
    Parking,
    /// The way back of the one that serves.
    Parked,
    /// Told to UNPARK, and has not said READY again.
    Unparking,
    /// Told to end.
    Leaving,
}

/// What a worker is started with.
pub(crate) struct Start<'a> {
    pub(crate) data: &'a DataDirectory,
    pub(crate) slot: &'a VerifiedSlot,
    pub(crate) user: Option<Account>,
    pub(crate) history: &'a History,
    pub(crate) keeper: &'a Program,
    /// It is killed unless it is READY within this.
    pub(crate) ready: Duration,
}

/// A running worker.
pub(crate) struct Worker {
    child: Child,
    pidfd: OwnedFd,
    /// The slot it was started from.
    pub(crate) slot: SlotRef,
    /// `None` once it is closed.
    pub(crate) control: Option<ControlSocket>,
    pub(crate) stage: Stage,
    started: Instant,
    /// Until when it may take to answer PARK or UNPARK.
    pub(crate) wait: Option<Instant>,
    /// When the process is ended, and why.
    pub(crate) end: Option<(Instant, KillReason)>,
    /// Why its process was ended.
    pub(crate) killed: Option<KillReason>,
}

impl Worker {
    /// Starts the worker of a slot.
    pub(crate) fn start(start: &Start<'_>) -> io::Result<Self> {
        let (control, end) = ControlSocket::pair()?;
        let mut command = Command::new(&start.slot.program);
        command.arg("worker").arg("--data").arg(start.data.root());
        command.stdin(Stdio::from(end)).stdout(Stdio::null()).stderr(stderr_file(start.data, start.user)?);
        command.env(CRASHES_VARIABLE, start.history.crashes.to_string());
        match &start.history.last_exit {
            Some(text) => command.env(LAST_EXIT_VARIABLE, text),
            None => command.env_remove(LAST_EXIT_VARIABLE),
        };
        command.env_remove(SOCKETS_VARIABLE);
        command.env(KEEPER_VERSION_VARIABLE, start.keeper.version());
        let current = !may_replace_keeper(start.user) || start.keeper.is_of(start.slot);
        command.env(KEEPER_CURRENT_VARIABLE, if current { "1" } else { "0" });
        // Its own group: Ctrl-C at a terminal reaches the keeper alone, which then drains the worker.
        command.process_group(0);
        if let Some(user) = start.user {
            command.uid(user.uid).gid(user.gid);
        }
        let mut child = command.spawn()?;
        match pidfd(&child) {
            Ok(pidfd) => {
                let started = weir_clock::monotonic();
                let end = Some((started + start.ready, KillReason::NotReady));
                let slot = start.slot.slot.clone();
                Ok(Self { child, pidfd, slot, control: Some(control), stage: Stage::Starting, started, wait: None, end, killed: None })
            }
            Err(error) => {
                // A process that cannot be watched is not kept.
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Readable when the process has ended.
    pub(crate) fn process(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub(crate) fn ran(&self) -> Duration {
        weir_clock::monotonic().saturating_duration_since(self.started)
    }

    /// How the process ended, once it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sets the moment the process is ended, unless an earlier one is set.
    pub(crate) fn end_by(&mut self, moment: Instant, reason: KillReason) {
        if self.end.is_none_or(|(set, _)| moment < set) {
            self.end = Some((moment, reason));
        }
    }

    /// Ends the process if its moment has come; the reason when it did.
    pub(crate) fn end_if_due(&mut self) -> io::Result<Option<KillReason>> {
        match self.end {
            Some((moment, reason)) if moment <= weir_clock::monotonic() => {
                self.end = None;
                self.killed = Some(reason);
                self.child.kill()?;
                Ok(Some(reason))
            }
            _ => Ok(None),
        }
    }
}

fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

fn stderr_file(data: &DataDirectory, user: Option<Account>) -> io::Result<File> {
    let path = data.worker_stderr();
    if fs::metadata(&path).is_ok_and(|file| file.len() > STDERR_BYTES_MAX) {
        fs::rename(&path, path.with_extension("stderr.1"))?;
    }
    append_as(&path, user)
}

/// `signal 9` or `code 1`.
pub(crate) fn exit_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_as_text() {
        // Wait statuses of wait(2): the signal in the low byte, the code in the next.
        assert_eq!(exit_text(ExitStatus::from_raw(9)), "signal 9");
        assert_eq!(exit_text(ExitStatus::from_raw(78 << 8)), "code 78");
    }

    #[test]
    fn only_a_worker_of_the_keepers_own_user_may_replace_it() {
        assert!(may_replace_keeper(None));
        assert!(!may_replace_keeper(Some(Account { uid: 999, gid: 999 })));
    }
}
