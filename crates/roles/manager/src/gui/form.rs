//! Forms: read within limits, and only when they were sent from a page of this session.

use super::{Refused, Viewer, errors::refused_form};
use crate::app::App;
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{
        HeaderMap, HeaderName, Uri,
        header::{CONTENT_TYPE, HOST, ORIGIN},
    },
    response::{IntoResponse, Response},
};
use http_body_util::LengthLimitError;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, Error, IntoDeserializer, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
};
use std::{collections::BTreeMap, sync::Arc};
use subtle::ConstantTimeEq;
use weir_operator_api::{Problem, Reason};
use zeroize::Zeroizing;

/// Largest form, in bytes.
const FORM_BYTES_MAX: usize = 256 * 1024;
/// Most fields of a form: a box for each of the engines and a few more.
const FIELDS_MAX: usize = 20_000;
/// The hidden field every form has.
pub(super) const CSRF_FIELD: &str = "csrf";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The fields of a form by name, each with its values in the order they were sent.
pub(super) type Fields = BTreeMap<String, Vec<String>>;

/// A form of this session. Fields of `T` are `String`, `Option<String>` (empty: `None`), `Vec<String>` (each field of that
/// name) or `bool` (a ticked box); put `#[serde(default)]` on `T`, since an unticked box is not sent at all.
pub(crate) struct Form<T>(pub(crate) T);

/// A field that is a password: wiped from memory when it is dropped.
#[derive(Default)]
pub(super) struct Secret(pub(super) Zeroizing<String>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        read(admitted(request, app).await?).map(Self).map_err(IntoResponse::into_response)
    }
}

/// The fields of a form of this session.
pub(super) async fn admitted(request: Request, app: &Arc<App>) -> Result<Fields, Response> {
    let (mut parts, body) = request.into_parts();
    let viewer = Viewer::from_request_parts(&mut parts, app).await?;
    let site = from_our_pages(&parts.headers, &parts.uri);
    let fields = fields(Request::from_parts(parts, body)).await.map_err(IntoResponse::into_response)?;
    admit(app, &viewer, site, &fields).await?;
    Ok(fields)
}

/// Refuses a form that another site sent, or whose token is not the session's; `site` is what [`from_our_pages`] said.
pub(super) async fn admit(app: &Arc<App>, viewer: &Viewer, site: bool, fields: &Fields) -> Result<(), Response> {
    let shown = fields.get(CSRF_FIELD).and_then(|v| v.last()).map_or("", String::as_str);
    let ours = bool::from(shown.as_bytes().ct_eq(viewer.csrf.as_bytes()));
    if site && ours {
        return Ok(());
    }
    let why = if site { "its token is not this session's" } else { "another site sent it" };
    Err(refused_form(app, viewer.caller(), why).await)
}

/// Whether a browser says that the request comes from a page of ours. One that says neither is judged by the token alone.
pub(super) fn from_our_pages(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|v| v.to_str().unwrap_or("unreadable"));
    if text(&SEC_FETCH_SITE).is_some_and(|site| site != "same-origin") {
        return false;
    }
    // RFC 9113 section 8.3.1: HTTP/2 carries the host as `:authority`.
    let host = uri.authority().map(|a| a.as_str()).or_else(|| text(&HOST));
    match (text(&ORIGIN), host) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.strip_prefix("https://").is_some_and(|o| o.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
    }
}

/// Reads the fields of a form.
pub(super) async fn fields(request: Request) -> Result<Fields, Refused> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let problem = Problem::new(Reason::UnsupportedMediaType, "the body is not a form");
        return Err(problem.next_step("send the form from its page").into());
    }
    let limited = axum::body::to_bytes(request.into_body(), FORM_BYTES_MAX).await;
    let bytes: Bytes = limited.map_err(|error| match error.into_inner().is::<LengthLimitError>() {
        true => Problem::new(Reason::BodyTooLarge, "the form is larger than this page takes"),
        false => Problem::new(Reason::BodyUnreadable, "the form did not arrive whole, or not in time"),
    })?;
    let mut fields = Fields::new();
    for (at, (name, value)) in url::form_urlencoded::parse(&bytes).enumerate() {
        if at == FIELDS_MAX {
            return Err(Problem::new(Reason::LimitExceeded, "the form has too many fields").into());
        }
        fields.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    Ok(fields)
}

/// The fields as `T`.
pub(super) fn read<T: DeserializeOwned>(fields: Fields) -> Result<T, Refused> {
    let fields = fields.into_iter().map(|(name, values)| (name, Values(values)));
    T::deserialize(MapDeserializer::<_, serde::de::value::Error>::new(fields))
        .map_err(|error| Problem::new(Reason::InvalidField, error.to_string()).into())
}

/// The values of one field.
struct Values(Vec<String>);

impl Values {
    fn last(mut self) -> String {
        self.0.pop().unwrap_or_default()
    }
}

impl<'de> IntoDeserializer<'de, serde::de::value::Error> for Values {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Values {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_string(self.last())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.last().is_none_or(|v| v.trim().is_empty()) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.last().as_str() {
            "on" | "true" => visitor.visit_bool(true),
            "" | "off" | "false" => visitor.visit_bool(false),
            _ => Err(Error::custom("a box is ticked or not")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self.last().into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        name: String,
        why: Option<String>,
        engines: Vec<String>,
        live: bool,
    }

    fn sample(body: &str) -> Sample {
        let mut fields = Fields::new();
        for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
            fields.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        read(fields).expect("read")
    }

    #[test]
    fn fields_become_values() {
        let text = |t: &str| t.to_owned();
        let full = Sample { name: text("a b&<"), why: Some(text("x")), engines: vec![text("e1"), text("e2")], live: true };
        assert_eq!(sample("name=a+b%26%3C&why=x&engines=e1&engines=e2&live=on&other=1"), full);
        assert_eq!(sample("name=&why=+&engines="), Sample { engines: vec![String::new()], ..Sample::default() });
        assert_eq!(sample(""), Sample::default());
    }

    #[test]
    fn only_our_pages_send_forms() {
        let uri = |u: &str| u.parse::<Uri>().expect("uri");
        for (authority, headers, expected) in [
            ("/x", vec![("host", "m:8443"), ("origin", "https://m:8443"), ("sec-fetch-site", "same-origin")], true),
            ("https://m:8443/x", vec![("origin", "https://m:8443")], true),
            ("https://m:8443/x", vec![], true),
            ("https://m:8443/x", vec![("origin", "https://m:8444")], false),
            ("https://m:8443/x", vec![("origin", "http://m:8443")], false),
            ("https://m:8443/x", vec![("origin", "null")], false),
            ("/x", vec![("origin", "https://m:8443")], false),
            ("https://m:8443/x", vec![("sec-fetch-site", "cross-site")], false),
            ("https://m:8443/x", vec![("sec-fetch-site", "same-site")], false),
            ("https://m:8443/x", vec![("sec-fetch-site", "none"), ("origin", "https://m:8443")], false),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.insert(HeaderName::from_static(name), value.parse().expect("value"));
            }
            assert_eq!(from_our_pages(&map, &uri(authority)), expected, "{authority} {headers:?}");
        }
    }
}
