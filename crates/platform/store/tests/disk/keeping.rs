//! What comes to the disk, what stays there, and what comes back.

use super::*;
use std::thread;
use weir_store::AbortReason;

#[test]
fn what_was_in_ram_when_the_lease_was_given_up_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("dir");
    let bodies = [0, 1, 5000, SLICE_BYTES, SLICE_BYTES + 1, 3 * SLICE_BYTES + 77].map(|length| pattern(length, 3));
    let store: Store<Head> = writing(dir.path(), 64 * MIB, 1024 * MIB);
    for (at, body) in (0u32..).zip(&bodies) {
        assert!(put(&store, &format!("k{at}"), Head::new(at), body));
    }
    give_up(&store);
    assert_eq!((stats(&store).objects, stats(&store).is_writer, stats(&store).error), (6, false, None));
    drop(store);
    let store: Store<Head> = open(dir.path(), 64 * MIB, 1024 * MIB);
    assert_eq!(stats(&store).objects, 6);
    for (at, body) in (0u32..).zip(&bodies) {
        let key = format!("k{at}");
        assert!(store.find(&key, |_| true).is_none(), "RAM was empty");
        assert_eq!(get(&store, &key, at).as_ref(), Some(body));
        assert!(store.find(&key, |_| true).is_some(), "it came back to RAM");
        assert_eq!(get(&store, &key, at + 1), None, "another variant");
    }
    assert_eq!((stats(&store).loads, stats(&store).corrupt), (6, 0));
}

#[test]
fn what_is_asked_for_once_is_not_written_and_what_is_asked_for_again_is() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), MIB, 64 * MIB);
    for round in 0..200 {
        assert!(put(&store, &format!("once{round}"), Head::new(0), &pattern(20_000, round)));
    }
    assert!(put(&store, "again", Head::new(0), b"again"));
    assert!(store.find("again", |_| true).is_some());
    until(&store, "the one object is written", |stats| stats.writes == 1);
    assert_eq!(stats(&store).objects, 1);
    for round in 0..200 {
        assert!(put(&store, &format!("more{round}"), Head::new(0), &pattern(20_000, round)));
    }
    assert!(store.find("again", |_| true).is_none(), "it left RAM");
    assert_eq!(get(&store, "again", 0).as_deref(), Some(b"again".as_slice()));
    assert_eq!(stats(&store).writes, 1, "and nothing else was written");
}

#[test]
fn a_head_that_says_no_is_never_written() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), MIB, 64 * MIB);
    assert!(put(&store, "live", Head { durable: false, ..Head::new(1) }, b"live"));
    assert!(store.find("live", |_| true).is_some());
    settle(&store);
    assert_eq!((stats(&store).objects, stats(&store).writes), (0, 0));
}

#[test]
fn removing_lasts_over_a_restart() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    for key in ["a", "b", "c", "d"] {
        assert!(put(&store, key, Head::new(1), b"one") && put(&store, key, Head::new(2), b"two"));
    }
    settle(&store);
    assert_eq!(store.remove("a"), 2);
    assert_eq!(store.remove_where("b", |head| head.word == 1), 1);
    assert_eq!(stats(&store).objects, 5);
    drop(store);
    let store: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!((get(&store, "a", 1), get(&store, "a", 2), get(&store, "b", 1)), (None, None, None));
    assert_eq!(get(&store, "b", 2).as_deref(), Some(b"two".as_slice()));
    assert_eq!(store.remove("c"), 2, "both are only on disk");
    assert_eq!(store.remove_where("d", |_| false), 2, "what is only on disk goes unread");
    give_up(&store);
    drop(store);
    let store: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!((get(&store, "c", 1), get(&store, "d", 2), stats(&store).objects), (None, None, 1));
}

#[test]
fn what_was_replaced_does_not_come_back() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&store, "k", Head::new(1), b"old") && put(&store, "k", Head::new(2), b"other"));
    settle(&store);
    assert!(put(&store, "k", Head::new(1), b"new"));
    drop(store);
    let store: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!(get(&store, "k", 1), None, "the new one was not asked for again, and the old one is not right");
    assert_eq!(get(&store, "k", 2).as_deref(), Some(b"other".as_slice()));
}

#[test]
fn an_aborted_fill_leaves_what_it_displaced_on_disk() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&store, "k", Head::new(1), b"old"));
    settle(&store);
    let fill = store.begin("k", Head::new(1), 4, None, |_| true).unwrap_or_else(|_| panic!("room"));
    fill.abort(AbortReason::Upstream);
    drop(store);
    let store: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!(get(&store, "k", 1).as_deref(), Some(b"old".as_slice()));
}

#[test]
fn a_confirmed_head_is_written_without_its_body() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 64 * MIB, 256 * MIB);
    let body = pattern(2 * SLICE_BYTES + 9, 1);
    assert!(put(&store, "k", Head::new(1), &body));
    settle(&store);
    let before = stats(&store).bytes;
    for word in 2..50 {
        let held = store.find("k", |_| true).expect("held");
        assert!(store.refresh(&held, Head::new(word), 4).is_some());
    }
    settle(&store);
    assert_eq!(stats(&store).objects, 1);
    assert!(stats(&store).bytes < before + 20_000, "{} bytes after {before}", stats(&store).bytes);
    drop(store);
    let store: Store<Head> = open(dir.path(), 64 * MIB, 256 * MIB);
    assert_eq!(get(&store, "k", 48), None);
    assert_eq!(get(&store, "k", 49), Some(body));
}

#[test]
fn a_confirmed_head_that_is_not_for_the_disk_takes_the_one_before_with_it() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 8 * MIB, 64 * MIB);
    assert!(put(&store, "k", Head::new(1), b"k") && put(&store, "late", Head::new(1), b"late"));
    settle(&store);
    let held = store.find("k", |_| true).expect("held");
    assert!(store.refresh(&held, Head { durable: false, ..Head::new(2) }, 4).is_some());
    until(&store, "the old head is forgotten", |stats| stats.objects == 1);
    // And by a store that does not write, when it ends without having had the lease again.
    give_up(&store);
    let held = store.find("late", |_| true).expect("held");
    assert!(store.refresh(&held, Head { durable: false, ..Head::new(2) }, 4).is_some());
    wait(store.take_writer());
    wait(store.give_up_writer(Duration::ZERO));
    drop((held, store));
    let store: Store<Head> = open(dir.path(), 8 * MIB, 64 * MIB);
    assert_eq!((get(&store, "k", 1), get(&store, "late", 1)), (None, None));
}

#[test]
fn loads_of_one_key_are_one_and_its_readers_stream() {
    let dir = tempfile::tempdir().expect("dir");
    let body = Arc::new(pattern(9 * SLICE_BYTES + 5, 2));
    let store: Store<Head> = writing(dir.path(), 64 * MIB, 256 * MIB);
    assert!(put(&store, "k", Head::new(1), &body));
    give_up(&store);
    drop(store);
    let store: Store<Head> = open(dir.path(), 64 * MIB, 256 * MIB);
    let readers: Vec<_> = (0..16)
        .map(|_| {
            let (store, body) = (store.clone(), body.clone());
            thread::spawn(move || assert!(get(&store, "k", 1).as_ref() == Some(&*body)))
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().expect("the same bytes"));
    assert_eq!((stats(&store).loads, store.stats().objects), (1, 1));
}

#[test]
fn what_ram_has_no_room_for_is_forgotten() {
    let dir = tempfile::tempdir().expect("dir");
    let body = pattern(3 * SLICE_BYTES, 2);
    let store: Store<Head> = writing(dir.path(), 64 * MIB, 256 * MIB);
    assert!(put(&store, "k", Head::new(1), &body));
    give_up(&store);
    drop(store);
    let store: Store<Head> = open(dir.path(), 8 * MIB, 256 * MIB);
    assert_eq!(get(&store, "k", 1), None);
    assert_eq!(stats(&store).objects, 0, "whoever asked gets it from elsewhere, and this one is not right any more");
}

#[test]
fn without_a_disk_tier_there_is_nothing_to_load() {
    let store: Store<Head> = Store::open(StoreSettings { ram_bytes: MIB, disk: None }).expect("opened");
    wait(store.take_writer());
    assert!(put(&store, "k", Head::new(1), b"k"));
    assert!(wait(store.load("other", |_| true)).is_none());
    assert_eq!((store.disk_stats(), store.free_disk(1)), (None, 0));
    give_up(&store);
}

#[test]
fn giving_up_takes_no_longer_than_it_may_and_keeps_what_was_used_most() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 64 * MIB, 256 * MIB);
    assert!(put(&store, "large", Head::new(0), &pattern(9 * SLICE_BYTES, 1)));
    wait(store.give_up_writer(Duration::ZERO));
    assert_eq!((stats(&store).objects, stats(&store).is_writer, stats(&store).error), (0, false, None), "there was no time");
    wait(store.take_writer());
    give_up(&store);
    assert_eq!(stats(&store).objects, 1, "and it is not lost for the next time");
}
