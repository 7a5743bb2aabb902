//! A form that carries a file: its fields come first and are judged, then the file is passed on as it comes.
//!
//! `multipart/form-data` (RFC 7578) with the hidden field `csrf` first and the field `file` last. No byte of the file is
//! taken before the form has shown that it is one of this session.

use super::{
    Refused, Viewer,
    form::{Fields, admit, from_our_pages},
};
use crate::app::App;
use axum::{
    body::{Body, Bytes},
    extract::{
        FromRequest, FromRequestParts, Request,
        multipart::{Field, Multipart, MultipartError},
    },
    http::HeaderName,
    response::{IntoResponse, Response},
};
use hyper::body::Frame;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::mpsc;
use weir_operator_api::{Problem, Reason};

/// The field with the file.
pub(super) const FILE_FIELD: &str = "file";
/// Set by `upload.js`: where to go next is answered as 204 with `Location`, which a script can read.
const BY_SCRIPT: HeaderName = HeaderName::from_static("x-weir-upload");
/// Largest field that is not the file, in bytes: the longest a browser sends for what these forms ask.
const FIELD_BYTES_MAX: usize = 16 * 1024;
/// Most fields beside the file.
const FIELDS_MAX: usize = 32;
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
    /// What [`from_our_pages`] said of it.
    site: bool,
}

impl FromRequest<Arc<App>> for FileForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, app).await?;
        let site = from_our_pages(&parts.headers, &parts.uri);
        let by_script = parts.headers.contains_key(BY_SCRIPT);
        let parts = Multipart::from_request(Request::from_parts(parts, body), app).await.map_err(|_| {
            let problem = Problem::new(Reason::UnsupportedMediaType, "the body is not a form with a file");
            Refused::from(problem.next_step("send the form from its page")).into_response()
        })?;
        Ok(Self { sender: Sender { viewer, by_script, site }, parts })
    }
}

impl Sender {
    /// Refuses the form unless its fields show that it is one of this session.
    pub(super) async fn admit(&self, app: &Arc<App>, fields: &Fields) -> Result<(), Response> {
        admit(app, &self.viewer, self.site, fields).await
    }
}

fn broken(error: &MultipartError) -> Problem {
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
