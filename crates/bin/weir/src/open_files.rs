//! The limit of open files: a viewer is one, so every process asks for all it may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use weir_engine::SEGMENT_BYTES;

/// Files kept free of viewers: upstream connections, the log, the configuration.
const RESERVE: u64 = 256;
/// Segments of a disk store too small for full ones, and those that were ended before they were full.
const SEGMENTS_MIN: u64 = 32;
/// Connections taken however low the limit is.
const CONNECTIONS_MIN: u64 = 64;

/// Raises the limit of this process, and of those it starts, to what it may be. Returns it.
pub(crate) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // A smaller limit only means fewer viewers.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Connections a worker with this limit may hold, at most `wanted`.
pub(crate) fn connections(limit: u64, wanted: usize) -> usize {
    usize::try_from(limit.saturating_sub(RESERVE).max(CONNECTIONS_MIN)).map_or(wanted, |most| most.min(wanted))
}

/// Connections of an engine's worker with this limit, at most `wanted`: its disk store keeps its segments open.
pub(crate) fn engine_connections(limit: u64, wanted: usize, disk_bytes: Option<u64>) -> usize {
    // Each is one open file.
    let segments = disk_bytes.map_or(0, |bytes| bytes / SEGMENT_BYTES + SEGMENTS_MIN);
    connections(limit.saturating_sub(segments), wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        for (limit, expected) in [(u64::MAX, 20_000), (20_000, 19_744), (1024, 768), (100, 64)] {
            assert_eq!(connections(limit, 20_000), expected);
        }
    }

    #[test]
    fn an_engine_leaves_room_for_its_segments() {
        const GIB: u64 = 1024 * 1024 * 1024;
        for (limit, disk_bytes, expected) in [
            (20_000, None, 19_744),
            (20_000, Some(GIB / 4), 19_744 - 4 - 32),
            (20_000, Some(1024 * GIB), 19_744 - 16_384 - 32),
            (1024, Some(1024 * GIB), 64),
            (u64::MAX, Some(1024 * GIB), 20_000),
        ] {
            assert_eq!(engine_connections(limit, 20_000, disk_bytes), expected, "{limit} {disk_bytes:?}");
        }
    }
}
