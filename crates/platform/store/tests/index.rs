//! The index, variants, the limit and what leaves first.

use bytes::Bytes;
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc, thread};
use weir_store::{OBJECT_OVERHEAD_BYTES, Object, SLICE_BYTES, Store, VARIANTS_MAX};

fn put(store: &Store<u32>, key: &str, head: u32, body: &[u8]) -> bool {
    let Ok(mut fill) = store.begin(key, head, 4, Some(body.len() as u64), |h| *h == head) else { return false };
    for chunk in body.chunks(1000) {
        fill.append(Bytes::copy_from_slice(chunk));
    }
    let stored = store.find(key, |h| *h == head).is_some();
    fill.finish().is_ok() && stored
}

fn body_of(object: &Arc<Object<u32>>) -> Vec<u8> {
    object.whole().expect("whole").concat()
}

#[test]
fn bytes_are_counted_exactly_and_given_back() {
    let store = Store::new(1 << 20);
    assert!(put(&store, "key", 1, &[7; 5000]));
    assert_eq!(store.stats().bytes, 5000 + OBJECT_OVERHEAD_BYTES + 3 + 4);
    let held = store.find("key", |_| true).expect("stored").whole().expect("whole").clone();
    assert_eq!(store.remove("key"), 1);
    assert_eq!(store.stats().bytes, 5000, "a body somebody still writes out is still counted");
    assert_eq!(held.concat(), [7; 5000]);
    drop(held);
    assert_eq!((store.stats().bytes, store.stats().objects), (0, 0));
}

#[test]
fn variants_are_chosen_replaced_and_bounded() {
    let store = Store::new(1 << 20);
    for head in 0..u32::try_from(VARIANTS_MAX).expect("small") + 3 {
        assert!(put(&store, "k", head, b"x"));
    }
    assert_eq!(store.stats().objects, VARIANTS_MAX as u64);
    assert!(store.find("k", |h| *h == 0).is_none(), "the oldest left");
    assert!(put(&store, "k", 5, b"new"));
    assert_eq!(store.stats().objects, VARIANTS_MAX as u64);
    assert_eq!(body_of(&store.find("k", |h| *h == 5).expect("stored")), b"new");
}

#[test]
fn a_refreshed_head_keeps_the_body_and_its_bytes() {
    let store = Store::new(1 << 20);
    assert!(put(&store, "k", 1, &[1; 3000]));
    let before = store.stats();
    let old = store.find("k", |_| true).expect("stored");
    let fresh = store.refresh(&old, 2, 4).expect("room");
    assert_eq!((*fresh.head(), body_of(&fresh)), (2, vec![1; 3000]));
    assert!(store.refresh(&old, 3, 4).is_none(), "the old object has left the index");
    drop(old);
    drop(fresh);
    assert_eq!(store.stats(), before);
}

#[test]
fn what_is_used_again_outlives_a_scan() {
    let store = Store::new(400_000);
    for key in 0..20 {
        assert!(put(&store, &format!("hot{key}"), 0, &[1; 2000]));
    }
    for round in 0..2000 {
        if round % 20 == 0 {
            for key in 0..20 {
                store.find(&format!("hot{key}"), |_| true);
            }
        }
        put(&store, &format!("scan{round}"), 0, &[2; 2000]);
    }
    let kept = (0..20).filter(|key| store.find(&format!("hot{key}"), |_| true).is_some()).count();
    assert_eq!(kept, 20);
}

#[test]
fn what_is_being_read_is_not_evicted_and_a_full_store_refuses() {
    let store = Store::new(100_000);
    assert!(put(&store, "held", 0, &[1; 20_000]));
    let held = store.find("held", |_| true).expect("stored");
    for key in 0..100 {
        put(&store, &format!("k{key}"), 0, &[2; 10_000]);
    }
    assert_eq!(body_of(&held), [1; 20_000]);
    assert!(store.find("held", |_| true).is_some());
    let all: Vec<_> = (0..100).filter_map(|key| store.find(&format!("k{key}"), |_| true)).collect();
    assert!(!all.is_empty());
    assert!(!put(&store, "one more", 0, &[3; 24_000]), "nothing can be freed: passes through");
}

#[test]
fn replacing_for_ever_does_not_grow() {
    let store = Store::new(1 << 20);
    for round in 0..10_000u32 {
        assert!(put(&store, "live.m3u8", 0, &round.to_be_bytes()));
    }
    assert_eq!(store.stats().objects, 1);
    assert_eq!(store.stats().bytes, 4 + 9 + 4 + OBJECT_OVERHEAD_BYTES);
}

#[test]
fn many_threads_stay_under_the_limit() {
    let store = Store::new(2_000_000);
    let threads: Vec<_> = (0..6u32)
        .map(|t| {
            let store = store.clone();
            thread::spawn(move || {
                for i in 0..1500u32 {
                    let key = format!("k{}", (i * 31 + t * 7) % 400);
                    match store.find(&key, |_| true) {
                        Some(object) => {
                            if let Some(slices) = object.whole() {
                                let first = slices.first().and_then(|s| s.first()).copied();
                                assert!(slices.iter().all(|s| s.iter().all(|b| Some(*b) == first)));
                            }
                        }
                        None => drop(put(&store, &key, 0, &vec![u8::try_from(i % 251).expect("a byte"); 9000])),
                    }
                    assert!(store.used_bytes() <= 2_000_000 + SLICE_BYTES as u64);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().expect("no tear"));
}

#[derive(Debug, Clone)]
enum Op {
    Put { key: u8, head: u8, size: usize },
    Get { key: u8, head: u8 },
    Remove { key: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0u8..12, 0u8..3, 0usize..6000).prop_map(|(key, head, size)| Op::Put { key, head, size }),
        (0u8..12, 0u8..3).prop_map(|(key, head)| Op::Get { key, head }),
        (0u8..12).prop_map(|key| Op::Remove { key }),
    ]
}

fn run(limit: u64, ops: Vec<Op>, exact: bool) -> Result<(), TestCaseError> {
    let store = Store::new(limit);
    let mut model: HashMap<(u8, u8), Vec<u8>> = HashMap::new();
    for (round, op) in ops.into_iter().enumerate() {
        match op {
            Op::Put { key, head, size } => {
                let body: Vec<u8> = (0..size).map(|i| u8::try_from((i + round) % 256).expect("a byte")).collect();
                let stored = put(&store, &key.to_string(), u32::from(head), &body);
                prop_assert!(stored || !exact);
                model.insert((key, head), body);
                if !stored {
                    model.remove(&(key, head));
                }
            }
            Op::Get { key, head } => {
                let found = store.find(&key.to_string(), |h| *h == u32::from(head)).map(|o| body_of(&o));
                if exact || found.is_some() {
                    prop_assert_eq!(found.as_ref(), model.get(&(key, head)));
                }
            }
            Op::Remove { key } => {
                let removed = store.remove(&key.to_string());
                let before = model.len();
                model.retain(|(k, _), _| *k != key);
                let expected = before - model.len();
                prop_assert!(removed == expected || (!exact && removed < expected));
            }
        }
        prop_assert!(store.used_bytes() <= limit);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn with_room_it_is_a_map(ops in prop::collection::vec(op(), 0..200)) {
        run(10_000_000, ops, true)?;
    }

    #[test]
    fn without_room_it_forgets_but_never_lies_and_stays_under_the_limit(ops in prop::collection::vec(op(), 0..200)) {
        run(30_000, ops, false)?;
    }
}
