//! The limit of open files: a viewer is one, so every process asks for all it may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files kept free of viewers: upstream connections, the log, the configuration.
const RESERVE: u64 = 256;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        for (limit, expected) in [(u64::MAX, 20_000), (20_000, 19_744), (1024, 768), (100, 64)] {
            assert_eq!(connections(limit, 20_000), expected);
        }
    }
}
