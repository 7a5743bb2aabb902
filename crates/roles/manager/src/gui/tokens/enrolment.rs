//! Making and deleting an enrolment token.

use super::{Sent, draw, typed::TypedEnrolment};
use crate::{
    app::App,
    domain::tokens,
    gui::{Form, Notice, Refused, Viewer, redirect},
};
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::post,
};
use serde::de::IgnoredAny;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/tokens/enrolment", post(create)).route("/tokens/enrolment/{id}/delete", post(delete))
}

async fn create(State(app): State<Arc<App>>, viewer: Viewer, Form(typed): Form<TypedEnrolment>) -> Result<Response, Refused> {
    let ca = app.authority.fingerprint();
    let made = match typed.request() {
        Ok(request) => app.change(viewer.caller(), move |change| tokens::create_enrolment(change, &request, ca)).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(made) => {
            let text = format!("An enrolment token for role {} is made; give it to weir enrol on the machine:", made.record.role);
            viewer.tell(&app, Notice::done(text).once(made.token));
            Ok(redirect("/tokens"))
        }
        Err(problem) => draw(&app, &viewer, Sent { enrolment: typed, enrolment_rejected: problem.into(), ..Sent::default() }).await,
    }
}

/// What it enrolled stays, and another is made in a moment: it is not asked twice.
async fn delete(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Form(_): Form<IgnoredAny>,
) -> Result<Response, Refused> {
    let token = id.clone();
    let notice = match app.change(viewer.caller(), move |change| tokens::delete_enrolment(change, &token)).await {
        Ok(()) => Notice::done(format!("Enrolment token {id} is deleted. Devices it has enrolled stay.")),
        Err(problem) => Notice::refused(format!("Enrolment token {id} is not deleted: {}; {}.", problem.detail, problem.next)),
    };
    viewer.tell(&app, notice);
    Ok(redirect("/tokens"))
}
