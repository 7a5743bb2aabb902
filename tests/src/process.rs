//! Processes: started, signalled and ended by their own id, and found by the directory they run in.

use anyhow::Context;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, kill_process, pidfd_open},
};
use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
    process::{Child, Command, ExitStatus},
    time::Duration,
};

pub use rustix::process::Signal;

/// Variables that would send loopback traffic through a proxy.
const PROXY_VARIABLES: [&str; 6] = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Removes proxies from a child's environment.
pub fn without_proxies(command: &mut Command) -> &mut Command {
    for variable in PROXY_VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// A child process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: OwnedFd,
}

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = without_proxies(command).spawn().with_context(|| format!("start {}", command.get_program().display()))?;
        match pidfd_open(pid(child.id()), PidfdFlags::empty()) {
            Ok(ended) => Ok(Self { child, ended }),
            Err(error) => {
                child.kill().context("end a process that cannot be watched")?;
                Err(error).context("watch a process")
            }
        }
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once.
    pub fn stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self::signal(self.child.id(), signal);
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end, at most `deadline`; blocks the thread.
    pub fn wait(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let begin = weir_clock::monotonic();
        loop {
            if let Some(status) = self.status() {
                return Some(status);
            }
            let left = Timespec::try_from(deadline.checked_sub(begin.elapsed())?).expect("test deadlines fit a timespec");
            // An interrupted wait is looked at again by the loop.
            let _ = poll(&mut [PollFd::from_borrowed_fd(self.ended.as_fd(), PollFlags::IN)], Some(&left));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid(id: u32) -> Pid {
    i32::try_from(id).ok().and_then(Pid::from_raw).expect("process ids are positive")
}

/// Sends a signal to a process, which may have ended already.
pub fn signal(id: u32, signal: Signal) {
    let _ = kill_process(pid(id), signal);
}

/// Processes whose command line names `dir`: id and command line.
pub fn running_in(dir: &Path) -> Vec<(u32, String)> {
    let dir = dir.to_str().expect("test directories are UTF-8");
    let entries = std::fs::read_dir("/proc").expect("Linux has /proc");
    entries
        .filter_map(|entry| {
            let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            // A process that has ended in this moment has no command line any more.
            let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (line.contains(dir) && id != std::process::id()).then_some((id, line))
        })
        .collect()
}
