//! The keepers `weir up` runs, one a device: started in their own process group with a lifeline, restarted with back-off.

use anyhow::Context;
use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    sync::{mpsc, watch},
};
use weir_keeper::backoff::{Backoff, Ended as Exit};
use weir_telemetry::Tasks;

/// How long a keeper may take to end after SIGTERM: its own drain, and a little.
const STOP_PATIENCE: Duration = Duration::from_secs(13);
/// Beyond that, how long `weir up` waits for all of them.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Ends not yet taken by `up`.
const ENDS_MAX: usize = 256;
/// How long a keeper's worker may finish requests when the network stops, in milliseconds.
const DRAIN_MS: &str = "2000";

/// A keeper that ended without being told to.
pub(crate) struct Ended {
    /// Which device.
    pub(crate) device: String,
    /// Its exit code, if it has one.
    pub(crate) code: Option<i32>,
    /// How it ended, and what it wrote to standard error.
    pub(crate) how: String,
}

/// All keepers of a network.
pub(crate) struct Keepers {
    program: PathBuf,
    tasks: Tasks,
    stop: Arc<watch::Sender<bool>>,
    to_up: mpsc::Sender<Ended>,
    /// Keepers that ended by themselves.
    pub(crate) ended: mpsc::Receiver<Ended>,
}

impl Keepers {
    /// None yet; each will be `program keeper`.
    pub(crate) fn new(program: PathBuf) -> Self {
        let (to_up, ended) = mpsc::channel(ENDS_MAX);
        Self { program, tasks: Tasks::new(), stop: Arc::new(watch::Sender::new(false)), to_up, ended }
    }

    /// Starts the keeper of a device and keeps it running.
    pub(crate) fn start(&self, device: &str, data: &Path) {
        let keeper = Keeper {
            device: device.to_owned(),
            program: self.program.clone(),
            data: data.to_owned(),
            stop: self.stop.subscribe(),
            to_up: self.to_up.clone(),
        };
        self.tasks.spawn("keeper", keeper.keep());
    }

    /// Tells every keeper to end and waits.
    pub(crate) async fn stop(&self) -> bool {
        self.stop.send_replace(true);
        self.tasks.join(STOP_PATIENCE + STOP_GRACE).await
    }
}

struct Keeper {
    device: String,
    program: PathBuf,
    data: PathBuf,
    stop: watch::Receiver<bool>,
    to_up: mpsc::Sender<Ended>,
}

impl Keeper {
    async fn keep(mut self) {
        let mut backoff = Backoff::default();
        while !*self.stop.borrow() {
            let started = weir_clock::monotonic();
            let ended = match self.run_once().await {
                Ok(None) => return,
                Ok(Some(status)) => self.ended(status),
                Err(error) => Ended { device: self.device.clone(), code: None, how: format!("was not started: {error:#}") },
            };
            let (row, pause) = backoff.after(Exit::Unexpectedly, started.elapsed());
            backoff = row;
            if self.to_up.send(ended).await.is_err() {
                return;
            }
            let stopped = self.stop.wait_for(|stop| *stop);
            if tokio::time::timeout(pause, stopped).await.is_ok() {
                return;
            }
        }
    }

    fn stderr_path(&self) -> PathBuf {
        self.data.join("log/keeper.stderr")
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        let said =
            std::fs::read_to_string(self.stderr_path()).unwrap_or_else(|error| format!("(its standard error is unreadable: {error})"));
        let said = said.trim_end();
        let how = if said.is_empty() { format!("ended ({status})") } else { format!("ended ({status}): {said}") };
        Ended { device: self.device.clone(), code: status.code(), how }
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let path = self.stderr_path();
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).context("make the log directory")?;
        let stderr = std::fs::File::create(&path).with_context(|| format!("open {}", path.display()))?;
        Command::new(&self.program)
            .args(["keeper", "--lifeline", "--same-user", "--drain-ms", DRAIN_MS, "--data"])
            .arg(&self.data)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))
    }

    /// Runs the keeper to its end; `None` when it was told to end. The lifeline is the child's standard input: it
    /// closes when this process ends, however it ends.
    async fn run_once(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let mut child = self.spawn()?;
        let _lifeline = child.stdin.take();
        tokio::select! {
            status = child.wait() => return Ok(Some(status.context("wait for a keeper")?)),
            _ = self.stop.wait_for(|stop| *stop) => {}
        }
        if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)) {
            // It may have ended in this moment; the wait below tells.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(STOP_PATIENCE, child.wait()).await.is_err() {
            child.kill().await.context("end a keeper that does not end")?;
        }
        Ok(None)
    }
}
