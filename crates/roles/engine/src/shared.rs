//! An error that answers everyone who waited for it, read whole so that it can be given to all.

use crate::upstream::{Fetched, Source};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use std::{collections::VecDeque, time::Duration};
use weir_caching::{Fields, Vary};
use weir_store::AbortReason;

/// Largest body of a shared error, bytes: error pages are smaller.
const SHARED_BODY_BYTES: usize = 64 * 1024;
/// How long the body of an error may take before it is passed on to the one who asked first only.
const SHARED_BODY_TIME: Duration = Duration::from_secs(2);

/// An error with its whole body.
pub(crate) struct SharedError {
    pub(crate) source: Source,
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
    vary: Vary,
    variant: String,
}

impl SharedError {
    /// Whether it answers a request: one that selects the same variant, without credentials.
    pub(crate) fn answers<F: Fields + ?Sized>(&self, request: &F) -> bool {
        self.vary.matches(&self.variant, request) && !request.has("authorization")
    }
}

/// A response that is passed on, and what of its body was read already.
pub(crate) struct Relayed {
    pub(crate) fetched: Fetched,
    /// Length of the whole body, when the framing announced it.
    pub(crate) length: Option<u64>,
    pub(crate) read: VecDeque<Bytes>,
}

impl From<Fetched> for Relayed {
    fn from(fetched: Fetched) -> Self {
        Self { length: fetched.body.length(), fetched, read: VecDeque::new() }
    }
}

/// What came of reading an error whole.
pub(crate) enum Gathered {
    /// It is for everyone.
    Shared(SharedError),
    /// It is too long, or takes too long.
    Relayed(Relayed),
    /// It broke.
    Broken,
}

/// Reads an error's body for everyone whose request selects `variant`.
pub(crate) async fn gather(mut relayed: Relayed, (vary, variant): (Vary, String)) -> Gathered {
    if relayed.length.is_some_and(|length| length > SHARED_BODY_BYTES as u64) {
        return Gathered::Relayed(relayed);
    }
    match tokio::time::timeout(SHARED_BODY_TIME, read_whole(&mut relayed)).await {
        Ok(Ok(Whole::Yes)) => {
            let body = relayed.read.iter().fold(BytesMut::new(), |mut body, piece| {
                body.extend_from_slice(piece);
                body
            });
            let Fetched { source, status, fields, .. } = relayed.fetched;
            Gathered::Shared(SharedError { source, status, fields, body: body.freeze(), vary, variant })
        }
        Ok(Ok(Whole::TooLong)) | Err(_) => Gathered::Relayed(relayed),
        Ok(Err(reason)) => {
            tracing::debug!(reason = %reason, "body of an error broke");
            Gathered::Broken
        }
    }
}

enum Whole {
    Yes,
    TooLong,
}

async fn read_whole(relayed: &mut Relayed) -> Result<Whole, AbortReason> {
    let mut length = 0;
    while length <= SHARED_BODY_BYTES {
        let Some(piece) = relayed.fetched.body.next().await? else { return Ok(Whole::Yes) };
        length += piece.len();
        relayed.read.push_back(piece);
    }
    Ok(Whole::TooLong)
}
