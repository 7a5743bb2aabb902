//! The answer to a poll: the document's bytes are shared by all devices that get it.

use crate::{compile::Written, compressed::Coding, snapshot::DeviceRecord};
use axum::http::{
    HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::{
    array,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll as Polling},
};
use weir_device_api::Poll;

/// How the JSON of a poll without a document begins.
const NOTHING: &[u8] = b"{\"configuration\":null";
/// How that of one with a document does.
const SOMETHING: &[u8] = b"{\"configuration\":";

/// An answer, with this document when there is one, which alone is worth a coding. `poll` has none.
pub(super) fn polled(poll: &Poll, document: Option<(Arc<Written>, &DeviceRecord)>, coding: Coding) -> Response {
    let end = Bytes::from(serde_json::to_vec(poll).expect("polls are JSON"));
    let Some((written, device)) = document else {
        return ([(CONTENT_TYPE, "application/json")], end).into_response();
    };
    debug_assert!(end.starts_with(NOTHING), "the document is the first field");
    let head = Bytes::from([SOMETHING, &written.head(device)].concat());
    let [after, shared] = written.rest(coding);
    let pieces = [coding.encode(head), after, shared, coding.encode(end.slice(NOTHING.len()..))];
    let mut answer = ([(CONTENT_TYPE, "application/json")], axum::body::Body::new(Pieces::from(pieces))).into_response();
    if coding == Coding::Zstd {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(Coding::ZSTD));
    }
    answer
}

/// A body in pieces that are not copied together.
struct Pieces(array::IntoIter<Bytes, 4>);

impl From<[Bytes; 4]> for Pieces {
    fn from(pieces: [Bytes; 4]) -> Self {
        Self(pieces.into_iter())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Polling<Option<Result<Frame<Bytes>, Infallible>>> {
        Polling::Ready(self.0.find(|piece| !piece.is_empty()).map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_slice().iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_slice().iter().map(|piece| piece.len() as u64).sum())
    }
}
