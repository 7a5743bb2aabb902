//! Bodies of requests against the clock: whoever sends slowly on purpose holds nothing for long.

use super::linger::Unread;
use hyper::{
    Method,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
};
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
/// An upload may stand still this long.
const UPLOAD_IDLE: Duration = Duration::from_secs(30);
/// From the end of an upload's head to its end.
const UPLOAD_TIME: Duration = Duration::from_secs(2 * 60 * 60);

/// How long a body may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// [`BODY_TIME`], and more for what came.
    Short,
    /// An operator's line may be slow: [`UPLOAD_IDLE`] without a byte, [`UPLOAD_TIME`] for all. Who sends it is known before any of
    /// it is read.
    Upload,
}

impl Patience {
    /// That of a request: an archive is PUT to a software file by programs, and POSTed by the forms of the pages.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let archive_below = |folder: &str| {
            let id = path.strip_prefix(folder).and_then(|rest| rest.strip_suffix("/archive"));
            id.is_some_and(|id| !id.contains('/'))
        };
        let upload = match *method {
            Method::PUT => archive_below("/api/v1/software-files/") || path.starts_with("/device/v1/vault/"),
            Method::POST if path.starts_with("/cms/v1/database/") => true,
            Method::POST => path == "/new/software-upload" || archive_below("/software-files/"),
            _ => false,
        };
        if upload { Self::Upload } else { Self::Short }
    }
}

/// A body that fails when it does not end in time.
pub(super) struct TimedBody<B = Incoming> {
    body: B,
    patience: Patience,
    began: Instant,
    /// When bytes last came.
    moved: Instant,
    bytes: u64,
    timer: Option<Pin<Box<Sleep>>>,
    /// Nothing more comes.
    ended: bool,
    /// Is told when the body is given up before it ended.
    unread: Option<Unread>,
}

impl<B> Drop for TimedBody<B> {
    fn drop(&mut self) {
        if let Some(unread) = self.unread.take().filter(|_| !self.ended) {
            unread.tell();
        }
    }
}

impl<B: Body> TimedBody<B> {
    pub(super) fn new(body: B, patience: Patience, unread: Option<Unread>) -> Self {
        let began = weir_clock::monotonic();
        let ended = body.is_end_stream();
        Self { body, patience, began, moved: began, bytes: 0, timer: None, ended, unread }
    }

    fn deadline(&self) -> Instant {
        match self.patience {
            Patience::Short => self.began + BODY_TIME + Duration::from_secs(self.bytes / BYTES_PER_SECOND),
            Patience::Upload => (self.moved + UPLOAD_IDLE).min(self.began + UPLOAD_TIME),
        }
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
                this.moved = weir_clock::monotonic();
            }
            this.ended = frame.is_none() || this.body.is_end_stream();
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
        for (patience, time) in [(Patience::Short, BODY_TIME), (Patience::Upload, UPLOAD_IDLE)] {
            let mut body = TimedBody::new(Never, patience, None);
            let almost = body.began - time + Duration::from_millis(20);
            (body.began, body.moved) = (almost, almost);
            assert_eq!(body.collect().await.expect_err("too slow").kind(), io::ErrorKind::TimedOut);
        }
    }

    #[test]
    fn a_large_body_has_longer() {
        let mut body = TimedBody::new(Never, Patience::Short, None);
        let short = body.deadline();
        body.bytes = 64 * 1024 * 1024;
        assert_eq!(body.deadline() - short, Duration::from_secs(512));
    }

    #[test]
    fn an_upload_may_be_slow_and_not_stand_still_nor_last_for_ever() {
        let mut body = TimedBody::new(Never, Patience::Upload, None);
        assert_eq!(body.deadline() - body.began, UPLOAD_IDLE);
        body.moved = body.began + Duration::from_secs(3600);
        assert_eq!(body.deadline() - body.moved, UPLOAD_IDLE);
        body.moved = body.began + UPLOAD_TIME;
        assert_eq!(body.deadline() - body.began, UPLOAD_TIME);
    }

    #[test]
    fn only_an_archive_is_an_upload() {
        let upload = |method, path| Patience::of(&method, path) == Patience::Upload;
        assert!(upload(Method::PUT, "/api/v1/software-files/3/archive"));
        assert!(upload(Method::POST, "/software-files/3/archive") && upload(Method::POST, "/new/software-upload"));
        assert!(!upload(Method::PUT, "/api/v1/software-files/3") && !upload(Method::PUT, "/api/v1/software-files/3/x/archive"));
        assert!(!upload(Method::POST, "/api/v1/software-files/3/archive") && !upload(Method::POST, "/software-files"));
    }
}
