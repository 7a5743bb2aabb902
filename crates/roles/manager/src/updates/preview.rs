//! What an assignment would do, before anybody makes it.

use super::{
    admission::{Network, Wanted},
    advice::{WaitReason, Waiting},
    record::leave_word,
};
use crate::{
    app::App,
    domain::devices,
    guard::Early,
    offload,
    snapshot::{DeviceRecord, Snapshot},
};
use std::sync::Arc;
use weir_model::{DownloadMethod, Role, Version};
use weir_operator_api::{DeviceUpdateRequest, Direction, OffloadPreview, Problem, UpdatePreview, UpdateReasonShown};
use weir_rollout::update::Leave;

/// What would happen, why it would be refused, what it would wait for.
///
/// # Errors
/// There is no such device.
pub(crate) async fn preview(app: &Arc<App>, name: &str, request: &DeviceUpdateRequest) -> Result<UpdatePreview, Problem> {
    let network = app.network();
    let record = devices::find(&network, name)?;
    let facts = Network::gather(app, name);
    let records = app.software.records();
    let admitted = facts.admit(record, &app.updates.kept(), &records, request);
    // What is refused for another reason is shown with what it would have been.
    let wanted = admitted.as_ref().ok().cloned().or_else(|| facts.wanted(record, &records, request).ok());
    let drained = wanted.as_ref().is_some_and(|wanted| wanted.leave == Leave::Drained && record.active);
    let out = if drained { Some(offload::preview(app, &network, record).await?) } else { None };
    let heard = app.reports.get(&record.name);
    let sessions = heard.as_ref().map_or(0, |heard| heard.report.load.sessions);
    let steps = admitted.as_ref().map_or_else(|_| Vec::new(), |wanted| steps(record, wanted, sessions));
    let version = wanted.as_ref().map(|wanted| wanted.release.version);
    Ok(UpdatePreview {
        device: record.name.clone(),
        role: record.role,
        running: heard.map(|heard| heard.report.hello.version),
        version,
        file: wanted.as_ref().map(|wanted| wanted.file),
        direction: facts.running().zip(version).map(|(running, version)| direction(running, version)),
        auto_reload: wanted.as_ref().is_some_and(|wanted| wanted.auto_reload),
        leave: leave_word(wanted.as_ref().map_or(Leave::Drained, |wanted| wanted.leave)).to_owned(),
        steps,
        waits: if admitted.is_ok() { waits(app, &network, record, out.as_ref(), request.overrides).await? } else { Vec::new() },
        refused: admitted.err().map(shown),
        breaks: out.as_ref().map(|out| out.breaks.clone()).unwrap_or_default(),
        sessions,
        clients_go: out.as_ref().map(|out| out.clients_go.clone()).unwrap_or_default(),
        unknown: out.map(|out| out.unknown).unwrap_or_default(),
    })
}

fn shown(problem: Problem) -> UpdateReasonShown {
    UpdateReasonShown { reason: problem.reason.as_str().to_owned(), detail: problem.detail, next: problem.next }
}

fn direction(running: Version, version: Version) -> Direction {
    match version.cmp(&running) {
        std::cmp::Ordering::Greater => Direction::Upgrade,
        std::cmp::Ordering::Less => Direction::Downgrade,
        std::cmp::Ordering::Equal => Direction::Same,
    }
}

/// What its offload would wait for now. One that is out already leaves nobody.
async fn waits(
    app: &App,
    network: &Snapshot,
    record: &DeviceRecord,
    out: Option<&OffloadPreview>,
    overrides: bool,
) -> Result<Vec<UpdateReasonShown>, Problem> {
    let Some(out) = out.filter(|_| !overrides && !network.outside.contains_key(&record.name)) else { return Ok(Vec::new()) };
    let facts = crate::guard::Facts::gather(app, network, &record.location.iter().cloned().collect()).await?;
    let waiting = match facts.early() {
        Early::Yes => Some(Waiting::new(WaitReason::TooEarly, "the manager has just started and has not heard every device yet")),
        Early::No if out.breaks.is_empty() => None,
        Early::No => {
            let sentences: Vec<_> = out.breaks.iter().map(|broken| broken.text.as_str()).collect();
            Some(Waiting::new(WaitReason::Guard, sentences.join("; ")))
        }
    };
    Ok(waiting.iter().map(Waiting::shown).collect())
}

/// What would happen, in order.
fn steps(record: &DeviceRecord, wanted: &Wanted, sessions: u32) -> Vec<String> {
    let (name, version) = (&record.name, wanted.release.version);
    let source = match wanted.method {
        DownloadMethod::Default => "an engine of the network, else the manager or the source",
        DownloadMethod::PrepositionedOnly => "an engine of the network",
        DownloadMethod::DirectDownloadOnly => "the source of the software file",
    };
    let mebibytes = wanted.release.archive_bytes.div_ceil(1 << 20);
    let mut steps =
        vec![format!("{name} fetches {version} ({mebibytes} MiB) from {source}, verifies it and writes it beside the slot that runs")];
    if !wanted.auto_reload {
        steps.push("it waits until somebody says to switch".to_owned());
    }
    match wanted.leave {
        Leave::HandedOver => {
            steps.push(format!("the new worker tests itself, then takes the listeners over while {name} serves; no connection is refused"));
        }
        Leave::Drained if record.active => {
            let left = match sessions {
                0 => "no session is on it now".to_owned(),
                1 => "1 session on it now moves or ends first".to_owned(),
                many => format!("{many} sessions on it now move or end first"),
            };
            steps.push(format!("Server Offload takes it out of service: {left}"));
            steps.push("the new worker tests itself and takes the listeners over".to_owned());
            steps.push("it is let to a tenth of its viewers and has to prove itself".to_owned());
        }
        Leave::Drained => steps.push("it serves nobody now; the new worker tests itself and takes the listeners over".to_owned()),
    }
    steps.push(format!("{version} is committed when it has proven itself; until then a fault brings the version before back by itself"));
    if record.role == Role::Engine && wanted.leave == Leave::Drained && record.active {
        steps.push("its share of viewers rises to the whole".to_owned());
    }
    steps
}
