//! The answer to a poll: the document's bytes are shared by all devices that get it.

use crate::{compile::Written, snapshot::DeviceRecord};
use axum::http::header::CONTENT_TYPE;
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

/// An answer, with this document when there is one. `poll` has none.
pub(super) fn polled(poll: &Poll, document: Option<(Arc<Written>, &DeviceRecord)>) -> Response {
    let rest = Bytes::from(serde_json::to_vec(poll).expect("polls are JSON"));
    let pieces = match document {
        None => [Bytes::new(), Bytes::new(), rest],
        Some((written, device)) => {
            debug_assert!(rest.starts_with(NOTHING), "the document is the first field");
            let head = [SOMETHING, &written.head(device)].concat();
            [head.into(), written.after.clone(), rest.slice(NOTHING.len()..)]
        }
    };
    ([(CONTENT_TYPE, "application/json")], axum::body::Body::new(Pieces::from(pieces))).into_response()
}

/// A body in pieces that are not copied together.
struct Pieces(array::IntoIter<Bytes, 3>);

impl From<[Bytes; 3]> for Pieces {
    fn from(pieces: [Bytes; 3]) -> Self {
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
