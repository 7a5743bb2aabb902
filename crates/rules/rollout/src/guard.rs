//! The capacity guard: floors no offload may break.
