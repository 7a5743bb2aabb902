//! What a fill displaces until it is whole.

use crate::{MIB, pattern};
use bytes::Bytes;
use weir_store::{AbortReason, Appended, Fill, SLICE_BYTES, Store};

/// Begins a variant that replaces every other.
fn begin(store: &Store<u32>, head: u32) -> Fill<u32> {
    store.begin("k", head, 0, None, |_| true).unwrap_or_else(|(_, refused)| panic!("{refused}"))
}

fn put(store: &Store<u32>, head: u32, body: Vec<u8>) {
    let mut fill = begin(store, head);
    assert_eq!(fill.append(body.into()), Appended::Stored);
    fill.finish().expect("whole");
}

/// The head found, and whether its body is whole.
fn found(store: &Store<u32>) -> Option<(u32, bool)> {
    store.find("k", |_| true).map(|o| (*o.head(), o.whole().is_some()))
}

#[test]
fn an_aborted_fill_puts_back_what_it_displaced_and_a_whole_one_does_not() {
    let store = Store::new(4 * MIB);
    put(&store, 1, b"old".into());
    let before = store.stats();
    for end in [Some(AbortReason::Upstream), None] {
        let mut fill = begin(&store, 2);
        fill.append(Bytes::from_static(b"ne"));
        assert_eq!(found(&store), Some((2, false)), "the new one is what is found while it fills");
        match end {
            Some(reason) => fill.abort(reason),
            None => drop(fill),
        }
        assert_eq!((found(&store), store.stats()), (Some((1, true)), before));
    }
    put(&store, 3, b"new".into());
    assert_eq!((found(&store), store.stats()), (Some((3, true)), before));
    assert_eq!(store.remove("k"), 1);
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn fills_that_displace_one_another_keep_the_last_whole_one() {
    let store = Store::new(4 * MIB);
    put(&store, 1, b"old".into());
    let (second, third) = (begin(&store, 2), begin(&store, 3));
    second.abort(AbortReason::Upstream);
    assert_eq!(found(&store), Some((3, false)));
    third.abort(AbortReason::Upstream);
    assert_eq!(found(&store), Some((1, true)));
}

#[test]
fn what_is_purged_or_filled_meanwhile_does_not_come_back() {
    let store = Store::new(4 * MIB);
    put(&store, 1, b"old".into());
    let fill = begin(&store, 2);
    assert_eq!(store.remove("k"), 1);
    fill.abort(AbortReason::Upstream);
    assert_eq!((found(&store), store.stats().bytes), (None, 0));

    put(&store, 1, b"old".into());
    let fill = begin(&store, 2);
    put(&store, 3, b"new".into());
    fill.abort(AbortReason::Upstream);
    assert_eq!((found(&store), store.stats().objects), (Some((3, true)), 1));
}

#[test]
fn the_displaced_make_room_before_the_new_one_passes_through() {
    let store = Store::new(4 * MIB);
    put(&store, 1, pattern(SLICE_BYTES));
    let others: Vec<_> = (0..2)
        .map(|i| {
            let mut fill = store.begin(&format!("other{i}"), 0, 0, None, |_| true).unwrap_or_else(|(_, refused)| panic!("{refused}"));
            fill.append(pattern(SLICE_BYTES).into());
            fill
        })
        .collect();
    let mut fill = begin(&store, 2);
    assert_eq!(fill.append(pattern(SLICE_BYTES).into()), Appended::Stored);
    fill.abort(AbortReason::Upstream);
    assert_eq!(found(&store), None, "it gave its memory");
    drop(others);
}

#[test]
fn one_variant_is_removed_and_the_others_stay() {
    let store: Store<u32> = Store::new(4 * MIB);
    for head in 1..4 {
        let fill = store.begin("k", head, 0, Some(0), |_| false).unwrap_or_else(|(_, refused)| panic!("{refused}"));
        fill.finish().expect("whole");
    }
    assert_eq!((store.remove_where("k", |head| *head == 2), store.stats().objects), (1, 2));
    assert!(store.find("k", |head| *head == 2).is_none());
    assert_eq!((store.remove_where("k", |_| true), store.stats()), (2, Store::<u32>::new(1).stats()));
}

#[test]
fn aborts_in_a_row_leave_a_store_that_still_evicts() {
    let store = Store::new(1 << 20);
    put(&store, 1, b"old".into());
    for _ in 0..10_000 {
        begin(&store, 2).abort(AbortReason::Upstream);
    }
    assert_eq!(found(&store), Some((1, true)));
    for index in 0..2_000 {
        let mut fill = store.begin(&format!("{index}"), 0, 0, None, |_| true).unwrap_or_else(|(_, refused)| panic!("{refused}"));
        assert_eq!(fill.append(pattern(2000).into()), Appended::Stored, "{index}");
        fill.finish().expect("whole");
    }
    assert!(store.stats().bytes <= 1 << 20);
}
