//! Signing in and out.

use super::{
    Form, Page, Refused, Section, Viewer,
    errors::{html_with, redirect, refused_form},
    form::{CSRF_FIELD, Secret, fields, from_our_pages, read},
    session::{LOGOUT, SESSION_COOKIE, cookie, source},
};
use crate::{
    access::Access,
    app::App,
    change::{Actor, Caller, NOTHING},
    domain::{
        attempts,
        refusals::note_sign_in,
        sessions::{self, Opened},
        tokens::random,
    },
    tables::users::User,
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{RETRY_AFTER, SET_COOKIE},
    },
    response::Response,
    routing::{get, post},
};
use cookie::{Cookie, SameSite};
use serde::Deserialize;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use weir_operator_api::{Problem, Reason};

/// Holds what the form of the sign-in page must repeat: there is no session yet that could.
const LOGIN_COOKIE: &str = "__Host-weir-login";
/// Characters of a user's name, as typed, that are looked at; longer ones are nobody's.
const USER_CHARS_MAX: usize = 64;
/// Bytes of a password, as typed, that are looked at; longer ones are nobody's.
const PASSWORD_BYTES_MAX: usize = 1024;
/// Bytes of a path to go to after signing in.
const NEXT_BYTES_MAX: usize = 2048;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/login", get(show).post(sign_in)).route(LOGOUT, post(sign_out))
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    page: Page,
    user: String,
    next: String,
    /// Why the last attempt failed.
    failed: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Next {
    next: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    user: String,
    password: Secret,
    next: String,
}

/// A path of ours to go to, or the home page: nothing a browser could take for another site, and nothing that acts.
pub(super) fn local(next: &str) -> &str {
    let plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let ours = next.starts_with('/') && !next.starts_with("//") && next.len() <= NEXT_BYTES_MAX;
    let nowhere = next.starts_with("/login") || next.starts_with(LOGOUT);
    if plain && ours && !nowhere { next } else { "/" }
}

/// `Set-Cookie` of a cookie only this site gets back, over TLS, and no script reads. An empty value takes it away.
fn set_cookie(name: &'static str, value: &str) -> HeaderValue {
    let cookie = Cookie::build((name, value.to_owned())).path("/").secure(true).http_only(true).same_site(SameSite::Strict);
    let cookie = if value.is_empty() { cookie.max_age(cookie::time::Duration::ZERO) } else { cookie };
    HeaderValue::from_str(&cookie.build().to_string()).expect("names and values are hex digits, dashes and letters")
}

/// Answers with the session's cookie.
pub(super) fn with_session(mut response: Response, opened: &Opened) -> Response {
    response.headers_mut().append(SET_COOKIE, set_cookie(SESSION_COOKIE, &opened.token));
    response
}

async fn show(State(app): State<Arc<App>>, query: Result<Query<Next>, QueryRejection>, request: Request) -> Result<Response, Refused> {
    let query = query.map(|Query(q)| q).unwrap_or_default();
    let next = local(&query.next);
    if Viewer::of(&app, request.headers(), request.uri(), request.extensions().get()).is_some() {
        return Ok(redirect(next));
    }
    form(&app, request.headers(), StatusCode::OK, Typed { next: next.to_owned(), ..Typed::default() }, None)
}

/// The sign-in page. The token of its form is that of the cookie the browser has, or a new one.
fn form(app: &App, headers: &HeaderMap, status: StatusCode, typed: Typed, failed: Option<String>) -> Result<Response, Refused> {
    let known = cookie(headers, LOGIN_COOKIE).filter(|c| c.len() == 64 && c.bytes().all(|b| b.is_ascii_hexdigit()));
    let token = match known {
        Some(token) => token,
        None => hex::encode(random::<32>()?),
    };
    let mut page = Page::outside(app, "Sign in".to_owned(), Section::Account);
    page.csrf.clone_from(&token);
    let mut response = html_with(status, &LoginPage { page, user: typed.user, next: typed.next, failed });
    response.headers_mut().append(SET_COOKIE, set_cookie(LOGIN_COOKIE, &token));
    Ok(response)
}

async fn sign_in(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refused> {
    let headers = request.headers().clone();
    let from = source(request.extensions().get());
    let site = from_our_pages(&headers, request.uri());
    let fields = fields(request).await?;
    let shown = fields.get(CSRF_FIELD).and_then(|v| v.last()).cloned().unwrap_or_default();
    let expected = cookie(&headers, LOGIN_COOKIE).unwrap_or_default();
    if !site || expected.is_empty() || !bool::from(shown.as_bytes().ct_eq(expected.as_bytes())) {
        return Ok(foreign(&app, &from).await);
    }
    let mut typed: Typed = read(fields)?;
    typed.next = local(&typed.next).to_owned();
    let now_ms = weir_clock::monotonic_ms();
    let user: String = typed.user.chars().take(USER_CHARS_MAX).collect();
    let standing = match app.attempts.begin(&user, &from, now_ms) {
        Ok(standing) => standing,
        Err(wait_ms) => {
            note_sign_in(&app, &user, &from, "too many attempts", now_ms).await;
            return too_many(&app, &headers, typed, wait_ms);
        }
    };
    let known = app.users().iter().find(|u| u.name == typed.user).cloned();
    let hash = known.as_ref().map(|u| u.password_hash.as_str()).filter(|_| typed.password.0.len() <= PASSWORD_BYTES_MAX);
    let password = std::mem::take(&mut typed.password.0);
    let proven = app.passwords.proves_from(standing, password, hash).await;
    let proven = proven.inspect_err(|_| app.attempts.take_back(&user, &from, standing))?;
    let Some(known) = known.filter(|_| proven) else { return mismatch(&app, &headers, typed, &from, now_ms).await };
    let before = cookie(&headers, SESSION_COOKIE);
    match begin_session(&app, &known, from.clone(), before, &typed.next).await {
        Ok(response) => {
            attempts::succeeded(&app, &user, &from, standing).await;
            Ok(response)
        }
        // What was proven is no longer the password.
        Err(problem) if problem.reason == Reason::BadPassword => mismatch(&app, &headers, typed, &from, now_ms).await,
        Err(problem) => Err(problem.into()),
    }
}

/// The answer to a user and a password that do not belong together, whichever of them is wrong.
async fn mismatch(app: &Arc<App>, headers: &HeaderMap, typed: Typed, from: &str, now_ms: u64) -> Result<Response, Refused> {
    note_sign_in(app, &typed.user, from, "wrong user or password", now_ms).await;
    let why = "This user and password do not match.".to_owned();
    form(app, headers, StatusCode::FORBIDDEN, typed, Some(why))
}

/// Opens a session; one the browser still shows ends.
async fn begin_session(app: &Arc<App>, user: &User, from: String, before: Option<String>, next: &str) -> Result<Response, Problem> {
    let opened = sessions::open(app, user, &from).await?;
    if let Some((id, _)) = before.and_then(|token| app.sessions.find(&token, sessions::Now::read(), sessions::Touch::Look)) {
        sessions::end(app, &id).await;
    }
    let (name, caller) = (user.name.clone(), Caller { actor: Actor::User(user.name.clone()), source: from, access: Access::of(user.role) });
    let written = app.change(caller, move |change| Ok(change.audit("login", format_args!("user {name}"), NOTHING, NOTHING)?)).await;
    match written {
        // Whoever comes to mend a full disk must get in.
        Err(problem) if problem.reason == Reason::DiskFull => tracing::warn!(user = user.name, "login, not audited: the disk is full"),
        written => written?,
    }
    let mut response = with_session(redirect(next), &opened);
    response.headers_mut().append(SET_COOKIE, set_cookie(LOGIN_COOKIE, ""));
    Ok(response)
}

fn too_many(app: &App, headers: &HeaderMap, typed: Typed, wait_ms: u64) -> Result<Response, Refused> {
    let seconds = wait_ms.div_ceil(1000);
    let why = format!("Too many attempts. Try again in {seconds} s.");
    let mut response = form(app, headers, StatusCode::TOO_MANY_REQUESTS, typed, Some(why))?;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    Ok(response)
}

/// The answer to a sign-in form of another site, or of a page that is too old.
async fn foreign(app: &Arc<App>, source: &str) -> Response {
    refused_form(
        app,
        Caller { actor: Actor::Visitor, source: source.to_owned(), access: Access::least() },
        "it is not from the sign-in page",
    )
    .await
}

/// Signs out: the cookie is worth nothing from then on, whoever has it, and is taken away whatever becomes of the audit.
async fn sign_out(State(app): State<Arc<App>>, viewer: Viewer, Form(_): Form<Next>) -> Response {
    sessions::end(&app, &viewer.id).await;
    let name = viewer.user.clone();
    let written = app.change(viewer.caller(), move |change| Ok(change.audit("logout", format_args!("user {name}"), NOTHING, NOTHING)?));
    if let Err(problem) = written.await {
        tracing::error!(%problem, user = viewer.user, "logout, not audited");
    }
    let mut response = redirect("/login");
    response.headers_mut().append(SET_COOKIE, set_cookie(SESSION_COOKIE, ""));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_gone_to() {
        for (next, to) in [
            ("/devices?role=engine", "/devices?role=engine"),
            ("/devices/east-1?tab=logs#x", "/devices/east-1?tab=logs#x"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("devices", "/"),
            ("/a\r\nSet-Cookie: x=y", "/"),
            ("/a b", "/"),
            ("/login?next=/login", "/"),
            ("/logout", "/"),
        ] {
            assert_eq!(local(next), to, "{next:?}");
        }
        assert_eq!(local(&format!("/{}", "a".repeat(NEXT_BYTES_MAX))), "/");
    }

    #[test]
    fn cookies_are_confined() {
        let set = set_cookie(SESSION_COOKIE, "abc");
        assert_eq!(set, "__Host-weir-session=abc; HttpOnly; SameSite=Strict; Secure; Path=/");
        assert!(set_cookie(SESSION_COOKIE, "").to_str().expect("text").contains("Max-Age=0"));
    }
}
