//! HTTP/1.1 server loop, limits, drain, TLS and device identity.
