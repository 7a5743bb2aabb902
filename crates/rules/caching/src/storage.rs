//! What of a response is stored (RFC 9111 section 3), for a shared cache.

use crate::cache_control::Directives;
use crate::{EntityTag, FieldLines, Fields, Freshness, HopByHop, Lifetime, Policy, RequestFacts, ResponseFacts, State, Vary};
use crate::{date, status};

/// The field in which an engine says why it refuses, in lower case; of an origin's response it means nothing.
pub const REASON_FIELD: &str = "weir-reason";

/// A response to store: what is kept beside its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storable {
    /// When and how it may be used again.
    pub freshness: Freshness,
    /// Where its lifetime comes from.
    pub lifetime: Lifetime,
    /// The fields to keep, in order: without hop-by-hop fields, fields that a qualified `no-cache` or `private` names,
    /// `Age` (which [`Freshness::age_at`] replaces) and [`REASON_FIELD`]; with a `Date`, added when the origin sent none.
    pub fields: FieldLines,
    /// The fields that a qualified `no-cache` or `private` names: whoever asked gets them, nobody keeps them (sections
    /// 5.2.2.4 and 5.2.2.7 limit what is stored, not what is forwarded).
    pub withheld: FieldLines,
    /// The request fields that selected it.
    pub vary: Vary,
    /// Key of the variant it is, as [`Vary::key`] gives it.
    pub variant: String,
}

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoStoreReason {
    /// Only responses to GET are stored.
    #[error("method is not GET")]
    Method,
    /// The request had content, which the key does not know.
    #[error("request has content")]
    RequestContent,
    /// A 1xx response.
    #[error("response is not final")]
    Interim,
    /// A 304: it changes what is stored, see [`crate::update`].
    #[error("response is a 304")]
    NotModified,
    /// A 206: partial content is not stored.
    #[error("response is partial")]
    Partial,
    /// `must-understand` with a status whose caching rules are not known here.
    #[error("status is not understood")]
    NotUnderstood,
    /// `no-store`.
    #[error("no-store")]
    NoStore,
    /// `private`.
    #[error("private")]
    Private,
    /// The request was authorised and the response does not say it may be shared.
    #[error("request has credentials")]
    Authorization,
    /// It sets a cookie.
    #[error("response sets a cookie")]
    SetCookie,
    /// It varies on something no request states.
    #[error("varies on anything")]
    VaryAnything,
    /// No freshness stated, and none may be assumed for its status.
    #[error("no explicit freshness")]
    NoFreshness,
    /// Stale on arrival and without a validator: it could never be used.
    #[error("no freshness and no validator")]
    NeverUsable,
}

impl NoStoreReason {
    /// The word in logs, metrics and the `detail` of `Cache-Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            NoStoreReason::Method => "method",
            NoStoreReason::RequestContent => "request-content",
            NoStoreReason::Interim => "interim",
            NoStoreReason::NotModified => "not-modified",
            NoStoreReason::Partial => "partial",
            NoStoreReason::NotUnderstood => "not-understood",
            NoStoreReason::NoStore => "no-store",
            NoStoreReason::Private => "private",
            NoStoreReason::Authorization => "authorization",
            NoStoreReason::SetCookie => "set-cookie",
            NoStoreReason::VaryAnything => "vary-anything",
            NoStoreReason::NoFreshness => "no-freshness",
            NoStoreReason::NeverUsable => "never-usable",
        }
    }

    /// Whether the request forbids it, so that the response says nothing of what others would be answered.
    pub fn blames_request(self) -> bool {
        matches!(self, NoStoreReason::Method | NoStoreReason::RequestContent | NoStoreReason::Authorization)
    }
}

/// Whether and how a response is stored.
///
/// # Errors
/// The first rule that forbids it.
pub fn may_store<Q: Fields + ?Sized, R: Fields + ?Sized>(
    request: &RequestFacts<'_, Q>,
    response: &ResponseFacts<'_, R>,
    policy: &Policy,
) -> Result<Storable, NoStoreReason> {
    let directives = Directives::of_response(response.fields);
    check_exchange(request, response.status)?;
    check_directives(request, response.status, &directives)?;
    let lifetime = Lifetime::of(response.status, response.fields, &directives, response.received_at, policy);
    check_freshness(response.status, &directives, lifetime)?;
    check_cookies(response.fields, &directives, lifetime, policy)?;
    let vary = Vary::of_response(response.fields);
    let variant = vary.key(request.fields).ok_or(NoStoreReason::VaryAnything)?;
    let freshness = Freshness::of(response, &directives, lifetime);
    let usable = matches!(freshness.state(response.arrived_at), State::Fresh | State::StaleServable);
    if !usable && !has_validator(response.fields) {
        return Err(NoStoreReason::NeverUsable);
    }
    let (fields, withheld) = kept_and_withheld(response, &directives);
    Ok(Storable { freshness, lifetime, fields, withheld, vary, variant })
}

/// Whether a response that is not stored makes what is stored for the same request unusable: it is the resource's new
/// state, not a refusal of one client or a failure, and not kept from the store for reasons of its request. `reason` is why it
/// may not be stored, if that is why it is not.
pub fn supersedes(status: u16, reason: Option<NoStoreReason>) -> bool {
    let states = matches!(status, 200..=303 | 305..=399 | 404 | 410);
    states && !reason.is_some_and(NoStoreReason::blames_request)
}

fn check_exchange<Q: Fields + ?Sized>(request: &RequestFacts<'_, Q>, code: u16) -> Result<(), NoStoreReason> {
    match code {
        _ if request.method != "GET" => Err(NoStoreReason::Method),
        _ if request.has_content => Err(NoStoreReason::RequestContent),
        _ if !status::is_final(code) => Err(NoStoreReason::Interim),
        206 => Err(NoStoreReason::Partial),
        304 => Err(NoStoreReason::NotModified),
        _ => Ok(()),
    }
}

fn check_directives<Q: Fields + ?Sized>(request: &RequestFacts<'_, Q>, code: u16, directives: &Directives) -> Result<(), NoStoreReason> {
    // Section 5.2.2.3: `must-understand` replaces `no-store` for those who understand the status, and binds the others.
    if directives.must_understand {
        if !status::is_understood(code) {
            return Err(NoStoreReason::NotUnderstood);
        }
    } else if directives.no_store {
        return Err(NoStoreReason::NoStore);
    }
    if directives.private.is_whole() {
        return Err(NoStoreReason::Private);
    }
    if request.fields.has("authorization") && !directives.allows_authorized() {
        return Err(NoStoreReason::Authorization);
    }
    Ok(())
}

/// The last rule of section 3: a statement of freshness, `public`, or a status that is cacheable by itself.
fn check_freshness(code: u16, directives: &Directives, lifetime: Lifetime) -> Result<(), NoStoreReason> {
    let allowed = lifetime.source.is_explicit() || directives.public || status::is_heuristically_cacheable(code);
    allowed.then_some(()).ok_or(NoStoreReason::NoFreshness)
}

/// A cookie is somebody's: kept only when the service says so and the origin stated how long, or when the origin itself
/// withholds the field from caches.
fn check_cookies<R: Fields + ?Sized>(
    response: &R,
    directives: &Directives,
    lifetime: Lifetime,
    policy: &Policy,
) -> Result<(), NoStoreReason> {
    let sets_cookie = response.has("set-cookie") && !directives.withholds("set-cookie");
    if sets_cookie && !(policy.store_set_cookie && lifetime.source.is_explicit()) {
        return Err(NoStoreReason::SetCookie);
    }
    Ok(())
}

fn has_validator<R: Fields + ?Sized>(response: &R) -> bool {
    response.single("etag").and_then(EntityTag::parse).is_some() || response.single("last-modified").and_then(date::parse).is_some()
}

fn kept_and_withheld<R: Fields + ?Sized>(response: &ResponseFacts<'_, R>, directives: &Directives) -> (FieldLines, FieldLines) {
    let hop_by_hop = HopByHop::of(response.fields);
    let dated = response.fields.first("date").and_then(date::parse).is_some();
    let is_ours = |name: &str| name.eq_ignore_ascii_case("age") || name.eq_ignore_ascii_case(REASON_FIELD);
    let is_end_to_end = |name: &str| !hop_by_hop.contains(name) && !is_ours(name) && (dated || !name.eq_ignore_ascii_case("date"));
    let lines = response.fields.lines().filter(|(name, _)| is_end_to_end(name)).map(|(name, value)| (name.to_owned(), value.to_vec()));
    let (withheld, mut kept): (FieldLines, FieldLines) = lines.partition(|(name, _)| directives.withholds(name));
    if !dated {
        // RFC 9110 section 6.6.1: a recipient with a clock records when a response without Date arrived.
        kept.push(("date".to_owned(), date::format(response.received_at).into_bytes()));
    }
    (kept, withheld)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn lines(lines: &[(&str, &str)]) -> FieldLines {
        lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_is_withheld_is_told_apart_from_what_is_kept() {
        let (request, fields) = (
            lines(&[]),
            lines(&[
                ("Cache-Control", "max-age=9, private=\"x-user\", no-cache=\"x-other\""),
                ("Date", &date::format(NOW)),
                ("Connection", "x-hop"),
                ("X-Hop", "1"),
                ("X-User", "ann"),
                ("x-other", "2"),
                ("Age", "3"),
                ("Weir-Reason", "loop"),
                ("X-Kept", "4"),
            ]),
        );
        let response = ResponseFacts { status: 200, fields: &fields, requested_at: NOW, received_at: NOW, arrived_at: NOW };
        let storable = may_store(&RequestFacts::new("GET", &request), &response, &Policy::default()).expect("storable");
        let names = |lines: &FieldLines| lines.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&storable.fields), ["Cache-Control", "Date", "X-Kept"]);
        assert_eq!(names(&storable.withheld), ["X-User", "x-other"]);
    }

    #[test]
    fn what_supersedes_what_is_held() {
        for (status, reason, expected) in [
            (200, Some(NoStoreReason::NoStore), true),
            (200, Some(NoStoreReason::SetCookie), true),
            (200, Some(NoStoreReason::Authorization), false),
            (200, Some(NoStoreReason::Method), false),
            (302, Some(NoStoreReason::NoFreshness), true),
            (304, Some(NoStoreReason::NotModified), false),
            (404, Some(NoStoreReason::NoStore), true),
            (410, Some(NoStoreReason::Private), true),
            (403, Some(NoStoreReason::NoFreshness), false),
            (429, Some(NoStoreReason::NoFreshness), false),
            (500, Some(NoStoreReason::NoFreshness), false),
            (200, None, true),
            (503, None, false),
            (508, Some(NoStoreReason::NoStore), false),
        ] {
            assert_eq!(supersedes(status, reason), expected, "{status} {reason:?}");
        }
    }
}
