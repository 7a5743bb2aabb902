//! The line after this one, in builds with the feature `synthetic-next` only: what updates between lines are tested with.
//!
//! It has one feature of its own, a delivery service's **detail**: a short word that engines put as the `detail` parameter of
//! `Cache-Status` (RFC 9211 section 2.7), so that an operator sees which policy answered. It shows in everything a line may
//! change: a gate, a schema step, a field of the API, of the compiled configuration, of the report and of a cached response.
//!
//! The build's version is the next minor of the workspace's, or what the MANIFEST of its slot says: the same program is any
//! later line.

use crate::{Gate, GateKind, Line, Version};
use std::sync::OnceLock;

/// The name of the gate in front of a delivery service's detail.
pub const SERVICE_DETAIL: &str = "service-detail";
/// The first line that has it.
pub const SERVICE_DETAIL_SINCE: Line = Line::new(1, 1);

static TAKEN: OnceLock<String> = OnceLock::new();

/// Something has read the version already: it stays what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the version has been read already")]
pub struct TakenTooLate;

/// Makes this build `version`, before anything reads it.
///
/// # Errors
/// [`TakenTooLate`].
pub fn take_version(version: Version) -> Result<(), TakenTooLate> {
    TAKEN.set(version.to_string()).map_err(|_| TakenTooLate)
}

pub(crate) fn version() -> &'static str {
    TAKEN.get_or_init(|| after(env!("CARGO_PKG_VERSION").parse().expect("the workspace version is a version; a test holds it")).to_string())
}

/// The first build of the next minor.
fn after(version: Version) -> Version {
    Version { line: Line { minor: version.line.minor + 1, ..version.line }, maintenance: 0, build: 1, ..version }
}

/// The gate in front of a delivery service's detail.
pub fn service_detail() -> Gate {
    Gate { name: SERVICE_DETAIL.to_owned(), kind: GateKind::Cluster, since: SERVICE_DETAIL_SINCE, default: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_minor_begins_anew() {
        for (this, next) in [("1.0.0-b1", "1.1.0-b1"), ("2.9.3-c12", "2.10.0-c1")] {
            assert_eq!(after(this.parse().expect(this)).to_string(), next);
        }
    }

    #[test]
    fn a_version_is_read_once() {
        let next = after(env!("CARGO_PKG_VERSION").parse().expect("version")).to_string();
        assert_eq!(crate::version(), next);
        assert_eq!(take_version("9.0.0-b1".parse().expect("version")), Err(TakenTooLate));
        assert_eq!(crate::version(), next);
    }

    #[test]
    fn the_gate_waits_for_its_line() {
        let gate = service_detail();
        assert_eq!(crate::release::gates(), std::slice::from_ref(&gate));
        for (level, open) in [(None, false), (Some(Line::new(1, 0)), false), (Some(Line::new(1, 1)), true), (Some(Line::new(2, 0)), true)] {
            assert_eq!(gate.is_open(level), open, "{level:?}");
        }
    }
}
