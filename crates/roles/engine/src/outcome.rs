//! What became of a request, as record and metrics name it.

use weir_caching::CacheOutcome;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was refused, or its client left, before the cache was asked.
    Refused,
    /// The cache was asked.
    Cache(CacheOutcome),
    /// It was sent to a router: Server Offload holds this engine.
    Steered,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Outcome::Refused => "refused",
            Outcome::Cache(outcome) => outcome.as_str(),
            Outcome::Steered => "steered",
        }
    }
}
