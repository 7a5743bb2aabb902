//! Bodies of requests against the clock: whoever sends slowly on purpose holds nothing for long.

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::time::{Sleep, sleep_until};

/// From the end of a request's head to the end of its body.
const BODY_TIME: Duration = Duration::from_secs(10);
/// A large body has a second more for each of these bytes that came.
const BYTES_PER_SECOND: u64 = 128 * 1024;

/// A body that fails when it does not end in time.
pub(super) struct TimedBody<B = Incoming> {
    body: B,
    began: Instant,
    time: Duration,
    bytes: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B> TimedBody<B> {
    pub(super) fn new(body: B) -> Self {
        Self::within(body, BODY_TIME)
    }

    fn within(body: B, time: Duration) -> Self {
        Self { body, began: weir_clock::monotonic(), time, bytes: 0, timer: None }
    }

    fn deadline(&self) -> Instant {
        self.began + self.time + Duration::from_secs(self.bytes / BYTES_PER_SECOND)
    }
}

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Body for TimedBody<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            if let Some(data) = frame.as_ref().and_then(|f| f.as_ref().ok()).and_then(Frame::data_ref) {
                this.bytes += data.len() as u64;
            }
            return Poll::Ready(frame.map(|f| f.map_err(io::Error::other)));
        }
        let deadline = this.deadline().into();
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = hyper::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_ends() {
        let body = TimedBody::within(Never, Duration::from_millis(20));
        assert_eq!(body.collect().await.expect_err("too slow").kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_large_body_has_longer() {
        let mut body = TimedBody::new(Never);
        let short = body.deadline();
        body.bytes = 64 * 1024 * 1024;
        assert_eq!(body.deadline() - short, Duration::from_secs(512));
    }
}
