//! Whose answer the answer to one request may be, of those that waited for it (RFC 9111 section 4, collapsed requests).

use crate::cache_control::Directives;
use crate::{Fields, Freshness, RequestFacts, ResponseFacts, Reuse, State, Vary};

/// Whether an error that is not stored answers everyone who waited: the origin fails for all of them, or has not got what
/// all of them ask for. `no-store` does not forbid it, since nothing is kept; what is somebody's own is not shared.
///
/// Returns which requests it answers: those that select this variant, without credentials.
pub fn shares_error<Q: Fields + ?Sized, R: Fields + ?Sized>(
    request: &RequestFacts<'_, Q>,
    response: &ResponseFacts<'_, R>,
) -> Option<(Vary, String)> {
    let is_error = matches!(response.status, 404 | 410 | 500..=599);
    let is_personal = request.fields.has("authorization")
        || response.fields.has("set-cookie")
        || Directives::of_response(response.fields).private.is_whole();
    if !is_error || is_personal {
        return None;
    }
    let vary = Vary::of_response(response.fields);
    let variant = vary.key(request.fields)?;
    Some((vary, variant))
}

/// What of a response that is stored may be done with it for those that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// It is their answer.
    All,
    /// It is the answer of the one who asked, and the next response will most likely be the same.
    Leader,
}

/// Who is answered with a response received just now, whose state is `state`.
///
/// One that was stale when it came, from a cache nearer the origin that cannot reach it, is as good for those who asked
/// before it came as for the one who asked first. What has no freshness at all, or is never to be used without validation
/// (section 5.2.2.4), is not.
pub fn sharing(freshness: &Freshness, state: State) -> Sharing {
    match state {
        State::Fresh | State::StaleServable => Sharing::All,
        State::Stale if freshness.reuse == Reuse::Windows && freshness.lifetime_s > 0 => Sharing::All,
        State::Stale | State::MustRevalidate => Sharing::Leader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldLines;

    fn lines(lines: &[(&str, &str)]) -> FieldLines {
        lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn errors_that_are_nobodys_own_are_shared() {
        type Lines<'a> = &'a [(&'a str, &'a str)];
        let cases: &[(u16, Lines<'_>, Lines<'_>, Option<&str>)] = &[
            (503, &[], &[("Cache-Control", "no-store")], Some("")),
            (404, &[], &[], Some("")),
            (410, &[], &[("Vary", "X-A")], Some("x-a\n")),
            (502, &[("Cookie", "a")], &[], Some("")),
            (403, &[], &[], None),
            (429, &[], &[], None),
            (200, &[], &[], None),
            (503, &[], &[("Set-Cookie", "a=b")], None),
            (503, &[], &[("Cache-Control", "private")], None),
            (503, &[], &[("Vary", "*")], None),
            (503, &[("Authorization", "x")], &[], None),
        ];
        for (status, request, fields, expected) in cases {
            let (request, fields) = (lines(request), lines(fields));
            let response = ResponseFacts { status: *status, fields: &fields, requested_at: 1, received_at: 1, arrived_at: 1 };
            let shared = shares_error(&RequestFacts::new("GET", &request), &response);
            assert_eq!(shared.map(|(_, variant)| variant).as_deref(), *expected, "{status} {fields:?}");
        }
    }
}
