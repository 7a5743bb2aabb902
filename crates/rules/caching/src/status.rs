//! What a status code means to a cache (RFC 9110 section 15).

/// Whether the response is the last one to its request.
pub fn is_final(status: u16) -> bool {
    status >= 200
}

/// Whether a response may be given a freshness its origin did not state (RFC 9110 section 15.1, without 206).
pub fn is_heuristically_cacheable(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Whether every caching requirement of this status is met here, as `must-understand` asks (RFC 9111 section 5.2.2.3).
///
/// The final codes RFC 9110 defines, without 206 and 304: partial responses are not stored yet.
pub fn is_understood(status: u16) -> bool {
    matches!(status, 200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}

/// Whether `stale-if-error` counts this as an error (RFC 5861 section 4).
pub fn is_server_failure(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}
