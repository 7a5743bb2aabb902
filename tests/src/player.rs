//! Players as models: a live HLS player with a buffer and a media clock, one that plays a recording, one that fetches by ranges.

use crate::{
    client::{Ask, Client},
    playlist::{Playlist, resolve},
    sha256,
    viewer::{Fetched, Viewer},
};
use anyhow::{Context, bail};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep_until, timeout},
};

/// Media a live player holds before it plays, in segments of 2 s: 6 s.
const BUFFER_SEGMENTS: usize = 3;
/// Pause before a failed request is sent to the same address again.
const RETRY: Duration = Duration::from_millis(200);
/// Wait for the next playlist after one that was new and one that was not, as RFC 8216 section 6.3.4 says for segments of 2 s.
const RELOAD: Duration = Duration::from_secs(2);
const RELOAD_UNCHANGED: Duration = Duration::from_secs(1);
/// Patience of a player for one request.
const REQUEST_PATIENCE: Duration = Duration::from_secs(4);

/// A request that brought nothing playable.
#[derive(Debug, Clone)]
pub struct Failed {
    /// When.
    pub at: Instant,
    /// What was asked and what came.
    pub what: String,
}

/// A segment that came.
#[derive(Debug, Clone)]
pub struct Served {
    /// Its media sequence number.
    pub sequence: u64,
    /// Who served it.
    pub engine: SocketAddr,
    /// When its last byte came.
    pub at: Instant,
}

/// What a live player saw.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Times the picture stood still, each with its length.
    pub stalls: Vec<Duration>,
    /// Requests that failed; each was repeated.
    pub failed: Vec<Failed>,
    /// Segments, in order.
    pub served: Vec<Served>,
    /// Least media in the buffer when a segment arrived, since it plays.
    pub least_buffer: Option<Duration>,
}

/// A live player that runs until it is stopped.
pub struct Live {
    task: JoinSet<Report>,
    stop: watch::Sender<bool>,
    served: watch::Receiver<Option<Served>>,
}

impl Live {
    /// Starts playing `target`; routers are tried in turn until one sends it to an engine, where it stays until it is sent on.
    pub fn start(client: Client, routers: Vec<SocketAddr>, target: String) -> Self {
        let urls = routers.iter().map(|router| format!("http://{router}{target}")).collect();
        Self::watch(Viewer::new(client.patience(REQUEST_PATIENCE)), urls)
    }

    /// Starts playing the playlist at the first of `urls` that answers. As hls.js does, it goes on asking for the playlist at the
    /// URL that answered first, and takes segments from where each playlist came from.
    pub fn watch(viewer: Viewer, urls: Vec<String>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (progress, served) = watch::channel(None);
        let player = Player { viewer, report: Report::default(), play_until: None, progress };
        let mut task = JoinSet::new();
        task.spawn(player.run(urls, stopped));
        Self { task, stop, served }
    }

    /// The last segment that came.
    pub fn last(&self) -> Option<Served> {
        self.served.borrow().clone()
    }

    /// Waits for a segment that comes from now on; the buffer is full then.
    pub async fn next_segment(&mut self, deadline: Duration) -> anyhow::Result<Served> {
        self.served.mark_unchanged();
        timeout(deadline, self.served.changed()).await.context("no segment came")??;
        self.last().context("a segment came")
    }

    /// Waits until it plays: the buffer has been filled once.
    pub async fn playing(&mut self, deadline: Duration) -> anyhow::Result<()> {
        for _ in 0..BUFFER_SEGMENTS {
            self.next_segment(deadline).await?;
        }
        Ok(())
    }

    /// Stops it.
    pub async fn stop(mut self) -> anyhow::Result<Report> {
        self.stop.send_replace(true);
        Ok(self.task.join_next().await.context("the player runs")??)
    }
}

struct Player {
    viewer: Viewer,
    report: Report,
    /// When the buffer runs dry; `None` before it plays.
    play_until: Option<Instant>,
    progress: watch::Sender<Option<Served>>,
}

impl Player {
    async fn run(mut self, urls: Vec<String>, mut stopped: watch::Receiver<bool>) -> Report {
        tokio::select! {
            () = self.play(&urls) => {}
            // The sender lives as long as the test's handle.
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        if let Some(until) = self.play_until
            && let Some(stalled) = weir_clock::monotonic().checked_duration_since(until)
        {
            self.report.stalls.push(stalled);
        }
        self.report
    }

    async fn play(&mut self, urls: &[String]) {
        let url = self.begin(urls).await;
        let mut next: Option<u64> = None;
        loop {
            let asked = weir_clock::monotonic();
            let fetched = self.fetch(&url).await;
            let wait = match Playlist::parse(&String::from_utf8_lossy(&fetched.answer.body)) {
                Ok(playlist) => self.append(&fetched.url, &playlist, &mut next).await,
                Err(error) => {
                    self.fail(format!("{url}: {error:#}"));
                    RETRY
                }
            };
            sleep_until((asked + wait).into()).await;
        }
    }

    /// Fetches what is new in a playlist; how long to wait before the next one.
    async fn append(&mut self, url: &str, playlist: &Playlist, next: &mut Option<u64>) -> Duration {
        let start = playlist.segments.len().saturating_sub(BUFFER_SEGMENTS);
        let from = next.unwrap_or_else(|| playlist.segments.get(start).map_or(0, |s| s.sequence));
        let mut new = false;
        for segment in playlist.segments.iter().filter(|s| s.sequence >= from) {
            let engine = self.fetch(&resolve(url, &segment.uri)).await.from;
            *next = Some(segment.sequence + 1);
            self.arrived(segment.sequence, segment.duration, engine);
            new = true;
        }
        if new { RELOAD } else { RELOAD_UNCHANGED }
    }

    /// Moves the media clock: a segment that comes after the buffer ran dry ends a stall.
    fn arrived(&mut self, sequence: u64, duration: Duration, engine: SocketAddr) {
        let now = weir_clock::monotonic();
        let served = Served { sequence, engine, at: now };
        self.report.served.push(served.clone());
        if self.report.served.len() >= BUFFER_SEGMENTS {
            self.play_until = Some(match self.play_until {
                None => now + duration * u32::try_from(BUFFER_SEGMENTS).expect("a small number"),
                Some(until) => {
                    let buffer = until.saturating_duration_since(now);
                    self.report.least_buffer = Some(self.report.least_buffer.map_or(buffer, |least| least.min(buffer)));
                    if until < now {
                        self.report.stalls.push(now - until);
                    }
                    until.max(now) + duration
                }
            });
        }
        self.progress.send_replace(Some(served));
    }

    fn fail(&mut self, what: String) {
        self.report.failed.push(Failed { at: weir_clock::monotonic(), what });
    }

    /// Where the playlist is, after redirects.
    async fn begin(&mut self, urls: &[String]) -> String {
        for url in urls.iter().cycle() {
            match self.viewer.fetch(url, &[]).await {
                Ok(fetched) if fetched.answer.status() == 200 => return fetched.url,
                Ok(fetched) => self.fail(format!("{}: {}", fetched.url, fetched.answer.status())),
                Err(error) => self.fail(error.to_string()),
            }
            sleep_until((weir_clock::monotonic() + RETRY).into()).await;
        }
        unreachable!("a player has a URL")
    }

    /// GET of the same URL until it succeeds.
    async fn fetch(&mut self, url: &str) -> Fetched {
        loop {
            match self.viewer.fetch(url, &[]).await {
                Ok(fetched) if fetched.answer.status() == 200 => return fetched,
                Ok(fetched) => self.fail(format!("{}: {}", fetched.url, fetched.answer.status())),
                Err(error) => self.fail(error.to_string()),
            }
            sleep_until((weir_clock::monotonic() + RETRY).into()).await;
        }
    }
}

/// Plays a recording by way of `router`: SHA-256 of each segment, by its name.
pub async fn recording(client: Client, router: SocketAddr, target: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let (engine, target, answer) = client.follow(router, &Ask::get(target)).await.context("the playlist")?;
    if answer.status() != 200 {
        bail!("the playlist: {} from {engine}", answer.status());
    }
    let playlist = Playlist::parse(answer.text())?;
    let mut hashes = BTreeMap::new();
    for segment in playlist.segments {
        let answer = client.get(engine, &resolve(&target, &segment.uri)).await.with_context(|| segment.uri.clone())?;
        if answer.status() != 200 {
            bail!("{}: {} from {engine}", segment.uri, answer.status());
        }
        hashes.insert(segment.uri, sha256(&answer.body));
    }
    Ok(hashes)
}

/// Fetches a file of `length` bytes from an engine in ranges of `part` bytes, as a progressive player does.
pub async fn progressive(client: Client, engine: SocketAddr, target: &str, length: u64, part: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut from = 0;
    while from < length {
        let to = (from + part).min(length) - 1;
        let ask = Ask::get(target).field("Range", format!("bytes={from}-{to}"));
        let answer = client.ask(engine, &ask).await.with_context(|| format!("bytes {from}-{to}"))?;
        let range = answer.head.field("Content-Range");
        if answer.status() != 206 || range != Some(format!("bytes {from}-{to}/{length}")) {
            bail!("bytes {from}-{to}: {} with Content-Range {range:?}", answer.status());
        }
        bytes.extend_from_slice(&answer.body);
        from = to + 1;
    }
    Ok(bytes)
}
