//! (term, generation): what orders configurations across changes of primary.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Orders documents: first by the term of the primary that issued them, then by its generation.
/// A receiver refuses a lower stamp than it has accepted; equal stamps mean identical content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// Rises by one with each promotion.
    pub term: u64,
    /// Rises with each configuration write.
    pub generation: u64,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn a_higher_term_wins_over_any_generation() {
        assert!(Stamp { term: 2, generation: 0 } > Stamp { term: 1, generation: u64::MAX });
    }
}
