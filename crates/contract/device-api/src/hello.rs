//! HELLO: who speaks, and which protocol versions it can.

use serde::{Deserialize, Serialize};
use weir_model::{DeviceName, Role, Stamp};

/// Device-protocol versions this build speaks.
pub const PROTOCOL: ProtocolRange = ProtocolRange { min: 1, max: 1 };

/// A closed range of protocol versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolRange {
    /// Oldest.
    pub min: u16,
    /// Newest.
    pub max: u16,
}

/// Carried by every enrolment and report, and by every answer to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What the speaker can speak.
    pub protocol: ProtocolRange,
    /// Its full version, `X.Y.Z-bB`. Text, so that a version of another line can always be read.
    pub version: String,
    /// Its name.
    pub device: DeviceName,
    /// Its role.
    pub role: Role,
    /// The configuration it runs from.
    pub stamp: Stamp,
}

/// The two cannot speak.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("speaks protocol {}-{}, this side {}-{}", theirs.min, theirs.max, mine.min, mine.max)]
pub struct Incompatible {
    /// This side's range.
    pub mine: ProtocolRange,
    /// The other side's.
    pub theirs: ProtocolRange,
}

impl ProtocolRange {
    /// The version both use: the lower maximum, when both know it.
    pub fn choose(self, theirs: ProtocolRange) -> Result<u16, Incompatible> {
        let chosen = self.max.min(theirs.max);
        if chosen >= self.min.max(theirs.min) { Ok(chosen) } else { Err(Incompatible { mine: self, theirs }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_maximum_or_nothing() {
        let range = |min, max| ProtocolRange { min, max };
        assert_eq!(range(1, 3).choose(range(2, 5)), Ok(3));
        assert_eq!(range(1, 1).choose(range(1, 1)), Ok(1));
        assert!(range(1, 1).choose(range(2, 3)).is_err());
        assert!(range(4, 5).choose(range(2, 3)).is_err());
    }
}
