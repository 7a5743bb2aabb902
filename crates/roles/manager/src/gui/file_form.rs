//! A form that carries a file: its fields come first and are judged, then the file is passed on as it comes.
//!
//! `multipart/form-data` (RFC 7578) with the hidden field `csrf` first and the field `file` last. No byte of the file is
//! taken before the form has shown that it is one of this session, and no more than [`BEFORE_FILE_BYTES_MAX`] of what comes before it:
//! the reader of the parts keeps everything until it has seen a boundary, or the end of a part's head.

use super::{
    Refused, Viewer,
    errors::refused_form,
    form::{Fields, admit, from_our_pages},
};
use crate::app::App;
use axum::{
    BoxError,
    body::{Body, Bytes},
    extract::{
        FromRequest, FromRequestParts, Request,
        multipart::{Field, Multipart, MultipartError},
    },
    http::HeaderName,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};
use std::{
    error::Error,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::sync::mpsc;
use weir_operator_api::{Problem, Reason};
use weir_release::ARCHIVE_MAX_BYTES;

/// The field with the file.
pub(super) const FILE_FIELD: &str = "file";
/// Set by `upload.js`: where to go next is answered as 204 with `Location`, which a script can read.
const BY_SCRIPT: HeaderName = HeaderName::from_static("x-weir-upload");
/// Largest field that is not the file, in bytes: the longest a browser sends for what these forms ask.
const FIELD_BYTES_MAX: usize = 16 * 1024;
/// Most fields beside the file.
const FIELDS_MAX: usize = 32;
/// Most bytes taken of a form before its file is admitted: all of its fields, and what the reader of the parts takes ahead of them.
const BEFORE_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes after which the reader of the parts has to look at what it has: by itself it takes whatever is there, however much that is.
const AHEAD_BYTES: u64 = 256 * 1024;
/// Pieces of the file that wait to be written.
const PIECES_WAITING: usize = 4;

/// A form whose parts are still to be read.
pub(super) struct FileForm {
    pub(super) sender: Sender,
    pub(super) parts: Multipart,
}

/// Who sent a form, as far as its head says.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) viewer: Viewer,
    /// A script sent it.
    pub(super) by_script: bool,
    /// Bytes that may still come.
    left: Arc<AtomicU64>,
}

impl FromRequest<Arc<App>> for FileForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, app).await?;
        // Before anything of it is read.
        if !from_our_pages(&parts.headers, &parts.uri) {
            return Err(refused_form(app, viewer.caller(), "another site sent it").await);
        }
        let by_script = parts.headers.contains_key(BY_SCRIPT);
        let left = Arc::new(AtomicU64::new(BEFORE_FILE_BYTES_MAX));
        let body = Body::new(Fenced { body, left: Arc::clone(&left), ahead: 0 });
        let parts = Multipart::from_request(Request::from_parts(parts, body), app).await.map_err(|_| {
            let problem = Problem::new(Reason::UnsupportedMediaType, "the body is not a form with a file");
            Refused::from(problem.next_step("send the form from its page")).into_response()
        })?;
        Ok(Self { sender: Sender { viewer, by_script, left }, parts })
    }
}

impl Sender {
    /// Refuses the form unless its fields show that it is one of this session; then its file may come.
    pub(super) async fn admit(&self, app: &Arc<App>, fields: &Fields) -> Result<(), Response> {
        // That it is from our pages was seen before.
        admit(app, &self.viewer, true, fields).await?;
        self.left.store(ARCHIVE_MAX_BYTES + BEFORE_FILE_BYTES_MAX, Ordering::Relaxed);
        Ok(())
    }
}

/// More came than may be taken.
#[derive(Debug, thiserror::Error)]
#[error("the form is larger than this page takes")]
struct Beyond;

/// A body of which no more is taken than is `left`.
struct Fenced {
    body: Body,
    left: Arc<AtomicU64>,
    /// Bytes since the reader last looked.
    ahead: u64,
}

impl hyper::body::Body for Fenced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.ahead >= AHEAD_BYTES {
            this.ahead = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        let bytes = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref()).map_or(0, |data| data.len() as u64);
        this.ahead += bytes;
        // One task reads the form and admits its file: nobody else sets it between these two.
        let left = this.left.load(Ordering::Relaxed).checked_sub(bytes);
        this.left.store(left.unwrap_or(0), Ordering::Relaxed);
        Poll::Ready(if left.is_none() { Some(Err(Beyond.into())) } else { frame.map(|f| f.map_err(Into::into)) })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn broken(error: &MultipartError) -> Problem {
    let mut causes = std::iter::successors(Some(error as &(dyn Error + 'static)), |&cause| cause.source());
    if causes.any(<dyn Error>::is::<Beyond>) {
        let detail = format!("more than {} MiB of the form came before its file", BEFORE_FILE_BYTES_MAX >> 20);
        return Problem::new(Reason::BodyTooLarge, detail).next_step("send the form from its page");
    }
    Problem::new(Reason::BodyUnreadable, format!("the form did not arrive whole, or not in time: {error}"))
}

/// The next part of a form.
pub(super) async fn next(parts: &mut Multipart) -> Result<Option<Field<'_>>, Refused> {
    parts.next_field().await.map_err(|error| broken(&error).into())
}

/// Adds a part that is no file to the fields.
pub(super) async fn note(fields: &mut Fields, mut part: Field<'_>) -> Result<(), Refused> {
    let name = part.name().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + piece.len() > FIELD_BYTES_MAX {
            return Err(Problem::new(Reason::BodyTooLarge, "a field of the form is larger than this page takes").into());
        }
        bytes.extend_from_slice(&piece);
    }
    if fields.values().map(Vec::len).sum::<usize>() == FIELDS_MAX {
        return Err(Problem::new(Reason::LimitExceeded, "the form has too many fields").into());
    }
    let text = String::from_utf8(bytes).map_err(|_| Problem::new(Reason::BodyUnreadable, "a field of the form is not UTF-8"))?;
    fields.entry(name).or_default().push(text);
    Ok(())
}

/// The pieces of a file as a body.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|bytes| bytes.map(Frame::data)))
    }
}

/// Passes a file on to whoever takes it, for as long as they take it. A file that is cut short is a body that fails.
pub(super) async fn pass<T, F: Future<Output = T>>(mut file: Field<'_>, take: impl FnOnce(Body) -> F) -> T {
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    let pump = async move {
        loop {
            let piece = match file.chunk().await {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => return,
                Err(error) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
            };
            let last = piece.is_err();
            if sender.send(piece).await.is_err() || last {
                return;
            }
        }
    };
    tokio::join!(take(Body::new(Pieces(receiver))), pump).0
}
