//! Changes that are made only to what their sender has seen: `ETag` and `If-Match` (RFC 9110 sections 8.8.3 and 13.1.1).
//!
//! The tag of an object is its revision: the configuration generation of its last change.

use axum::{
    Json,
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderValue,
        header::{ETAG, IF_MATCH},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::convert::Infallible;
use weir_operator_api::{Problem, Reason};

/// What a request says the object must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// It says nothing.
    Anything,
    /// Whatever it is, it is there.
    Present,
    /// One of these tags.
    Tags(Vec<String>),
}

impl IfMatch {
    fn of(headers: &HeaderMap) -> Self {
        let lines: Vec<&str> = headers.get_all(IF_MATCH).iter().map(|v| v.to_str().unwrap_or_default()).collect();
        if lines.is_empty() {
            return IfMatch::Anything;
        }
        let tags: Vec<String> = lines.iter().flat_map(|l| l.split(',')).map(|tag| tag.trim().to_owned()).collect();
        if tags.iter().any(|tag| tag == "*") { IfMatch::Present } else { IfMatch::Tags(tags) }
    }

    /// Refuses when the object of this revision is not the one that is meant; absent: there is none.
    pub(super) fn check(&self, revision: Option<u64>) -> Result<(), Problem> {
        let refused = |detail: String| Err(Problem::new(Reason::PreconditionFailed, detail));
        match (self, revision) {
            (IfMatch::Anything, _) | (IfMatch::Present, Some(_)) => Ok(()),
            (_, None) => refused("there is no such object".to_owned()),
            // RFC 9110 section 13.1.1: the comparison is strong, so a weak tag is never the one.
            (IfMatch::Tags(tags), Some(revision)) if tags.iter().any(|t| *t == tag(revision)) => Ok(()),
            (IfMatch::Tags(tags), Some(revision)) => refused(format!("the object is {} now, not {}", tag(revision), tags.join(", "))),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// An answer that is one object, with its tag.
pub(super) struct Tagged<T>(pub(super) u64, pub(super) T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.1).into_response();
        response.headers_mut().insert(ETAG, HeaderValue::from_str(&tag(self.0)).expect("a number in quotes is a header's value"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_revision_that_is_named_passes() {
        for (lines, revision, passes) in [
            (&[][..], Some(7), true),
            (&[], None, true),
            (&["\"7\""], Some(7), true),
            (&["\"6\", \"7\""], Some(7), true),
            (&["\"6\"", "\"7\""], Some(7), true),
            (&["\"6\""], Some(7), false),
            (&["7"], Some(7), false),
            (&["W/\"7\""], Some(7), false),
            (&["*"], Some(7), true),
            (&["*"], None, false),
            (&["\"7\""], None, false),
            (&[""], Some(7), false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(IF_MATCH, line.parse().expect("value"));
            }
            let checked = IfMatch::of(&headers).check(revision);
            assert_eq!(checked.is_ok(), passes, "{lines:?} {revision:?}");
            assert!(checked.err().is_none_or(|p| p.status == 412));
        }
    }
}
