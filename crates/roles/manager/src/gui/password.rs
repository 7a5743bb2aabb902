//! One's own password. With a one-time one there is no other page until it is changed.

use super::{
    Form, Notice, Page, Refused, Section, Viewer,
    errors::{html, html_with, redirect},
    form::Secret,
    login::with_session,
    session::PASSWORD,
};
use crate::{
    app::App,
    domain::{
        attempts,
        passwords::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN},
        refusals::note_sign_in,
        sessions, users,
    },
};
use askama::Template;
use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use serde::Deserialize;
use std::sync::Arc;
use weir_operator_api::{Problem, Reason};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PASSWORD, get(show).post(change))
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    page: Page,
    must_change: bool,
    chars_min: usize,
    chars_max: usize,
    refused: Option<Problem>,
}

impl PasswordPage {
    /// The message at a field.
    fn at(&self, field: &str) -> Option<&str> {
        self.refused.as_ref().filter(|p| p.field.as_deref() == Some(field)).map(|p| p.detail.as_str())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    current: Secret,
    new: Secret,
    again: Secret,
}

async fn page(app: &App, viewer: &Viewer, refused: Option<Problem>) -> Response {
    let page = PasswordPage {
        page: Page::new(app, viewer, Section::Account, "Password").await,
        must_change: viewer.must_change,
        chars_min: PASSWORD_CHARS_MIN,
        chars_max: PASSWORD_CHARS_MAX,
        refused,
    };
    match page.refused.as_ref().map(|p| StatusCode::from_u16(p.status).expect("reasons carry valid statuses")) {
        None => html(&page),
        Some(status) => html_with(status, &page),
    }
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer) -> Response {
    page(&app, &viewer, None).await
}

async fn change(State(app): State<Arc<App>>, viewer: Viewer, Form(typed): Form<Typed>) -> Result<Response, Refused> {
    match changed(&app, &viewer, typed).await {
        Ok(response) => Ok(response),
        Err(problem) if problem.field.is_some() => Ok(page(&app, &viewer, Some(problem)).await),
        Err(problem) => Err(problem.into()),
    }
}

async fn changed(app: &Arc<App>, viewer: &Viewer, typed: Typed) -> Result<Response, Problem> {
    let user = users::find(app, &viewer.user)?;
    // Between the session and here the password may have been reset: then this session is over, and proves nothing.
    if !viewer.is_of(&user) {
        return Err(Problem::new(Reason::FormRefused, "the password was changed meanwhile").next_step("sign in again"));
    }
    if !user.must_change {
        let now_ms = weir_clock::monotonic_ms();
        let wait = |ms: u64| format!("too many attempts; try again in {} s", ms.div_ceil(1000));
        let begun = app.attempts.begin(&user.name, &viewer.source, now_ms);
        let standing = begun.map_err(|ms| Problem::new(Reason::TooManyAttempts, wait(ms)).at("current"))?;
        let proven = app.passwords.proves_from(standing, typed.current.0, Some(&user.password_hash)).await;
        let proven = proven.inspect_err(|_| app.attempts.take_back(&user.name, &viewer.source, standing))?;
        if !proven {
            note_sign_in(app, &user.name, &viewer.source, "wrong current password", now_ms).await;
            return Err(Problem::new(Reason::BadPassword, "this is not the current password").at("current"));
        }
        attempts::succeeded(app, &user.name, &viewer.source, standing).await;
    }
    if typed.new.0 != typed.again.0 {
        return Err(Problem::new(Reason::BadPassword, "the two are not the same").at("again"));
    }
    let changed = users::change_password(app, viewer.caller(), &user, typed.new.0).await?;
    let opened = sessions::open(app, &changed, &viewer.source).await?;
    app.sessions.tell(&opened.id, Notice::done("The password is changed. Other sessions have ended."));
    Ok(with_session(redirect("/"), &opened))
}
