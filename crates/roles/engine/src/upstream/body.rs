//! A response body as it comes from upstream.

use super::{
    places::Place,
    pool::{Pool, Sender},
};
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use prometheus_client::metrics::counter::Counter;
use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Sleep;
use weir_net::http1::{BodyError, BodySource};
use weir_store::AbortReason;

/// How long an upstream may send nothing in the middle of a body.
const STALL_TIME: Duration = Duration::from_secs(30);

/// A connection that goes back to its pool once the body is read to its end; dropped earlier, it closes. Either way the
/// exchange's place is free then.
pub(crate) struct Lease {
    /// Nothing when it is not to be kept.
    pub(crate) pool: Option<Arc<Pool>>,
    pub(crate) address: SocketAddr,
    pub(crate) sender: Sender,
    pub(crate) place: Place,
}

/// The body of an upstream response.
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    lease: Option<Lease>,
    stall: Option<Pin<Box<Sleep>>>,
    counted: Counter,
}

impl UpstreamBody {
    pub(crate) fn new(incoming: Incoming, lease: Lease, counted: Counter) -> Self {
        let mut body = Self { incoming, lease: Some(lease), stall: None, counted };
        if body.incoming.is_end_stream() {
            body.give_back();
        }
        body
    }

    /// Its length in bytes, when the framing announces it.
    pub(crate) fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// The next bytes; trailers are left out.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, AbortReason>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => return self.poll_stalled(cx),
                Poll::Ready(None) => {
                    self.give_back();
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(error = %error, "upstream body broke");
                    self.lease = None;
                    return Poll::Ready(Err(AbortReason::Upstream));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    self.stall = None;
                    let Ok(bytes) = frame.into_data() else { continue };
                    if !bytes.is_empty() {
                        self.counted.inc_by(bytes.len() as u64);
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                }
            }
        }
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, AbortReason>> {
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL_TIME)));
        ready!(stall.as_mut().poll(cx));
        self.lease = None;
        Poll::Ready(Err(AbortReason::Stalled))
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            drop(lease.place);
            if let Some(pool) = lease.pool {
                pool.put(lease.address, lease.sender);
            }
        }
    }

    /// The next bytes.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, AbortReason> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl BodySource for UpstreamBody {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        UpstreamBody::poll_next(self, cx).map_err(|reason| BodyError::Source(Box::new(reason)))
    }
}
