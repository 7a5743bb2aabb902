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
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => Refused::from(problem).into_response(),
    }
}

/// What the request shows may be done with it on this path.
fn admitted(app: &App, request: &Request) -> Result<Caller, Problem> {
    let caller = caller(app, request)?;
    let path = request.extensions().get::<MatchedPath>();
    permissions::allow(&caller.access, request.method(), path.map(MatchedPath::as_str))?;
    Ok(caller)
}

fn caller(app: &App, request: &Request) -> Result<Caller, Problem> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Local) => Ok(Caller { actor: Actor::Local, source: "local".to_owned(), access: Access::admin() }),
        Some(Peer::Tls { address, .. }) => {
            let token = token(app, request.headers())?;
            let services = token.services.map(|services| services.into_iter().collect());
            let access = Access { role: token.role, services };
            Ok(Caller { actor: Actor::Token(token.name), source: address.ip().to_string(), access })
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
    let known = known.ok_or_else(|| refused("no such token, or it was deleted, or its secret is wrong"))?;
    if known.record.expires_ms.is_some_and(|e| e <= weir_clock::wall_ms()) {
        return Err(refused("the token's time has passed"));
    }
    Ok(known.record.clone())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Caller>().cloned().expect("every route is behind `authenticate`"))
    }
}
