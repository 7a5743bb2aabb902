//! One upload: the bytes of a file to a server nobody vouches for, under the rules of a download.
//!
//! The name is resolved once and the connection goes to the address that was checked. A redirect is not followed: what is sent
//! goes where the operator said. Without TLS it goes to addresses inside the allowed networks alone.

use crate::{
    Failure, Limits, Source,
    budget::{Budget, Late, seconds},
    connection, exchange, resolve,
    target::Target,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use hyper::body::{Body, Frame, SizeHint};
use std::{
    future::{Future, pending},
    io,
    path::Path,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncRead, ReadBuf},
    sync::watch,
};
use weir_model::{FetchReason, SourceAllow};

/// Bytes of the file in one piece.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes that may still be on their way when a piece was taken: as much as the kernel keeps of a connection (`tcp_wmem`).
const UNDER_WAY_BYTES: u64 = 4 << 20;

/// Why nothing was sent, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The server's doing.
    #[error("{detail} ({reason})")]
    Target {
        /// The word.
        reason: FetchReason,
        /// What exactly, one sentence.
        detail: String,
    },
    /// The file's.
    #[error("cannot read what is to be sent")]
    File(#[source] io::Error),
}

impl From<Failure> for PutError {
    fn from(Failure { reason, detail }: Failure) -> Self {
        Self::Target { reason, detail }
    }
}

/// Sends the file at `from` to `to` by PUT (RFC 9110 section 9.3.4). `limits.total` bounds it all; a server that takes no next piece, or
/// does not answer after the last, is given up after `limits.idle` and what the bytes on their way take at `limits.slowest`.
///
/// # Errors
/// [`PutError`]; what the server made of a part is unknown then.
pub async fn put(to: &Source, allow: &SourceAllow, limits: &Limits, from: &Path) -> Result<(), PutError> {
    let budget = Budget::new(limits.total);
    let target = Target::parse(&to.url)?;
    let secret = to.credentials.header()?;
    let addresses = resolve::addresses(&target, allow, limits.resolve, &budget).await?;
    if !target.is_tls() && !addresses.iter().all(|address| allow.0.iter().any(|network| network.contains(&address.ip()))) {
        let detail = format!("{} has no TLS and is in no network of software_sources.allow", target.shown());
        return Err(Failure::new(FetchReason::SchemeNotAllowed, detail).into());
    }
    let (body, mut taken) = FileBody::open(from).await.map_err(PutError::File)?;
    let mut request = Request::builder()
        .method(Method::PUT)
        .uri(target.path_and_query())
        .header(header::HOST, target.authority())
        .header(header::USER_AGENT, format!("weir/{}", weir_model::version()))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
        .header(header::CONTENT_LENGTH, body.left)
        .header(header::CONNECTION, "close")
        .body(body)
        .map_err(|_| Failure::new(FetchReason::BadUrl, format!("{} cannot be asked for over HTTP", target.shown())))?;
    if let Some((name, value)) = &secret {
        request.headers_mut().insert(name, value.clone());
    }
    let connection = connection::connect(&target, &addresses, limits.connect, &budget).await?;
    let patience = patience(limits);
    let status = match moving(exchange::send(connection, &target, request), &mut taken, patience, &budget).await {
        Ok(answered) => answered?,
        Err(Late::Step) => {
            let detail = format!("{} took nothing more and did not answer for {}", target.shown(), seconds(patience));
            return Err(Failure::new(FetchReason::Timeout, detail).into());
        }
        Err(Late::Total) => return Err(Failure::new(FetchReason::Timeout, budget.told()).into()),
    };
    if status.is_success() {
        return Ok(());
    }
    let reason = match status.as_u16() {
        401 | 403 | 407 => FetchReason::Unauthorized,
        404 | 410 => FetchReason::FileNotFound,
        _ => FetchReason::HttpStatus,
    };
    Err(Failure::new(reason, format!("{} answered {} to PUT", target.shown(), status.as_u16())).into())
}

/// How long a server may take nothing: the bytes on their way, as slowly as may be, and then its silence.
fn patience(limits: &Limits) -> Duration {
    limits.idle + Duration::from_secs(UNDER_WAY_BYTES / limits.slowest.max(1))
}

/// Does `work` as long as `taken` changes within each `patience`.
async fn moving<T>(
    work: impl Future<Output = T>,
    taken: &mut watch::Receiver<u64>,
    patience: Duration,
    budget: &Budget,
) -> Result<T, Late> {
    let mut work = pin!(work);
    loop {
        let step = async {
            let moved = async {
                if taken.changed().await.is_err() {
                    // All of it was taken: only the answer is waited for.
                    pending::<()>().await;
                }
            };
            tokio::select! {
                done = work.as_mut() => Some(done),
                () = moved => None,
            }
        };
        if let Some(done) = budget.within(patience, step).await? {
            return Ok(done);
        }
    }
}

/// A file as a body, read piece by piece while it is sent.
struct FileBody {
    file: File,
    left: u64,
    /// Bytes that were taken so far.
    taken: watch::Sender<u64>,
}

impl FileBody {
    async fn open(path: &Path) -> io::Result<(Self, watch::Receiver<u64>)> {
        let file = File::open(path).await?;
        let left = file.metadata().await?.len();
        let (taken, watched) = watch::channel(0);
        Ok((Self { file, left, taken }, watched))
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let wanted = usize::try_from(this.left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        if wanted == 0 {
            return Poll::Ready(None);
        }
        let mut piece = vec![0; wanted];
        let mut into = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut this.file).poll_read(context, &mut into))?;
        let got = into.filled().len();
        if got == 0 {
            // It was cut since it was opened.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        this.left -= got as u64;
        this.taken.send_modify(|taken| *taken += got as u64);
        piece.truncate(got);
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
