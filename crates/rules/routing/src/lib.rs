//! Which engine serves a request, and why: coverage zones, liveness, rendezvous hashing; pure.
