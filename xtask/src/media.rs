//! `cargo xtask media`: makes the demo stream again, and counts what is in it.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::{Command, capture, run};

/// Where the demo stream is committed.
const FOLDER: &str = "crates/bin/weir/media";
/// Frames of the whole stream: 60 s at 25 per second.
const FRAMES: u32 = 1500;
/// Segments of the playlist.
const SEGMENTS: usize = 30;
/// What each segment lasts in the playlist.
const SEGMENT: &str = "#EXTINF:2.000000,";
/// Bytes that stream and playlist may take in the repository together.
const BYTES_MAX: u64 = 900 * 1000;

/// A colour test pattern with a running counter, 320x180 at 25 frames per second.
const PICTURE: &str = "testsrc=size=320x180:rate=25:duration=60:decimals=2";
/// A 440 Hz tone at 48 kHz.
const TONE: &str = "sine=frequency=440:sample_rate=48000:duration=60";

/// One thread, bit-exact muxing and no metadata, so that the same ffmpeg makes the same bytes; a key frame each 2 s and
/// nowhere else, so that every segment starts with one and lasts exactly 2 s.
const OUTPUT: &[&str] = &[
    "-map",
    "0:v",
    "-map",
    "1:a",
    "-map_metadata",
    "-1",
    "-threads",
    "1",
    "-c:v",
    "libx264",
    "-profile:v",
    "baseline",
    "-preset",
    "veryslow",
    "-crf",
    "28",
    "-pix_fmt",
    "yuv420p",
    "-g",
    "50",
    "-keyint_min",
    "50",
    "-sc_threshold",
    "0",
    "-x264-params",
    "threads=1:open-gop=0",
    "-flags:v",
    "+bitexact+cgop",
    "-c:a",
    "aac",
    "-ac",
    "1",
    "-b:a",
    "32k",
    "-flags:a",
    "+bitexact",
    "-f",
    "hls",
    "-hls_time",
    "2",
    "-hls_playlist_type",
    "vod",
    "-hls_flags",
    "single_file+independent_segments",
    "-hls_segment_filename",
    "sample.ts",
    "sample.m3u8",
];

/// Makes the stream in the repository at `root` and checks it.
pub(crate) fn make(root: &Path) -> Result<()> {
    let folder = root.join(FOLDER);
    let input = [
        "-nostdin",
        "-hide_banner",
        "-loglevel",
        "warning",
        "-y",
        "-fflags",
        "+bitexact",
        "-f",
        "lavfi",
        "-i",
        PICTURE,
        "-f",
        "lavfi",
        "-i",
        TONE,
    ];
    let arguments: Vec<&str> = input.iter().chain(OUTPUT).copied().collect();
    run(&Command::new("ffmpeg", &arguments).directory(&folder))?;
    check(&folder)
}

fn check(folder: &Path) -> Result<()> {
    let playlist = folder.join("sample.m3u8");
    let text = std::fs::read_to_string(&playlist).with_context(|| format!("reading {}", playlist.display()))?;
    let even = text.lines().filter(|line| *line == SEGMENT).count();
    let segments = text.lines().filter(|line| line.starts_with("#EXTINF:")).count();
    if (even, segments) != (SEGMENTS, SEGMENTS) {
        bail!("the playlist has {segments} segments, {even} of exactly 2 s; wanted {SEGMENTS}");
    }
    let bytes = ["sample.ts", "sample.m3u8"].iter().map(|name| std::fs::metadata(folder.join(name)).map(|file| file.len()));
    let bytes: u64 = bytes.sum::<std::io::Result<u64>>().context("reading the size of the stream")?;
    if bytes > BYTES_MAX {
        bail!("the stream takes {bytes} bytes, at most {BYTES_MAX}");
    }
    let count =
        ["-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", "sample.ts"];
    let counted = capture(&Command::new("ffprobe", &count).directory(folder))?;
    let frames = counted.split([',', '\n']).next().and_then(|text| text.trim().parse::<u32>().ok());
    if frames != Some(FRAMES) {
        bail!("the stream has {frames:?} frames, wanted {FRAMES}");
    }
    println!("{FRAMES} frames in {SEGMENTS} segments of 2 s, {bytes} bytes");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_playlist_names_every_byte_of_the_stream() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FOLDER);
        let text = std::fs::read_to_string(folder.join("sample.m3u8")).unwrap();
        let mut end = 0;
        let ranges: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")).collect();
        for range in &ranges {
            let (length, offset) = range.split_once('@').unwrap();
            assert_eq!(offset.parse::<u64>().unwrap(), end, "{range}");
            end += length.parse::<u64>().unwrap();
        }
        assert_eq!(ranges.len(), SEGMENTS);
        assert_eq!(text.lines().filter(|line| *line == SEGMENT).count(), SEGMENTS);
        assert_eq!(end, std::fs::metadata(folder.join("sample.ts")).unwrap().len());
        assert!(end < BYTES_MAX);
    }
}
