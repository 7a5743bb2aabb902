//! A whole network: `weir up` in a directory of its own, ended with all its processes.

use crate::{
    contract::{Device, NetworkFile},
    lines,
    process::{self, Process, Signal},
    wait::wait_until,
};
use anyhow::{Context, bail};
use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Patience for a network to be in service: five times what is promised on two cores.
pub const START_DEADLINE: Duration = Duration::from_secs(50);
/// Patience for `weir up` to end every device after a signal: a keeper's own patience, and the sum of small things.
pub const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Patience for processes to be gone once their parent is.
const GONE_DEADLINE: Duration = Duration::from_secs(15);
/// Lines of `weir up`'s own words shown when a test fails.
const SAID_LINES: usize = 30;

/// The last octet of an address that `weir up` gives to nobody.
const SPARE_HOST: u32 = 240;

/// Which process of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The one that owns the sockets.
    Keeper,
    /// The one that does the work.
    Worker,
}

/// How a network is to be started.
#[derive(Debug, Default)]
pub struct Builder {
    engines: Option<u16>,
    origin: Option<String>,
    program: Option<PathBuf>,
    is_released: bool,
}

impl Builder {
    /// Number of engines.
    #[must_use]
    pub fn engines(mut self, engines: u16) -> Self {
        self.engines = Some(engines);
        self
    }

    /// Deliver this origin instead of the demo origin.
    #[must_use]
    pub fn origin(mut self, url: impl Into<String>) -> Self {
        self.origin = Some(url.into());
        self
    }

    /// Run this program instead of the binary under test.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Run the line that was cut last, as it was released.
    #[must_use]
    pub fn released(mut self) -> Self {
        self.is_released = true;
        self
    }

    /// Starts it and waits until it is in service.
    pub async fn start(self) -> anyhow::Result<Network> {
        let dir = tempfile::Builder::new().prefix("weir-test-").tempdir().context("make the network's directory")?;
        let mut arguments = vec!["--base".to_owned(), "auto".to_owned()];
        if let Some(engines) = self.engines {
            arguments.extend(["--engines".to_owned(), engines.to_string()]);
        }
        if let Some(origin) = self.origin {
            arguments.extend(["--origin".to_owned(), origin]);
        }
        let is_listed = self.program.is_none();
        let program = if self.is_released { lines::released() } else { self.program.unwrap_or_else(weir_binary) };
        let mut network = Network { dir, program, is_listed, up: None, file: None };
        network.up(&arguments).await?;
        Ok(network)
    }
}

/// A running (or, between [`Network::stop`] and [`Network::resume`], stopped) network.
pub struct Network {
    dir: TempDir,
    program: PathBuf,
    /// Its version is in the shared release directory, as it is.
    is_listed: bool,
    up: Option<Process>,
    file: Option<NetworkFile>,
}

/// The binary under test: `WEIR_BIN`, else the one built beside this test.
pub fn weir_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("WEIR_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a process knows its own file");
    let found = test.ancestors().skip(1).map(|folder| folder.join("weir")).find(|path| path.is_file());
    found.expect("target/debug/weir is built (cargo build -p weir), or WEIR_BIN names it")
}

/// `weir` with these arguments, not yet started.
pub fn weir<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    program(&weir_binary(), arguments)
}

/// Another build of `weir` with these arguments, not yet started.
pub fn program<S: AsRef<std::ffi::OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).env("WEIR_DEV_KEYS", lines::keys());
    process::without_proxies(&mut command);
    command
}

/// Runs a command to its end, off the test's thread, so that players go on.
pub async fn output(mut command: Command) -> anyhow::Result<Output> {
    tokio::task::spawn_blocking(move || command.output().context("run a command")).await?
}

/// The same, with `input` on its standard input.
pub async fn output_of(mut command: Command, input: &str) -> anyhow::Result<Output> {
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("run a command")?;
        let mut stdin = child.stdin.take().context("a pipe")?;
        // One that has said no before it read is not interested.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().context("wait for a command")
    })
    .await?
}

impl Network {
    /// Says how a network is to be started.
    pub fn builder() -> Builder {
        Builder::default()
    }

    async fn up(&mut self, arguments: &[String]) -> anyhow::Result<()> {
        let path = self.dir().join("network.json");
        // Left over when the run before was killed.
        if path.exists() {
            std::fs::remove_file(&path).context("remove network.json")?;
        }
        let said = std::fs::File::create(self.said_path()).context("make up.said")?;
        let begin = weir_clock::monotonic();
        let mut command = program(&self.program, ["up", "--no-browser", "--dir"]);
        if !self.is_listed {
            // Its release is listed as itself, and the shared directory lists the archives of the same version.
            command.env("WEIR_DEV_KEYS", self.dir().join("release-keys"));
        }
        command.arg(self.dir()).args(arguments).stdout(said.try_clone().context("share up.said")?).stderr(said);
        let mut up = Process::start(&mut command)?;
        while !path.exists() {
            if let Some(status) = up.status() {
                bail!("weir up ended ({status}):\n{}", self.said());
            }
            if begin.elapsed() > START_DEADLINE {
                self.up = Some(up);
                bail!("not in service within {} s:\n{}", START_DEADLINE.as_secs(), self.said());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        eprintln!("in service after {:.1} s", begin.elapsed().as_secs_f64());
        self.up = Some(up);
        let text = std::fs::read_to_string(&path).context("read network.json")?;
        self.file = Some(serde_json::from_str(&text).context("network.json keeps its contract")?);
        Ok(())
    }

    fn said_path(&self) -> PathBuf {
        self.dir().join("up.said")
    }

    /// The last lines `weir up` wrote.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(self.said_path()).unwrap_or_else(|error| format!("(unreadable: {error})"));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SAID_LINES)..].join("\n")
    }

    /// Where it keeps everything.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `network.json`.
    pub fn file(&self) -> &NetworkFile {
        self.file.as_ref().expect("a started network has its file")
    }

    /// HTTP addresses of the routers.
    pub fn routers(&self) -> Vec<SocketAddr> {
        self.file().routers.iter().map(|r| r.http.expect("routers listen on HTTP")).collect()
    }

    /// DNS addresses of the routers.
    pub fn name_servers(&self) -> Vec<SocketAddr> {
        self.file().routers.iter().map(|r| r.dns.expect("routers answer DNS")).collect()
    }

    /// The engine that listens there.
    ///
    /// # Panics
    /// When none does.
    pub fn engine_at(&self, address: SocketAddr) -> &Device {
        self.file().engines.iter().find(|e| e.http == Some(address)).unwrap_or_else(|| panic!("no engine listens on {address}"))
    }

    /// HTTP address of an engine.
    ///
    /// # Panics
    /// When there is no engine of this name.
    pub fn engine(&self, name: &str) -> SocketAddr {
        let engine = self.file().engines.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("no engine {name}"));
        engine.http.expect("engines listen on HTTP")
    }

    /// The admin listener of an engine.
    ///
    /// # Panics
    /// When there is no engine of this name.
    pub fn engine_admin(&self, name: &str) -> SocketAddr {
        let engine = self.file().engines.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("no engine {name}"));
        engine.admin.expect("engines have an admin listener")
    }

    /// The first delivery service's target for `path`, in the form that any address takes.
    pub fn target(&self, path: &str) -> String {
        format!("/{}{path}", self.file().services[0].domain)
    }

    /// `weir --network DIR ARGUMENTS`, run to its end.
    pub async fn weir(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = program(&self.program, ["--network"]);
        command.arg(self.dir()).args(arguments);
        output(command).await
    }

    /// The same, with `input` on its standard input.
    pub async fn weir_with(&self, arguments: &[&str], input: &str) -> anyhow::Result<Output> {
        let mut command = program(&self.program, ["--network"]);
        command.arg(self.dir()).args(arguments);
        output_of(command, input).await
    }

    /// The same with `--output json`: what it printed.
    pub async fn weir_json(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let output = self.weir(&[&["--output", "json"], arguments].concat()).await?;
        if !output.status.success() {
            bail!("weir {arguments:?} ended ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("weir {arguments:?} prints JSON"))
    }

    /// An address of its /24, from which its managers may fetch software, that no device has.
    ///
    /// # Panics
    /// When the manager has none.
    pub fn spare_address(&self) -> IpAddr {
        match self.file().manager.device.expect("a manager listens for devices").ip() {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00 | SPARE_HOST).into(),
            IpAddr::V6(address) => panic!("networks of tests are IPv4, not {address}"),
        }
    }

    /// A device's data directory.
    pub fn data(&self, device: &str) -> PathBuf {
        self.dir().join("devices").join(device)
    }

    /// Id of a device's process, as its data directory tells.
    pub fn id(&self, device: &str, part: Part) -> Option<u32> {
        let file = match part {
            Part::Keeper => "run/keeper.pid",
            Part::Worker => "run/worker.pid",
        };
        let id: u32 = std::fs::read_to_string(self.data(device).join(file)).ok()?.trim().parse().ok()?;
        let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(self.dir().to_str()?).then_some(id)
    }

    /// Sends a signal to a device's process; returns its id.
    ///
    /// # Panics
    /// When the process does not run.
    pub fn signal(&self, device: &str, part: Part, signal: Signal) -> u32 {
        let id = self.id(device, part).unwrap_or_else(|| panic!("the {part:?} of {device} runs"));
        process::signal(id, signal);
        id
    }

    /// kill -9 of a device, keeper and worker, that stays down: its keeper is started again and again, and finds no device.toml.
    pub async fn keep_down(&self, device: &str) -> anyhow::Result<()> {
        let (file, away) = self.device_file(device);
        std::fs::rename(file, away).context("take device.toml away")?;
        for part in [Part::Keeper, Part::Worker] {
            if let Some(id) = self.id(device, part) {
                process::signal(id, Signal::KILL);
            }
        }
        wait_until(&format!("{device} is down"), GONE_DEADLINE, || std::future::ready(self.id(device, Part::Worker).is_none())).await;
        Ok(())
    }

    /// Lets a device that was kept down start again.
    pub fn bring_back(&self, device: &str) -> anyhow::Result<()> {
        let (file, away) = self.device_file(device);
        std::fs::rename(away, file).context("put device.toml back")
    }

    fn device_file(&self, device: &str) -> (PathBuf, PathBuf) {
        let data = self.data(device);
        (data.join("device.toml"), data.join("device.toml.away"))
    }

    /// kill -9 of `weir up` itself.
    pub fn kill_up(&mut self) {
        // Dropping a process kills it.
        self.up = None;
    }

    /// Waits until no process of this network is left.
    pub async fn gone(&self, deadline: Duration) {
        let dir = self.dir().to_owned();
        wait_until("every process of the network is gone", deadline, || {
            let left = process::running_in(&dir);
            async move { left.is_empty() }
        })
        .await;
    }

    /// Ends it as Ctrl-C does.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.end(Signal::INT)
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        let Some(mut up) = self.up.take() else { return Ok(()) };
        up.signal(signal);
        let Some(status) = up.wait(STOP_DEADLINE) else { bail!("weir up does not end within {} s", STOP_DEADLINE.as_secs()) };
        if !status.success() {
            bail!("weir up ended ({status}):\n{}", self.said());
        }
        let left = process::running_in(self.dir());
        if left.is_empty() { Ok(()) } else { bail!("weir up has ended and left {left:?}") }
    }

    /// Starts it again in the same directory.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        self.up(&[]).await
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let stopped = self.end(Signal::TERM);
        self.up = None;
        let begin = weir_clock::monotonic();
        let mut left = process::running_in(self.dir());
        while !left.is_empty() && begin.elapsed() < GONE_DEADLINE {
            std::thread::park_timeout(Duration::from_millis(50));
            left = process::running_in(self.dir());
        }
        for (id, _) in &left {
            process::signal(*id, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("weir up said:\n{}", self.said());
            keep_logs(self.dir());
            return;
        }
        stopped.expect("a network stops");
        assert!(left.is_empty(), "processes left after their network: {left:?}");
    }
}

/// Copies a failed network's logs to the folder `WEIR_TEST_LOGS`, if it is set.
fn keep_logs(dir: &Path) {
    let Some(keep) = std::env::var_os("WEIR_TEST_LOGS").map(PathBuf::from) else { return };
    let Ok(devices) = std::fs::read_dir(dir.join("devices")) else { return };
    for device in devices.flatten() {
        let to = keep.join(device.file_name());
        let copied = std::fs::create_dir_all(&to).and_then(|()| {
            for file in ["device.log", "worker.stderr", "keeper.stderr"] {
                let from = device.path().join("log").join(file);
                if from.exists() {
                    std::fs::copy(from, to.join(file))?;
                }
            }
            Ok(())
        });
        if let Err(error) = copied {
            eprintln!("the logs of {} are not kept: {error}", device.path().display());
        }
    }
}
