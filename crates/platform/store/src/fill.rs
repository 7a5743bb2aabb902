//! Filling an object: the one writer of its body.

use crate::{
    body::{AbortReason, End},
    object::Object,
    store::Store,
};
use bytes::Bytes;
use std::{future::poll_fn, sync::Arc};

/// What became of appended bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// They are stored.
    Stored,
    /// The object outgrew its share or the store has no room: it passes through from now on and will not be stored.
    /// Call [`Fill::room`] before each further append.
    Passing,
}

/// The writer of an object's body. Dropping it without [`Fill::finish`] aborts.
pub struct Fill<H> {
    store: Store<H>,
    object: Arc<Object<H>>,
    length: u64,
    passing: bool,
}

impl<H> Fill<H> {
    pub(crate) fn new(store: Store<H>, object: Arc<Object<H>>) -> Self {
        Self { store, object, length: 0, passing: false }
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
        let charge = match self.passing || self.length > self.store.object_limit() {
            true => None,
            false => self.store.reserve(bytes.len() as u64),
        };
        if charge.is_none() && !self.passing {
            self.passing = true;
            self.store.unlink(&self.object);
            self.object.body.pass_through();
        }
        self.object.body.append(bytes, charge);
        if self.passing { Appended::Passing } else { Appended::Stored }
    }

    /// Waits until more may be appended: at once for a stored object; for a passing one, until its slowest reader is
    /// less than [`crate::PASS_WINDOW_BYTES`] behind. `Err` when a passing object has no reader left.
    pub async fn room(&self) -> Result<(), AbortReason> {
        poll_fn(|cx| self.object.body.poll_room(cx)).await
    }

    /// The body is whole. `Err` (and an abort) when its length is not the announced one.
    pub fn finish(self) -> Result<(), AbortReason> {
        if self.object.announced().is_some_and(|length| length != self.length) {
            self.end(End::Aborted(AbortReason::Length));
            return Err(AbortReason::Length);
        }
        self.end(End::Complete);
        Ok(())
    }

    /// The body will never be whole: readers see an error after the bytes that came.
    pub fn abort(self, reason: AbortReason) {
        self.end(End::Aborted(reason));
    }

    fn end(&self, end: End) {
        if !self.object.body.finish(end) {
            return;
        }
        if end == End::Complete && !self.object.body.passing() {
            self.store.weigh(&self.object, self.length);
        } else {
            self.store.unlink(&self.object);
        }
    }
}

impl<H> Drop for Fill<H> {
    fn drop(&mut self) {
        self.end(End::Aborted(AbortReason::Dropped));
    }
}
