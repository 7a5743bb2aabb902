//! A form whose write takes much away: it is refused once, with a page that says what goes, and sent again from there.

use super::{
    Page, Section, Viewer,
    form::{CSRF_FIELD, Fields, admitted, read},
    html_with,
};
use crate::{app::App, confirm};
use askama::Template;
use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use weir_operator_api::Problem;

/// The field that carries the confirmation.
const CONFIRM_FIELD: &str = "confirm";

/// A form of this session as [`Form`](super::Form) reads it, which can be sent again as it was.
pub(super) struct ConfirmedForm<T> {
    pub(super) typed: T,
    fields: Fields,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for ConfirmedForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let fields = admitted(request, app).await?;
        let typed = read(fields.clone()).map_err(IntoResponse::into_response)?;
        Ok(Self { typed, fields })
    }
}

impl<T> ConfirmedForm<T> {
    /// The hash by which whoever sent it confirms what goes.
    pub(super) fn confirm(&self) -> Option<String> {
        self.fields.get(CONFIRM_FIELD).and_then(|values| values.last()).filter(|hash| !hash.is_empty()).cloned()
    }

    /// Whether this was refused because it has to be confirmed.
    pub(super) fn asks(&self, problem: &Problem) -> bool {
        confirm::asked(problem).is_some()
    }

    /// The page that shows what goes, with the form to send again to `action`.
    pub(super) async fn ask(
        &self,
        app: &App,
        viewer: &Viewer,
        section: Section,
        title: String,
        action: &str,
        problem: Problem,
    ) -> Response {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::CONFLICT);
        let page = Page::new(app, viewer, section, title).await;
        html_with(status, &ConfirmingPage::new(page, &self.fields, action, &problem))
    }
}

#[derive(Template)]
#[template(path = "confirming.html")]
struct ConfirmingPage {
    page: Page,
    /// Where the form is sent again.
    action: String,
    /// Its fields as they were sent, but for those that this page sets.
    sent: Vec<(String, String)>,
    /// The hash that confirms.
    hash: String,
    /// What goes, one sentence each.
    goes: Vec<String>,
}

impl ConfirmingPage {
    fn new(page: Page, fields: &Fields, action: &str, problem: &Problem) -> Self {
        let kept = fields.iter().filter(|(name, _)| ![CSRF_FIELD, CONFIRM_FIELD].contains(&name.as_str()));
        let sent = kept.flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone()))).collect();
        let hash = confirm::asked(problem).unwrap_or_default().to_owned();
        let goes = confirm::goes(problem).into_iter().map(str::to_owned).collect();
        Self { page, action: action.to_owned(), sent, hash, goes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_operator_api::Reason;

    #[test]
    fn the_page_says_what_goes_and_sends_the_same_again() {
        let fields = Fields::from([
            ("csrf".to_owned(), vec!["old".to_owned()]),
            ("confirm".to_owned(), vec!["stale".to_owned()]),
            ("engine".to_owned(), vec!["east-1".to_owned(), "<b>".to_owned()]),
        ]);
        let detail = "this takes away 2 of 4 engines in service (a, b); 3 of 5 delivery services (x, y, z); confirm=0123456789abcdef";
        let problem = Problem::new(Reason::ConfirmationNeeded, detail).at("confirm");
        let page = Page::sample(Section::DeliveryServices, "Delivery service demo");
        let shown = ConfirmingPage::new(page, &fields, "/delivery-services/demo", &problem);
        assert_eq!(shown.goes, ["2 of 4 engines in service (a, b)", "3 of 5 delivery services (x, y, z)"]);
        let text = shown.render().expect("drawn");
        for fact in [
            "action=\"/delivery-services/demo\"",
            "name=\"confirm\" value=\"0123456789abcdef\"",
            "name=\"engine\" value=\"east-1\"",
            "name=\"engine\" value=\"&#60;b&#62;\"",
            "name=\"csrf\" value=\"token\"",
        ] {
            assert!(text.contains(fact), "{fact}: {text}");
        }
        assert!(!text.contains("stale") && !text.contains("\"old\""), "{text}");
    }
}
