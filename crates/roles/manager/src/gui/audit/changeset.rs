//! One changeset: what it did, who made it, and the button that takes it back, or why there is none.

use super::Shown;
use crate::{
    app::App,
    change::Refusal,
    domain::changesets,
    gui::{
        Notice, Page, Refused, Section, Viewer, confirming::ConfirmedForm, delivery_services, figures::Moment, html_with, redirect,
        rejected::Rejected,
    },
    tables::{self, changesets::Record},
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use std::sync::Arc;
use weir_operator_api::{Problem, Reason};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/changesets/{rev}", get(show)).route("/changesets/{rev}/undo", post(undo))
}

#[derive(Template)]
#[template(path = "changeset.html")]
struct ChangesetPage {
    page: Page,
    record: Record,
    at: Moment,
    entries: Vec<Shown>,
    /// Why it cannot be taken back, as far as is seen without trying.
    undo_refused: Option<Problem>,
    rejected: Rejected,
}

impl ChangesetPage {
    fn path(&self) -> String {
        path_of(self.record.rev)
    }

    /// SHA-256, in hex.
    fn hash(&self) -> String {
        hex::encode(self.record.hash)
    }
}

/// Where the page of a changeset is.
fn path_of(rev: u64) -> String {
    format!("/changesets/{rev}")
}

/// The number in the address of a page.
fn number(rev: &str) -> Result<u64, Problem> {
    rev.parse().map_err(|_| Problem::new(Reason::NotFound, format!("{rev:?} is not the number of a changeset")))
}

async fn draw(app: &App, viewer: &Viewer, rev: u64, rejected: Rejected) -> Result<Response, Refused> {
    let read = app.config.read(move |tx| {
        let record = changesets::found(tx, rev)?;
        let undo_refused = changesets::refused(tx, &record, weir_clock::wall_ms())?;
        Ok::<_, Refusal>((tables::audit::of(tx, rev)?, undo_refused, record))
    });
    let (entries, undo_refused, record) = read.await?;
    let shown = ChangesetPage {
        page: Page::new(app, viewer, Section::Audit, format!("Changeset {rev}")).await,
        at: Moment::at(record.at_ms),
        entries: entries.into_iter().map(Shown::from).collect(),
        record,
        undo_refused,
        rejected,
    };
    Ok(html_with(shown.rejected.status(), &shown))
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(rev): Path<String>) -> Result<Response, Refused> {
    draw(&app, &viewer, number(&rev)?, Rejected::default()).await
}

/// The form of the button Undo.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Back {
    /// The delivery service whose history to go back to; empty: to the changeset that was made.
    back: String,
}

async fn undo(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(rev): Path<String>,
    form: ConfirmedForm<Back>,
) -> Result<Response, Refused> {
    let rev = number(&rev)?;
    let confirm = form.confirm();
    let undone = app.change_kept(viewer.caller(), move |change| {
        change.confirm(confirm);
        changesets::undo(change, rev)
    });
    match undone.await {
        Ok((_, kept)) => {
            viewer.tell(&app, Notice::done(format!("Changeset {rev} is taken back by changeset {kept}.")));
            let back = app.network().service(&form.typed.back).map(|service| delivery_services::path_of_history(service.name.as_str()));
            Ok(redirect(&back.unwrap_or_else(|| path_of(kept))))
        }
        Err(problem) if form.asks(&problem) => {
            let action = format!("{}/undo", path_of(rev));
            Ok(form.ask(&app, &viewer, Section::Audit, format!("Undo changeset {rev}"), &action, problem).await)
        }
        Err(problem) => draw(&app, &viewer, rev, problem.into()).await,
    }
}
