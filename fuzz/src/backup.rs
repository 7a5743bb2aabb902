//! The file of a backup.

use std::io;

/// A backup that is taken names the database it holds: its length and its SHA-256.
pub fn file(bytes: &[u8]) -> bool {
    let mut database = Vec::new();
    let Ok(manifest) = weir_manager::read_backup(bytes, &mut database) else { return false };
    assert_eq!(manifest.database_bytes, database.len() as u64, "a database of another length was taken");
    let again = weir_manager::read_backup(bytes, &mut io::sink()).expect("what was read reads again");
    assert_eq!(again, manifest, "the same bytes were read otherwise");
    true
}
