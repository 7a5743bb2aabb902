//! Media playlists (RFC 8216) as far as the players need them.

use anyhow::{Context, bail};
use std::time::Duration;

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its media sequence number.
    pub sequence: u64,
    /// How long it plays.
    pub duration: Duration,
    /// Where it is, relative to the playlist.
    pub uri: String,
}

/// A media playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playlist {
    /// Its segments, oldest first.
    pub segments: Vec<Segment>,
    /// Whether nothing is appended any more.
    pub ended: bool,
}

impl Playlist {
    /// Reads one.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        if !text.starts_with("#EXTM3U") {
            bail!("not a playlist: {:?}", text.lines().next());
        }
        let (mut sequence, mut duration, mut segments) = (0, None, Vec::new());
        for line in text.lines() {
            if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                sequence = first.parse().context("media sequence")?;
            } else if let Some(rest) = line.strip_prefix("#EXTINF:") {
                let seconds: f64 = rest.split(',').next().unwrap_or_default().parse().context("segment duration")?;
                duration = Some(Duration::from_secs_f64(seconds));
            } else if !line.is_empty() && !line.starts_with('#') {
                let duration = duration.take().with_context(|| format!("{line} has no EXTINF"))?;
                segments.push(Segment { sequence, duration, uri: line.to_owned() });
                sequence += 1;
            }
        }
        Ok(Self { segments, ended: text.lines().any(|line| line == "#EXT-X-ENDLIST") })
    }
}

/// The target of `uri`, relative to the target of its playlist.
pub fn resolve(playlist: &str, uri: &str) -> String {
    let folder = playlist.rfind('/').map_or("/", |slash| &playlist[..=slash]);
    format!("{folder}{uri}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_and_ended_playlists() {
        let live = Playlist::parse("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:41\n#EXTINF:2.000,\na.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:1.500,\nb.ts\n")
            .unwrap();
        let segment =
            |sequence, duration_ms, uri: &str| Segment { sequence, duration: Duration::from_millis(duration_ms), uri: uri.into() };
        assert_eq!(live, Playlist { segments: vec![segment(41, 2000, "a.ts"), segment(42, 1500, "b.ts")], ended: false });
        assert!(Playlist::parse("#EXTM3U\n#EXT-X-ENDLIST\n").unwrap().ended);
        assert!(Playlist::parse("<html>").is_err());
        assert_eq!(resolve("/d/live/index.m3u8", "a.ts"), "/d/live/a.ts");
    }
}
