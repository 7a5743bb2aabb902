//! Answers: pages with the headers that confine them, redirects, and refusals as pages.

use super::{Page, Section, Viewer, permissions};
use crate::{
    api::Active,
    app::App,
    change::{Caller, Refusal},
    domain::refusals,
};
use askama::Template;
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use weir_operator_api::{Problem, Reason};

/// What a page may load and do: its own assets and forms, nothing inline, nothing of others, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page.
pub(crate) fn html(template: &impl Template) -> Response {
    html_with(StatusCode::OK, template)
}

/// A page with another status than 200.
pub(crate) fn html_with(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "page not drawn");
            Refused::from(Problem::new(Reason::Internal, "the page could not be drawn")).into_response()
        }
    }
}

/// The answer to a form that was done, and to a page that is elsewhere: `to` is a local path.
pub(crate) fn redirect(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

/// A refusal on its way out; [`dress`] makes a page of it.
#[derive(Debug, Clone)]
pub(crate) struct Refused(Box<Problem>);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        refusal.into_problem().into()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(self.0.status).expect("reasons carry valid statuses");
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    page: Page,
    problem: &'a Problem,
}

/// Lets each viewer only to pages for their role, gives every answer its headers, makes pages of refusals, and counts the request while it is answered.
pub(super) async fn dress(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let active = Active::begin(&app);
    let viewer = Viewer::of(&app, request.headers(), request.uri(), request.extensions().get());
    let fragment = viewer.as_ref().is_some_and(|v| v.fragment);
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let allowed = viewer.as_ref().map_or(Ok(()), |viewer| permissions::allow(viewer.role, request.method(), path));
    let mut response = match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => Refused::from(problem).into_response(),
    };
    drop(active);
    if let Some(Refused(problem)) = response.extensions_mut().remove::<Refused>() {
        let page = error_page(&app, viewer.as_ref(), &problem).await;
        response = if fragment { (response.status(), problem.detail.clone()).into_response() } else { page };
    }
    confine(response.headers_mut());
    response
}

async fn error_page(app: &App, viewer: Option<&Viewer>, problem: &Problem) -> Response {
    let title = problem.title.to_string();
    let page = match viewer {
        Some(viewer) => Page::new(app, viewer, Section::Account, title).await,
        None => Page::outside(app, title, Section::Account),
    };
    let status = StatusCode::from_u16(problem.status).expect("reasons carry valid statuses");
    match (ErrorPage { page, problem }).render() {
        Ok(text) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(_) => (status, problem.to_string()).into_response(),
    }
}

/// Headers of every page.
pub(super) fn confine(headers: &mut HeaderMap) {
    let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "DENY");
    // With `no-referrer` browsers would send `Origin: null` with our own forms.
    set(REFERRER_POLICY, "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// The answer to a form that did not come from a page of the session; audited unless there are too many.
pub(super) async fn refused_form(app: &Arc<App>, caller: Caller, why: &'static str) -> Response {
    refusals::note_form(app, caller, why, weir_clock::monotonic_ms()).await;
    let problem = Problem::new(Reason::FormRefused, format!("the form was not sent from a page of this session: {why}"));
    Refused::from(problem).into_response()
}

pub(super) async fn not_found(uri: Uri) -> Refused {
    let problem = Problem::new(Reason::NotFound, format!("there is no page {}", uri.path()));
    problem.next_step("check the address, or begin at the home page").into()
}

pub(super) async fn not_allowed(method: Method, uri: Uri) -> Refused {
    let problem = Problem::new(Reason::MethodNotAllowed, format!("{method} is not a method of {}", uri.path()));
    problem.next_step("use the pages' own links and forms").into()
}
