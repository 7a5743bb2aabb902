//! Players of what does not move: a recording by its segments, or one file by ranges, a piece every so often.

use crate::{
    playlist::{Playlist, resolve},
    sha256,
    viewer::Viewer,
};
use anyhow::{Context, ensure};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep_until, timeout},
};

/// Pause before a failed request is sent again.
const RETRY: Duration = Duration::from_millis(200);

/// One piece that came.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Which: a segment's name, or a range.
    pub name: String,
    /// What came.
    pub sha256: String,
    /// Who served it.
    pub engine: SocketAddr,
    /// When its last byte came.
    pub at: Instant,
}

/// What a player saw.
#[derive(Debug, Clone, Default)]
pub struct Played {
    /// Pieces, in order.
    pub pieces: Vec<Piece>,
    /// Requests that failed; each was repeated.
    pub failed: Vec<String>,
    /// Everything, joined.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Wanted {
    name: String,
    url: String,
    range: Option<String>,
}

/// A player under way.
pub struct Paced {
    task: JoinSet<Played>,
    play: watch::Sender<bool>,
    count: watch::Receiver<usize>,
}

impl Paced {
    /// Plays the recording at `url`: its playlist is read once, then a segment is taken each `pace`.
    pub async fn recording(viewer: Viewer, url: &str, pace: Duration) -> anyhow::Result<Self> {
        let fetched = viewer.fetch(url, &[]).await?;
        ensure!(fetched.answer.status() == 200, "{}: {}", fetched.url, fetched.answer.status());
        let segments = Playlist::parse(fetched.answer.text())?.segments;
        let wanted = segments.into_iter().map(|s| Wanted { url: resolve(&fetched.url, &s.uri), name: s.uri, range: None });
        Ok(Self::begin(viewer, wanted.collect(), pace))
    }

    /// Fetches the file of `length` bytes at `url` in ranges of `part` bytes, one each `pace`.
    pub fn progressive(viewer: Viewer, url: &str, length: u64, part: u64, pace: Duration) -> Self {
        let ranges = (0..length.div_ceil(part)).map(|n| (n * part, ((n + 1) * part).min(length) - 1));
        let wanted = ranges.map(|(from, to)| Wanted {
            name: format!("bytes {from}-{to}/{length}"),
            url: url.to_owned(),
            range: Some(format!("bytes={from}-{to}")),
        });
        Self::begin(viewer, wanted.collect(), pace)
    }

    fn begin(viewer: Viewer, wanted: Vec<Wanted>, pace: Duration) -> Self {
        let (play, playing) = watch::channel(true);
        let (progress, count) = watch::channel(0);
        let mut task = JoinSet::new();
        task.spawn(run(viewer, wanted, pace, playing, progress));
        Self { task, play, count }
    }

    /// Takes no piece from now on.
    pub fn pause(&self) {
        self.play.send_replace(false);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.play.send_replace(true);
    }

    /// How many pieces have come.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until so many pieces have come.
    pub async fn reached(&mut self, count: usize, deadline: Duration) -> anyhow::Result<()> {
        let reached = self.count.wait_for(|n| *n >= count);
        timeout(deadline, reached).await.with_context(|| format!("{count} pieces within {deadline:?}"))??;
        Ok(())
    }

    /// Waits for its end.
    pub async fn end(mut self, deadline: Duration) -> anyhow::Result<Played> {
        let ended = timeout(deadline, self.task.join_next()).await.with_context(|| format!("played within {deadline:?}"))?;
        Ok(ended.context("the player runs")??)
    }
}

async fn run(
    viewer: Viewer,
    wanted: Vec<Wanted>,
    pace: Duration,
    mut playing: watch::Receiver<bool>,
    progress: watch::Sender<usize>,
) -> Played {
    let mut played = Played::default();
    for wanted in wanted {
        // Its end is the end of the test's handle.
        if playing.wait_for(|play| *play).await.is_err() {
            break;
        }
        let asked = weir_clock::monotonic();
        let piece = fetch(&viewer, &wanted, &mut played).await;
        played.pieces.push(piece);
        progress.send_replace(played.pieces.len());
        sleep_until((asked + pace).into()).await;
    }
    played
}

async fn fetch(viewer: &Viewer, wanted: &Wanted, played: &mut Played) -> Piece {
    let fields: Vec<(&str, String)> = wanted.range.iter().map(|range| ("Range", range.clone())).collect();
    let status = if wanted.range.is_some() { 206 } else { 200 };
    loop {
        match viewer.fetch(&wanted.url, &fields).await {
            Ok(fetched) => {
                let range = fetched.answer.head.field("Content-Range");
                let right = wanted.range.is_none() || range.as_deref() == Some(&wanted.name);
                if fetched.answer.status() == status && right {
                    played.bytes.extend_from_slice(&fetched.answer.body);
                    let (name, sha256) = (wanted.name.clone(), sha256(&fetched.answer.body));
                    return Piece { name, sha256, engine: fetched.from, at: weir_clock::monotonic() };
                }
                played.failed.push(format!("{}: {} with Content-Range {range:?}", fetched.url, fetched.answer.status()));
            }
            Err(error) => played.failed.push(error.to_string()),
        }
        sleep_until((weir_clock::monotonic() + RETRY).into()).await;
    }
}
