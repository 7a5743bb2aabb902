//! Bodies and queries: read within limits, unknown fields refused, and the field named when one is wrong.

use super::problems::Refused;
use axum::{
    Json,
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Query, Request,
        rejection::{BytesRejection, FailedToBufferBody, JsonRejection, QueryRejection},
    },
    http::{HeaderMap, header::CONTENT_TYPE, request::Parts},
};
use serde::de::DeserializeOwned;
use std::error::Error;
use weir_operator_api::{Problem, Reason};

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Reason::UnsupportedMediaType, "the body is not said to be JSON").into());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        Ok(Self(read(&bytes)?))
    }
}

/// Reads an object. The reader would also take an array for one, field by field; that is nobody's intention.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(Problem::new(Reason::InvalidJson, "the body is not a JSON object"));
    }
    Json::<T>::from_bytes(bytes).map(|Json(value)| value).map_err(wrong)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn unreadable(rejection: BytesRejection) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Problem::new(Reason::BodyTooLarge, "the body is larger than this path takes")
        }
        _ => Problem::new(Reason::BodyUnreadable, "the body did not arrive whole, or not in time"),
    }
}

fn wrong(rejection: JsonRejection) -> Problem {
    let text = causes(&rejection);
    match rejection {
        JsonRejection::JsonDataError(_) => wrong_field(&text),
        _ => Problem::new(Reason::InvalidJson, text),
    }
}

/// The innermost causes of a rejection; its outer texts say only that reading failed.
fn causes(error: &dyn Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// Finds the field in the reader's text: `a.b[3]: message`, ``unknown field `x` ``, ``missing field `x` ``.
fn wrong_field(text: &str) -> Problem {
    let (path, message) = match text.split_once(": ") {
        Some((path, message)) if !path.contains([' ', '`']) => (path, message),
        _ => ("", text),
    };
    let quoted = |prefix: &str| message.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
    let detail = message.split(" at line ").next().unwrap_or(message);
    let below = |field: &str| match path {
        "" | "." => field.to_owned(),
        path if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        path => format!("{path}.{field}"),
    };
    if let Some(field) = quoted("unknown field `") {
        Problem::new(Reason::UnknownField, detail).at(below(field))
    } else if let Some(field) = quoted("missing field `") {
        Problem::new(Reason::MissingField, detail).at(below(field))
    } else if path.is_empty() || path == "." {
        Problem::new(Reason::InvalidField, detail)
    } else {
        Problem::new(Reason::InvalidField, detail).at(path)
    }
}

/// The parameters of a query.
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match read {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let named = wrong_field(&causes(&rejection));
                let problem = Problem::new(Reason::InvalidQuery, named.detail);
                Err(Problem { field: named.field, ..problem }.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_operator_api::{CoverageZonesRequest, DeliveryServiceRequest};

    fn problem<T: DeserializeOwned>(body: &str) -> (Reason, Option<String>) {
        let problem = read::<T>(body.as_bytes()).err().expect("refused");
        (problem.reason, problem.field)
    }

    #[test]
    fn the_field_is_named() {
        let at = |field: &str| Some(field.to_owned());
        let service = r#""name":"a","domain":"a.b","origin":"http://o""#;
        for (body, expected) in [
            ("nonsense".to_owned(), (Reason::InvalidJson, None)),
            ("{".to_owned(), (Reason::InvalidJson, None)),
            ("[]".to_owned(), (Reason::InvalidJson, None)),
            (r#"["a", "a.b", "http://o", null, {}]"#.to_owned(), (Reason::InvalidJson, None)),
            (r#"{"name":"a"}"#.to_owned(), (Reason::MissingField, at("domain"))),
            (format!("{{{service},\"extra\":1}}"), (Reason::UnknownField, at("extra"))),
            (r#"{"name":1}"#.to_owned(), (Reason::InvalidField, at("name"))),
            (format!("{{{service},\"caching\":{{\"max_ttl_seconds\":-1}}}}"), (Reason::InvalidField, at("caching.max_ttl_seconds"))),
            (format!("{{{service},\"caching\":{{\"ttl\":1}}}}"), (Reason::UnknownField, at("caching.ttl"))),
            (format!("{{{service},\"engines\":[\"a\",2]}}"), (Reason::InvalidField, at("engines[1]"))),
        ] {
            assert_eq!(problem::<DeliveryServiceRequest>(&body), expected, "{body}");
        }
        let zones = r#"{"zones":[{"network":"10.0.0.0/8","locations":{"east":"near"}}]}"#;
        assert_eq!(problem::<CoverageZonesRequest>(zones), (Reason::InvalidField, at("zones[0].locations.east")));
    }
}
