//! Headless Chromium, driven through chromedriver.

use crate::{prerequisite, process::Process, wait::wait_until};
use anyhow::Context;
use std::{
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities, WebDriver};

/// Patience for chromedriver to listen.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// A quiet browser: no first-run pages, no calls home, sound off, media that starts without a click.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--no-proxy-server",
    "--disable-dev-shm-usage",
];

/// A browser with one tab. End it with [`Browser::quit`].
pub struct Browser {
    /// The tab.
    pub tab: WebDriver,
    _driver: Process,
    _profile: TempDir,
}

impl Browser {
    /// Starts it; `None` when it is missing and may be.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        crate::api::install_provider();
        let Some(chromium) = prerequisite::program("chromium", "chromium", "chromium") else { return Ok(None) };
        let Some(driver) = prerequisite::program("chromium", "chromedriver", "chromium-driver") else { return Ok(None) };
        let profile = tempfile::Builder::new().prefix("weir-browser-").tempdir().context("make a profile")?;
        let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context("find a free port")?;
        let log = std::fs::File::create(profile.path().join("driver.log")).context("make chromedriver's log")?;
        let mut command = Command::new(driver);
        command.arg(format!("--port={}", address.port())).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let driver = Process::start(&mut command)?;
        wait_until("chromedriver listens", START_DEADLINE, || std::future::ready(TcpStream::connect(address).is_ok())).await;
        let mut capabilities = ChromeCapabilities::new();
        capabilities.set_binary(chromium.to_str().context("chromium's path is UTF-8")?)?;
        for flag in FLAGS {
            capabilities.add_arg(flag)?;
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().join("data").display()))?;
        let tab = WebDriver::new(format!("http://{address}"), capabilities).await.context("open a browser session")?;
        Ok(Some(Self { tab, _driver: driver, _profile: profile }))
    }

    /// Closes it.
    pub async fn quit(self) -> anyhow::Result<()> {
        self.tab.quit().await.context("close the browser")
    }
}
