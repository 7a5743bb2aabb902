//! Content store: objects in RAM within a byte limit, filled while read.
