//! Directories as line 1.0 and the line after it write them, kept in `tests/golden`: every build reads both.
//!
//! `WEIR_UPDATE_GOLDEN=1` writes them anew; only a new format may change them.

use super::*;
use std::fs;

const UPDATE: &str = "WEIR_UPDATE_GOLDEN";

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A copy to work on.
fn copied(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("dir");
    fs::create_dir(dir.path().join("store")).expect("dir");
    for file in fs::read_dir(golden(name)).expect("golden") {
        let file = file.expect("entry");
        fs::copy(file.path(), dir.path().join("store").join(file.file_name())).expect("copied");
    }
    dir
}

/// What both directories hold.
fn write_first<const R: u32>(store: &Store<Word<R>>) {
    assert!(put(store, "empty", Word::new(0), b""));
    assert!(put(store, "a", Word::new(1), b"first") && put(store, "a", Word::new(2), b"second"));
    assert!(put(store, "removed", Word::new(1), b"removed") && put(store, "confirmed", Word::new(1), b"confirmed"));
    settle(store);
    store.remove("removed");
    assert!(put(store, "a", Word::new(2), b"third"));
    let held = store.find("confirmed", |_| true).expect("held");
    assert!(store.refresh(&held, Word::new(7), 4).is_some());
}

fn write_1_0(directory: &Path) {
    let store: Store<Word<0>> = writing(directory, 32 * MIB, 64 * MIB);
    assert!(put(&store, "two", Word::new(1), &pattern(SLICE_BYTES + 3, 5)));
    write_first(&store);
    give_up(&store);
}

fn write_1_1(directory: &Path) {
    let store: Store<Word<1>> = writing(directory, 32 * MIB, 64 * MIB);
    write_first(&store);
    for key in ["a", "new"] {
        assert!(put(&store, key, Word { min_reader: Line::new(1, 1), ..Word::new(9) }, b"only for 1.1"));
    }
    let held = store.find("empty", |_| true).expect("held");
    assert!(store.refresh(&held, Word { min_reader: Line::new(1, 1), ..Word::new(3) }, 4).is_some());
    give_up(&store);
}

#[test]
fn written_anew_when_asked() {
    if std::env::var_os(UPDATE).is_none() {
        return;
    }
    for (name, write) in [("store-1.0", write_1_0 as fn(&Path)), ("store-1.1", write_1_1)] {
        let dir = tempfile::tempdir().expect("dir");
        write(dir.path());
        drop(fs::remove_dir_all(golden(name)));
        fs::create_dir_all(golden(name)).expect("dir");
        for file in fs::read_dir(dir.path().join("store")).expect("dir") {
            let file = file.expect("entry");
            if file.file_name() != "lease" {
                fs::copy(file.path(), golden(name).join(file.file_name())).expect("copied");
            }
        }
    }
}

fn read_first<const R: u32>(store: &Store<Word<R>>) {
    assert_eq!(get(store, "a", 1).as_deref(), Some(b"first".as_slice()));
    assert_eq!(get(store, "a", 2).as_deref(), Some(b"third".as_slice()));
    assert_eq!(get(store, "removed", 1), None);
    assert_eq!(get(store, "confirmed", 1), None);
    assert_eq!(get(store, "confirmed", 7).as_deref(), Some(b"confirmed".as_slice()));
}

fn reads_what_1_0_wrote<const R: u32>() {
    let dir = copied("store-1.0");
    let store: Store<Word<R>> = open(dir.path(), 32 * MIB, 64 * MIB);
    assert_eq!((stats(&store).objects, stats(&store).skipped_newer, stats(&store).corrupt), (5, 0, 0));
    read_first(&store);
    assert_eq!(get(&store, "two", 1), Some(pattern(SLICE_BYTES + 3, 5)));
    assert_eq!(get(&store, "empty", 0).as_deref(), Some(b"".as_slice()));
}

#[test]
fn both_lines_read_what_1_0_wrote() {
    reads_what_1_0_wrote::<0>();
    reads_what_1_0_wrote::<1>();
}

#[test]
fn the_next_line_reads_all_it_wrote_and_1_0_what_it_may() {
    let dir = copied("store-1.1");
    let next: Store<Word<1>> = open(dir.path(), 32 * MIB, 64 * MIB);
    read_first(&next);
    assert_eq!((stats(&next).objects, stats(&next).skipped_newer), (6, 0));
    assert_eq!(get(&next, "a", 9).as_deref(), Some(b"only for 1.1".as_slice()));
    assert_eq!(get(&next, "new", 9).as_deref(), Some(b"only for 1.1".as_slice()));
    assert_eq!(get(&next, "empty", 3).as_deref(), Some(b"".as_slice()));
    drop(next);
    let current: Store<Word<0>> = open(dir.path(), 32 * MIB, 64 * MIB);
    read_first(&current);
    let held = stats(&current);
    assert_eq!((held.objects, held.skipped_newer, held.corrupt), (3, 3, 0), "misses, not errors");
    assert_eq!((get(&current, "a", 9), get(&current, "new", 9)), (None, None));
    assert_eq!(get(&current, "empty", 0), None, "what a newer head replaced is not right any more");
    // It writes beside them, and the next line finds its own again.
    wait(current.take_writer());
    assert!(put(&current, "between", Word::new(1), b"between"));
    give_up(&current);
    drop(current);
    let next: Store<Word<1>> = open(dir.path(), 32 * MIB, 64 * MIB);
    assert_eq!((stats(&next).objects, stats(&next).skipped_newer), (7, 0));
    assert_eq!(get(&next, "between", 1).as_deref(), Some(b"between".as_slice()));
}
