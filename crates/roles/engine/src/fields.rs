//! Header fields on their way: the client's as the rules read them, and what goes upstream.

use crate::upstream::HOPS;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use weir_caching::{FieldLines, Fields, HopByHop, conditional::is_precondition_or_range};
use weir_net::http1::{Fields as RequestFields, Request};

/// What Weir adds to `Via` (RFC 9110 section 7.6.3).
pub(crate) const VIA: &str = "1.1 weir";
/// The loop guard, as a request carries it.
const HOPS_NAME: &str = "weir-hops";
/// Engines a request may pass; a location tree is not that deep, a loop is.
pub(crate) const HOPS_MAX: u32 = 5;

/// A request's fields, for the caching rules.
pub(crate) struct Asked<'a>(pub(crate) RequestFields<'a>);

impl Fields for Asked<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter()
    }
}

/// An upstream response's fields, for the caching rules.
pub(crate) struct Received<'a>(pub(crate) &'a HeaderMap);

impl Fields for Received<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }
}

/// Engines the request has passed: 0 for a client's. What is no number counts as too many.
pub(crate) fn hops(request: &Request<'_>) -> u32 {
    match request.fields.get(HOPS_NAME) {
        None => 0,
        Some(value) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX),
    }
}

/// Which of a client's end-to-end fields go upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forward {
    /// All: the request is passed through.
    All,
    /// Without preconditions and ranges: the whole response is asked for, to be stored.
    Whole,
}

/// The client's fields as they go upstream: end-to-end ones only (RFC 9110 section 7.6.1), with our `Via`.
pub(crate) fn outgoing(request: &Request<'_>, forward: Forward) -> HeaderMap {
    let asked = Asked(request.fields);
    let hop_by_hop = HopByHop::of(&asked);
    let goes = |name: &str| {
        let ours = ["host", "content-length", "expect", HOPS_NAME].iter().any(|own| own.eq_ignore_ascii_case(name));
        !ours && !hop_by_hop.contains(name) && (forward == Forward::All || !is_precondition_or_range(name))
    };
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

/// A copy of a request's fields that outlives it.
pub(crate) fn owned(request: &Request<'_>) -> FieldLines {
    request.fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

/// Whether a request asks for less than the whole response, or only if something holds.
pub(crate) fn asks_for_part(request: &Request<'_>) -> bool {
    request.fields.iter().any(|(name, _)| is_precondition_or_range(name))
}
