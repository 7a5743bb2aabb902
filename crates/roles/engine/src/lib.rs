//! Service Engine: caches and streams.
