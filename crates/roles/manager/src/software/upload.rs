//! Uploads: the bytes go to the disk as they come.

use super::{
    absent,
    archives::{Part, is_full, is_over, no_room},
    find, not_now, queue,
    record::Record,
    shelf::Shelf,
    show,
};
use crate::{
    app::App,
    change::{Caller, Refusal},
    tables,
};
use axum::body::Body;
use http_body_util::BodyExt;
use std::{io, sync::Arc};
use weir_model::SoftwareState;
use weir_operator_api::{AccessRole, Problem, Reason, SoftwareFile, SoftwareProgress};
use weir_release::ARCHIVE_MAX_BYTES;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 512 * 1024;

/// Takes the bytes of an upload, then begins its checks. `length` is what the sender says there will be.
pub(crate) async fn upload(app: &Arc<App>, caller: Caller, id: i64, length: Option<u64>, body: Body) -> Result<SoftwareFile, Problem> {
    // Before the bytes, which may be many.
    caller.access.everywhere(AccessRole::Operator)?;
    let record = app.software.get(id).ok_or_else(|| absent(id))?;
    may_be_sent(&record)?;
    if length.is_some_and(|length| length > ARCHIVE_MAX_BYTES) {
        return Err(too_large());
    }
    let part = arrived(&app.software, id, length, body).await?;
    let kept = app.change(caller, move |change| {
        let records = tables::software_files::all(change.tx)?;
        may_be_sent(find(&records, id)?)?;
        queue(change, id, "upload")?;
        // Last: without the row the file is removed at the next start.
        part.keep().map_err(|error| Refusal::from(unkept(&error)))
    });
    kept.await?;
    show(app, id)
}

/// All bytes of an upload, on the disk. The part holds the place of the upload: what writes it goes on when the sender has gone.
async fn arrived(shelf: &Arc<Shelf>, id: i64, length: Option<u64>, body: Body) -> Result<Part, Problem> {
    let place = shelf.begin_upload(id)?;
    let directory = shelf.archives.clone();
    let part = blocking(move || {
        let mut part = Part::begin(&directory, id)?.holding(place);
        part.reserve(length.unwrap_or(0)).map(|()| part)
    });
    let part = receive(shelf, id, length, body, part.await?).await?;
    blocking(move || part.sync().map(|()| part)).await
}

/// Bytes are taken once; those that proved to be no archive may be sent again.
fn may_be_sent(record: &Record) -> Result<(), Problem> {
    if !record.is_upload() {
        return Err(not_now(record, "it comes from its URL").next_step("validate it to have it fetched again"));
    }
    match record.state() {
        SoftwareState::Draft => Ok(()),
        SoftwareState::Invalid if record.release.is_none() => Ok(()),
        _ => Err(not_now(record, "its file is here already").next_step("register another software file")),
    }
}

async fn receive(shelf: &Shelf, id: i64, length: Option<u64>, mut body: Body, mut part: Part) -> Result<Part, Problem> {
    let broken = |detail: String| Problem::new(Reason::UploadBroken, detail);
    let mut gathered = Vec::with_capacity(WRITE_BYTES);
    let mut came: u64 = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| broken(format!("the upload broke off after {came} bytes, or stood still for too long")))?;
        let Ok(bytes) = frame.into_data() else { continue };
        came += bytes.len() as u64;
        if came > ARCHIVE_MAX_BYTES {
            return Err(too_large());
        }
        shelf.show_progress(id, Some(SoftwareProgress { done: came, total: length }));
        gathered.extend_from_slice(&bytes);
        if gathered.len() >= WRITE_BYTES {
            part = written(part, std::mem::replace(&mut gathered, Vec::with_capacity(WRITE_BYTES))).await?;
        }
    }
    part = written(part, gathered).await?;
    match length {
        _ if came == 0 => Err(broken("the file is empty".to_owned())),
        Some(length) if length != came => Err(broken(format!("{came} bytes came, {length} were announced"))),
        _ => Ok(part),
    }
}

async fn written(mut part: Part, bytes: Vec<u8>) -> Result<Part, Problem> {
    blocking(move || part.take(&bytes).map(|()| part)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Problem> {
    let lost = |_| Problem::new(Reason::Internal, "writing the upload failed");
    tokio::task::spawn_blocking(work).await.map_err(lost)?.map_err(|error| unkept(&error))
}

fn unkept(error: &io::Error) -> Problem {
    if is_over(error) {
        return Problem::new(Reason::LimitExceeded, no_room(error)).next_step("delete software files that are not needed");
    }
    if is_full(error) {
        return Problem::new(Reason::DiskFull, no_room(error));
    }
    tracing::error!(%error, "upload not kept");
    Problem::new(Reason::Internal, "the upload could not be kept; the log has the particulars")
}

fn too_large() -> Problem {
    Problem::new(Reason::BodyTooLarge, format!("a release archive has at most {ARCHIVE_MAX_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::shelf::Kept;
    use std::{
        pin::Pin,
        sync::mpsc::sync_channel,
        task::{Context, Poll, Waker},
    };
    use tokio::task::spawn_blocking;

    fn poll_once<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Poll<T> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn an_upload_that_was_given_up_keeps_its_place_until_its_part_is_gone() {
        // Work on the disk is done by one thread, one after the other.
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build().expect("runtime");
        let dir = tempfile::tempdir().expect("dir");
        let shelf = Arc::new(Shelf::new(dir.path(), Kept::default()));
        std::fs::create_dir(&shelf.archives).expect("directory");
        let parts = || std::fs::read_dir(&shelf.archives).expect("directory").count();
        // Begun, written, written to the end, synced: the sender goes away while the disk is busy with one of these.
        for done in 0..4 {
            runtime.block_on(async {
                let mut coming = Box::pin(arrived(&shelf, 1, None, Body::from(vec![0; WRITE_BYTES])));
                // The disk is busy during each step, so that none leads further than to its work on the disk.
                let busy = || {
                    let (free, busy) = sync_channel::<()>(1);
                    (free, spawn_blocking(move || busy.recv()))
                };
                for _ in 0..done {
                    let (free, disk) = busy();
                    assert!(poll_once(&mut coming).is_pending(), "{done}");
                    free.send(()).expect("it waits");
                    disk.await.expect("no panic").expect("freed");
                    spawn_blocking(|| ()).await.expect("the disk is done");
                }
                let (free, disk) = busy();
                assert!(poll_once(&mut coming).is_pending(), "{done}");
                drop(coming);
                let refused = shelf.begin_upload(1).err().map(|problem| problem.reason);
                assert_eq!((refused, parts()), (Some(Reason::SoftwareState), done.min(1)), "{done}");
                free.send(()).expect("it waits");
                disk.await.expect("no panic").expect("freed");
                spawn_blocking(|| ()).await.expect("the disk is done");
                assert!(shelf.begin_upload(1).is_ok(), "{done}");
                assert_eq!(parts(), 0, "{done}");
            });
        }
    }
}
