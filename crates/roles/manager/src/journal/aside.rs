//! Where parts of a journal go that are no longer part of it: never deleted, never overwritten.

use crate::keep;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Names that are tried for one part; more of the same place is a journal that is set aside in a circle.
const NAMES_MAX: u32 = 1_000;

/// What is set aside.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aside {
    /// What the primary does not have, from this record on.
    Forked { term: u64, seq: u64 },
    /// What is not as it was written, from where this record was to be.
    Damaged { seq: u64 },
}

impl Aside {
    fn name(self, copy: u32) -> String {
        let name = match self {
            Aside::Forked { term, seq } => format!("journal-{term}-{seq}"),
            Aside::Damaged { seq } => format!("journal-damaged-{seq}"),
        };
        if copy == 1 { format!("{name}.log") } else { format!("{name}.{copy}.log") }
    }
}

/// Keeps the bytes, durably; where. A crash before the journal was cut brings the same bytes again: they are kept once.
pub(super) fn keep(state: &Path, aside: Aside, bytes: &[u8]) -> io::Result<PathBuf> {
    for copy in 1..=NAMES_MAX {
        let path = state.join(aside.name(copy));
        match fs::read(&path) {
            Ok(there) if there == bytes => return Ok(path),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                keep::file(&path, bytes)?;
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many parts of the journal are set aside"))
}
