//! Tokens: for programs that use the operator API, and for devices that enrol. For administrators.

mod api;
mod enrolment;
mod typed;

use super::{Page, Refused, Section, Viewer, figures::Moment, html_with, rejected::Rejected};
use crate::{app::App, change::Refusal, tables};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use std::sync::Arc;
use typed::{TypedApi, TypedEnrolment};
use weir_model::{LocationName, Role, ServiceName};
use weir_operator_api::{AccessRole, ApiToken, EnrolmentToken};

/// Tokens of one kind that are shown, the newest; the API lists all of them.
const SHOWN_MAX: usize = 500;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/tokens", get(list)).merge(api::routes()).merge(enrolment::routes())
}

/// An API token as a row.
struct Listed {
    token: ApiToken,
    created: Moment,
    expires: Option<Moment>,
    expired: bool,
}

impl Listed {
    fn new(token: ApiToken) -> Self {
        let expired = token.expires_ms.is_some_and(|at| at <= weir_clock::wall_ms());
        Self { created: Moment::at(token.created_ms), expires: token.expires_ms.map(Moment::at), expired, token }
    }

    /// What it reaches.
    fn scope(&self) -> String {
        match &self.token.services {
            None => "everything".to_owned(),
            Some(services) => services.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", "),
        }
    }
}

/// An enrolment token as a row.
struct Enrols {
    token: EnrolmentToken,
    expires: Moment,
    expired: bool,
}

/// Which of the two forms was sent, and what is typed into it.
#[derive(Default)]
struct Sent {
    api: TypedApi,
    enrolment: TypedEnrolment,
    api_rejected: Rejected,
    enrolment_rejected: Rejected,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    page: Page,
    tokens: Vec<Listed>,
    enrolment: Vec<Enrols>,
    /// Tokens that are not shown.
    left_out: usize,
    services: Vec<ServiceName>,
    locations: Vec<LocationName>,
    sent: Sent,
}

impl TokensPage {
    fn roles(&self) -> &'static [AccessRole] {
        &AccessRole::ALL
    }

    /// Roles of devices.
    fn device_roles(&self) -> [Role; 3] {
        [Role::Engine, Role::Router, Role::Manager]
    }
}

async fn draw(app: &App, viewer: &Viewer, sent: Sent) -> Result<Response, Refused> {
    viewer.caller().access.everywhere(AccessRole::Admin)?;
    let now_ms = weir_clock::wall_ms();
    let mut enrolment = app.config.read(|tx| Ok::<_, Refusal>(tables::tokens::enrolment_all(tx)?)).await?;
    enrolment.sort_by_key(|kept| std::cmp::Reverse(kept.record.created_ms));
    let mut tokens: Vec<ApiToken> = app.api_tokens().iter().map(|kept| kept.record.clone()).collect();
    tokens.sort_by(|a, b| b.created_ms.cmp(&a.created_ms).then_with(|| a.name.cmp(&b.name)));
    let left_out = tokens.len().saturating_sub(SHOWN_MAX) + enrolment.len().saturating_sub(SHOWN_MAX);
    let enrols = |token: EnrolmentToken| Enrols { expires: Moment::at(token.expires_ms), expired: token.expires_ms <= now_ms, token };
    let network = app.network();
    let status = match sent.api_rejected.reason() {
        "" => sent.enrolment_rejected.status(),
        _ => sent.api_rejected.status(),
    };
    let shown = TokensPage {
        page: Page::new(app, viewer, Section::Tokens, "Tokens").await,
        tokens: tokens.into_iter().take(SHOWN_MAX).map(Listed::new).collect(),
        enrolment: enrolment.into_iter().take(SHOWN_MAX).map(|kept| enrols(kept.record)).collect(),
        left_out,
        services: network.services.iter().map(|s| s.name.clone()).collect(),
        locations: network.locations.keys().cloned().collect(),
        sent,
    };
    Ok(html_with(status, &shown))
}

async fn list(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Response, Refused> {
    draw(&app, &viewer, Sent::default()).await
}
