//! The plan of a rollout: what it would move, in which order, and every reason against it; and its start.

use super::{
    form::PlanForm,
    freeze,
    phases::{Phase, Reached, strip},
    typed::{FIELDS, TypedRollout},
};
use crate::{
    app::App,
    gui::{Form, Notice, Page, Section, Viewer, figures::Span, html_with, links::Asked, redirect, rejected::Rejected},
    rollout,
};
use askama::Template;
use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use std::sync::Arc;
use weir_operator_api::{Direction, Problem, RolloutPlan, RolloutStart, RolloutWave};

pub(super) const PATH: &str = "/rollout/plan";
/// Devices of one wave that are named.
const NAMED_MAX: usize = 24;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(show)).route("/rollout/start", post(start))
}

#[derive(Template)]
#[template(path = "rollout_plan.html")]
pub(super) struct PlanPage {
    pub(super) page: Page,
    pub(super) form: PlanForm,
    /// Nothing: it could not even be planned, and `rejected` says why.
    pub(super) plan: Option<RolloutPlan>,
    pub(super) rejected: Rejected,
}

impl PlanPage {
    fn title(&self, plan: &RolloutPlan) -> String {
        super::title(plan.direction, &plan.scope, &plan.versions)
    }

    /// What was refused and is about no field of the form.
    fn problem(&self) -> Option<&Problem> {
        self.rejected.besides(&FIELDS)
    }

    fn way(&self, plan: &RolloutPlan) -> String {
        super::way(&plan.versions)
    }

    /// Steps from version to version.
    fn hops(&self, plan: &RolloutPlan) -> usize {
        plan.versions.len().saturating_sub(1)
    }

    fn phases(&self, plan: &RolloutPlan) -> Vec<Phase> {
        strip(&plan.phases, Reached::Nothing)
    }

    fn eta(&self, plan: &RolloutPlan) -> Span {
        Span(plan.eta_ms)
    }

    /// The devices of a wave that are named, and how many are not.
    fn named(&self, wave: &RolloutWave) -> (String, usize) {
        let names = wave.devices.iter().take(NAMED_MAX).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        (names, wave.devices.len().saturating_sub(NAMED_MAX))
    }

    /// Whether the configuration is frozen on the way.
    fn freezes(&self, plan: &RolloutPlan) -> bool {
        plan.phases.iter().any(|phase| phase == freeze::PHASE)
    }

    /// What that means.
    fn freeze(&self, plan: &RolloutPlan) -> Vec<String> {
        freeze::told(plan)
    }

    /// The command that starts it.
    fn command(&self, plan: &RolloutPlan) -> &'static str {
        if plan.direction == Direction::Downgrade { "downgrade" } else { "upgrade" }
    }

    /// What the button does.
    fn verb(&self, plan: &RolloutPlan) -> String {
        format!("Start the {}", super::noun(plan.direction).to_lowercase())
    }
}

/// The plan of what was typed; after a start that was refused, with what it said.
async fn draw(app: &Arc<App>, viewer: &Viewer, typed: TypedRollout, rejected: Option<Problem>) -> Response {
    let planned = match typed.request() {
        Ok(request) => rollout::plan(app, &viewer.caller().access, request).await,
        Err(problem) => Err(problem),
    };
    let (plan, rejected) = match (planned, rejected) {
        (Ok(plan), rejected) => (Some(plan), rejected),
        (Err(problem), rejected) => (None, rejected.or(Some(problem))),
    };
    let form = PlanForm::new(app, typed);
    let rejected = rejected.map(Rejected::from).unwrap_or_default();
    let page = Page::new(app, viewer, Section::UpdateSoftware, "Plan of a rollout").await;
    html_with(rejected.status(), &PlanPage { page, form, plan, rejected })
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Response {
    let typed = TypedRollout::asked(&asked);
    if typed.version.is_empty() {
        return redirect(Section::UpdateSoftware.path());
    }
    draw(&app, &viewer, typed, None).await
}

async fn start(State(app): State<Arc<App>>, viewer: Viewer, Form(typed): Form<TypedRollout>) -> Response {
    match rollout::start(&app, viewer.caller(), RolloutStart { plan: typed.plan.clone() }).await {
        Ok(begun) => {
            let title = super::title(begun.direction, &begun.scope, &begun.versions);
            viewer.tell(&app, Notice::done(format!("{title} has begun.")));
            redirect(super::PATH)
        }
        Err(problem) => draw(&app, &viewer, typed, Some(problem)).await,
    }
}
