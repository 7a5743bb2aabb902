//! What a manager reads of its own files: the journal.

use weir_manager::{JournalCheck, check_journal};

/// A journal: what is taken of it is taken again alone, and stays what it is whatever follows it.
pub fn journal(bytes: &[u8]) -> bool {
    let found = check_journal(bytes);
    let length = usize::try_from(found.bytes).expect("no more than was given");
    assert_eq!(check_journal(&bytes[..length]), JournalCheck { damaged: false, ..found });
    let ended = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(ended as u64, found.records, "each record is one line");
    let behind: Vec<u8> = bytes[..length].iter().chain(b"{}\n").copied().collect();
    assert_eq!(check_journal(&behind), JournalCheck { damaged: true, ..found });
    found.records > 0 && !found.damaged
}
