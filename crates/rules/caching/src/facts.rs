//! What the rules need to know of one request and of one response.

use crate::Fields;

/// A request as the rules see it.
#[derive(Debug)]
pub struct RequestFacts<'a, F: Fields + ?Sized> {
    /// The method, as sent (methods are case-sensitive, RFC 9110 section 9.1).
    pub method: &'a str,
    /// Its header fields.
    pub fields: &'a F,
    /// Whether it carries content; the cache key knows nothing of content, so such a GET is never answered from the cache.
    pub has_content: bool,
}

impl<'a, F: Fields + ?Sized> RequestFacts<'a, F> {
    /// A request without content.
    pub fn new(method: &'a str, fields: &'a F) -> Self {
        Self { method, fields, has_content: false }
    }
}

impl<F: Fields + ?Sized> Clone for RequestFacts<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Fields + ?Sized> Copy for RequestFacts<'_, F> {}

/// A response received from upstream.
#[derive(Debug)]
pub struct ResponseFacts<'a, F: Fields + ?Sized> {
    /// Status code.
    pub status: u16,
    /// Its header fields, before anything was removed.
    pub fields: &'a F,
    /// When the request that brought it was sent, in seconds since 1970.
    pub requested_at: u64,
    /// When its head arrived, in seconds since 1970: what its `Date` is compared with.
    pub received_at: u64,
    /// When its head arrived, in seconds of a clock that never jumps: what its residence is measured with.
    pub arrived_at: u64,
}

impl<F: Fields + ?Sized> Clone for ResponseFacts<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Fields + ?Sized> Copy for ResponseFacts<'_, F> {}
