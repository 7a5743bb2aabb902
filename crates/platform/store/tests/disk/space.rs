//! The limit, what goes first, and disks that are full or fail.

use super::*;
use std::{fs, process::Command};

fn bytes_on_disk(directory: &Path) -> u64 {
    let files = fs::read_dir(directory.join("store")).expect("store");
    let segments = files.map(|file| file.expect("entry")).filter(|file| file.file_name() != "lease");
    segments.map(|file| file.metadata().map_or(0, |file| file.len())).sum()
}

/// Pushes everything nobody holds out of RAM, and nothing onto the disk.
fn flood(store: &Store<Head>) {
    let mut held = Vec::new();
    while put(store, &format!("flood{}", held.len()), Head { durable: false, ..Head::new(0) }, &pattern(20_000, 0)) {
        // What is held cannot leave: in the end there is nothing else.
        let Some(object) = store.find(&format!("flood{}", held.len()), |_| true) else { break };
        held.push(object);
    }
    for round in 0..=held.len() {
        store.remove(&format!("flood{round}"));
    }
}

/// Writes an object that is asked for again once.
fn write(store: &Store<Head>, key: &str, seed: u32) {
    let before = stats(store).writes;
    assert!(put(store, key, Head::new(0), &pattern(20_000, seed)));
    until(store, "it is written", |stats| {
        // Asked for again as long as it is not: others may be queued.
        stats.writes > before || store.find(key, |_| true).is_none()
    });
}

#[test]
fn the_oldest_goes_first_and_what_was_read_since_stays() {
    let dir = tempfile::tempdir().expect("dir");
    let limit = 4 * MIB;
    let store: Store<Head> = writing(dir.path(), MIB, limit);
    for round in 0..700u32 {
        write(&store, &format!("k{round}"), round);
        // Every so often the first is asked for, and leaves RAM again.
        if round % 70 == 0 {
            assert_eq!(get(&store, "k0", 0), Some(pattern(20_000, 0)), "round {round}");
            flood(&store);
            assert!(store.find("k0", |_| true).is_none());
        }
        assert!(bytes_on_disk(dir.path()) <= limit, "{} bytes", bytes_on_disk(dir.path()));
    }
    give_up(&store);
    assert_eq!(get(&store, "k1", 0), None, "nobody asked for it");
    assert_eq!(get(&store, "k699", 0), Some(pattern(20_000, 699)));
    let held = stats(&store);
    assert!(held.bytes > limit / 2 && held.bytes == bytes_on_disk(dir.path()), "{held:?}");
    drop(store);
    let store: Store<Head> = open(dir.path(), MIB, limit);
    assert_eq!(stats(&store).objects, held.objects, "the same is found again");
    assert_eq!(get(&store, "k0", 0), Some(pattern(20_000, 0)));
}

#[test]
fn nothing_is_left_behind_of_an_object_that_was_in_ram_when_its_segment_went() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), MIB, 2 * MIB);
    write(&store, "k", 1);
    flood(&store);
    let held = object(&store, "k", 0).expect("on disk");
    for round in 0..100 {
        write(&store, &format!("k{round}"), round);
    }
    let fresh = store.refresh(&held, Head::new(0), 4).expect("in RAM");
    drop((held, fresh));
    settle(&store);
    assert!(put(&store, "k", Head::new(0), b"another"));
    flood(&store);
    assert_ne!(get(&store, "k", 0), Some(pattern(20_000, 1)), "it is not right any more");
}

#[test]
fn an_object_over_several_segments_is_kept_and_goes_whole() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 64 * MIB, 16 * MIB);
    let body = pattern(3 * SLICE_BYTES + 5, 1);
    assert!(put(&store, "big", Head::new(0), &body));
    settle(&store);
    assert!(stats(&store).segments > 1);
    drop(store);
    let store: Store<Head> = writing(dir.path(), 64 * MIB, 16 * MIB);
    assert_eq!(get(&store, "big", 0), Some(body));
    assert!(put(&store, "too big", Head::new(0), &pattern(5 * SLICE_BYTES, 1)));
    store.remove("big");
    settle(&store);
    assert_eq!(stats(&store).objects, 0, "more than a quarter of the disk");
}

#[test]
fn freeing_lowers_the_limit_until_the_next_open() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 32 * MIB, 16 * MIB);
    for key in 0..400u32 {
        assert!(put(&store, &format!("k{key}"), Head::new(0), &pattern(20_000, key)));
    }
    settle(&store);
    let before = stats(&store);
    let freed = store.free_disk(3 * MIB);
    let after = stats(&store);
    assert!((3 * MIB..6 * MIB).contains(&freed), "{freed}");
    assert_eq!((after.bytes, after.limit_bytes), (before.bytes - freed, before.limit_bytes - freed));
    assert_eq!(after.bytes, bytes_on_disk(dir.path()));
    assert_eq!(after.objects, (0..400).filter(|key| get(&store, &format!("k{key}"), 0).is_some()).count() as u64 - in_ram_only(&store));
    assert_eq!(store.free_disk(u64::MAX), after.bytes, "the open segment too");
    assert!(put(&store, "later", Head::new(0), b"later"));
    give_up(&store);
    assert_eq!(stats(&store).error, None);
    drop(store);
    let store: Store<Head> = open(dir.path(), MIB, 16 * MIB);
    assert_eq!(stats(&store).limit_bytes, 16 * MIB);
    assert_eq!(store.free_disk(1), 0, "who does not write frees nothing");
}

/// Objects in RAM that are no longer on disk.
fn in_ram_only(store: &Store<Head>) -> u64 {
    400 - stats(store).objects
}

#[test]
fn an_error_turns_the_writer_off_and_reads_go_on() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), MIB, 4 * MIB);
    assert!(put(&store, "kept", Head::new(0), b"kept"));
    settle(&store);
    let next = dir.path().join("store/0000000002.seg");
    fs::create_dir(&next).expect("in the way of the next segment");
    assert!(put(&store, "k", Head::new(0), &pattern(5000, 1)));
    assert!(store.find("k", |_| true).is_some());
    until(&store, "the error is told", |stats| stats.error.is_some());
    assert!(stats(&store).error.is_some_and(|error| error.starts_with("cannot write an object: ")));
    assert_eq!(get(&store, "k", 0), Some(pattern(5000, 1)));
    assert_eq!(get(&store, "kept", 0).as_deref(), Some(b"kept".as_slice()));
    // What cannot be said to be removed is removed with all that is before it.
    assert_eq!(store.remove("kept"), 1);
    until(&store, "its segment goes", |stats| stats.segments == 0);
    fs::remove_dir(&next).expect("out of the way");
    wait(store.take_writer());
    until(&store, "it writes again", |stats| stats.error.is_none());
    assert!(store.find("k", |_| true).is_some());
    until(&store, "what was not written is written", |stats| stats.objects == 1);
    drop(store);
    let store: Store<Head> = open(dir.path(), MIB, 4 * MIB);
    assert_eq!((get(&store, "kept", 0), get(&store, "k", 0)), (None, Some(pattern(5000, 1))));
}

/// A small file system of its own, if this user may mount one.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("dir");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(dir.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.path().display());
    }
}

#[test]
fn a_full_disk_stops_writing_and_nothing_else() {
    let Some(small) = Small::mount() else {
        let may_be_missing = std::env::var("WEIR_SKIP").is_ok_and(|names| names.split(',').any(|name| name.trim() == "mount"));
        assert!(may_be_missing, "this user may not mount a tmpfs: run it as one who may, or go on without by WEIR_SKIP=mount");
        return;
    };
    let store: Store<Head> = writing(small.0.path(), 8 * MIB, 64 * MIB);
    let mut keys = 0;
    while stats(&store).error.is_none() {
        assert!(keys < 1000, "{:?}", stats(&store));
        assert!(put(&store, &format!("k{keys}"), Head::new(0), &pattern(50_000, keys)));
        assert!(store.find(&format!("k{keys}"), |_| true).is_some());
        keys += 1;
        until(&store, "written or refused", |stats| stats.writes == u64::from(keys) || stats.error.is_some());
    }
    assert!(stats(&store).error.is_some_and(|error| error.contains("No space left")));
    assert!(keys > 10, "{keys} objects fit");
    let written = stats(&store).objects;
    for key in 0..keys {
        assert_eq!(get(&store, &format!("k{key}"), 0), Some(pattern(50_000, key)));
    }
    drop(store);
    let store: Store<Head> = open(small.0.path(), 8 * MIB, 64 * MIB);
    assert_eq!(stats(&store).objects, written);
    for key in 0..u32::try_from(written).expect("few") {
        assert_eq!(get(&store, &format!("k{key}"), 0), Some(pattern(50_000, key)), "k{key}");
    }
    // Full to the last page: the lease comes all the same, and with it the right to make room.
    let mut filler = fs::File::create(small.0.path().join("filler")).expect("a file");
    while std::io::Write::write(&mut filler, &[0; 4096]).is_ok_and(|written| written > 0) {}
    wait(store.take_writer());
    assert_eq!((stats(&store).is_writer, stats(&store).objects), (true, written));
    assert!(store.free_disk(1) > 0);
    drop(store);
}
