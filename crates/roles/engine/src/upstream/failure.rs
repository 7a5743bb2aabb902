//! Why nothing could be fetched.

/// Why an upstream gave no response head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The origin's name has no address.
    #[error("the origin's name does not resolve")]
    Resolve,
    /// Every address of the origin's name is one no origin may have.
    #[error("the origin's name resolves to an address no origin may have")]
    Forbidden,
    /// The connection was refused or broke while it was made.
    #[error("the connection was refused")]
    Connect,
    /// No connection within its time.
    #[error("the connection took too long")]
    ConnectTimeout,
    /// No response head within its time.
    #[error("the response took too long")]
    HeadTimeout,
    /// The connection broke before a whole response head.
    #[error("the connection broke before the response")]
    Broken,
    /// What came is not HTTP.
    #[error("the response is malformed")]
    Malformed,
    /// Weir's own request could not be written: a field or target HTTP does not allow.
    #[error("the request cannot be forwarded")]
    Unsendable,
    /// This engine has no identity to show to a manager.
    #[error("the engine has no identity to show to a manager")]
    Unidentified,
    /// A manager answered that it cannot.
    #[error("no manager gives it")]
    Refused,
    /// As many requests as may be are at the upstream already, or at all of them.
    #[error("too many requests are under way")]
    Busy,
    /// The fetch was cancelled: the engine is stopping.
    #[error("the fetch was cancelled")]
    Cancelled,
}

impl Failure {
    /// What the client is told (RFC 9110 sections 15.6.3 to 15.6.5).
    pub(crate) fn status(self) -> u16 {
        match self {
            Failure::Resolve | Failure::Forbidden | Failure::Connect | Failure::Broken | Failure::Malformed | Failure::Refused => 502,
            Failure::ConnectTimeout | Failure::HeadTimeout => 504,
            Failure::Unsendable => 400,
            Failure::Busy | Failure::Cancelled | Failure::Unidentified => 503,
        }
    }

    /// The word in answers, records and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Failure::Resolve => "upstream_unresolved",
            Failure::Forbidden => "upstream_address_forbidden",
            Failure::Connect => "upstream_refused",
            Failure::ConnectTimeout => "upstream_connect_timeout",
            Failure::HeadTimeout => "upstream_timeout",
            Failure::Broken => "upstream_broken",
            Failure::Malformed => "upstream_malformed",
            Failure::Unsendable => "request_unsendable",
            Failure::Unidentified => "no_identity",
            Failure::Refused => "manager_refused",
            Failure::Busy => "upstream_busy",
            Failure::Cancelled => "cancelled",
        }
    }

    /// Whether it says something about the upstream's health.
    pub(crate) fn blames_upstream(self) -> bool {
        !matches!(self, Failure::Unsendable | Failure::Busy | Failure::Cancelled | Failure::Unidentified)
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn time_is_504_and_the_rest_of_the_upstream_502() {
        for (failure, status) in
            [(Failure::HeadTimeout, 504), (Failure::ConnectTimeout, 504), (Failure::Connect, 502), (Failure::Broken, 502)]
        {
            assert_eq!(failure.status(), status, "{}", failure.as_str());
            assert!(failure.blames_upstream());
        }
    }
}
