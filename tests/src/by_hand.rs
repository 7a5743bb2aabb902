//! A network built device by device, as docs/how-to/build-a-network-box-by-box.md says, without `weir up`.

use crate::{
    Api,
    namespaces::{self, Namespace},
    network,
    process::{self, Signal},
};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

/// How long a keeper lets its worker drain: longer than any wait of this test.
const DRAIN_MS: &str = "60000";

/// A network's /24, its directory and the keepers started so far; they end with their lifelines.
pub struct ByHand {
    /// Where its data directories are.
    pub dir: tempfile::TempDir,
    base: [u8; 3],
    profile: &'static str,
    /// Whether each box has a network of its own.
    apart: bool,
    namespaces: BTreeMap<String, Namespace>,
    /// Boxes that run another build than the one under test.
    programs: BTreeMap<String, PathBuf>,
    keepers: BTreeMap<String, Child>,
}

impl ByHand {
    /// With nothing in it yet.
    pub fn new() -> anyhow::Result<Self> {
        // Outside of what `weir up --base auto` takes, and another one for each test process.
        let base = [127, 122, u8::try_from(std::process::id() % 250)?];
        Ok(Self {
            dir: tempfile::tempdir()?,
            base,
            profile: "rehearsal",
            apart: false,
            namespaces: BTreeMap::new(),
            programs: BTreeMap::new(),
            keepers: BTreeMap::new(),
        })
    }

    /// With the timers of this profile instead of a rehearsal's.
    #[must_use]
    pub fn profile(mut self, profile: &'static str) -> Self {
        self.profile = profile;
        self
    }

    /// With a network of its own for each box, so that they can be cut off from each other. The test runs in [`namespaces::inside`].
    #[must_use]
    pub fn apart(mut self) -> Self {
        (self.apart, self.base) = (true, namespaces::BASE);
        self
    }

    /// The network of a box.
    ///
    /// # Panics
    /// When it has none of its own.
    pub fn namespace(&self, device: &str) -> &Namespace {
        self.namespaces.get(device).unwrap_or_else(|| panic!("{device} is installed, and apart"))
    }

    /// This box runs another build from its next installation on.
    pub fn runs(&mut self, device: &str, program: impl Into<PathBuf>) {
        self.programs.insert(device.to_owned(), program.into());
    }

    /// `weir ARGUMENTS` of the build that a box runs, not yet started.
    fn weir_of(&self, device: &str, arguments: &[&str]) -> std::process::Command {
        let Some(program) = self.programs.get(device) else { return network::weir(arguments) };
        let mut command = network::program(program, arguments);
        // Its release is listed as itself, and the shared directory lists the archives of the same version.
        command.env("WEIR_DEV_KEYS", self.dir.path().join("other-release-keys"));
        command
    }

    /// An address of it.
    pub fn at(&self, host: u8, port: u16) -> SocketAddr {
        let [a, b, c] = self.base;
        (Ipv4Addr::new(a, b, c, host), port).into()
    }

    /// A device's data directory.
    pub fn data(&self, device: &str) -> PathBuf {
        self.dir.path().join(device)
    }

    /// Runs `weir` to its end; what it printed.
    pub async fn weir(&self, arguments: &[&str]) -> anyhow::Result<String> {
        Self::done(network::weir(arguments), arguments).await
    }

    async fn done(command: std::process::Command, arguments: &[&str]) -> anyhow::Result<String> {
        let done = network::output(command).await?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "weir {arguments:?}: {said}");
        Ok(String::from_utf8(done.stdout)?.trim().to_owned())
    }

    /// `weir cms ARGUMENTS` on a manager's box: what it printed as JSON.
    pub async fn cms_json(&self, device: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let data = self.data(device);
        let all = [&["--output", "json", "cms", "--data", path(&data)?], arguments].concat();
        let said = Self::done(self.weir_of(device, &all), &all).await?;
        serde_json::from_str(&said).with_context(|| format!("weir cms {arguments:?} prints JSON: {said}"))
    }

    /// `weir cms ARGUMENTS` on a manager's box, with `input` on its standard input; what it printed.
    pub async fn cms(&self, device: &str, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let data = self.data(device);
        let all = [&["cms", "--data", path(&data)?], arguments].concat();
        let done = network::output_of(self.weir_of(device, &all), input).await?;
        ensure!(done.status.success(), "weir {all:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8(done.stdout)?)
    }

    /// The API of a manager, with this token.
    pub fn api(&self, host: u8, token: &str) -> anyhow::Result<Api> {
        let ca = self.data("manager-1").join("state/manager/ca.pem");
        Api::at(&format!("https://{}", self.at(host, 8443)), &ca, Some(token))
    }

    /// A command over the manager's local socket.
    pub async fn local(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let data = self.data("manager-1");
        let mut all = vec!["--local", data.to_str().context("UTF-8")?];
        all.extend(arguments);
        self.weir(&all).await
    }

    /// Writes device.toml and installs the program.
    pub async fn install(&mut self, device: &str, role: &str, host: u8, listeners: &[(&str, &str, u16)]) -> anyhow::Result<()> {
        self.install_with(device, role, host, listeners, &[]).await
    }

    /// The same with more arguments for `weir install`.
    pub async fn install_with(
        &mut self,
        device: &str,
        role: &str,
        host: u8,
        listeners: &[(&str, &str, u16)],
        more: &[&str],
    ) -> anyhow::Result<()> {
        let data = self.data(device);
        std::fs::create_dir(&data)?;
        let listeners: String = listeners
            .iter()
            .map(|(name, proto, port)| {
                format!("\n[[listeners]]\nname = {name:?}\nproto = {proto:?}\naddress = \"{}\"\n", self.at(host, *port))
            })
            .collect();
        let own =
            if role == "manager" { format!("[manager]\nnetwork = \"by-hand\"\nprofile = {:?}\n", self.profile) } else { String::new() };
        std::fs::write(data.join("device.toml"), format!("name = {device:?}\nrole = {role:?}\n{own}{listeners}"))?;
        if self.apart {
            self.namespaces.insert(device.to_owned(), Namespace::new(host)?);
        }
        self.put_in_place(device, more).await
    }

    async fn put_in_place(&self, device: &str, more: &[&str]) -> anyhow::Result<()> {
        let data = self.data(device);
        let all = [&["install", "--data", path(&data)?], more].concat();
        let said = Self::done(self.weir_of(device, &all), &all).await?;
        ensure!(said.contains("installed"), "{said}");
        Ok(())
    }

    /// kill -9 of a box, which stays down. Its program is gone, what it knows stays: the build it runs is installed anew.
    pub async fn reinstall(&mut self, device: &str) -> anyhow::Result<()> {
        self.install_again(device, &["state", "device.toml"]).await
    }

    /// kill -9 of a box, and another one in its place: of the same name and addresses, and it knows nothing.
    pub async fn replace(&mut self, device: &str) -> anyhow::Result<()> {
        self.install_again(device, &["device.toml"]).await
    }

    async fn install_again(&mut self, device: &str, keep: &[&str]) -> anyhow::Result<()> {
        self.kill(device)?;
        for entry in std::fs::read_dir(self.data(device))? {
            let entry = entry?;
            let kept = keep.iter().any(|name| entry.file_name() == *name);
            if !kept && entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else if !kept {
                std::fs::remove_file(entry.path())?;
            }
        }
        self.put_in_place(device, &[]).await
    }

    /// kill -9 of a box, which stays down.
    pub fn kill(&mut self, device: &str) -> anyhow::Result<()> {
        let worker = std::fs::read_to_string(self.data(device).join("run/worker.pid")).ok();
        if let Some(mut keeper) = self.keepers.remove(device) {
            keeper.kill().context("kill a keeper")?;
            keeper.wait().context("wait for a keeper")?;
        }
        if let Some(worker) = worker.and_then(|id| id.trim().parse().ok()) {
            process::signal(worker, Signal::KILL);
            while Path::new(&format!("/proc/{worker}")).exists() {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// Starts a device's keeper.
    pub fn keep(&mut self, device: &str) -> anyhow::Result<()> {
        let data = self.data(device);
        let mut keeper = self.weir_of(device, &["keeper", "--lifeline", "--same-user", "--drain-ms", DRAIN_MS, "--data", path(&data)?]);
        if let Some(namespace) = self.namespaces.get(device) {
            keeper = namespace.wrap(&keeper);
        }
        self.keepers.insert(device.to_owned(), keeper.stdin(Stdio::piped()).spawn()?);
        Ok(())
    }

    /// Enrols a device at manager-1.
    pub async fn enrol(&self, device: &str, token: &str) -> anyhow::Result<String> {
        let manager = format!("https://{}", self.at(2, 9443));
        let data = self.data(device);
        let all = ["enrol", "--manager", &manager, "--token", token, "--data", path(&data)?];
        Self::done(self.weir_of(device, &all), &all).await
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        for keeper in self.keepers.values_mut() {
            drop(keeper.stdin.take());
            // It ends within its drain; a keeper that does not is found below.
            let _ = keeper.wait();
        }
        let left = process::running_in(self.dir.path());
        assert!(left.is_empty() || std::thread::panicking(), "left running: {left:?}");
    }
}

/// A path as an argument.
pub fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("test directories are UTF-8")
}
