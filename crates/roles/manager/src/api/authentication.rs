//! Who is asking: a bearer token over TLS, or whoever may open the local socket.

use super::{permissions, problems::Refused};
use crate::{
    access::Access,
    app::App,
    change::{Actor, Caller},
    domain::tokens::{ApiSecret, proves},
    server::Peer,
};
use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{convert::Infallible, sync::Arc};
use weir_operator_api::{ApiToken, Problem, Reason};

/// Lets a request pass with its [`Caller`], or answers 401 or 403.
pub(super) async fn authenticate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match admitted(&app, &request) {
        Ok((caller, shown)) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(shown);
            next.run(request).await
        }
        Err(problem) => Refused::from(problem).into_response(),
    }
}

/// What the request shows may be done with it on this path.
fn admitted(app: &App, request: &Request) -> Result<(Caller, Shown), Problem> {
    let (caller, shown) = caller(app, request)?;
    let path = request.extensions().get::<MatchedPath>();
    permissions::allow(&caller.access, request.method(), path.map(MatchedPath::as_str))?;
    Ok((caller, shown))
}

/// The token a request showed, by its id; none over the manager's own socket. An answer that waited judges it again.
#[derive(Debug, Clone)]
pub(super) struct Shown(Option<String>);

impl Shown {
    /// Refuses when the token was deleted meanwhile, or its time has passed. What it may do never changes.
    pub(super) fn still_counts(&self, app: &App) -> Result<(), Problem> {
        let Some(id) = &self.0 else { return Ok(()) };
        let tokens = app.api_tokens();
        let known = tokens.iter().find(|token| token.record.id == *id);
        current(&known.ok_or_else(unknown)?.record)
    }
}

fn unknown() -> Problem {
    Problem::new(Reason::Unauthenticated, "no such token, or it was deleted, or its secret is wrong")
}

fn current(token: &ApiToken) -> Result<(), Problem> {
    if token.expires_ms.is_some_and(|at| at <= weir_clock::wall_ms()) {
        return Err(Problem::new(Reason::Unauthenticated, "the token's time has passed"));
    }
    Ok(())
}

fn caller(app: &App, request: &Request) -> Result<(Caller, Shown), Problem> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Local) => Ok((Caller { actor: Actor::Local, source: "local".to_owned(), access: Access::admin() }, Shown(None))),
        Some(Peer::Tls { address, .. }) => {
            let token = token(app, request.headers())?;
            let services = token.services.map(|services| services.into_iter().collect());
            let access = Access { role: token.role, services };
            let caller = Caller { actor: Actor::Token(token.name), source: address.ip().to_string(), access };
            Ok((caller, Shown(Some(token.id))))
        }
        None => Err(Problem::new(Reason::Unauthenticated, "the connection is not known")),
    }
}

/// The token the request shows.
fn token(app: &App, headers: &HeaderMap) -> Result<ApiToken, Problem> {
    let refused = |detail: &str| Problem::new(Reason::Unauthenticated, detail);
    let value = headers.get(AUTHORIZATION).ok_or_else(|| refused("the request shows no token"))?;
    let (scheme, text) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or_else(|| refused("not a bearer token"))?;
    // RFC 9110 section 11.1: the scheme is case-insensitive.
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused("not a bearer token"));
    }
    let shown: ApiSecret = text.trim().parse().map_err(|()| refused("not an API token; it begins with weir-api."))?;
    let id = hex::encode(shown.id);
    let tokens = app.api_tokens();
    let known = tokens.iter().find(|t| t.record.id == id).filter(|t| proves(&shown.secret, &t.secret_sha256));
    let known = known.ok_or_else(unknown)?;
    current(&known.record)?;
    Ok(known.record.clone())
}

impl<S: Sync> FromRequestParts<S> for Shown {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Shown>().cloned().expect("every route is behind `authenticate`"))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Caller>().cloned().expect("every route is behind `authenticate`"))
    }
}
