//! Making way for the standby: no more writes, everything over there, then the fence; only then is it answered.
//!
//! Both ways run in tasks of the manager, one at a time: whoever asked may go away, and what has begun ends all the same.

use super::{answer::hello, recount, verdict};
use crate::{app::App, cms::Fence};
use std::{sync::Arc, time::Duration};
use weir_device_api::{PairHello, YieldAnswer, YieldRequest};
use weir_operator_api::{Problem, Reason};

/// How long the standby has to take what it lacks while writes are refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hands over: when this returns `Ok`, the box is fenced and everything it ever acknowledged is on the standby.
///
/// # Errors
/// Why it goes on as primary.
pub(crate) async fn yield_to(app: &Arc<App>, request: YieldRequest) -> Result<YieldAnswer, Problem> {
    let of_app = Arc::clone(app);
    app.to_its_end("make way", async move { made_way(&of_app, &request).await }).await
}

async fn made_way(app: &Arc<App>, request: &YieldRequest) -> Result<YieldAnswer, Problem> {
    let _one_at_a_time = app.pair.handing.lock().await;
    let theirs = &request.hello;
    let ours = hello(app).await?;
    if let Some(fence) = fenced(app) {
        if fence.term == request.term && fence.name.as_ref() == Some(&theirs.name) {
            return Ok(YieldAnswer { hello: ours });
        }
        return Err(Problem::new(Reason::NotPrimary, format!("{} is not the primary any more", ours.name)));
    }
    refusal(&ours, request)?;
    app.pair.stop_asking();
    // The journal is mirrored with the rest, so that both sides know what was begun.
    note(app, request.term, theirs).await;
    // Counted while writes go on. Where it does not hold, what the standby has by the log is better than what is here.
    if !recount::holds(app).await? {
        tracing::warn!("rows of this manager are not what its log of writes says; the standby takes over with its own");
    }
    let held = app.hold_writes().await;
    let (fence, answer) = handed(app, request).await?;
    app.pair.end();
    drop(held);
    tracing::warn!(to = theirs.name.as_str(), term = request.term, "handed over; this manager is not the primary any more");
    app.pair.tell_fenced(fence);
    Ok(answer)
}

/// What is said against making way at all.
fn refusal(ours: &PairHello, request: &YieldRequest) -> Result<(), Problem> {
    let theirs = &request.hello;
    if request.resume {
        let detail = format!("{} is the primary of term {} and has not made way", ours.name, ours.term);
        return Err(Problem::new(Reason::CmsState, detail).next_step("ask anew, if it is still wanted"));
    }
    if theirs.version != ours.version {
        let detail = format!("{} runs {} and {} {}", theirs.name, theirs.version, ours.name, ours.version);
        return Err(Problem::new(Reason::PairMismatch, detail).next_step(verdict::next_step(ours, theirs)));
    }
    if request.term <= ours.term {
        let detail = format!("term {} was asked for, and term {} is in force", request.term, ours.term);
        return Err(Problem::new(Reason::CmsState, detail));
    }
    Ok(())
}

/// The fence that ends this manager's time as primary, when there is one.
fn fenced(app: &App) -> Option<Fence> {
    app.box_file.fenced().filter(|fence| fence.term > app.network().stamp.term)
}

async fn handed(app: &Arc<App>, request: &YieldRequest) -> Result<(Fence, YieldAnswer), Problem> {
    let theirs = &request.hello;
    let hello = hello(app).await?;
    if !app.pair.has(hello.rev, PATIENCE).await {
        let detail = format!("{} did not take changeset {} within {} s", theirs.name, hello.rev, PATIENCE.as_secs());
        return Err(Problem::new(Reason::NoStandby, detail));
    }
    // What was acknowledged may be of one that was the standby before.
    if !app.pair.is_of(&theirs.name) {
        let detail = format!("{} is not the standby that follows", theirs.name);
        return Err(Problem::new(Reason::CmsState, detail).next_step("read `weir cms info`, then ask again"));
    }
    let fence = Fence { term: request.term, name: Some(theirs.name.clone()), address: theirs.device };
    write(app, fence.clone()).await?;
    Ok((fence, YieldAnswer { hello }))
}

async fn note(app: &Arc<App>, term: u64, theirs: &PairHello) {
    let body = serde_json::json!({ "from": app.name, "to": theirs.name, "term": term });
    app.journal.note(app.network().stamp.term, "yield", body).await;
}

/// Somebody has a higher term than ours: this box takes no more writes and is fenced, durably, when this returns.
///
/// # Errors
/// The fence could not be written; no writes are taken all the same.
pub(crate) async fn step_down(app: &Arc<App>, fence: Fence) -> Result<(), Problem> {
    let of_app = Arc::clone(app);
    let down = async move {
        let app = of_app;
        let _one_at_a_time = app.pair.handing.lock().await;
        let held = app.hold_writes().await;
        app.pair.end();
        drop(held);
        write(&app, fence.clone()).await?;
        let own = app.network().stamp.term;
        tracing::warn!(term = fence.term, own, "a higher term was heard; this manager is not the primary any more");
        app.pair.tell_fenced(fence);
        Ok(())
    };
    app.to_its_end("step down", down).await
}

/// Writes a fence, durably.
async fn write(app: &Arc<App>, fence: Fence) -> Result<(), Problem> {
    let file = Arc::clone(&app.box_file);
    let written = tokio::task::spawn_blocking(move || file.fence(fence)).await;
    let failed = |why: String| Problem::new(Reason::Internal, format!("the fence cannot be written: {why}"));
    written.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}
