//! The one page of a standby: it says what it is and where the pages are.

use super::{Page, Section, assets, errors::confine};
use askama::Template;
use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use weir_model::version;
use weir_operator_api::{AlarmCounts, PrimaryAddress};

#[derive(Template)]
#[template(path = "standby.html")]
struct Standby<'a> {
    page: Page,
    primary: &'a PrimaryAddress,
    /// The page that was asked for.
    path: &'a str,
}

/// Style and icons of the page.
pub(crate) fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    assets::routes()
}

/// The page of the standby `name`, for somebody who asked for `path`.
pub(crate) fn page(name: &str, network: &str, primary: &PrimaryAddress, path: &str) -> Response {
    let page = Page {
        title: "Standby".to_owned(),
        section: Section::Account,
        network: network.to_owned(),
        manager: name.to_owned(),
        user: String::new(),
        csrf: String::new(),
        lights: AlarmCounts::default(),
        version: version(),
        generation: 0,
        locked: false,
        notice: None,
    };
    // RFC 9110 section 15.5.20: the request is for another server.
    let status = if path == "/" { StatusCode::OK } else { StatusCode::MISDIRECTED_REQUEST };
    let text = Standby { page, primary, path }.render().unwrap_or_else(|_| format!("the primary is at {}", primary.url));
    let mut response = (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
    confine(response.headers_mut());
    response
}
