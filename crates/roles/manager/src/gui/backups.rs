//! Backups: what was made, whether it is proven elsewhere, when the next is made and where it goes.

mod asked;
mod backup;
mod order;
mod schedule;
mod shown;

use super::{
    Form, Notice, Page, Refused, Section, Viewer, html_with,
    links::Asked,
    order::{Columns, Order},
    redirect,
    rejected::Rejected,
};
use crate::app::App;
use askama::Template;
use asked::Sight;
use axum::{Router, extract::State, response::Response, routing::get};
use order::{Column, address, sorted};
use schedule::Typed;
use serde::Deserialize;
use shown::Listed;
use std::sync::Arc;
use weir_model::Role;
use weir_operator_api::{BackupRequest, BackupSchedule, BackupUnderWay};

/// Where the pages of backups are.
const PATH: &str = "/backups";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list).post(make)).merge(schedule::routes()).merge(backup::routes())
}

/// The page of the list. There are at most as many rows as are kept.
#[derive(Template)]
#[template(path = "backups.html")]
struct BackupsPage {
    page: Page,
    order: Order<Column>,
    backups: Vec<Listed>,
    under_way: Option<BackupUnderWay>,
    schedule: BackupSchedule,
    /// Fingerprint of the network key while nobody confirmed that it is kept elsewhere; empty: somebody did.
    unescrowed: String,
    /// Why the newest backup of the schedule is not worth what it should be; empty: it is.
    unproven: String,
    engines: Vec<String>,
    typed: Typed,
    rejected: Rejected,
}

impl BackupsPage {
    fn columns(&self) -> &'static [Column] {
        Column::ALL
    }

    fn here(&self) -> String {
        address(self.order)
    }

    fn by(&self, column: &Column) -> String {
        address(self.order.by(column))
    }

    /// When backups are made, in words.
    fn rhythm(&self) -> String {
        match self.schedule.every_hours {
            None => "No backup is made by itself.".to_owned(),
            Some(1) => "One is made each hour.".to_owned(),
            Some(24) => "One is made each day.".to_owned(),
            Some(hours) => format!("One is made each {hours} hours."),
        }
    }

    /// Where copies go, in words.
    fn places(&self) -> Vec<String> {
        let engines = self.schedule.engines.iter().map(|engine| format!("the vault of engine {engine}"));
        engines.chain(self.schedule.url.clone()).collect()
    }
}

async fn draw(
    app: &Arc<App>,
    viewer: &Viewer,
    order: Order<Column>,
    typed: Option<Typed>,
    rejected: Rejected,
) -> Result<Response, Refused> {
    let Sight { backups, under_way, schedule, unescrowed, unproven } = asked::sight(app).await?;
    let engines = app.network().devices.values().filter(|d| d.role == Role::Engine).map(|d| d.name.to_string()).collect();
    let shown = BackupsPage {
        page: Page::new(app, viewer, Section::Backups, "Backups").await,
        backups: sorted(order, backups.into_iter().map(Listed::new).collect()),
        order,
        under_way,
        typed: typed.unwrap_or_else(|| Typed::from(&schedule)),
        schedule,
        unescrowed,
        unproven,
        engines,
        rejected,
    };
    Ok(html_with(shown.rejected.status(), &shown))
}

async fn list(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    draw(&app, &viewer, Order::read(&asked), None, Rejected::default()).await
}

/// The form that makes one.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    rehearse: bool,
}

async fn make(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked, Form(wanted): Form<Wanted>) -> Result<Response, Refused> {
    match asked::make(&app, viewer.caller(), BackupRequest { rehearse: wanted.rehearse }).await {
        Ok(Some(backup)) => {
            viewer.tell(&app, Notice::done(format!("{} is made.", backup.name)));
            Ok(redirect(&backup::path_of(&backup.name)))
        }
        Ok(None) => Ok(redirect(PATH)),
        Err(problem) => draw(&app, &viewer, Order::read(&asked), None, problem.into()).await,
    }
}

/// What is done of a backup that is being made, in words.
fn stage(under_way: &BackupUnderWay) -> String {
    match under_way.stage.split_once(' ') {
        None if under_way.stage == "copy" => "The configuration is copied".to_owned(),
        None if under_way.stage == "rehearse" => "It is rehearsed".to_owned(),
        Some(("url", host)) => format!("A copy goes to {host} and is read back"),
        Some(("engine", name)) => format!("A copy goes to the vault of {name} and is read back"),
        _ => under_way.stage.clone(),
    }
}

#[cfg(test)]
mod tests;
