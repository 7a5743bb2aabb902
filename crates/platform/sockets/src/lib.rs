//! Bind, pass and adopt listening sockets; no async.
