//! Problems as answers, and the requests counted by their status.

use crate::app::App;
use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderValue, Method, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::{Arc, atomic::Ordering};
use weir_operator_api::{Problem, Reason, problem::PROBLEM_JSON};

/// A problem on its way out.
pub(crate) struct Refused(Box<Problem>);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(serde_json::to_vec(&self.0).expect("a problem is JSON")));
        *response.status_mut() = StatusCode::from_u16(self.0.status).expect("reasons carry valid statuses");
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.0.reason == Reason::Unauthenticated {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"weir\""));
        }
        response
    }
}

pub(crate) async fn not_found(uri: Uri) -> Refused {
    let next = "see /api/v1/openapi.json for the paths there are";
    Problem::new(Reason::NotFound, format!("there is no {}", uri.path())).next_step(next).into()
}

pub(crate) async fn not_allowed(method: Method, uri: Uri) -> Refused {
    Problem::new(Reason::MethodNotAllowed, format!("{method} is not a method of {}", uri.path())).into()
}

/// Counts a request while it is answered and by the status it got. Answers may name secrets: nobody caches them.
pub(super) async fn measure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let active = Active::begin(&app);
    let mut response = next.run(request).await;
    drop(active);
    let status = response.status().as_u16().to_string();
    app.metrics.api_requests.get_or_create(&[("status", status)]).inc();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A request being answered; dropped, it is one that was.
pub(crate) struct Active<'a>(&'a App);

impl<'a> Active<'a> {
    pub(crate) fn begin(app: &'a App) -> Self {
        app.active_requests.fetch_add(1, Ordering::Relaxed);
        Self(app)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active_requests.fetch_sub(1, Ordering::Relaxed);
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }
}
