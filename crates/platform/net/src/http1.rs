//! A strict HTTP/1.1 server: one connection loop per client, two system calls per hit.
//!
//! The loop reads a head into the connection's own buffer, judges it ([`parse_head`], RFC 9112), reads a request body
//! if one is announced, asks the [`Service`] and writes head and body slices with one vectored write. Nothing on that
//! path is shared between cores or allocated per request. What is malformed is refused, counted and closed; see
//! [`Refusal`]. [`Gate`] opens, stops and drains a whole process; [`Limits`] names every limit.

mod accept;
mod body;
mod chunked;
mod connection;
mod date;
mod framing;
mod gate;
mod host;
mod inbox;
mod lane;
mod limits;
mod parse;
mod refusal;
mod request;
mod response;
mod scan;
mod send;
mod timer;
mod upload;

pub use accept::serve;
pub(crate) use accept::{adopt, serve_socket};
pub use body::{Body, BodyError, BodySource, SliceBody};
pub use chunked::{ChunkedDecoder, Decoded};
pub use gate::{Gate, Guest, Phase};
pub use lane::Counters;
pub use limits::{FIELDS_MAX, Limits};
pub use parse::{Framing, Head, Progress, parse_head};
pub use refusal::Refusal;
pub use request::{Fields, HttpVersion, Request, Target};
pub use response::{ResponseHead, reason_phrase};
pub use scan::{HeadScan, HeadSpan};

use std::future::Future;

/// What answers requests. Cloned once per connection, so a clone must be cheap (an `Arc` or nothing).
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers one request: writes status and fields to `head`, returns the body.
    ///
    /// For HEAD the service answers as it would for GET; the loop leaves the body out and keeps its length. The future
    /// is dropped when the client goes away.
    fn respond(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> impl Future<Output = Body> + Send;
}
