//! HTTP caching rules (RFC 9111, 9110, 9211, 9213, 5861) as pure functions.
