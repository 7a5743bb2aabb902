//! A request as a service sees it: borrowed from the connection's buffer, nothing copied.

use bytes::Bytes;
use std::net::SocketAddr;

/// The version a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0: no chunked answers, closed unless it asks for `keep-alive`.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// What is asked for on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// As sent, not decoded or normalised: begins with `/`, or is `*` for OPTIONS.
    pub path: &'a str,
    /// What follows the first `?`, without it.
    pub query: Option<&'a str>,
}

/// One request. Its head is well formed (RFC 9112) and its body complete.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method, case as sent.
    pub method: &'a str,
    /// Path and query.
    pub target: Target<'a>,
    /// Host and port as the client named them, lower case; empty for HTTP/1.0 without Host.
    pub authority: &'a str,
    /// The host alone, lower case, an IPv6 address without its brackets.
    pub host: &'a str,
    /// The port in the authority, if it names one.
    pub port: Option<u16>,
    /// The client's version.
    pub version: HttpVersion,
    /// Header fields in the order sent.
    pub fields: Fields<'a>,
    /// The client's end of the connection.
    pub peer: SocketAddr,
    /// Our end of the connection.
    pub local: SocketAddr,
    /// The whole request body; empty when there is none.
    pub body: Bytes,
}

/// A piece of a head, as offsets into its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// The bytes; empty when the span does not lie in `head`.
    pub(crate) fn bytes(self, head: &[u8]) -> &[u8] {
        head.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The text; spans read this way were checked to be ASCII when they were made.
    pub(crate) fn text(self, head: &[u8]) -> &str {
        std::str::from_utf8(self.bytes(head)).unwrap_or_default()
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Name and value of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// The header fields of a request. Names compare without regard to case; values have no whitespace at the ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    head: &'a [u8],
    spans: &'a [FieldSpan],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(head: &'a [u8], spans: &'a [FieldSpan]) -> Self {
        Self { head, spans }
    }

    /// Every field in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let head = self.head;
        self.spans.iter().map(move |field| (field.name.text(head), field.value.bytes(head)))
    }

    /// The values of every field called `name`.
    pub fn values(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let head = self.head;
        self.spans
            .iter()
            .filter(move |field| field.name.bytes(head).eq_ignore_ascii_case(name.as_bytes()))
            .map(move |field| field.value.bytes(head))
    }

    /// The value of the first field called `name`.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.spans.iter().find(|field| field.name.bytes(self.head).eq_ignore_ascii_case(name.as_bytes()))?;
        Some(found.value.bytes(self.head))
    }

    /// As [`Fields::get`], when the value is text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}
