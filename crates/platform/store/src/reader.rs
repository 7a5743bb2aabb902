//! Reading a body while it is filled, or after.

use crate::body::{AbortReason, Body};
use bytes::Bytes;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

/// The fill ended before the bytes this reader was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fill was aborted: {0}")]
pub struct Aborted(pub AbortReason);

/// Reads a byte range of a body at its own pace. Dropping it lets go of what it held back.
pub struct Reader {
    body: Arc<Body>,
    id: u64,
    position: u64,
    until: u64,
}

impl Reader {
    pub(crate) fn new(body: Arc<Body>, from: u64, until: u64) -> Result<Self, Aborted> {
        let id = body.attach(from).ok_or(Aborted(AbortReason::Passed))?;
        Ok(Self { body, id, position: from, until })
    }

    /// The next bytes; `Ok(None)` at the end of the range or of the body.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Aborted>> {
        self.body.poll_read(self.id, self.position, self.until, cx).map(|read| {
            let bytes = read.map_err(Aborted)?;
            self.position += bytes.as_ref().map_or(0, |b| b.len() as u64);
            Ok(bytes)
        })
    }

    /// The next bytes; `Ok(None)` at the end of the range or of the body.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.body.detach(self.id);
    }
}
