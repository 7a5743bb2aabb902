//! The demo origin: a test pattern and a tone as a VOD stream and as a rolling live stream, from one committed file.
//!
//! `/vod/index.m3u8` lists every segment once; `/live/index.m3u8` is a window over the same segments that moves with the
//! wall clock for ever, with a discontinuity where the pattern begins anew.

use bytes::Bytes;
use std::{future::Future, sync::Arc};
use weir_net::http1::{Body, Request, ResponseHead, Service};

const MEDIA: &[u8] = include_bytes!("../../media/sample.ts");
const PLAYLIST: &str = include_str!("../../media/sample.m3u8");
/// Length of every segment, in milliseconds.
const SEGMENT_MS: u64 = 2000;
/// Segments in the live playlist.
const LIVE_WINDOW: u64 = 6;
/// Freshness of segments and the VOD playlist, in seconds.
const MEDIA_TTL: u64 = 3600;
/// Freshness of the live playlist, in seconds: half a segment.
const LIVE_TTL: u64 = 1;

/// The origin. Clones share it.
#[derive(Clone)]
pub(crate) struct DemoOrigin {
    segments: Arc<[Bytes]>,
}

/// Byte ranges of the segments, from the playlist's `#EXT-X-BYTERANGE:<length>@<offset>` lines.
fn ranges() -> impl Iterator<Item = (usize, usize)> {
    PLAYLIST.lines().filter_map(|line| {
        let (length, offset) = line.strip_prefix("#EXT-X-BYTERANGE:")?.split_once('@')?;
        let offset: usize = offset.parse().ok()?;
        Some((offset, offset + length.parse::<usize>().ok()?))
    })
}

enum Resource {
    Index,
    Vod,
    Live,
    Segment(usize),
}

impl DemoOrigin {
    /// With the committed media.
    pub(crate) fn new() -> Self {
        let media = Bytes::from_static(MEDIA);
        Self { segments: ranges().map(|(from, to)| media.slice(from..to)).collect() }
    }

    fn find(&self, path: &str) -> Option<Resource> {
        match path {
            "/" => Some(Resource::Index),
            "/vod/index.m3u8" => Some(Resource::Vod),
            "/live/index.m3u8" => Some(Resource::Live),
            _ => {
                let name = path.strip_prefix("/vod/").or_else(|| path.strip_prefix("/live/"))?;
                let number: usize = name.strip_prefix("segment-")?.strip_suffix(".ts")?.parse().ok()?;
                (number < self.segments.len()).then_some(Resource::Segment(number))
            }
        }
    }

    fn vod(&self) -> String {
        let list: String = (0..self.segments.len()).map(|n| format!("#EXTINF:2.000,\nsegment-{n}.ts\n")).collect();
        format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n{list}#EXT-X-ENDLIST\n")
    }

    fn live(&self, clock_ms: u64) -> String {
        let count = self.segments.len() as u64;
        let first = (clock_ms / SEGMENT_MS).saturating_sub(LIVE_WINDOW);
        let discontinuities = first.saturating_sub(1) / count;
        let list: String = (first..first + LIVE_WINDOW)
            .map(|sequence| {
                let number = sequence % count;
                let anew = if number == 0 { "#EXT-X-DISCONTINUITY\n" } else { "" };
                format!("{anew}#EXTINF:2.000,\nsegment-{number}.ts\n")
            })
            .collect();
        format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}\n{list}"
        )
    }

    fn answer(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> Body {
        if !matches!(request.method, "GET" | "HEAD") {
            head.status(405);
            head.field("Allow", "GET, HEAD");
            return Body::Empty;
        }
        let Some(resource) = self.find(request.target.path) else {
            head.status(404);
            return Body::bytes("here are /vod/index.m3u8 and /live/index.m3u8\n");
        };
        let (kind, ttl, body) = match resource {
            Resource::Index => ("text/plain", MEDIA_TTL, Bytes::from_static(b"Weir demo origin: /vod/index.m3u8 and /live/index.m3u8\n")),
            Resource::Vod => ("application/vnd.apple.mpegurl", MEDIA_TTL, self.vod().into()),
            Resource::Live => ("application/vnd.apple.mpegurl", LIVE_TTL, self.live(weir_clock::wall_ms()).into()),
            Resource::Segment(number) => ("video/mp2t", MEDIA_TTL, self.segments[number].clone()),
        };
        head.status(200);
        head.field("Content-Type", kind);
        head.field("Cache-Control", format!("public, max-age={ttl}"));
        head.field("Access-Control-Allow-Origin", "*");
        Body::bytes(body)
    }
}

impl Service for DemoOrigin {
    fn respond(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> impl Future<Output = Body> + Send {
        std::future::ready(self.answer(request, head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segments_are_the_whole_file() {
        let origin = DemoOrigin::new();
        assert_eq!(origin.segments.iter().map(Bytes::len).sum::<usize>(), MEDIA.len());
        assert_eq!(origin.segments.len(), 30);
        assert!(origin.segments.iter().all(|s| s[0] == 0x47), "every segment begins with a TS packet");
    }

    /// A player that reads the playlist at any two moments sees one sequence of segments.
    #[test]
    fn the_live_window_only_moves_forward() {
        let origin = DemoOrigin::new();
        let read = |clock_ms: u64| {
            let text = origin.live(clock_ms);
            let number = |tag: &str| text.lines().find_map(|l| l.strip_prefix(tag)).and_then(|t| t.parse::<u64>().ok()).expect("tag");
            let segments = text.lines().filter(|l| l.starts_with("segment-")).count() as u64;
            let before_first = text
                .lines()
                .position(|l| l == "#EXT-X-DISCONTINUITY")
                .is_some_and(|d| d < text.lines().position(|l| l.starts_with("segment-")).expect("segments"));
            (number("#EXT-X-MEDIA-SEQUENCE:"), number("#EXT-X-DISCONTINUITY-SEQUENCE:"), segments, before_first)
        };
        let (mut last, mut seen) = (read(1_000_000), 0);
        for clock_ms in (1_000_000..1_200_000).step_by(500) {
            let now = read(clock_ms);
            assert_eq!(now.2, LIVE_WINDOW);
            assert!(now.0 == last.0 || now.0 == last.0 + 1);
            // A discontinuity counts once the segment that carried the tag has left the window (RFC 8216 section 6.2.2).
            assert_eq!(now.1 - last.1, u64::from(now.0 > last.0 && last.3), "at {clock_ms}");
            seen += now.1 - last.1;
            last = now;
        }
        assert!(seen >= 2);
    }
}
