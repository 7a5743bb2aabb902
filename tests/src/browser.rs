//! Headless Chromium, driven through chromedriver.

use crate::{prerequisite, process::Process, wait::wait_until};
use anyhow::Context;
use serde_json::{Value, json};
use std::{
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use thirtyfour::{CapabilitiesHelper, ChromeCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel, WebDriver};

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

/// Height of a screen, in CSS pixels.
const SCREEN_HEIGHT: u64 = 900;
/// Height of a picture at most: a longer page is cut.
const PICTURE_HEIGHT_MAX: u64 = 6000;

/// What the person in front of the screen prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on a light ground.
    Light,
    /// The other way round.
    Dark,
}

impl Theme {
    /// The word of the media feature.
    pub fn as_str(self) -> &'static str {
        match self {
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

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
        // The pages' certificate is of the network's own CA; that it is right is the API client's to check.
        capabilities.accept_insecure_certs(true)?;
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        for flag in FLAGS {
            capabilities.add_arg(flag)?;
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().join("data").display()))?;
        let tab = WebDriver::new(format!("http://{address}"), capabilities).await.context("open a browser session")?;
        Ok(Some(Self { tab, _driver: driver, _profile: profile }))
    }

    /// Errors on the console since the last time: scripts that failed, what the content security policy forbids.
    pub async fn errors(&self) -> anyhow::Result<Vec<String>> {
        let lines = self.tab.get_log("browser").await.context("read the console")?;
        Ok(lines.into_iter().filter(|line| line.level == "SEVERE").map(|line| line.message).collect())
    }

    /// Looks like a screen of this width, in CSS pixels, whose person prefers dark or light.
    pub async fn screen(&self, width: u32, theme: Theme) -> anyhow::Result<()> {
        self.size(width, SCREEN_HEIGHT).await?;
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme.as_str() }] });
        self.tab.cdp().send_raw("Emulation.setEmulatedMedia", media).await.context("set the theme")?;
        Ok(())
    }

    async fn size(&self, width: u32, height: u64) -> anyhow::Result<()> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tab.cdp().send_raw("Emulation.setDeviceMetricsOverride", metrics).await.context("set the screen")?;
        Ok(())
    }

    /// The whole page as a PNG, on a screen of this width that is as high as the page.
    pub async fn picture(&self, width: u32) -> anyhow::Result<Vec<u8>> {
        // A change of theme may fade over; what never ends is left as it is.
        let finish = "for (const a of document.getAnimations()) if (a.effect.getComputedTiming().endTime < Infinity) a.finish();";
        self.evaluate(finish).await?;
        let height = self.evaluate("return Math.ceil(document.scrollingElement.scrollHeight)").await?;
        self.size(width, height.as_u64().context("a height")?.clamp(SCREEN_HEIGHT, PICTURE_HEIGHT_MAX)).await?;
        let picture = self.tab.screenshot_as_png().await.context("take a picture")?;
        self.size(width, SCREEN_HEIGHT).await?;
        Ok(picture)
    }

    /// What a script returns.
    pub async fn evaluate(&self, script: &str) -> anyhow::Result<Value> {
        let value = self.tab.execute(script, Vec::new()).await.with_context(|| script.to_owned())?;
        Ok(value.json().clone())
    }

    /// Closes it.
    pub async fn quit(self) -> anyhow::Result<()> {
        self.tab.quit().await.context("close the browser")
    }
}
