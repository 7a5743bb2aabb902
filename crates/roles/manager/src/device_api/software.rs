//! GET `/device/v1/software/{sha256}`: a release archive this manager holds, whole or in part. GET `/device/v1/release-metadata`.

use super::{
    giver::{Giver, Watcher},
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
use std::{fs::File, io, path::PathBuf, sync::Arc};
use weir_model::SoftwareState;
use weir_operator_api::{Problem, Reason};
use weir_release::{TrustError, TrustStore};
use weir_telemetry::Chain;

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
    let mut response = Response::new(Body::new(Giver::new(app, file, part, Watcher::Place(place))));
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
