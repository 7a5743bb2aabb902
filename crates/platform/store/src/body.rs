//! A body: pieces in order, one writer, many readers.

mod readers;

use crate::{
    PASS_WINDOW_BYTES, SLICE_BYTES,
    account::{Account, Charge, ChargedSlice},
};
use bytes::Bytes;
use readers::Readers;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

/// Why a fill ended without the whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AbortReason {
    /// The connection it came over broke or ended early.
    #[error("the upstream connection broke")]
    Upstream,
    /// No byte came for too long.
    #[error("the upstream sent nothing for too long")]
    Stalled,
    /// More or fewer bytes came than were announced.
    #[error("the length differs from the announced one")]
    Length,
    /// Nobody read it any more.
    #[error("nobody reads it")]
    Abandoned,
    /// The writer was dropped: the process is stopping or the task ended.
    #[error("the writer went away")]
    Dropped,
    /// The bytes asked for have passed through and are no longer in memory: the reader came or read too late.
    #[error("the bytes have passed")]
    Passed,
    /// There is no memory left for bodies that pass through.
    #[error("no memory is left for it")]
    NoRoom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Filling,
    Complete,
    Aborted(AbortReason),
}

/// Some bytes and where in the body they begin.
struct Piece {
    start: u64,
    bytes: Bytes,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

struct State {
    /// Full slices first, then pieces as they came; contiguous.
    pieces: VecDeque<Piece>,
    /// Pieces at the back that are not yet copied into a slice, and their bytes.
    loose: usize,
    loose_bytes: usize,
    loose_charge: Charge,
    length: u64,
    end: End,
    passing: bool,
    /// Covers the window of a passing body, as long as the body lives.
    window: Option<Charge>,
    readers: Readers,
    writer: Option<Waker>,
}

/// A body, shared by its writer, its readers and the objects that carry it.
pub(crate) struct Body {
    state: Mutex<State>,
    whole: OnceLock<Arc<[Bytes]>>,
}

impl Body {
    pub(crate) fn new(account: &Arc<Account>) -> Arc<Self> {
        let state = State {
            pieces: VecDeque::new(),
            loose: 0,
            loose_bytes: 0,
            loose_charge: account.nothing(),
            length: 0,
            end: End::Filling,
            passing: false,
            window: None,
            readers: Readers::default(),
            writer: None,
        };
        Arc::new(Self { state: Mutex::new(state), whole: OnceLock::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slices, once all are here. Lock-free.
    pub(crate) fn whole(&self) -> Option<&Arc<[Bytes]>> {
        self.whole.get()
    }

    pub(crate) fn end(&self) -> End {
        self.lock().end
    }

    pub(crate) fn held_bytes(&self) -> u64 {
        match self.whole() {
            Some(slices) => slices.iter().map(|s| s.len() as u64).sum(),
            None => self.lock().pieces.iter().map(|p| p.bytes.len() as u64).sum(),
        }
    }

    pub(crate) fn readers(&self) -> usize {
        self.lock().readers.count()
    }

    /// Adds bytes at the end and wakes readers. `charge` covers them; without one the body must be passing through.
    pub(crate) fn append(&self, mut bytes: Bytes, charge: Option<Charge>) {
        let mut state = self.lock();
        if let Some(charge) = charge {
            state.loose_charge.merge(charge);
        }
        while !bytes.is_empty() {
            let room = if state.passing { bytes.len() } else { SLICE_BYTES - state.loose_bytes };
            let piece = bytes.split_to(room.min(bytes.len()));
            let start = state.length;
            state.length += piece.len() as u64;
            state.loose_bytes += piece.len();
            state.loose += 1;
            state.pieces.push_back(Piece { start, bytes: piece });
            if !state.passing && state.loose_bytes == SLICE_BYTES {
                state = self.seal(state);
            }
        }
        state.trim();
        wake(state);
    }

    /// Copies the loose pieces into one exact slice; the copy is made without the lock (there is only one writer).
    fn seal<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let first = state.pieces.len() - state.loose;
        if state.loose == 0 || state.passing {
            return state;
        }
        let loose: Vec<Bytes> = state.pieces.range(first..).map(|p| p.bytes.clone()).collect();
        let start = state.pieces[first].start;
        let size = state.loose_bytes;
        let charge = state.loose_charge.split(size as u64);
        drop(state);
        let mut slice = Vec::with_capacity(size);
        loose.iter().for_each(|piece| slice.extend_from_slice(piece));
        let bytes = Bytes::from_owner(ChargedSlice::new(slice.into_boxed_slice(), charge));
        drop(loose);
        state = self.lock();
        state.pieces.truncate(first);
        state.pieces.push_back(Piece { start, bytes });
        (state.loose, state.loose_bytes) = (0, 0);
        state
    }

    /// From now on only a window before the end is held, covered by `window`, and [`Body::poll_room`] waits for readers.
    pub(crate) fn pass_through(&self, window: Charge) {
        let mut state = self.lock();
        state.passing = true;
        state.window = Some(window);
        let all = state.loose_charge.split(u64::MAX);
        state.trim();
        drop(state);
        drop(all);
    }

    /// Ready when the writer may append: always for a stored body; with room in the window for a passing one.
    /// `Err` when the body has ended early or a passing one has lost its last reader. To be asked again, with a later
    /// `now`, while it is pending: who holds the others back too long is detached here.
    pub(crate) fn poll_room(&self, cx: &Context<'_>, now: Instant) -> Poll<Result<(), AbortReason>> {
        let mut state = self.lock();
        if let End::Aborted(reason) = state.end {
            return Poll::Ready(Err(reason));
        }
        if !state.passing {
            return Poll::Ready(Ok(()));
        }
        if state.is_window_full() {
            let length = state.length;
            state.readers.shed(length, now);
            state.trim();
        }
        if state.readers.count() == 0 {
            return Poll::Ready(Err(AbortReason::Abandoned));
        }
        if !state.is_window_full() {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ends the body; returns false when it had ended already.
    pub(crate) fn finish(&self, end: End) -> bool {
        let mut state = self.lock();
        if state.end != End::Filling {
            return false;
        }
        if end == End::Complete && !state.passing {
            state = self.seal(state);
            let whole: Arc<[Bytes]> = std::mem::take(&mut state.pieces).into_iter().map(|p| p.bytes).collect();
            drop(self.whole.set(whole));
        }
        state.end = end;
        wake(state);
        true
    }

    /// A new reader's id; `None` when a passing body has let go of the byte at `position`.
    pub(crate) fn attach(&self, position: u64) -> Option<u64> {
        let mut state = self.lock();
        let first = state.pieces.front().map_or(state.length, |p| p.start);
        if self.whole().is_none() && position < first {
            return None;
        }
        Some(state.readers.attach(position))
    }

    pub(crate) fn detach(&self, id: u64) {
        let mut state = self.lock();
        state.readers.detach(id);
        state.trim();
        if state.end != End::Filling && state.readers.count() == 0 {
            state.readers.give_back();
        }
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// The bytes at `position`, up to `until`; `None` at the end.
    pub(crate) fn poll_read(&self, id: u64, position: u64, until: u64, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, AbortReason>> {
        if position >= until {
            return Poll::Ready(Ok(None));
        }
        if let Some(slices) = self.whole() {
            return Poll::Ready(Ok(slice_at(slices, position, until)));
        }
        let mut state = self.lock();
        if state.passing && !state.readers.contains(id) {
            return Poll::Ready(Err(AbortReason::Passed));
        }
        let Some(bytes) = state.at(position, until) else {
            return match state.end {
                // It may have become whole just before the lock was taken.
                End::Complete => Poll::Ready(Ok(self.whole().and_then(|slices| slice_at(slices, position, until)))),
                End::Aborted(reason) => Poll::Ready(Err(reason)),
                End::Filling => {
                    state.readers.waits(id, cx.waker());
                    Poll::Pending
                }
            };
        };
        let next = position + bytes.len() as u64;
        if next < until {
            state.readers.moved(id, next)
        } else {
            state.readers.ended(id)
        }
        state.trim();
        let writer = if state.passing { state.writer.take() } else { None };
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Ok(Some(bytes)))
    }
}

impl State {
    fn at(&self, position: u64, until: u64) -> Option<Bytes> {
        let index = self.pieces.partition_point(|p| p.end() <= position);
        let piece = self.pieces.get(index).filter(|p| p.start <= position)?;
        let from = usize::try_from(position - piece.start).expect("inside a piece");
        let to = usize::try_from(until.min(piece.end()) - piece.start).expect("inside a piece");
        Some(piece.bytes.slice(from..to))
    }

    fn is_window_full(&self) -> bool {
        self.readers.slowest().is_some_and(|slowest| self.length.saturating_sub(slowest) >= PASS_WINDOW_BYTES)
    }

    /// Drops what every reader of a passing body has behind it.
    fn trim(&mut self) {
        if !self.passing {
            return;
        }
        let slowest = self.readers.slowest().unwrap_or(self.length);
        while self.pieces.front().is_some_and(|p| p.end() <= slowest) {
            self.pieces.pop_front();
        }
        self.loose = self.loose.min(self.pieces.len());
    }
}

/// The bytes at `position` within one slice of a whole body: every slice but the last is full.
fn slice_at(slices: &[Bytes], position: u64, until: u64) -> Option<Bytes> {
    let size = SLICE_BYTES as u64;
    let slice = slices.get(usize::try_from(position / size).ok()?)?;
    let from = usize::try_from(position % size).ok().filter(|from| *from < slice.len())?;
    let left = usize::try_from(until - position).unwrap_or(usize::MAX);
    Some(slice.slice(from..from.saturating_add(left).min(slice.len())))
}

/// Wakes every waiting reader, without the lock.
fn wake(mut state: MutexGuard<'_, State>) {
    let wakers = state.readers.take_wakers();
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_body_without_readers_keeps_no_table_of_them() {
        let body = Body::new(&Account::new(1));
        let crowd: Vec<u64> = (0..1000).filter_map(|_| body.attach(0)).collect();
        assert!(body.finish(End::Complete));
        crowd.into_iter().for_each(|id| body.detach(id));
        assert_eq!(body.lock().readers.capacity(), 0);
    }
}
