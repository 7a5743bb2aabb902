//! GET `/device/v1/configuration`: waits for a newer document, a question, or another word on the device's update.

use super::{peer::DevicePeer, polled::polled};
use crate::{
    api::{QueryOf, Refused},
    app::App,
    cms,
    compile::Written,
    compressed::Coding,
    published,
    snapshot::{DeviceRecord, Snapshot},
    updates,
};
use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use weir_device_api::Poll;
use weir_model::Stamp;
use weir_operator_api::{Problem, Reason};

/// What the device runs, and how long it is willing to wait.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PollQuery {
    term: u64,
    generation: u64,
    /// Revision of the update word it knows.
    #[serde(default)]
    update: u64,
    wait_ms: u64,
}

pub(super) async fn poll(
    State(app): State<Arc<App>>,
    peer: DevicePeer,
    QueryOf(query): QueryOf<PollQuery>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    cms::heard_of(&app, &peer.record, query.term)?;
    let known = Stamp { term: query.term, generation: query.generation };
    let mut network = app.watch_network();
    let mut stopping = app.stopping();
    let arrivals = app.asks.arrivals(&peer.record.name);
    let wait = Duration::from_millis(query.wait_ms.min(network.borrow().profile.poll_ms));
    let deadline = Instant::from_std(weir_clock::monotonic() + wait);
    loop {
        // Registered before looking, so that nothing that comes in between is missed.
        let mut arrived = std::pin::pin!(arrivals.notified());
        arrived.as_mut().enable();
        let now = network.borrow_and_update().clone();
        let record = peer.still_known(&app)?;
        // Of the same network as the document, which the newest may have left behind already. One that is not in it waits for that.
        let there = now.devices.get(&record.name).filter(|_| now.stamp > known);
        let document = match there {
            None => None,
            Some(there) => Some((written(&app, &now, there).await?, there)),
        };
        let questions = app.asks.take(&peer.record.name);
        let word = updates::word(&app, &now, &record);
        let update = (word.revision != query.update).then_some(word);
        if document.is_some() || !questions.is_empty() || update.is_some() {
            let poll = Poll { configuration: None, questions, update, term: app.network().stamp.term };
            return Ok(polled(&poll, document, Coding::accepted(&headers)));
        }
        tokio::select! {
            changed = network.changed() => if changed.is_err() { return Ok(nothing(&app)) },
            () = arrived => {}
            () = sleep_until(deadline) => return Ok(nothing(&app)),
            _ = stopping.wait_for(|s| *s) => return Ok(nothing(&app)),
        }
    }
}

async fn written(app: &App, network: &Arc<Snapshot>, device: &DeviceRecord) -> Result<Arc<Written>, Problem> {
    let written = app.documents.of(network, device, published::line_below(app, network, &device.name)).await;
    written.map_err(|_| Problem::new(Reason::Unavailable, "the manager is stopping"))
}

/// Nothing but the term: the device passes over a manager whose term is not the highest it has heard.
fn nothing(app: &App) -> Response {
    polled(&Poll { term: app.network().stamp.term, ..Poll::default() }, None, Coding::Identity)
}
