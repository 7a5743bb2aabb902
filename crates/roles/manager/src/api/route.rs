//! GET `/route/explain`, and how any device is asked.

use super::{QueryOf, Refused};
use crate::{
    app::App,
    ask::{ANSWER_DEADLINE, Unanswered},
    device_view::status_of,
    domain::{devices, fields},
    snapshot::{DeviceRecord, Snapshot},
};
use axum::{Json, extract::State};
use std::{net::IpAddr, sync::Arc};
use weir_device_api::{Answer, Ask};
use weir_model::{DeviceName, DeviceStatus, Role};
use weir_operator_api::{Problem, Reason, RouteExplanation, route::RouteQuery};

/// Longest URL that is explained, in bytes.
const URL_BYTES_MAX: usize = 8 * 1024;

/// Where a client would be sent, and why.
#[utoipa::path(get, path = "/api/v1/route/explain", tag = "routing", params(RouteQuery), responses((status = 200, body = RouteExplanation), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn explain(State(app): State<Arc<App>>, QueryOf(query): QueryOf<RouteQuery>) -> Result<Json<RouteExplanation>, Refused> {
    let client: IpAddr = fields::read("client", &query.client)?;
    if query.url.len() > URL_BYTES_MAX {
        return Err(Problem::new(Reason::InvalidField, format!("is longer than {URL_BYTES_MAX} bytes")).at("url").into());
    }
    let network = app.network();
    let router = match query.router.as_deref() {
        Some(name) => named_router(&network, name)?.name.clone(),
        None => online_router(&app, &network)?.name.clone(),
    };
    match ask(&app, &router, Ask::Explain { client, url: query.url }).await? {
        Answer::Explain { decision } => Ok(Json(RouteExplanation { router, decision })),
        Answer::Refused { reason } => Err(Problem::new(Reason::DeviceRefused, format!("{router}: {reason}")).into()),
        Answer::Logs { .. } => Err(Problem::new(Reason::DeviceRefused, format!("{router} answered another question")).into()),
    }
}

fn named_router<'a>(network: &'a Snapshot, name: &str) -> Result<&'a DeviceRecord, Problem> {
    let record = devices::find(network, name)?;
    if record.role != Role::Router {
        return Err(Problem::new(Reason::WrongRole, format!("{name} is a {}, not a router", record.role)).at("router"));
    }
    Ok(record)
}

fn online_router<'a>(app: &App, network: &'a Snapshot) -> Result<&'a DeviceRecord, Problem> {
    let now_ms = weir_clock::monotonic_ms();
    let online = |r: &&DeviceRecord| {
        let heard = app.reports.get(&r.name);
        status_of(app, network, r, heard.as_ref(), now_ms) == DeviceStatus::Online
    };
    network.active(Role::Router).find(online).ok_or_else(|| Problem::new(Reason::NoRouterOnline, "no active router reports"))
}

/// Asks a device through its poll; the manager's own device answers at once.
pub(super) async fn ask(app: &App, device: &DeviceName, question: Ask) -> Result<Answer, Problem> {
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
