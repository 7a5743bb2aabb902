//! The Activation tab: where the device is in service, and its Server Offload box.

mod typed;

use super::{Head, Tab, look, path_of};
use crate::{
    app::App,
    domain::devices,
    gui::{
        Form, Notice, Page, Refused, Section, Viewer,
        figures::{Moment, Span},
        html, html_with,
        links::Asked,
        redirect,
        rejected::Rejected,
    },
    offload,
    snapshot::Snapshot,
    verbs,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use std::sync::Arc;
use typed::{TypedActivation, TypedDeactivation, TypedOffload, TypedReturn, Unit};
use weir_model::{DeviceStatus, LocationName, OffloadEpoch, Role};
use weir_operator_api::{
    Offload, OffloadPreview, Problem, Reason,
    offload::{DrainProgress, OffloadLease},
};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/devices/{name}/activation", get(show).post(activate))
        .route("/devices/{name}/deactivate", post(deactivate))
        .route("/devices/{name}/offload", post(take_out))
        .route("/devices/{name}/unoffload", post(bring_back))
}

/// What was typed into the forms of the tab, and what was said about it.
#[derive(Default)]
struct Forms {
    activation: Option<TypedActivation>,
    offload: TypedOffload,
    bring_back: TypedReturn,
    /// Sent to deactivate it.
    deactivation: Option<TypedDeactivation>,
    /// About the activation or deactivation.
    rejected: Rejected,
    /// About the Server Offload box.
    offload_rejected: Rejected,
}

#[derive(Template)]
#[template(path = "device/activation.html", blocks = ["drain", "forms"])]
struct ActivationPage {
    page: Page,
    head: Head,
    locations: Vec<LocationName>,
    activation: TypedActivation,
    offload_typed: TypedOffload,
    return_typed: TypedReturn,
    deactivation: Option<TypedDeactivation>,
    rejected: Rejected,
    offload_rejected: Rejected,
    offload: Offload,
    /// What an offload would do; only for a device in service.
    preview: Option<OffloadPreview>,
    /// Why there is no preview.
    preview_refused: Option<Problem>,
    /// Time of the ramp, milliseconds.
    ramp_ms: u64,
    soft_ms: u64,
}

impl ActivationPage {
    fn is_engine(&self) -> bool {
        self.head.device.role == Role::Engine
    }

    fn is_router(&self) -> bool {
        self.head.device.role == Role::Router
    }

    fn active(&self) -> bool {
        self.head.device.status != DeviceStatus::Inactive
    }

    /// Whether there is a form to offload it or to bring it back.
    fn offloadable(&self) -> bool {
        self.active() && (self.is_engine() || self.is_router())
    }

    fn out(&self) -> bool {
        !self.offload.leases.is_empty()
    }

    /// Whether the guard would refuse the offload, or has refused it: only then the box to override it is there.
    fn guarded(&self) -> bool {
        guard_refused(&self.offload_rejected) || self.offload_typed.overrides || self.preview.as_ref().is_some_and(|p| !p.breaks.is_empty())
    }

    /// Whether the guard has refused to move it, to take its weight, or to deactivate it.
    fn leaving_guarded(&self) -> bool {
        guard_refused(&self.rejected)
    }

    fn units(&self) -> [Unit; 3] {
        Unit::ALL
    }

    /// Share of its weight a returning engine takes, in percent; nothing when it takes all of it.
    fn ramp(&self) -> Option<u16> {
        let share = self.offload.share_permille;
        (self.is_engine() && !self.out() && self.active() && share < 1000).then_some(share / 10)
    }

    fn ramp_time(&self) -> Span {
        Span(self.ramp_ms)
    }

    fn soft_time(&self) -> Span {
        Span(self.soft_ms)
    }

    fn moment(&self, at_ms: &u64) -> Moment {
        Moment::at(*at_ms)
    }

    fn span(&self, millis: &u64) -> Span {
        Span(*millis)
    }

    /// What the epoch means, in words.
    fn epoch(&self, drain: &DrainProgress) -> &'static str {
        match (self.head.device.role, drain.epoch) {
            (Role::Router, _) => "Other routers no longer name it; it goes on answering",
            (_, OffloadEpoch::Clients) => "No new viewer is sent here; other engines still fill from it",
            (_, OffloadEpoch::Peers) => "No new viewer is sent here, and no engine fills from it",
        }
    }

    fn operator_lease(&self) -> Option<&OffloadLease> {
        self.offload.leases.iter().find(|l| l.owner == weir_model::LeaseOwner::Operator)
    }
}

fn guard_refused(rejected: &Rejected) -> bool {
    [Reason::OffloadGuard, Reason::TooEarly].iter().any(|r| r.as_str() == rejected.reason())
}

/// What of the tab is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Page,
    /// How the offload goes.
    Drain,
    /// What can be done about it.
    Forms,
}

async fn draw(app: &App, viewer: &Viewer, name: &str, forms: Forms) -> Result<Response, Refused> {
    draw_part(app, viewer, name, forms, Part::Page).await
}

async fn draw_part(app: &App, viewer: &Viewer, name: &str, forms: Forms, part: Part) -> Result<Response, Refused> {
    let (network, head) = look(app, name, Tab::Activation)?;
    let record = devices::find(&network, name)?;
    let offload = offload::view(app, &network, record);
    // What is left of a drain is asked for each second: it shows no preview.
    let (preview, preview_refused) = match part {
        Part::Drain => (None, None),
        Part::Page | Part::Forms => preview(app, &network, &head, &offload).await,
    };
    let title = format!("{name}: activation");
    let shown = ActivationPage {
        page: Page::new(app, viewer, Section::Devices, title).await,
        locations: network.locations.keys().cloned().collect(),
        activation: forms.activation.unwrap_or_else(|| TypedActivation::of(record)),
        offload_typed: forms.offload,
        return_typed: forms.bring_back,
        deactivation: forms.deactivation,
        rejected: forms.rejected,
        offload_rejected: forms.offload_rejected,
        offload,
        preview,
        preview_refused,
        ramp_ms: network.profile.ramp_ms,
        soft_ms: network.profile.drain_soft_ms,
        head,
    };
    match part {
        Part::Drain => return Ok(html(&shown.as_drain())),
        Part::Forms => return Ok(html(&shown.as_forms())),
        Part::Page => {}
    }
    let refused = if shown.rejected.reason().is_empty() { &shown.offload_rejected } else { &shown.rejected };
    Ok(html_with(refused.status(), &shown))
}

/// What an offload would do, where there is something to say.
async fn preview(app: &App, network: &Arc<Snapshot>, head: &Head, offload: &Offload) -> (Option<OffloadPreview>, Option<Problem>) {
    let asks = head.device.role != Role::Manager && head.device.status != DeviceStatus::Inactive && offload.leases.is_empty();
    if !asks {
        return (None, None);
    }
    let Some(record) = network.devices.get(&head.device.name) else { return (None, None) };
    match offload::preview(app, network, record).await {
        Ok(preview) => (Some(preview), None),
        Err(problem) => (None, Some(problem)),
    }
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(name): Path<String>, asked: Asked) -> Result<Response, Refused> {
    let part = match asked.get("part") {
        _ if !viewer.fragment => Part::Page,
        "forms" => Part::Forms,
        _ => Part::Drain,
    };
    draw_part(&app, &viewer, &name, Forms::default(), part).await
}

fn back(name: &str) -> Response {
    redirect(&format!("{}/activation", path_of(name)))
}

async fn activate(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<TypedActivation>,
) -> Result<Response, Refused> {
    let done = match typed.request() {
        Ok(request) => verbs::activate(&app, viewer.caller(), name.clone(), request).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(record) => {
            let at = record.location.as_ref().map_or("", |l| l.as_str());
            viewer.tell(&app, Notice::done(format!("{name} is active in {at}, from generation {}.", record.revision)));
            Ok(back(&name))
        }
        Err(problem) => {
            let forms = Forms { activation: Some(typed), rejected: problem.into(), ..Forms::default() };
            draw(&app, &viewer, &name, forms).await
        }
    }
}

async fn deactivate(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<TypedDeactivation>,
) -> Result<Response, Refused> {
    match verbs::deactivate(&app, viewer.caller(), name.clone(), typed.request()).await {
        Ok(_) => {
            viewer.tell(&app, Notice::done(format!("{name} is out of its location; it stays enrolled.")));
            Ok(back(&name))
        }
        Err(problem) => {
            let forms = Forms { deactivation: Some(typed), rejected: problem.into(), ..Forms::default() };
            draw(&app, &viewer, &name, forms).await
        }
    }
}

async fn take_out(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<TypedOffload>,
) -> Result<Response, Refused> {
    let done = match typed.request() {
        Ok(request) => offload::offload(&app, viewer.caller(), name.clone(), request).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(_) => {
            viewer.tell(&app, Notice::done(format!("{name} takes no new viewers; what it serves runs to its end.")));
            Ok(back(&name))
        }
        Err(problem) => {
            let forms = Forms { offload: typed, offload_rejected: problem.into(), ..Forms::default() };
            draw(&app, &viewer, &name, forms).await
        }
    }
}

async fn bring_back(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<TypedReturn>,
) -> Result<Response, Refused> {
    match offload::unoffload(&app, viewer.caller(), name.clone(), typed.request()).await {
        Ok(offload) => {
            let text = match offload.leases.first() {
                None => format!("{name} returns to service."),
                Some(lease) => format!("Your lease on {name} is over; {} still holds it: {}.", lease.owner, lease.why),
            };
            viewer.tell(&app, Notice::done(text));
            Ok(back(&name))
        }
        Err(problem) => {
            let forms = Forms { bring_back: typed, offload_rejected: problem.into(), ..Forms::default() };
            draw(&app, &viewer, &name, forms).await
        }
    }
}
