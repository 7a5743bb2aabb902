//! The drain predicate: what an offloaded device still waits for.
