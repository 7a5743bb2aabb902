//! Who is asking: a bearer token over TLS, or whoever may open the local socket.

use super::problems::Refused;
use crate::{
    app::App,
    change::{Actor, Caller},
    domain::tokens::{ApiSecret, proves},
    server::Peer,
};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{convert::Infallible, sync::Arc};
use weir_operator_api::{Problem, Reason};

/// Lets a request pass with its [`Caller`], or answers 401.
pub(super) async fn authenticate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match caller(&app, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => Refused::from(problem).into_response(),
    }
}

fn caller(app: &App, request: &Request) -> Result<Caller, Problem> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Local) => Ok(Caller { actor: Actor::Local, source: "local".to_owned() }),
        Some(Peer::Tls { address, .. }) => {
            let name = token_name(app, request.headers())?;
            Ok(Caller { actor: Actor::Token(name), source: address.ip().to_string() })
        }
        None => Err(Problem::new(Reason::Unauthenticated, "the connection is not known")),
    }
}

/// The name of the token the request shows.
fn token_name(app: &App, headers: &HeaderMap) -> Result<String, Problem> {
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
    Ok(known.record.name.clone())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Caller>().cloned().expect("every route is behind `authenticate`"))
    }
}
