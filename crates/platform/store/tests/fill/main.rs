//! Bodies filled while they are read.

use bytes::Bytes;
use proptest::prelude::*;
use std::{sync::Arc, thread};
use weir_store::{AbortReason, Appended, Fill, Object, Reader, SLICE_BYTES, Store};

mod displaced;
mod passing;

const MIB: u64 = 1024 * 1024;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 7 + i / 251) % 256).expect("a byte")).collect()
}

fn begin(store: &Store<u32>, key: &str, length: Option<u64>) -> Fill<u32> {
    store.begin(key, 0, 0, length, |_| true).unwrap_or_else(|(_, refused)| panic!("{refused}"))
}

fn feed(fill: &mut Fill<u32>, body: &[u8], piece: usize) {
    for chunk in body.chunks(piece) {
        assert_eq!(fill.append(Bytes::copy_from_slice(chunk)), Appended::Stored);
    }
}

async fn all(mut reader: Reader) -> Result<Vec<u8>, AbortReason> {
    let mut out = Vec::new();
    while let Some(bytes) = reader.next().await.map_err(|e| e.0)? {
        assert!(!bytes.is_empty());
        out.extend_from_slice(&bytes);
    }
    Ok(out)
}

fn read_all(object: &Object<u32>, from: u64, until: u64) -> Result<Vec<u8>, AbortReason> {
    runtime().block_on(all(object.read(from, until).map_err(|e| e.0)?))
}

#[test]
fn a_whole_body_is_few_full_slices() {
    let store = Store::new(64 * MIB);
    let body = pattern(5 * SLICE_BYTES + 17);
    let mut fill = begin(&store, "k", Some(body.len() as u64));
    feed(&mut fill, &body, 16 * 1024 + 5);
    let object = fill.object().clone();
    fill.finish().expect("whole");
    let slices = object.whole().expect("whole");
    assert_eq!(slices.iter().map(Bytes::len).collect::<Vec<_>>(), [[SLICE_BYTES; 5].as_slice(), &[17]].concat());
    assert_eq!(slices.concat(), body);
    assert_eq!(read_all(&object, 3, 2 * MIB + 9).expect("range"), &body[3..2 * SLICE_BYTES + 9]);
}

#[test]
fn readers_on_other_threads_get_the_same_bytes_while_it_fills() {
    let store = Store::new(64 * MIB);
    let body = Arc::new(pattern(3 * SLICE_BYTES + 4321));
    let mut fill = begin(&store, "k", None);
    let readers: Vec<_> = [0, 1, 700_000, SLICE_BYTES + 3]
        .into_iter()
        .cycle()
        .take(12)
        .map(|from| {
            let (object, body) = (fill.object().clone(), body.clone());
            thread::spawn(move || assert!(read_all(&object, from as u64, u64::MAX).expect("whole") == body[from..]))
        })
        .collect();
    feed(&mut fill, &body, 10_007);
    fill.finish().expect("whole");
    readers.into_iter().for_each(|r| r.join().expect("same bytes"));
}

#[test]
fn an_abort_is_an_error_after_the_bytes_that_came_and_nothing_stays() {
    let store = Store::new(64 * MIB);
    for (end, reason) in [(true, AbortReason::Upstream), (false, AbortReason::Dropped)] {
        let mut fill = begin(&store, "k", None);
        feed(&mut fill, b"some", 2);
        let object = fill.object().clone();
        let mut reader = object.read(0, u64::MAX).expect("held");
        match end {
            true => fill.abort(AbortReason::Upstream),
            false => drop(fill),
        }
        runtime().block_on(async {
            assert_eq!(reader.next().await.expect("bytes").as_deref(), Some(b"so".as_slice()));
            assert_eq!(reader.next().await.expect("bytes").as_deref(), Some(b"me".as_slice()));
            assert_eq!(reader.next().await.expect_err("aborted").0, reason);
        });
        assert_eq!(object.aborted(), Some(reason));
        assert!(store.find("k", |_| true).is_none());
    }
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn a_body_of_another_length_than_announced_is_not_stored() {
    let store = Store::new(64 * MIB);
    for came in [9, 11] {
        let mut fill = begin(&store, "k", Some(10));
        feed(&mut fill, &pattern(came), 4);
        assert_eq!(fill.finish(), Err(AbortReason::Length));
        assert!(store.find("k", |_| true).is_none());
    }
}

#[test]
fn a_reader_ends_at_its_range_while_the_fill_goes_on() {
    let store = Store::new(64 * MIB);
    let mut fill = begin(&store, "k", None);
    feed(&mut fill, &pattern(1000), 100);
    assert_eq!(read_all(fill.object(), 150, 250).expect("range"), &pattern(1000)[150..250]);
    assert_eq!(fill.readers(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_pieces_and_any_range_give_the_same_bytes(
        pieces in prop::collection::vec(1usize..400_000, 0..12),
        from in 0u64..3_000_000, length in 0u64..3_000_000,
    ) {
        let store = Store::new(64 * MIB);
        let body = pattern(pieces.iter().sum());
        let mut fill = begin(&store, "k", None);
        let object = fill.object().clone();
        let early = object.read(from, from + length).expect("held");
        let reading = thread::spawn(move || runtime().block_on(all(early)));
        let mut at = 0;
        for piece in pieces {
            feed(&mut fill, &body[at..at + piece], piece);
            at += piece;
        }
        fill.finish().expect("whole");
        let clamp = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(body.len());
        let expected = &body[clamp(from)..clamp(from + length)];
        prop_assert!(reading.join().expect("reads").expect("whole") == expected);
        prop_assert!(read_all(&object, from, from + length).expect("whole") == expected);
    }
}
