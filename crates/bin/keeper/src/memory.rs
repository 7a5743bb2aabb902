//! Whether the machine's memory holds a second worker.

use std::{fs, io};

/// Memory left free beside two workers, in bytes: what the rest of the machine may want meanwhile.
pub(crate) const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// What `/proc` calls kB, in bytes.
const KIB: u64 = 1024;

/// Whether another worker as large as process `pid` fits, with `reserve` bytes left. Where `/proc` does not tell, it does:
/// most machines have room.
pub(crate) fn holds_another(pid: u32, reserve: u64) -> bool {
    match (available(), resident(pid)) {
        (Ok(Some(available)), Ok(Some(resident))) => available >= resident.saturating_add(reserve),
        _ => true,
    }
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available() -> io::Result<Option<u64>> {
    Ok(kib_of(&fs::read_to_string("/proc/meminfo")?, "MemAvailable:"))
}

/// `VmRSS` of a process, in bytes.
fn resident(pid: u32) -> io::Result<Option<u64>> {
    Ok(kib_of(&fs::read_to_string(format!("/proc/{pid}/status"))?, "VmRSS:"))
}

/// The figure of a line `key   123 kB`, in bytes (proc(5)).
fn kib_of(text: &str, key: &str) -> Option<u64> {
    let figure = text.lines().find_map(|line| line.strip_prefix(key))?;
    figure.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_proc() {
        let text = "MemFree:   1 kB\nMemAvailable:    2048 kB\nVmRSS:\t  12 kB\nOdd: many kB\n";
        assert_eq!(kib_of(text, "MemAvailable:"), Some(2048 * 1024));
        assert_eq!(kib_of(text, "VmRSS:"), Some(12 * 1024));
        assert_eq!((kib_of(text, "Odd:"), kib_of(text, "Absent:")), (None, None));
    }

    #[test]
    fn this_process_fits_once_more_but_not_with_everything_left_free() {
        let own = std::process::id();
        assert!(holds_another(own, 0));
        assert!(!holds_another(own, u64::MAX));
    }
}
