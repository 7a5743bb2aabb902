//! hls.js in a real browser: a page that plays one stream and counts what goes wrong, as hls.js and the media element tell it.

use crate::{
    browser::Browser,
    origin::{Asked, Origin, Reply, Replying},
    prerequisite,
    wait::wait_for,
};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::time::Duration;

/// Patience for the browser to begin.
const BEGIN_DEADLINE: Duration = Duration::from_secs(30);
/// The player: 6 s of buffer, which are three segments.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>player</title><video id="v" muted></video><script src="/hls.min.js"></script><script>
const v = document.getElementById("v");
window.seen = {began: null, stalls: 0, errors: [], retries: 0, reloads: 0, segments: [], supported: Hls.isSupported()};
const hls = new Hls({maxBufferLength: 6, maxMaxBufferLength: 6, liveSyncDurationCount: 3});
const by = (d) => new URL((d.networkDetails && (d.networkDetails.responseURL || d.networkDetails.url)) || d.frag.url).host;
hls.on(Hls.Events.ERROR, (_, d) => seen.errors.push((d.fatal ? "fatal " : "") + d.details + " " + (d.reason || (d.response && d.response.code) || "") + " " + (d.url || "")));
hls.on(Hls.Events.LEVEL_LOADED, (_, d) => { seen.reloads += 1; seen.retries += (d.stats && d.stats.retry) || 0; });
hls.on(Hls.Events.FRAG_LOADED, (_, d) => {
  seen.segments.push({at: performance.now(), sequence: d.frag.sn, by: by(d)});
  seen.retries += (d.frag.stats && d.frag.stats.retry) || 0;
});
v.addEventListener("playing", () => { if (seen.began === null) seen.began = {wall: performance.now(), media: v.currentTime}; });
v.addEventListener("waiting", () => { if (seen.began !== null) seen.stalls += 1; });
v.addEventListener("ended", () => seen.errors.push("ended"));
hls.on(Hls.Events.MANIFEST_PARSED, () => v.play().catch(e => seen.errors.push("play: " + e)));
hls.loadSource("STREAM");
hls.attachMedia(v);
window.look = () => ({...seen, now: performance.now(), media: v.currentTime, paused: v.paused, ready: v.readyState});
</script>"#;

/// A browser that plays.
pub struct Player {
    browser: Browser,
    _page: Origin,
}

impl Player {
    /// Opens the page that plays `stream`; `None` when hls.js or the browser is missing and may be.
    pub async fn start(stream: &str) -> anyhow::Result<Option<Self>> {
        let Some(hls) = prerequisite::tool("hls.js", "node_modules/hls.js/dist/hls.min.js") else { return Ok(None) };
        let Some(browser) = Browser::start().await? else { return Ok(None) };
        let page = page(stream, std::fs::read(&hls).context("read hls.js")?).await?;
        browser.tab.goto(page.url()).await.context("open the page")?;
        Ok(Some(Self { browser, _page: page }))
    }

    /// What it has seen so far: `began`, `stalls`, `errors`, `retries`, `reloads` of the playlist, `segments`, and the clocks.
    pub async fn look(&self) -> anyhow::Result<Value> {
        let seen = self.browser.tab.execute("return window.look();", Vec::new()).await.context("ask the page")?;
        Ok(seen.json().clone())
    }

    /// Waits until `wanted` wall time has passed since it began to play.
    pub async fn play_until(&self, wanted: Duration) -> Value {
        wait_for("the browser plays on", wanted + BEGIN_DEADLINE, || async {
            let seen = self.look().await?;
            let elapsed = seen["now"].as_f64().unwrap_or(0.0) - seen["began"]["wall"].as_f64().unwrap_or(f64::INFINITY);
            ensure!(elapsed >= wanted.as_secs_f64() * 1000.0, "{seen}");
            anyhow::Ok(seen)
        })
        .await
    }

    /// Waits until it has just read the playlist again.
    pub async fn reload(&self, deadline: Duration) -> anyhow::Result<Value> {
        let before = self.look().await?["reloads"].as_u64();
        let reloaded = wait_for("the playlist is read again", deadline, || async {
            let seen = self.look().await?;
            ensure!(seen["reloads"].as_u64() > before, "{seen}");
            anyhow::Ok(seen)
        });
        Ok(reloaded.await)
    }

    /// Closes the browser.
    pub async fn quit(self) -> anyhow::Result<()> {
        self.browser.quit().await
    }
}

/// Serves the page and hls.js.
async fn page(stream: &str, hls: Vec<u8>) -> anyhow::Result<Origin> {
    let html = PAGE.replace("STREAM", stream).into_bytes();
    let script = move |asked: Asked, mut reply: Reply| -> Replying {
        let (html, hls) = (html.clone(), hls.clone());
        Box::pin(async move {
            match asked.target.as_str() {
                "/" => reply.whole(&html, "Content-Type: text/html; charset=utf-8\r\n").await,
                "/hls.min.js" => reply.whole(&hls, "Content-Type: text/javascript\r\n").await,
                _ => reply.not_found().await,
            }
        })
    };
    Origin::start(script).await.context("serve the player's page")
}
