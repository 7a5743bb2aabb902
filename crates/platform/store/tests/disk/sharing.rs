//! Two stores on one directory: a worker and the one that takes its place.

use super::*;

#[test]
fn the_lease_passes_and_the_next_one_sees_what_was_written() {
    let dir = tempfile::tempdir().expect("dir");
    let old: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&old, "first", Head::new(1), b"first"));
    settle(&old);
    let new: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!(get(&new, "first", 1).as_deref(), Some(b"first".as_slice()), "who does not write reads");
    assert!(put(&old, "second", Head::new(1), b"second"));
    let mut taking = Box::pin(new.take_writer());
    let is_early = wait(async { tokio::time::timeout(Duration::from_millis(200), &mut taking).await.is_ok() });
    assert!(!is_early && !stats(&new).is_writer, "one writes at a time");
    assert_eq!(get(&new, "second", 1), None);
    give_up(&old);
    wait(taking);
    assert!(stats(&new).is_writer && !stats(&old).is_writer);
    assert_eq!(get(&new, "second", 1).as_deref(), Some(b"second".as_slice()));
    // And back.
    assert!(put(&new, "third", Head::new(1), b"third"));
    assert_eq!(new.remove("first"), 1);
    give_up(&new);
    assert_eq!(get(&old, "third", 1), None, "the one before has not looked again");
    wait(old.take_writer());
    assert_eq!(get(&old, "third", 1).as_deref(), Some(b"third".as_slice()));
    old.remove("second");
    drop((old, new));
    let last: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!((get(&last, "first", 1), get(&last, "second", 1)), (None, None));
    assert_eq!(get(&last, "third", 1).as_deref(), Some(b"third".as_slice()));
}

#[test]
fn a_lease_ends_with_its_store() {
    let dir = tempfile::tempdir().expect("dir");
    let one: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    let two: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    drop(one);
    wait(two.take_writer());
    assert!(stats(&two).is_writer);
}

#[test]
fn a_wish_outlives_the_one_who_waited() {
    let dir = tempfile::tempdir().expect("dir");
    let one: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    let two: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    wait(async { tokio::time::timeout(Duration::from_millis(20), two.take_writer()).await.expect_err("held") });
    give_up(&one);
    until(&two, "it takes the lease by itself", |stats| stats.is_writer);
    give_up(&two);
    wait(one.take_writer());
    assert!(!stats(&two).is_writer, "what was given up is not wished for any more");
}

#[test]
fn what_is_removed_without_the_lease_is_removed_when_it_comes() {
    let dir = tempfile::tempdir().expect("dir");
    let old: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&old, "seen", Head::new(1), b"seen"));
    settle(&old);
    let new: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&old, "unseen", Head::new(1), b"unseen"));
    assert_eq!(new.remove("seen"), 1);
    assert_eq!(new.remove("unseen"), 0, "it does not know of it");
    give_up(&old);
    wait(new.take_writer());
    assert_eq!((get(&new, "seen", 1), get(&new, "unseen", 1)), (None, None));
    drop((old, new));
    let last: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!((get(&last, "seen", 1), get(&last, "unseen", 1)), (None, None));
}

#[test]
fn what_others_removed_meanwhile_leaves_memory() {
    let dir = tempfile::tempdir().expect("dir");
    let old: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    for key in ["removed", "replaced", "kept"] {
        assert!(put(&old, key, Head::new(1), key.as_bytes()));
    }
    give_up(&old);
    assert!(put(&old, "unwritten", Head::new(1), b"unwritten"));
    let new: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!((new.remove("removed"), new.remove("unwritten")), (1, 0));
    assert!(object(&new, "replaced", 1).is_some() && put(&new, "replaced", Head::new(1), b"newer"));
    give_up(&new);
    wait(old.take_writer());
    assert_eq!((get(&old, "removed", 1), get(&old, "unwritten", 1)), (None, None));
    assert_eq!(get(&old, "replaced", 1).as_deref(), Some(b"newer".as_slice()));
    assert!(old.find("kept", |_| true).is_some(), "nothing became of it");
    drop((old, new));
    let last: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!((get(&last, "removed", 1), get(&last, "unwritten", 1)), (None, None));
}

#[test]
fn what_others_removed_leaves_the_memory_of_a_store_that_never_had_the_lease() {
    let dir = tempfile::tempdir().expect("dir");
    let old: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&old, "k", Head::new(1), b"k"));
    settle(&old);
    let new: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert!(object(&new, "k", 1).is_some() && put(&new, "own", Head::new(1), b"own"));
    assert_eq!(old.remove("k"), 1);
    give_up(&old);
    wait(new.take_writer());
    assert_eq!((get(&new, "k", 1), new.find("own", |_| true).is_some()), (None, true));
}

#[test]
fn removing_what_nobody_knows_does_not_empty_the_disk() {
    let dir = tempfile::tempdir().expect("dir");
    let old: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&old, "k", Head::new(1), b"k"));
    settle(&old);
    let new: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&old, "unseen", Head::new(1), b"unseen"));
    give_up(&old);
    for _ in 0..70_000 {
        new.remove("one");
    }
    for key in 0..70_000 {
        new.remove(&format!("gone{key}"));
    }
    new.remove("unseen");
    wait(new.take_writer());
    give_up(&new);
    drop((old, new));
    let last: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!(get(&last, "k", 1).as_deref(), Some(b"k".as_slice()));
    assert_eq!(get(&last, "unseen", 1), None, "what came meanwhile may be what was removed");
}

#[test]
fn removing_more_than_can_be_told_empties_the_disk() {
    let dir = tempfile::tempdir().expect("dir");
    let old: Store<Head> = writing(dir.path(), 128 * MIB, 64 * MIB);
    assert!(put(&old, "k", Head::new(1), b"k"));
    (0..70_000).for_each(|key| assert!(put(&old, &format!("gone{key}"), Head::new(1), b"")));
    give_up(&old);
    let new: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    for key in 0..70_000 {
        new.remove(&format!("gone{key}"));
    }
    assert_eq!(get(&new, "k", 1), None, "it may have been among them");
    wait(new.take_writer());
    until(&new, "everything is removed", |stats| stats.segments == 0);
    assert!(put(&new, "k", Head::new(1), b"again"));
    settle(&new);
    drop((old, new));
    let last: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!(get(&last, "k", 1).as_deref(), Some(b"again".as_slice()));
}

#[test]
fn a_segment_that_is_removed_is_a_miss_for_who_reads() {
    let dir = tempfile::tempdir().expect("dir");
    let writer: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&writer, "k", Head::new(1), b"k"));
    settle(&writer);
    let reader: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert!(writer.free_disk(1) > 0);
    assert_eq!(get(&reader, "k", 1).as_deref(), Some(b"k".as_slice()), "it has the file open");
    give_up(&writer);
    reader.remove("k");
    wait(reader.take_writer());
    assert_eq!(get(&reader, "k", 1), None);
}

#[test]
fn what_is_removed_while_it_is_brought_back_is_not_brought_back() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 32 * MIB, 64 * MIB);
    let keys: Vec<String> = (0..600).map(|key| format!("k{key}")).collect();
    for key in &keys {
        assert!(put(&store, key, Head::new(0), &pattern(5000, 1)));
    }
    give_up(&store);
    drop(store);
    let store: Store<Head> = writing(dir.path(), 32 * MIB, 64 * MIB);
    let (go, told) = std::sync::mpsc::sync_channel::<String>(0);
    let loading = std::thread::spawn({
        let store = store.clone();
        move || told.iter().for_each(|key| drop(wait(store.load(&key, |_| true))))
    });
    for (at, key) in keys.iter().enumerate() {
        go.send(key.clone()).expect("it listens");
        // A little later each time, over the whole time a load takes.
        (0..(at % 60) * 40).for_each(|_| std::hint::spin_loop());
        store.remove(key);
        // The next key is taken once this one's load has ended.
        if let Some(next) = keys.get(at + 1) {
            go.send(format!("not {next}")).expect("it listens");
        }
        assert!(store.find(key, |_| true).is_none() && wait(store.load(key, |_| true)).is_none(), "{key}");
    }
    drop(go);
    loading.join().expect("loads");
}
