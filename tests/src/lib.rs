//! System tests: real processes on loopback.
