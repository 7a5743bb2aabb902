//! The only reader of wall and monotonic time; `clippy.toml` bans the rest.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic now.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Wall-clock now. May jump either way.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Wall-clock milliseconds since 1970; 0 for a clock before that.
pub fn wall_ms() -> u64 {
    millis(wall().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

/// Wall-clock seconds since 1970; 0 for a clock before that.
pub fn wall_seconds() -> u64 {
    wall_ms() / 1000
}

/// A duration in whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds of monotonic time since the first call in this process: what residence in a cache is measured with.
pub fn monotonic_seconds() -> u64 {
    monotonic_ms() / 1000
}

/// Milliseconds of monotonic time since the first call in this process: what pure rules take as `now`.
pub fn monotonic_ms() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    millis(START.get_or_init(monotonic).elapsed())
}
