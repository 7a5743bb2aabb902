//! Who is looking at a page: the session behind its cookie.

use super::{Notice, errors::redirect};
use crate::{
    access::Access,
    app::App,
    change::{Actor, Caller},
    domain::sessions::{Now, Session, Touch},
    server::Peer,
    tables::users::User,
};
use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, Method, StatusCode, Uri,
        header::{COOKIE, HeaderName},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use cookie::Cookie;
use std::sync::Arc;
use weir_operator_api::AccessRole;

/// The session's cookie. The prefix makes browsers refuse it without `Secure` and `Path=/`, or with a domain.
pub(super) const SESSION_COOKIE: &str = "__Host-weir-session";
/// Set by `live.js` on requests for a part of a page. Nobody asked for those, so they do not keep a session awake.
pub(super) const FRAGMENT: HeaderName = HeaderName::from_static("x-weir-fragment");
/// Where the events are.
pub(super) const EVENTS: &str = "/events";
/// Where a password is changed.
pub(super) const PASSWORD: &str = "/password";
/// Where one signs out.
pub(super) const LOGOUT: &str = "/logout";

/// Somebody who has signed in. As an argument of a handler it lets nobody else in.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) user: String,
    /// What they may do.
    pub(crate) role: AccessRole,
    /// What this session's forms carry.
    pub(crate) csrf: String,
    /// Address the request came from.
    pub(crate) source: String,
    /// Whether only a part of the page is wanted.
    pub(crate) fragment: bool,
    /// The session, as it is kept.
    pub(super) id: String,
    /// The password is a one-time one.
    pub(super) must_change: bool,
    session: Session,
}

impl Viewer {
    /// Who asks for a change.
    pub(crate) fn caller(&self) -> Caller {
        Caller { actor: Actor::User(self.user.clone()), source: self.source.clone(), access: Access::of(self.role) }
    }

    /// Whether the session is still this user's, whose password may have been changed since the request came.
    pub(super) fn is_of(&self, user: &User) -> bool {
        self.session.is_of(user)
    }

    /// Shows a notice on the next page of this session.
    pub(crate) fn tell(&self, app: &App, notice: Notice) {
        app.sessions.tell(&self.id, notice);
    }

    pub(super) fn take_notice(&self, app: &App) -> Option<Notice> {
        if self.fragment { None } else { app.sessions.take_notice(&self.id) }
    }

    /// Whose session the request shows, if it shows one that lives.
    pub(super) fn of(app: &App, headers: &HeaderMap, uri: &Uri, peer: Option<&Peer>) -> Option<Self> {
        let token = cookie(headers, SESSION_COOKIE)?;
        let fragment = headers.contains_key(FRAGMENT);
        let touch = if fragment || uri.path() == EVENTS { Touch::Look } else { Touch::Use };
        let (id, session) = app.sessions.find(&token, Now::read(), touch)?;
        let users = app.users();
        let user = users.iter().find(|u| session.is_of(u))?;
        let (name, csrf) = (session.user.clone(), session.csrf.clone());
        Some(Self { user: name, role: user.role, csrf, source: source(peer), fragment, id, must_change: user.must_change, session })
    }
}

/// The address of the other end.
pub(super) fn source(peer: Option<&Peer>) -> String {
    match peer {
        Some(Peer::Tls { address, .. }) => address.ip().to_canonical().to_string(),
        Some(Peer::Local) | None => "local".to_owned(),
    }
}

/// The value of a cookie of the request.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let mut cookies = values.flat_map(|v| v.split(';')).filter_map(|c| Cookie::parse(c.trim()).ok());
    cookies.find(|c| c.name() == name).map(|c| c.value().to_owned())
}

/// Nobody has signed in, or the session is over: a page is asked for again after signing in; the rest is refused.
fn refuse(parts: &Parts) -> Response {
    let background = parts.headers.contains_key(FRAGMENT) || parts.uri.path() == EVENTS;
    if background || !matches!(parts.method, Method::GET | Method::HEAD) {
        return (StatusCode::UNAUTHORIZED, "not signed in, or the session is over").into_response();
    }
    let wanted = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    redirect(&if wanted == "/" { "/login".to_owned() } else { format!("/login?next={next}") })
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        if let Some(known) = parts.extensions.get::<Viewer>() {
            return Ok(known.clone());
        }
        let viewer = Self::of(app, &parts.headers, &parts.uri, parts.extensions.get()).ok_or_else(|| refuse(parts))?;
        if viewer.must_change && ![PASSWORD, LOGOUT, EVENTS].contains(&parts.uri.path()) {
            return Err(redirect(PASSWORD));
        }
        parts.extensions.insert(viewer.clone());
        Ok(viewer)
    }
}
