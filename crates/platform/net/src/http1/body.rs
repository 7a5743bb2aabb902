//! Response bodies: nothing, slices already in memory, or a source that is still producing.

use bytes::Bytes;
use std::{
    error::Error,
    io::IoSlice,
    ops::Range,
    sync::Arc,
    task::{Context, Poll},
};

/// The body of a response. The loop frames it: Content-Length when the length is known, else chunked for HTTP/1.1 and
/// until-close for HTTP/1.0.
pub enum Body {
    /// No bytes.
    Empty,
    /// Nothing follows, yet this Content-Length is announced: for HEAD and 304 answers whose body is not at hand.
    Omitted(Option<u64>),
    /// Bytes in memory, written together with the head.
    Slices(SliceBody),
    /// Bytes that come while the response is sent.
    Stream {
        /// Total bytes, when known. A source that gives more or fewer has its connection reset.
        length: Option<u64>,
        /// Where they come from; dropped when the client goes away.
        source: Box<dyn BodySource>,
    },
}

impl Body {
    /// A body of one piece.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::Slices(SliceBody::one(bytes.into()))
    }
}

/// Why a source stopped before its end. The client sees a reset connection, never a short body that looks whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// What feeds the source failed.
    #[error("body source failed")]
    Source(#[source] Box<dyn Error + Send + Sync>),
    /// What feeds the source went away without saying why.
    #[error("body source stopped")]
    Stopped,
}

/// Gives a body piece by piece.
pub trait BodySource: Send {
    /// The next piece; `Ok(None)` at the end. Not called again after the end or an error.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>>;
}

/// A bounded channel as a source: ends when every sender is gone, so a sender that fails must send its error first.
impl BodySource for tokio::sync::mpsc::Receiver<Result<Bytes, BodyError>> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        self.poll_recv(cx).map(Option::transpose)
    }
}

enum Pieces {
    One(Bytes),
    Owned(Vec<Bytes>),
    Shared(Arc<[Bytes]>),
}

impl Pieces {
    fn as_slice(&self) -> &[Bytes] {
        match self {
            Self::One(piece) => std::slice::from_ref(piece),
            Self::Owned(pieces) => pieces,
            Self::Shared(pieces) => pieces,
        }
    }
}

/// A sequence of byte pieces, or a range of one, with a place in it. Nothing is copied or flattened.
pub struct SliceBody {
    pieces: Pieces,
    /// The piece the unsent part begins in.
    index: usize,
    /// Bytes of that piece already sent.
    offset: usize,
    /// Bytes not yet sent.
    remaining: u64,
}

impl SliceBody {
    /// One piece.
    pub fn one(piece: Bytes) -> Self {
        let remaining = piece.len() as u64;
        Self { pieces: Pieces::One(piece), index: 0, offset: 0, remaining }
    }

    /// Several pieces, whole.
    pub fn owned(pieces: Vec<Bytes>) -> Self {
        let remaining = total(&pieces);
        Self { pieces: Pieces::Owned(pieces), index: 0, offset: 0, remaining }
    }

    /// Pieces shared with a store, whole.
    pub fn shared(pieces: Arc<[Bytes]>) -> Self {
        let remaining = total(&pieces);
        Self { pieces: Pieces::Shared(pieces), index: 0, offset: 0, remaining }
    }

    /// The bytes `range` of pieces shared with a store. What lies past their end is left out.
    pub fn range(pieces: Arc<[Bytes]>, range: Range<u64>) -> Self {
        let mut body = Self::shared(pieces);
        let end = range.end.min(body.remaining);
        body.skip(range.start.min(end));
        body.remaining = end.saturating_sub(range.start);
        body
    }

    /// Bytes not yet sent; before sending, the length of the body.
    pub fn len(&self) -> u64 {
        self.remaining
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    /// Puts the unsent bytes into `slots`, as many as fit. Returns the slots used and the bytes in them.
    pub(crate) fn fill<'a>(&'a self, slots: &mut [IoSlice<'a>]) -> (usize, u64) {
        let mut used = 0;
        let mut bytes = 0;
        let mut offset = self.offset;
        for piece in self.pieces.as_slice().get(self.index..).unwrap_or_default() {
            if used == slots.len() || bytes == self.remaining {
                break;
            }
            let piece = &piece[offset..];
            offset = 0;
            let room = usize::try_from(self.remaining - bytes).unwrap_or(usize::MAX);
            let piece = &piece[..piece.len().min(room)];
            if !piece.is_empty() {
                slots[used] = IoSlice::new(piece);
                used += 1;
                bytes += piece.len() as u64;
            }
        }
        (used, bytes)
    }

    /// Moves past `sent` bytes.
    pub(crate) fn advance(&mut self, sent: u64) {
        self.skip(sent);
        self.remaining -= sent;
    }

    fn skip(&mut self, mut bytes: u64) {
        let pieces = self.pieces.as_slice();
        while let Some(piece) = pieces.get(self.index) {
            let left = (piece.len() - self.offset) as u64;
            if bytes < left {
                // Fits: it is less than the length of a piece.
                self.offset += bytes as usize;
                return;
            }
            bytes -= left;
            self.index += 1;
            self.offset = 0;
        }
    }

    /// Gives back the vector of an owned body, emptied, so that its memory is used again.
    pub(crate) fn into_emptied(self) -> Vec<Bytes> {
        match self.pieces {
            Pieces::Owned(mut pieces) => {
                pieces.clear();
                pieces
            }
            Pieces::One(_) | Pieces::Shared(_) => Vec::new(),
        }
    }
}

/// A piece at a time, so that whoever gives the body learns how far it got.
impl BodySource for SliceBody {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let (pieces, index, offset) = (self.pieces.as_slice(), self.index, self.offset);
        let left = pieces.get(index..).unwrap_or_default().iter().zip([offset].into_iter().chain(std::iter::repeat(0)));
        let next = left.map(|(piece, from)| piece.slice(from..)).find(|piece| !piece.is_empty()).filter(|_| self.remaining > 0);
        let next = next.map(|piece| {
            let length = piece.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
            piece.slice(..length)
        });
        if let Some(piece) = &next {
            self.advance(piece.len() as u64);
        }
        Poll::Ready(Ok(next))
    }
}

fn total(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

impl From<Bytes> for SliceBody {
    fn from(piece: Bytes) -> Self {
        Self::one(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(mut body: SliceBody, step: u64) -> Vec<u8> {
        let mut seen = Vec::new();
        while !body.is_empty() {
            let mut slots = [IoSlice::new(&[]); 2];
            let (used, bytes) = body.fill(&mut slots);
            let flat: Vec<u8> = slots[..used].iter().flat_map(|slot| slot.iter().copied()).collect();
            assert_eq!(flat.len() as u64, bytes);
            let sent = bytes.min(step);
            seen.extend_from_slice(&flat[..sent as usize]);
            body.advance(sent);
        }
        seen
    }

    /// The same through [`BodySource`], which gives no empty piece.
    fn by_piece(mut body: SliceBody) -> Vec<u8> {
        let mut seen = Vec::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Ok(Some(piece))) = body.poll_next(&mut cx) {
            assert!(!piece.is_empty());
            seen.extend_from_slice(&piece);
        }
        assert!(body.is_empty());
        seen
    }

    proptest! {
        #[test]
        fn a_range_of_pieces_is_the_range_of_the_whole(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..6),
            start in 0u64..60, length in 0u64..60, step in 1u64..20,
        ) {
            let whole: Vec<u8> = pieces.concat();
            let shared: Arc<[Bytes]> = pieces.into_iter().map(Bytes::from).collect();
            let from = (start as usize).min(whole.len());
            let to = ((start + length) as usize).min(whole.len());
            let body = SliceBody::range(shared.clone(), start..start + length);
            prop_assert_eq!(body.len() as usize, to - from);
            prop_assert_eq!(drain(body, step), &whole[from..to]);
            prop_assert_eq!(by_piece(SliceBody::range(shared, start..start + length)), &whole[from..to]);
        }
    }

    #[test]
    fn one_and_owned_pieces_come_out_in_order() {
        assert_eq!(drain(SliceBody::one(Bytes::from_static(b"abc")), 2), b"abc");
        assert_eq!(drain(SliceBody::owned(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c")]), 1), b"abc");
    }
}
