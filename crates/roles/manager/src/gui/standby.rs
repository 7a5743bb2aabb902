//! The one page of a box that is not the primary: what it is, why, and what to do next. It needs no database.

use super::{Page, Section, assets, errors::confine, figures::Span, managers};
use askama::Template;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use weir_operator_api::{AccessRole, AlarmCounts, CmsInfo, CmsState, PairCondition, PairInfo, PrimaryAddress, UnreplicatedFile};

/// Tells scripts of a page that was open before where the pages are now.
const PRIMARY: HeaderName = HeaderName::from_static("weir-primary");
/// Tells them that this box serves no pages.
const STATE: HeaderName = HeaderName::from_static("weir-state");

/// Where the pages are, as far as this box knows.
struct Elsewhere<'a> {
    primary: &'a PrimaryAddress,
    /// The page that was asked for.
    path: &'a str,
}

impl Elsewhere<'_> {
    /// Where its pages are; empty while that is not known.
    fn link(&self) -> String {
        let Self { primary, path } = self;
        if primary.url.starts_with("https://") { format!("{}{path}", primary.url) } else { String::new() }
    }
}

#[derive(Template)]
#[template(path = "standby.html")]
struct StatusPage<'a> {
    page: Page,
    info: &'a CmsInfo,
    /// What it is, one sentence.
    what: String,
    elsewhere: Option<Elsewhere<'a>>,
}

impl StatusPage<'_> {
    fn pair(&self) -> Option<&PairInfo> {
        self.info.pair.as_ref()
    }

    fn unreplicated(&self) -> &[UnreplicatedFile] {
        &self.info.unreplicated
    }

    /// Why `weir cms role primary` would be refused now; empty when it would not, as far as this box knows.
    fn refused(&self) -> &'static str {
        match self.pair().map(|pair| pair.condition) {
            Some(PairCondition::Mismatch) => {
                "The versions differ, and what a standby of another version would make of this configuration nobody can promise: bring \
                 both boxes to one version first."
            }
            Some(PairCondition::Waiting | PairCondition::Syncing) => {
                "It does not have the whole configuration yet: wait until it says matched."
            }
            Some(PairCondition::Lagging) => {
                "The primary is silent, or this box is behind: it names how many changes would be lost, and wants them accepted with \
                 --accept-loss N."
            }
            Some(PairCondition::Matched) | None => "",
        }
    }

    /// The shortest form of a digest that people compare.
    fn digest(&self) -> &str {
        managers::short(&self.info.digest)
    }

    fn silence(&self) -> String {
        self.pair().and_then(|pair| pair.silent_ms).map_or_else(|| "never".to_owned(), |ms| format!("{} ago", Span(ms)))
    }
}

/// Style and icons of the page.
pub(crate) fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    assets::routes()
}

/// The page of a standby, for somebody who asked for `path`.
pub(crate) fn standby_page(info: &CmsInfo, network: &str, primary: &PrimaryAddress, path: &str) -> Response {
    // RFC 9110 section 15.5.20: the request is for another server.
    let status = if path == "/" { StatusCode::OK } else { StatusCode::MISDIRECTED_REQUEST };
    let what = format!("{} is the standby of {network}", info.name);
    let mut response = drawn(status, network, info, what, Some(Elsewhere { primary, path }));
    if !primary.url.starts_with("https://") {
        return response;
    }
    if let Ok(url) = HeaderValue::from_str(&primary.url) {
        response.headers_mut().insert(PRIMARY, url);
    }
    response
}

/// The page of a box that serves nothing else: why, and the commands in their order.
pub(crate) fn disabled_page(info: &CmsInfo) -> Response {
    let what = format!("{} {}", info.name, sentence(info.state));
    let mut response = drawn(StatusCode::SERVICE_UNAVAILABLE, info.name.as_str(), info, what, None);
    response.headers_mut().insert(STATE, HeaderValue::from_static(info.state.as_str()));
    response
}

/// What a box in this state is, after its name.
fn sentence(state: CmsState) -> &'static str {
    match state {
        CmsState::Primary => "is the primary and begins to serve",
        CmsState::Standby => "is the standby and knows no primary yet",
        CmsState::Disabled => "is disabled",
        CmsState::DisabledSchemaAhead => "is disabled: its database was taken further by a newer build",
        CmsState::DisabledDamaged => "is disabled: its database is damaged",
        CmsState::DisabledKeyMissing => "is disabled: it has no network key, or another one",
    }
}

/// A step with its command between backticks: a box names commands bare, with a remark behind them.
fn marked(step: &str) -> String {
    if !step.starts_with("weir ") {
        return step.to_owned();
    }
    let end = [" (", ": ", ", "].iter().filter_map(|mark| step.find(mark)).min().unwrap_or(step.len());
    let (command, remark) = step.split_at(end);
    format!("`{command}`{remark}")
}

fn drawn(status: StatusCode, network: &str, info: &CmsInfo, what: String, elsewhere: Option<Elsewhere<'_>>) -> Response {
    let page = Page::apart(info, network, if elsewhere.is_some() { "Standby" } else { "Not serving" });
    let info = CmsInfo { next: info.next.iter().map(|step| marked(step)).collect(), ..info.clone() };
    let plain = format!("{what}; run `weir cms info` on its box");
    let text = StatusPage { page, info: &info, what, elsewhere }.render().unwrap_or(plain);
    let mut response = (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
    confine(response.headers_mut());
    response
}

impl Page {
    /// The frame of a page of a box that is not the primary.
    fn apart(info: &CmsInfo, network: &str, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            section: Section::Account,
            network: network.to_owned(),
            manager: info.name.to_string(),
            user: String::new(),
            role: AccessRole::Viewer,
            csrf: String::new(),
            lights: AlarmCounts::default(),
            version: weir_model::version(),
            generation: info.generation,
            locked: false,
            notice: None,
        }
    }
}

#[cfg(test)]
mod tests;
