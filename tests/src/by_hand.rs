//! A network built device by device, as docs/how-to/build-a-network-box-by-box.md says, without `weir up`.

use crate::{network, process};
use anyhow::{Context, ensure};
use std::{
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
    keepers: Vec<Child>,
}

impl ByHand {
    /// With nothing in it yet.
    pub fn new() -> anyhow::Result<Self> {
        // Outside of what `weir up --base auto` takes, and another one for each test process.
        let base = [127, 122, u8::try_from(std::process::id() % 250)?];
        Ok(Self { dir: tempfile::tempdir()?, base, keepers: Vec::new() })
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
        let done = network::output(network::weir(arguments)).await?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "weir {arguments:?}: {said}");
        Ok(String::from_utf8(done.stdout)?.trim().to_owned())
    }

    /// A command over the manager's local socket.
    pub async fn local(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let data = self.data("manager-1");
        let mut all = vec!["--local", data.to_str().context("UTF-8")?];
        all.extend(arguments);
        self.weir(&all).await
    }

    /// Writes device.toml and installs the program.
    pub async fn install(&self, device: &str, role: &str, host: u8, listeners: &[(&str, &str, u16)]) -> anyhow::Result<()> {
        self.install_with(device, role, host, listeners, &[]).await
    }

    /// The same with more arguments for `weir install`.
    pub async fn install_with(
        &self,
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
        let own = if role == "manager" { "[manager]\nnetwork = \"by-hand\"\nprofile = \"rehearsal\"\n" } else { "" };
        std::fs::write(data.join("device.toml"), format!("name = {device:?}\nrole = {role:?}\n{own}{listeners}"))?;
        let said = self.weir(&[&["install", "--data", path(&data)?], more].concat()).await?;
        ensure!(said.contains("installed"), "{said}");
        Ok(())
    }

    /// Starts a device's keeper.
    pub fn keep(&mut self, device: &str) -> anyhow::Result<()> {
        let mut keeper =
            network::weir(["keeper", "--lifeline", "--same-user", "--drain-ms", DRAIN_MS, "--data", path(&self.data(device))?]);
        self.keepers.push(keeper.stdin(Stdio::piped()).spawn()?);
        Ok(())
    }

    /// Enrols a device at manager-1.
    pub async fn enrol(&self, device: &str, token: &str) -> anyhow::Result<String> {
        let manager = format!("https://{}", self.at(2, 9443));
        self.weir(&["enrol", "--manager", &manager, "--token", token, "--data", path(&self.data(device))?]).await
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
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
