//! Software Files: the releases that are registered, where they may be fetched from, and a page for each.

mod deletion;
mod file;
mod order;
mod register;
mod shown;
mod sources;
mod typed;
mod upload;

pub(super) use shown::{direction, path_words};

use super::{
    Page, Refused, Section, Viewer, html_with,
    links::Asked,
    order::{Columns, Order},
    rejected::Rejected,
};
use crate::{app::App, software};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use order::{Column, address, sorted};
use shown::Listed;
use std::sync::Arc;
use weir_operator_api::{Problem, Reason};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/software-files", get(list))
        .merge(file::routes())
        .merge(deletion::routes())
        .merge(register::routes())
        .merge(upload::routes())
        .merge(sources::routes())
}

/// Where the page of a software file is.
fn path_of(id: i64) -> String {
    format!("/software-files/{id}")
}

/// The number in the address of a page.
fn number(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| Problem::new(Reason::NotFound, format!("there is no software file {id:?}")))
}

/// The page of the list. Its live parts are taken from the whole of it: there are at most
/// [`SOFTWARE_FILES_MAX`](weir_operator_api::SOFTWARE_FILES_MAX) rows.
#[derive(Template)]
#[template(path = "software_files.html")]
struct FilesPage {
    page: Page,
    order: Order<Column>,
    files: Vec<Listed>,
    /// Networks software may be fetched from, as they are.
    allowed: Vec<String>,
    /// The same as they were typed.
    typed: String,
    rejected: Rejected,
}

impl FilesPage {
    fn columns(&self) -> &'static [Column] {
        Column::ALL
    }

    /// The address of this view.
    fn here(&self) -> String {
        address(self.order)
    }

    /// Where a column's heading leads.
    fn by(&self, column: &Column) -> String {
        address(self.order.by(column))
    }
}

async fn list(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    Ok(draw(&app, &viewer, Order::read(&asked), None, Rejected::default()).await)
}

async fn draw(app: &App, viewer: &Viewer, order: Order<Column>, typed: Option<String>, rejected: Rejected) -> Response {
    let allowed: Vec<String> = software::sources(app).allow.iter().map(ToString::to_string).collect();
    let shown = FilesPage {
        page: Page::new(app, viewer, Section::SoftwareFiles, "Software Files").await,
        files: sorted(order, software::list(app).into_iter().map(Listed::new).collect()),
        order,
        typed: typed.unwrap_or_else(|| allowed.join("\n")),
        allowed,
        rejected,
    };
    html_with(shown.rejected.status(), &shown)
}
