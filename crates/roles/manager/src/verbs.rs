//! Verbs that reach beyond one transaction: asked of a device, or kept in both databases. API and pages call these.

use crate::{
    app::App,
    ask::{ANSWER_DEADLINE, Unanswered},
    change::{Caller, Refusal},
    device_view::status_of,
    domain::{devices, fields, locations},
    guard::Departure,
    snapshot::{DeviceRecord, Snapshot},
    tables,
};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};
use weir_device_api::{Answer, Ask, poll::LOG_LINES_MAX};
use weir_model::{AlarmReason, DeviceName, DeviceStatus, Role};
use weir_operator_api::{
    AccessRole, Activation, Alarm, ConfirmedRemoval, DeviceLogs, Problem, Reason, RouteExplanation, device::Removal, route::RouteQuery,
};

/// Longest URL that is explained, in bytes.
const URL_BYTES_MAX: usize = 8 * 1024;

/// Activates a device, or moves one or takes its weight, unless the capacity guard refuses.
pub(crate) async fn activate(app: &Arc<App>, caller: Caller, name: String, request: Activation) -> Result<DeviceRecord, Problem> {
    let departure = Departure::gather(app, &name, request.overrides).await?;
    app.change(caller, move |change| devices::activate(change, &name, &request, &departure)).await
}

/// Takes a device out of its location, unless the capacity guard refuses.
pub(crate) async fn deactivate(app: &Arc<App>, caller: Caller, name: String, query: Removal) -> Result<DeviceRecord, Problem> {
    let departure = Departure::gather(app, &name, query.overrides).await?;
    app.change(caller, move |change| devices::deactivate(change, &name, &departure)).await
}

/// Deletes a device, revokes its certificate, and forgets what it said.
pub(crate) async fn delete_device(app: &Arc<App>, caller: Caller, name: String, query: Removal) -> Result<(), Problem> {
    let departure = Departure::gather(app, &name, query.overrides).await?;
    let record = app.change(caller, move |change| devices::delete(change, &name, &departure)).await?;
    app.reports.forget(&record.name);
    app.asks.forget(&record.name);
    app.updates.forget(&record.name);
    let forget = app.state.write(move |tx| Ok::<_, Refusal>(tables::reports::forget(tx, &record.name)?));
    forget.await.map_err(Refusal::into_problem)
}

/// Confirms what routers hold back of a location.
pub(crate) async fn confirm_removal(app: &Arc<App>, caller: Caller, name: String) -> Result<ConfirmedRemoval, Problem> {
    let held_back: BTreeSet<String> = app.reports.with_all(|heard| {
        let conditions = heard.values().flat_map(|heard| &heard.report.conditions);
        conditions.filter(|condition| condition.reason == AlarmReason::MassChange).map(|condition| condition.object.clone()).collect()
    });
    app.change(caller, move |change| locations::confirm_removal(change, &name, &held_back)).await
}

/// Notes that somebody has taken an alarm on.
pub(crate) async fn acknowledge(app: &Arc<App>, caller: Caller, id: &str) -> Result<Alarm, Problem> {
    caller.access.everywhere(AccessRole::Operator)?;
    let missing = || fields::absent("alarm", id);
    let number: i64 = id.parse().map_err(|_| missing())?;
    let page = app.state.read(move |tx| Ok::<_, Refusal>(tables::alarms::standing(tx)?)).await.map_err(Refusal::into_problem)?;
    let before = page.into_iter().find(|a| a.id == number).ok_or_else(missing)?;
    if before.acknowledged_ms.is_some() {
        return Ok(before);
    }
    let now_ms = weir_clock::wall_ms();
    let who = caller.actor.to_string();
    let after = Alarm { acknowledged_ms: Some(now_ms), acknowledged_by: Some(who.clone()), ..before.clone() };
    // The audit first: an acknowledgement that is lost can be given again, one that nobody gave must not stand.
    let audited = after.clone();
    app.change(caller, move |change| Ok(change.audit("acknowledge", format_args!("alarm {number}"), Some(&before), Some(&audited))?))
        .await?;
    let write = app.state.write(move |tx| Ok::<_, Refusal>(tables::alarms::acknowledge(tx, number, &who, now_ms)?));
    write.await.map_err(Refusal::into_problem)?;
    if after.reason == AlarmReason::WorkerCrashed {
        app.reports.crash_noted(&after.device);
    }
    Ok(after)
}

/// The last lines of a device's log, as the device itself reads them.
pub(crate) async fn logs(app: &App, name: &str, lines: u32) -> Result<DeviceLogs, Problem> {
    if !(1..=LOG_LINES_MAX).contains(&lines) {
        return Err(Problem::new(Reason::InvalidQuery, format!("{lines} is not between 1 and {LOG_LINES_MAX}")).at("lines"));
    }
    let network = app.network();
    let device = devices::find(&network, name)?.name.clone();
    match ask(app, &device, Ask::Logs { lines }).await? {
        Answer::Logs { lines } => Ok(DeviceLogs { device, lines }),
        Answer::Refused { reason } => Err(Problem::new(Reason::DeviceRefused, format!("{device}: {reason}"))),
        Answer::Explain { .. } | Answer::Held { .. } => {
            Err(Problem::new(Reason::DeviceRefused, format!("{device} answered another question")))
        }
    }
}

/// Where a client would be sent, and why: by the router that is named, or the first that is online.
pub(crate) async fn explain(app: &App, query: RouteQuery) -> Result<RouteExplanation, Problem> {
    let client: IpAddr = fields::read("client", &query.client)?;
    if query.url.len() > URL_BYTES_MAX {
        return Err(Problem::new(Reason::InvalidField, format!("is longer than {URL_BYTES_MAX} bytes")).at("url"));
    }
    let network = app.network();
    let router = match query.router.as_deref() {
        Some(name) => named_router(&network, name)?.name.clone(),
        None => online_router(app, &network)?.name.clone(),
    };
    match ask(app, &router, Ask::Explain { client, url: query.url }).await? {
        Answer::Explain { decision } => Ok(RouteExplanation { router, decision }),
        Answer::Refused { reason } => Err(Problem::new(Reason::DeviceRefused, format!("{router}: {reason}"))),
        Answer::Logs { .. } | Answer::Held { .. } => {
            Err(Problem::new(Reason::DeviceRefused, format!("{router} answered another question")))
        }
    }
}

fn named_router<'a>(network: &'a Snapshot, name: &str) -> Result<&'a DeviceRecord, Problem> {
    let record = devices::find(network, name)?;
    if record.role != Role::Router {
        return Err(Problem::new(Reason::WrongRole, format!("{name} is no router; its role is {}", record.role)).at("router"));
    }
    Ok(record)
}

fn online_router<'a>(app: &App, network: &'a Snapshot) -> Result<&'a DeviceRecord, Problem> {
    let now_ms = weir_clock::monotonic_ms();
    // A router that is handed over goes on answering; it is asked only when no other is there.
    let rank = |r: &&DeviceRecord| match status_of(app, network, r, app.reports.get(&r.name).as_ref(), now_ms) {
        DeviceStatus::Online => Some(0),
        DeviceStatus::Offloading | DeviceStatus::Offloaded => Some(1),
        DeviceStatus::Inactive | DeviceStatus::Pending | DeviceStatus::Offline => None,
    };
    let answering = network.active(Role::Router).filter_map(|r| Some((rank(&r)?, r)));
    answering
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, router)| router)
        .ok_or_else(|| Problem::new(Reason::NoRouterOnline, "no active router reports"))
}

/// Asks a device through its poll; the manager's own device answers at once.
async fn ask(app: &App, device: &DeviceName, question: Ask) -> Result<Answer, Problem> {
    if *device == app.name {
        return app.own.answer(question).await;
    }
    app.asks.ask(device, question, ANSWER_DEADLINE).await.map_err(|unanswered| match unanswered {
        Unanswered::Late => {
            let detail = format!("{device} did not answer within {} s", ANSWER_DEADLINE.as_secs());
            Problem::new(Reason::DeviceDidNotAnswer, detail)
        }
        Unanswered::Full => Problem::new(Reason::TooManyQuestions, format!("too many questions wait for {device}")),
    })
}
