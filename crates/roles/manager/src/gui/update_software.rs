//! Update Software: the releases there are to choose from, what choosing one would mean for a device, and how every device
//! stands that was ever assigned one.

mod choices;
mod clearing;
mod lane;
mod lanes;
mod scope;
mod words;

pub(super) use choices::Choices;
#[cfg(test)]
pub(super) use lane::tests::{update, why};
pub(super) use lane::{Lane, Place};
pub(super) use scope::{Scope, TypedUpdate};
pub(super) use words::Back;

use super::{
    Form, Notice, Page, Section, Viewer,
    features::Waits,
    html_with,
    links::{Asked, link},
    order::{Columns, Order},
    redirect,
    rejected::Rejected,
    rollout::{PlanForm, TypedRollout, UnderWay},
};
use crate::{app::App, updates};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use lanes::Column;
use std::sync::Arc;
use weir_operator_api::{Direction, Problem};

const PATH: &str = "/update-software";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(show).post(assign)).merge(words::routes()).merge(clearing::routes())
}

/// In which order devices would go, in words; empty when none would.
pub(super) fn sequence(way: &Direction) -> &'static str {
    match way {
        Direction::Upgrade => "Engines and routers first, each behind Server Offload; then the standby manager; the primary last.",
        Direction::Downgrade => {
            "The managers first, the standby before the primary unless you switch them yourself; then routers; engines last."
        }
        Direction::Same => "",
    }
}

#[derive(Template)]
#[template(path = "update_software.html")]
struct UpdatePage {
    page: Page,
    choices: Choices,
    /// The device that is looked at; empty: none.
    device: String,
    scope: Option<Scope>,
    /// What leads to the plan of a rollout.
    form: Option<PlanForm>,
    /// A rollout that is not over.
    rollout: Option<UnderWay>,
    /// Features that wait for the upgrade.
    features: Waits,
    order: Order<Column>,
    lanes: Vec<Lane>,
    rejected: Rejected,
}

impl UpdatePage {
    fn columns(&self) -> &'static [Column] {
        Column::ALL
    }

    fn at(&self, order: Order<Column>) -> String {
        let file = self.choices.file();
        link(PATH, &[&[("file", file.as_str()), ("device", &self.device)], &order.query()[..]].concat())
    }

    /// The address of this view.
    fn here(&self) -> String {
        self.at(self.order)
    }

    /// Where a column's heading leads.
    fn by(&self, column: &Column) -> String {
        self.at(self.order.by(column))
    }

    /// Where buttons of a lane lead back to.
    fn back(&self) -> Back {
        Back::Network
    }

    /// Devices that are on their way.
    fn moving(&self) -> usize {
        self.lanes.iter().filter(|lane| !lane.update.at_rest).count()
    }
}

async fn draw(app: &Arc<App>, viewer: &Viewer, typed: TypedUpdate, order: Order<Column>, rejected: Rejected) -> Response {
    let choices = Choices::read(app, PATH, typed.file());
    let device = typed.device.clone();
    // The parts that are fetched again each second show no preview.
    let scope = match choices.takes_devices() && !viewer.fragment {
        true => Some(Scope::of_network(app, typed).await),
        false => None,
    };
    let version = choices.chosen.as_ref().and_then(|chosen| chosen.choice.version);
    let planned = |version| PlanForm::new(app, TypedRollout { version: format!("{version}"), ..TypedRollout::default() });
    let form = version.filter(|_| scope.is_some()).map(planned);
    let shown = UpdatePage {
        page: Page::new(app, viewer, Section::UpdateSoftware, "Update Software").await,
        choices,
        device,
        scope,
        form,
        rollout: UnderWay::read(app),
        features: Waits::read(app),
        lanes: lanes::sorted(order, updates::list(app).into_iter().map(Lane::new).collect()),
        order,
        rejected,
    };
    html_with(shown.rejected.status(), &shown)
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Response {
    draw(&app, &viewer, TypedUpdate::asked(&asked), Order::read(&asked), Rejected::default()).await
}

async fn assign(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked, Form(typed): Form<TypedUpdate>) -> Response {
    match begin(&app, &viewer, &typed).await {
        Ok(()) => redirect(&format!("{}#lanes", link(PATH, &[("file", &typed.file)]))),
        Err(problem) => draw(&app, &viewer, typed, Order::read(&asked), problem.into()).await,
    }
}

/// Assigns what was typed, and says so.
pub(super) async fn begin(app: &Arc<App>, viewer: &Viewer, typed: &TypedUpdate) -> Result<(), Problem> {
    let (device, request) = typed.request()?;
    let update = updates::assign(app, viewer.caller(), device, request).await?;
    let version = update.assigned.as_ref().map(|assigned| assigned.version.to_string()).unwrap_or_default();
    viewer.tell(app, Notice::done(format!("{} is assigned {version}; its lane shows how it goes.", update.device)));
    Ok(())
}

#[cfg(test)]
mod tests;
