//! Bodies that pass through.

use crate::{MIB, all, begin, pattern, runtime};
use bytes::Bytes;
use std::{sync::Arc, thread, time::Instant};
use weir_store::{AbortReason, Appended, Fill, PASS_LAG_TIME, PASS_WINDOW_BYTES, PASS_WINDOWS_MIN, Reader, Refused, SLICE_BYTES, Store};

#[expect(clippy::disallowed_methods, reason = "a moment to count from; no test waits for a later one")]
fn start() -> Instant {
    Instant::now()
}

#[test]
fn too_large_is_refused_when_announced_and_passes_through_when_not() {
    let store = Store::<u32>::new(16 * MIB);
    let refused = store.begin("k", 0, 0, Some(4 * MIB + 1), |_| true).err().map(|(_, refused)| refused);
    assert_eq!(refused, Some(Refused::TooLarge));

    let body = Arc::new(pattern(24 * SLICE_BYTES));
    let mut fill = begin(&store, "k", None);
    let object = fill.object().clone();
    let (fast, slow) = (object.read(0, u64::MAX).expect("held"), object.read(0, u64::MAX).expect("held"));
    let watched = object.clone();
    let same = body.clone();
    let reading = thread::spawn(move || {
        runtime().block_on(async {
            let (fast, slow) = tokio::join!(all(fast), all(slow));
            assert!(fast.expect("whole") == *same && slow.expect("whole") == *same);
        });
    });
    let now = start();
    runtime().block_on(async {
        for chunk in body.chunks(64 * 1024) {
            fill.room(now).await.expect("read");
            fill.append(Bytes::copy_from_slice(chunk));
            assert!(watched.held_bytes() <= 4 * MIB + PASS_WINDOW_BYTES + 64 * 1024, "{}", watched.held_bytes());
        }
    });
    assert!(store.find("k", |_| true).is_none(), "it left the index");
    fill.finish().expect("whole");
    reading.join().expect("same bytes");
    assert_eq!(object.read(0, u64::MAX).err().map(|e| e.0), Some(AbortReason::Passed));
    drop(object);
    drop(watched);
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn a_passing_fill_without_readers_is_abandoned() {
    let store = Store::new(4 * MIB);
    let mut fill = begin(&store, "k", None);
    assert_eq!(fill.append(pattern(2 * SLICE_BYTES).into()), Appended::Passing);
    assert_eq!(runtime().block_on(fill.room(start())), Err(AbortReason::Abandoned));
}

/// What a poll gives without waiting.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::noop();
    match future.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

/// Reads what there is now; bytes read.
fn drain(reader: &mut Reader) -> usize {
    std::iter::from_fn(|| at_once(reader.next()).map(|read| read.expect("bytes").expect("no end").len())).sum()
}

const PIECE_BYTES: usize = 64 * 1024;

/// A passing fill with a full window before `readers` readers, the first of which has read everything.
fn held_back(store: &Store<u32>, readers: usize) -> (Fill<u32>, Vec<Reader>) {
    let mut fill = begin(store, "k", None);
    let mut readers: Vec<Reader> = (0..readers).map(|_| fill.object().read(0, u64::MAX).expect("held")).collect();
    let whole = usize::try_from(store.object_limit() + PASS_WINDOW_BYTES).expect("small");
    for piece in pattern(whole).chunks(PIECE_BYTES) {
        fill.append(Bytes::copy_from_slice(piece));
    }
    drain(&mut readers[0]);
    (fill, readers)
}

#[test]
fn one_slow_reader_stops_the_others_for_a_time_only() {
    let store = Store::new(4 * MIB);
    let (mut fill, mut readers) = held_back(&store, 3);
    let now = start();
    assert_eq!(at_once(fill.room(now)), None, "two are a window behind");
    drain(&mut readers[1]);
    assert_eq!(at_once(fill.room(now + PASS_LAG_TIME / 2)), None);
    assert_eq!(at_once(fill.room(now + PASS_LAG_TIME)), Some(Ok(())), "the time of the third is over");
    assert_eq!(fill.readers(), 2);
    fill.append(Bytes::from_static(b"more"));
    assert_eq!((drain(&mut readers[0]), drain(&mut readers[1])), (4, 4));
    assert_eq!(at_once(readers[2].next()).map(|r| r.map_err(|e| e.0)), Some(Err(AbortReason::Passed)));
}

#[test]
fn a_trickle_does_not_buy_time_and_a_windows_worth_does() {
    for (pieces, stays) in [(1, false), (4, true)] {
        let store = Store::new(4 * MIB);
        let (mut fill, mut readers) = held_back(&store, 2);
        let now = start();
        let mut room = None;
        // The slow one reads `pieces` pieces each time, which the writer replaces at once and the fast one reads.
        for tenth in 0..=10 {
            room = at_once(fill.room(now + PASS_LAG_TIME * tenth / 10));
            for _ in 0..pieces {
                drop(at_once(readers[1].next()));
                if matches!(at_once(fill.room(now + PASS_LAG_TIME * tenth / 10)), Some(Ok(()))) {
                    fill.append(pattern(PIECE_BYTES).into());
                }
            }
            drain(&mut readers[0]);
        }
        assert_eq!((room.is_some(), fill.readers() == 2), (!stays, stays), "{pieces} pieces");
    }
}

#[test]
fn a_reader_alone_may_take_its_time_and_an_ended_range_holds_nobody() {
    let store = Store::new(4 * MIB);
    let (fill, mut readers) = held_back(&store, 2);
    let now = start();
    drop(readers.remove(0));
    for hours in 0..3 {
        assert_eq!(at_once(fill.room(now + PASS_LAG_TIME * 360 * hours)), None);
    }
    assert_eq!(fill.readers(), 1);

    let mut fill = begin(&store, "ranged", None);
    let (mut part, mut whole) = (fill.object().read(0, 10).expect("held"), fill.object().read(0, u64::MAX).expect("held"));
    fill.append(pattern(usize::try_from(store.object_limit() + PASS_WINDOW_BYTES).expect("small")).into());
    assert_eq!(at_once(part.next()).map(|r| r.expect("bytes").map(|b| b.len())), Some(Some(10)));
    drain(&mut whole);
    assert_eq!(at_once(fill.room(now)), Some(Ok(())));
}

#[test]
fn windows_are_counted_and_a_fill_without_one_is_aborted() {
    let store = Store::new(4 * MIB);
    let begin_passing = |index: u64| {
        let mut fill = begin(&store, &format!("k{index}"), None);
        let reader = fill.object().read(0, u64::MAX).expect("held");
        let appended = fill.append(pattern(SLICE_BYTES + 1).into());
        (fill, reader, appended)
    };
    let mut passing: Vec<_> = (0..PASS_WINDOWS_MIN).map(begin_passing).collect();
    assert!(passing.iter().all(|(_, _, appended)| *appended == Appended::Passing));
    assert_eq!(store.stats().passing_bytes, PASS_WINDOWS_MIN * PASS_WINDOW_BYTES);
    let (fill, mut reader, appended) = begin_passing(99);
    assert_eq!(appended, Appended::NoRoom);
    assert_eq!(at_once(fill.room(start())), Some(Err(AbortReason::NoRoom)));
    assert_eq!(at_once(reader.next()).map(|r| r.map_err(|e| e.0)), Some(Err(AbortReason::NoRoom)));
    assert_eq!(fill.finish(), Err(AbortReason::NoRoom));
    drop(passing.pop());
    assert_eq!(begin_passing(100).2, Appended::Passing, "a window was given back");
    passing.clear();
    assert_eq!(store.stats().passing_bytes, 0);
}
