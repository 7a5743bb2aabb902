//! One GET and the head of its answer.

use crate::{
    Failure, Limits,
    budget::{Budget, Late, seconds},
    connection::Connection,
    target::Target,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header, response};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use std::{
    error::Error,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
};
use weir_model::FetchReason;

/// Largest head of an answer, and largest trailer, in bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Most header fields of an answer.
const FIELDS_MAX: usize = 100;
/// Read buffer of a connection, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// What a server answered.
pub(crate) enum Asked {
    /// 200.
    Content(Answer),
    /// It is somewhere else.
    Redirect(Box<response::Parts>),
}

/// What one server is asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) target: &'a Target,
    pub(crate) secret: Option<&'a (HeaderName, HeaderValue)>,
    /// The first byte wanted.
    pub(crate) from: u64,
}

/// Content that can be read.
pub(crate) struct Answer {
    /// Which byte of the whole comes first.
    begins: u64,
    body: Incoming,
    driver: Driver,
}

/// Moves the connection while its answer is waited for: no task of its own, so that nothing survives a download that is dropped.
struct Driver {
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
}

impl Driver {
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            // Its error, if any, comes out of `work` too.
            if self.connection.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
                self.connection = None;
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// Asks for `wanted` over `connection`. Any answer but content and a redirect is a failure.
pub(crate) async fn ask(connection: Connection, wanted: &Wanted<'_>, limits: &Limits, budget: &Budget) -> Result<Asked, Failure> {
    let target = wanted.target;
    let request = request(wanted)?;
    let head = async {
        let mut builder = http1::Builder::new();
        builder.max_headers(FIELDS_MAX).max_header_size(HEAD_BYTES_MAX).max_buf_size(BUFFER_BYTES);
        let (mut sender, connection) = builder.handshake(TokioIo::new(connection.stream)).await?;
        let mut driver = Driver { connection: Some(Box::pin(connection)) };
        let response = driver.drive(sender.send_request(request)).await?;
        Ok((response, driver))
    };
    let (response, driver) = match budget.within(limits.idle, head).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => return Err(broken(target, &error)),
        Err(Late::Step) => {
            let detail = format!("{} did not answer within {}", target.shown(), seconds(limits.idle));
            return Err(Failure::new(FetchReason::Timeout, detail));
        }
        Err(Late::Total) => return Err(Failure::new(FetchReason::Timeout, budget.told())),
    };
    let (head, body) = response.into_parts();
    if is_redirect(head.status) {
        return Ok(Asked::Redirect(Box::new(head)));
    }
    let begins = begins(wanted, &head)?;
    check_encoding(target, &head.headers)?;
    Ok(Asked::Content(Answer { begins, body, driver }))
}

/// Sends a request with a body over `connection` and takes the status of its answer.
pub(crate) async fn send<B>(connection: Connection, target: &Target, request: Request<B>) -> Result<StatusCode, Failure>
where
    B: Body<Data = Bytes, Error = io::Error> + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_headers(FIELDS_MAX).max_header_size(HEAD_BYTES_MAX).max_buf_size(BUFFER_BYTES);
    let failed = |error: hyper::Error| broken(target, &error);
    let (mut sender, connection) = builder.handshake(TokioIo::new(connection.stream)).await.map_err(failed)?;
    let mut driver = Driver { connection: Some(Box::pin(connection)) };
    driver.drive(sender.send_request(request)).await.map(|answer| answer.status()).map_err(failed)
}

fn request(wanted: &Wanted<'_>) -> Result<Request<Empty<Bytes>>, Failure> {
    let target = wanted.target;
    let agent = format!("weir/{}", weir_model::version());
    let request = Request::get(target.path_and_query())
        .header(header::HOST, target.authority())
        .header(header::USER_AGENT, agent)
        .header(header::ACCEPT, "*/*")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close");
    let mut request = request.body(Empty::new()).map_err(|_| {
        // The URL standard allows a few characters that RFC 3986 does not.
        Failure::new(FetchReason::BadUrl, format!("{} cannot be asked for over HTTP", target.shown()))
    })?;
    if let Some((name, value)) = wanted.secret {
        request.headers_mut().insert(name, value.clone());
    }
    if wanted.from > 0 {
        let range = HeaderValue::from_str(&format!("bytes={}-", wanted.from)).expect("digits");
        request.headers_mut().insert(header::RANGE, range);
    }
    Ok(request)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Which byte of the whole an answer begins with. A part that was not asked for is none (RFC 9110 section 14.4).
fn begins(wanted: &Wanted<'_>, head: &response::Parts) -> Result<u64, Failure> {
    if wanted.from == 0 || head.status != StatusCode::PARTIAL_CONTENT {
        return check_status(wanted.target, head.status, wanted.secret.is_some()).map(|()| 0);
    }
    let range = head.headers.get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')).and_then(|(first, _)| first.parse().ok());
    if first == Some(wanted.from) {
        return Ok(wanted.from);
    }
    let detail = format!("{} sends another range than the one asked for", wanted.target.shown());
    Err(Failure::new(FetchReason::BadResponse, detail))
}

/// RFC 9110 section 15: only 200 is the whole file.
fn check_status(target: &Target, status: StatusCode, was_shown: bool) -> Result<(), Failure> {
    let (reason, remark) = match status.as_u16() {
        200 => return Ok(()),
        401 | 403 | 407 if was_shown => (FetchReason::Unauthorized, ": the credentials are not the right ones"),
        401 | 403 | 407 => (FetchReason::Unauthorized, " and was sent no credentials"),
        404 | 410 => (FetchReason::FileNotFound, ""),
        _ => (FetchReason::HttpStatus, ""),
    };
    Err(Failure::new(reason, format!("{} answered {}{remark}", target.shown(), status.as_u16())))
}

/// An archive is taken as it is signed: a coding would have to be undone by a decoder that the server feeds.
fn check_encoding(target: &Target, headers: &HeaderMap) -> Result<(), Failure> {
    let is_plain = |name, plain: &str| headers.get_all(name).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(plain.as_bytes()));
    if is_plain(header::CONTENT_ENCODING, "identity") && is_plain(header::TRANSFER_ENCODING, "chunked") {
        return Ok(());
    }
    Err(Failure::new(FetchReason::BadResponse, format!("{} sends the content in a coding that was not asked for", target.shown())))
}

fn broken(target: &Target, error: &hyper::Error) -> Failure {
    let (reason, what) = why(error);
    Failure::new(reason, format!("{}: {what}", target.shown()))
}

/// What ended an answer. hyper names a fault of the wire by the `io::Error` it comes from, else it is one of the protocol.
fn why(error: &hyper::Error) -> (FetchReason, String) {
    if let Some(error) = wire(error) {
        return match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => (FetchReason::BadResponse, "what came is not HTTP".to_owned()),
            io::ErrorKind::UnexpectedEof => (FetchReason::CutShort, "the server ended the connection early".to_owned()),
            kind => (FetchReason::CutShort, kind.to_string()),
        };
    }
    if error.is_parse_too_large() {
        return (FetchReason::BadResponse, format!("the head of the answer is larger than {HEAD_BYTES_MAX} bytes or {FIELDS_MAX} fields"));
    }
    if error.is_parse() {
        return (FetchReason::BadResponse, "what came is not HTTP".to_owned());
    }
    (FetchReason::CutShort, "the server ended the connection before its answer".to_owned())
}

fn wire(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

impl Answer {
    /// Which byte of the whole comes first.
    pub(crate) fn begins(&self) -> u64 {
        self.begins
    }

    /// The announced length, of what comes now.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next piece; none when the content is complete. May be dropped and called again.
    pub(crate) async fn piece(&mut self) -> Option<Result<Bytes, Failure>> {
        loop {
            let frame = self.driver.drive(self.body.frame()).await?;
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(bytes)) => return Some(Ok(bytes)),
                Ok(Err(_trailers)) => {}
                Err(error) => {
                    let (reason, what) = why(&error);
                    return Some(Err(Failure::new(reason, what)));
                }
            }
        }
    }
}
