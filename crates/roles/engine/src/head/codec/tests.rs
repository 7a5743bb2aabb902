use super::*;
use proptest::prelude::*;
use std::path::Path;
use weir_caching::{Lifetime, LifetimeSource, Storable, date};

/// Where heads written once lie, for the builds of both lines to read.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
/// 2026-01-01T00:00:00Z.
const WRITTEN_S: u64 = 1_767_225_600;

fn at(monotonic_s: u64, steady_s: u64) -> Moment {
    Moment { monotonic_s, steady_s }
}

fn head(lines: &[(&str, &str)], freshness: Freshness) -> StoredHead {
    let storable = Storable {
        freshness,
        lifetime: Lifetime { seconds: freshness.lifetime_s, source: LifetimeSource::MaxAge },
        fields: lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
        withheld: Vec::new(),
        vary: Vary::Fields(vec!["accept-encoding".to_owned(), "x-device".to_owned()]),
        variant: "accept-encoding:gzip\nx-device\n".to_owned(),
    };
    StoredHead::new(200, storable)
}

fn freshness() -> Freshness {
    Freshness {
        arrived_at: 100,
        initial_age_s: 7,
        lifetime_s: 3600,
        stale_while_revalidate_s: 10,
        stale_if_error_s: 86_400,
        reuse: Reuse::Windows,
    }
}

const LINES: [(&str, &str); 4] = [
    ("content-type", "video/mp2t"),
    ("etag", "\"v1\""),
    ("cache-control", "max-age=3600, stale-while-revalidate=10, stale-if-error=86400"),
    ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
];

/// What is written of a segment that arrived 20 s before `WRITTEN_S` with an age of 7 s.
fn written(head: &StoredHead) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(write(head, at(120, WRITTEN_S), &mut out));
    out
}

fn is_written(head: &StoredHead) -> bool {
    let mut out = Vec::new();
    let is_written = write(head, at(120, WRITTEN_S), &mut out);
    assert_eq!(is_written, !out.is_empty());
    is_written
}

#[test]
fn a_head_comes_back_with_the_age_it_has_by_now() {
    let bytes = written(&head(&LINES, freshness()));
    let read = read(&bytes, at(3, WRITTEN_S + 60)).expect("a head");
    assert_eq!(read.freshness, Freshness { arrived_at: 3, initial_age_s: 7 + 20 + 60, ..freshness() });
    assert_eq!(read.freshness.age_at(5), 7 + 20 + 60 + 2);
    assert_eq!((read.status, &read.block), (200, &head(&LINES, freshness()).block));
    let request = |lines: &[(&str, &str)]| -> Vec<(String, Vec<u8>)> {
        lines.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect()
    };
    assert!(read.answers(&request(&[("accept-encoding", "gzip")])));
    assert!(!read.answers(&request(&[("accept-encoding", "br")])));
}

#[test]
fn every_way_of_reuse_comes_back() {
    for reuse in [Reuse::Windows, Reuse::FreshOnly, Reuse::ValidatedOnly] {
        let bytes = written(&head(&LINES, Freshness { reuse, ..freshness() }));
        assert_eq!(read(&bytes, at(0, WRITTEN_S)).expect("a head").freshness.reuse, reuse);
    }
}

#[test]
fn age_after_a_restart_never_falls() {
    for (case, age_s, written_s, now_s, is) in [
        ("at once", 27, 1_000, 1_000, 27),
        ("a minute later", 27, 1_000, 1_060, 87),
        ("years later", 27, 1_000, u64::MAX, u32::MAX),
        ("by a worker whose seconds are rounded another way", 27, 1_000, 998, 27),
        ("from the future, so of unknown age: stale", 27, 1_000, 997, 3_600),
        ("from the future, and older than that", 4_000, 1_000, 997, 4_000),
    ] {
        assert_eq!(age_now(age_s, 3_600, written_s, now_s), is, "{case}");
    }
}

#[test]
fn what_does_not_belong_on_disk_is_not_written() {
    assert!(is_written(&head(&LINES, freshness())));
    for lifetime_s in [0, LIFETIME_SECONDS_MIN - 1] {
        assert!(!is_written(&head(&LINES, Freshness { lifetime_s, ..freshness() })), "{lifetime_s}");
    }
    assert!(is_written(&head(&LINES, Freshness { lifetime_s: LIFETIME_SECONDS_MIN, ..freshness() })));
    for kind in ["application/vnd.apple.mpegurl", "Application/DASH+xml; charset=utf-8", " audio/mpegurl ;x=y"] {
        assert!(!is_written(&head(&[("Content-Type", kind)], freshness())), "{kind}");
    }
    assert!(is_written(&head(&[("content-type", "text/plain; type=audio/mpegurl")], freshness())));
    assert!(!is_written(&head(&[("set-cookie", "a=b")], freshness())), "a cookie is somebody's");
    let anything = StoredHead { vary: Vary::Anything, ..head(&LINES, freshness()) };
    assert!(!is_written(&anything));
}

#[test]
fn what_is_no_head_is_a_miss() {
    let bytes = written(&head(&LINES, freshness()));
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length], at(0, WRITTEN_S)).is_none(), "cut to {length}");
    }
    for (place, value, what) in [(0, 2, "a later format"), (1, 3, "an unknown way of reuse"), (28, 17, "too many selecting fields")] {
        let mut changed = bytes.clone();
        changed[place] = value;
        assert!(read(&changed, at(0, WRITTEN_S)).is_none(), "{what}");
    }
}

#[test]
fn an_unknown_extension_is_passed_over() {
    let mut bytes = written(&head(&LINES, freshness()));
    bytes.extend_from_slice(&[0xff, 0xff, 3, 0, 0, 0, 1, 2, 3]);
    let known = read(&bytes, at(0, WRITTEN_S)).expect("a head");
    assert_eq!(known.block, head(&LINES, freshness()).block);
    bytes.push(0);
    assert!(read(&bytes, at(0, WRITTEN_S)).is_none(), "half an extension");
}

proptest! {
    #[test]
    fn reading_anything_ends(bytes in prop::collection::vec(any::<u8>(), 0..200), start in any::<bool>()) {
        let mut bytes = bytes;
        if start {
            bytes.splice(0..0, written(&head(&LINES, freshness())));
        }
        let _ = read(&bytes, at(0, WRITTEN_S));
    }

    #[test]
    fn age_and_windows_come_back(
        age_s in 0u32..1 << 31, lifetime_s in LIFETIME_SECONDS_MIN.., swr in any::<u32>(), sie in any::<u32>(), later in 0u64..1 << 31,
    ) {
        let before = Freshness {
            arrived_at: 120, initial_age_s: age_s, lifetime_s, stale_while_revalidate_s: swr, stale_if_error_s: sie, ..freshness()
        };
        let bytes = written(&head(&LINES, before));
        let after = read(&bytes, at(9, WRITTEN_S + later)).expect("a head").freshness;
        prop_assert_eq!(after.age_at(9), before.age_at(120 + later), "as if it had stayed in memory");
        prop_assert_eq!((after.lifetime_s, after.stale_while_revalidate_s, after.stale_if_error_s), (lifetime_s, swr, sie));
    }
}

/// The head each golden file holds.
fn golden() -> StoredHead {
    head(&LINES, freshness())
}

/// Reads a golden file, or writes it when `UPDATE_GOLDEN` is set: once, by the first build of its line.
fn golden_file(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = Path::new(GOLDEN).join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, bytes).expect("write");
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_golden(bytes: &[u8]) -> StoredHead {
    let read = read(bytes, at(0, WRITTEN_S + 1)).expect("a head this build reads");
    let is = golden();
    assert_eq!((read.status, &read.block, &read.vary, &read.variant), (is.status, &is.block, &is.vary, &is.variant));
    assert_eq!(read.freshness, Freshness { arrived_at: 0, initial_age_s: 28, ..freshness() });
    assert_eq!(read.block.first("date").and_then(date::parse), Some(WRITTEN_S));
    read
}

#[cfg(not(feature = "synthetic-next"))]
#[test]
fn this_line_writes_its_golden_head() {
    let bytes = written(&golden());
    assert!(golden_file("head-1.0.bin", &bytes) == bytes, "the format has changed, which within a major version it must not");
}

#[test]
fn both_lines_read_a_head_of_1_0() {
    let bytes = std::fs::read(Path::new(GOLDEN).join("head-1.0.bin")).expect("committed");
    let read = is_golden(&bytes);
    #[cfg(feature = "synthetic-next")]
    assert_eq!(read.detail(), None);
    drop(read);
}

#[cfg(feature = "synthetic-next")]
#[test]
fn the_next_line_writes_its_golden_head() {
    let bytes = written(&golden().under(Some("gold".parse().expect("a detail"))));
    assert!(golden_file("head-1.1.bin", &bytes) == bytes, "the format has changed");
    assert_eq!(
        written(&golden()),
        std::fs::read(Path::new(GOLDEN).join("head-1.0.bin")).expect("committed"),
        "without a detail it is 1.0's"
    );
}

#[test]
fn both_lines_read_a_head_of_the_next_line() {
    let bytes = std::fs::read(Path::new(GOLDEN).join("head-1.1.bin")).expect("committed");
    let read = is_golden(&bytes);
    #[cfg(feature = "synthetic-next")]
    assert_eq!(read.detail(), Some("gold"));
    drop(read);
}
