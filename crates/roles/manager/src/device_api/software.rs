//! GET `/device/v1/software/{sha256}`: a release archive this manager holds, whole or in part. GET `/device/v1/release-metadata`.

use super::{
    giving::Place,
    peer::DevicePeer,
    range::{self, Wanted},
};
use crate::{api::Refused, app::App, software::archives};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE},
    },
    response::{IntoResponse, Response},
};
use hyper::body::{Bytes, Frame, SizeHint};
use std::{
    fs::File,
    future::Future,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::task::JoinHandle;
use weir_model::SoftwareState;
use weir_operator_api::{Problem, Reason};
use weir_release::{TrustError, TrustStore};
use weir_telemetry::Chain;

/// Bytes read from the disk at a time.
const CHUNK_BYTES: u64 = 256 * 1024;
/// What archives and metadata are sent as.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    peer: DevicePeer,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let held = held(&app, &sha256).ok_or_else(|| absent(&sha256))?;
    give(&app, peer.record.id, held, &sha256, &headers).await
}

/// A file of this length and SHA-256, whole or in part, to the peer of this number.
pub(crate) async fn give(
    app: &Arc<App>,
    peer: i64,
    (path, bytes): (PathBuf, u64),
    sha256: &str,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    let etag = format!("\"{sha256}\"");
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A range of another file is of no use (RFC 9110 section 13.1.5).
    let same = text(IF_RANGE).is_none_or(|known| known == etag);
    let wanted = range::wanted(text(RANGE).filter(|_| same), bytes);
    let part = match &wanted {
        Wanted::Whole => 0..bytes,
        Wanted::Part(part) => part.clone(),
        Wanted::Unsatisfiable => 0..0,
    };
    let place = app.giving.begin(peer, weir_clock::monotonic_ms())?;
    let opened = tokio::task::spawn_blocking(move || opened(&path, bytes)).await;
    let unread = |error: io::Error| {
        tracing::error!(%error, "an archive cannot be given");
        Problem::new(Reason::Internal, "the archive cannot be read; the log has the particulars")
    };
    let file = opened.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())).map_err(unread)?;
    let length = part.end - part.start;
    let mut response =
        Response::new(Body::new(Giver { file: Arc::new(file), part: part.clone(), reading: None, app: Arc::clone(app), place }));
    let head = response.headers_mut();
    let value = |text: String| HeaderValue::from_str(&text).expect("digits and plain words");
    head.extend([(ACCEPT_RANGES, HeaderValue::from_static("bytes")), (CONTENT_TYPE, OCTETS), (ETAG, value(etag))]);
    head.insert(CONTENT_LENGTH, length.into());
    match wanted {
        Wanted::Whole => {}
        Wanted::Part(part) => {
            head.insert(CONTENT_RANGE, value(format!("bytes {}-{}/{bytes}", part.start, part.end - 1)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        Wanted::Unsatisfiable => {
            head.insert(CONTENT_RANGE, value(format!("bytes */{bytes}")));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
        }
    }
    Ok(response)
}

fn absent(sha256: &str) -> Problem {
    let next = "wait for the next word on what to become";
    Problem::new(Reason::NotFound, format!("this manager holds no archive {sha256} that may be installed")).next_step(next)
}

/// Where the archive lies, and its length. One that the publisher has withdrawn is not given any more.
fn held(app: &App, sha256: &str) -> Option<(PathBuf, u64)> {
    let records = app.software.records();
    let given = records.iter().filter(|record| record.state() != SoftwareState::Withdrawn);
    let release = |record: &crate::software::record::Record| record.release.clone().filter(|release| release.archive_sha256 == sha256);
    given.into_iter().find_map(|record| {
        let path = archives::held(&app.software.archives, record.id);
        Some((path, release(record)?.archive_bytes))
    })
}

fn opened(path: &std::path::Path, bytes: u64) -> io::Result<File> {
    let file = File::open(path)?;
    // Another one has taken its place since it was proven: its proof is on its way.
    if file.metadata()?.len() != bytes { Err(io::ErrorKind::InvalidData.into()) } else { Ok(file) }
}

/// The bytes of a file as they are taken; no thread waits for who takes them slowly.
struct Giver {
    file: Arc<File>,
    /// What is still to be read.
    part: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    app: Arc<App>,
    place: Place,
}

impl Giver {
    fn read(&self) -> JoinHandle<io::Result<Bytes>> {
        let (file, at) = (Arc::clone(&self.file), self.part.start);
        let length = usize::try_from((self.part.end - at).min(CHUNK_BYTES)).expect("a chunk fits in memory");
        tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; length];
            file.read_exact_at(&mut chunk, at)?;
            Ok(chunk.into())
        })
    }
}

impl hyper::body::Body for Giver {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.part.is_empty() {
            return Poll::Ready(None);
        }
        if *self.app.stopping().borrow() {
            // The rest is asked for by range when the manager is back.
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if !self.place.taken(weir_clock::monotonic_ms()) {
            // So is the rest of one that was not taken for long.
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.read(),
        };
        let Poll::Ready(read) = Pin::new(&mut reading).poll(cx) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let chunk = match read.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into())) {
            Ok(chunk) => chunk,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        self.part.start += chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.part.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.part.end - self.part.start)
    }
}

pub(super) async fn metadata(State(app): State<Arc<App>>, _peer: DevicePeer) -> Result<Response, Refused> {
    let reading = Arc::clone(&app);
    let read = tokio::task::spawn_blocking(move || newest(&reading)).await;
    let lost = |_| Problem::new(Reason::Internal, "reading the metadata failed");
    let set = read.map_err(lost)?.map_err(|error| {
        tracing::error!(error = %Chain(&error), "the release trust store cannot be read");
        Problem::new(Reason::Internal, "the metadata cannot be read; the log has the particulars")
    })?;
    let none = || Problem::new(Reason::NotFound, "this manager has seen no signed metadata").next_step("wait for a software file");
    Ok(([(CONTENT_TYPE, OCTETS)], set.ok_or_else(none)?).into_response())
}

/// The newest signed metadata, in its container.
fn newest(app: &App) -> Result<Option<Vec<u8>>, TrustError> {
    let store = match TrustStore::open(&app.software.trust) {
        Err(TrustError::NotPinned(_)) => return Ok(None),
        store => store?,
    };
    Ok(store.metadata()?.map(|set| set.to_bytes()))
}
