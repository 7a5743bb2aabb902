//! Header fields on their way: the client's as the rules read them, and what goes upstream.

use crate::upstream::HOPS;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use weir_caching::{FieldLines, Fields, HopByHop, conditional::is_precondition_or_range};
use weir_net::http1::{Fields as RequestFields, Request};
use weir_routing::TREE_DEPTH_MAX;

/// What Weir adds to `Via` (RFC 9110 section 7.6.3).
pub(crate) const VIA: &str = "1.1 weir";
/// The loop guard, as a request carries it.
const HOPS_NAME: &str = "weir-hops";
/// Engines a request may pass: more than any location tree has levels, so that only a loop gets there.
pub(crate) const HOPS_MAX: u32 = TREE_DEPTH_MAX + 1;

/// A request's fields as they came.
struct Sent<'a>(RequestFields<'a>);

impl Fields for Sent<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter()
    }
}

/// A request's end-to-end fields: what the caching rules judge by and what goes upstream are the same, so that no field the
/// upstream never saw selects a variant.
pub(crate) struct Asked<'a> {
    sent: Sent<'a>,
    hop_by_hop: HopByHop,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(fields: RequestFields<'a>) -> Self {
        let sent = Sent(fields);
        Self { hop_by_hop: HopByHop::of(&sent), sent }
    }

    /// A copy that outlives the request.
    pub(crate) fn owned(&self) -> FieldLines {
        self.lines().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
    }

    /// Whether the request asks for less than the whole response, or only if something holds.
    pub(crate) fn asks_for_part(&self) -> bool {
        self.sent.lines().any(|(name, _)| is_precondition_or_range(name) && !self.hop_by_hop.contains(name))
    }
}

impl Fields for Asked<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.sent.lines().filter(|(name, _)| !self.hop_by_hop.contains(name))
    }
}

/// An upstream response's fields, for the caching rules.
pub(crate) struct Received<'a>(pub(crate) &'a HeaderMap);

impl Fields for Received<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }
}

/// Engines the request says it has passed: 0 for a client's. What is no number counts as too many.
pub(crate) fn claimed_hops(request: &Request<'_>) -> u32 {
    match request.fields.get(HOPS_NAME) {
        None => 0,
        Some(value) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX),
    }
}

/// In whose name a request goes upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forward {
    /// The client's: it is passed through as it is.
    All,
    /// The store's: a GET for the whole response, without preconditions, ranges and the client's own cache directives.
    Whole,
}

/// The client's fields as they go upstream: end-to-end ones only (RFC 9110 section 7.6.1), with our `Via`.
pub(crate) fn outgoing(asked: &Asked<'_>, forward: Forward) -> HeaderMap {
    let is_ours = |name: &str| ["host", "content-length", "expect", HOPS_NAME].iter().any(|own| own.eq_ignore_ascii_case(name));
    let is_clients = |name: &str| is_precondition_or_range(name) || name.eq_ignore_ascii_case("cache-control");
    let goes = |name: &str| !is_ours(name) && (forward == Forward::All || !is_clients(name));
    let mut fields = HeaderMap::new();
    for (name, value) in asked.lines().filter(|(name, _)| goes(name)) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            fields.append(name, value);
        }
    }
    debug_assert!(!fields.contains_key(HOPS));
    fields.append(header::VIA, HeaderValue::from_static(VIA));
    fields
}
