//! Filling an object: the one writer of its body.

use crate::{
    account::Charge,
    body::{AbortReason, End},
    object::Object,
    store::Store,
};
use bytes::Bytes;
use std::{future::poll_fn, sync::Arc, time::Instant};

/// What became of appended bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// They are stored.
    Stored,
    /// The object outgrew its share or the store has no room: it passes through from now on and will not be stored.
    /// Call [`Fill::room`] before each further append.
    Passing,
    /// There is no memory to let it pass through either: it is aborted.
    NoRoom,
}

/// The writer of an object's body. Dropping it without [`Fill::finish`] aborts. What the object displaced comes back when
/// its fill aborts, unless the key was purged or filled by another meanwhile.
pub struct Fill<H> {
    store: Store<H>,
    object: Arc<Object<H>>,
    length: u64,
    passing: bool,
    ended: bool,
}

impl<H> Fill<H> {
    pub(crate) fn new(store: Store<H>, object: Arc<Object<H>>) -> Self {
        Self { store, object, length: 0, passing: false, ended: false }
    }

    /// The object being filled.
    pub fn object(&self) -> &Arc<Object<H>> {
        &self.object
    }

    /// Bytes appended so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Readers attached now.
    pub fn readers(&self) -> usize {
        self.object.body.readers()
    }

    /// Appends bytes; never waits for readers.
    pub fn append(&mut self, bytes: Bytes) -> Appended {
        self.length += bytes.len() as u64;
        let charge = self.charge(bytes.len() as u64);
        if charge.is_none() && !self.passing {
            let Some(window) = self.store.reserve_window() else {
                self.end(End::Aborted(AbortReason::NoRoom));
                return Appended::NoRoom;
            };
            self.passing = true;
            // What is too large now was right when it was displaced, and is not any more.
            self.store.let_go(self.store.take_displaced(&self.object));
            self.store.unlink(&self.object);
            self.object.body.pass_through(window);
        }
        self.object.body.append(bytes, charge);
        if self.passing { Appended::Passing } else { Appended::Stored }
    }

    /// Room for bytes to be stored; the displaced give theirs before this object begins to pass through.
    fn charge(&self, bytes: u64) -> Option<Charge> {
        if self.passing || self.length > self.store.object_limit() {
            return None;
        }
        self.store.reserve(bytes).or_else(|| {
            let displaced = self.store.take_displaced(&self.object);
            if displaced.is_empty() {
                return None;
            }
            self.store.let_go(displaced);
            self.store.reserve(bytes)
        })
    }

    /// Waits until more may be appended: at once for a stored object; for a passing one, until its slowest reader is
    /// less than [`crate::PASS_WINDOW_BYTES`] behind. Ask again, with a later `now`, at least every second: who holds the
    /// others back longer than [`crate::PASS_LAG_TIME`] is detached when asked.
    ///
    /// # Errors
    /// The reason of an abort; [`AbortReason::Abandoned`] when a passing object has no reader left.
    pub async fn room(&self, now: Instant) -> Result<(), AbortReason> {
        poll_fn(|cx| self.object.body.poll_room(cx, now)).await
    }

    /// The body is whole. `Err` (and an abort) when its length is not the announced one or it was aborted before.
    pub fn finish(mut self) -> Result<(), AbortReason> {
        if let End::Aborted(reason) = self.object.body.end() {
            return Err(reason);
        }
        if self.object.announced().is_some_and(|length| length != self.length) {
            self.end(End::Aborted(AbortReason::Length));
            return Err(AbortReason::Length);
        }
        self.end(End::Complete);
        Ok(())
    }

    /// The body will never be whole: readers see an error after the bytes that came.
    pub fn abort(mut self, reason: AbortReason) {
        self.end(End::Aborted(reason));
    }

    fn end(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if end == End::Complete {
            self.object.body.finish(end);
            self.store.let_go(self.store.take_displaced(&self.object));
            if !self.passing {
                self.store.weigh(&self.object, self.length);
            }
        } else {
            // First out of the index: nobody should find what is about to be broken.
            self.store.withdraw(&self.object);
            self.object.body.finish(end);
        }
    }
}

impl<H> Drop for Fill<H> {
    fn drop(&mut self) {
        self.end(End::Aborted(AbortReason::Dropped));
    }
}
