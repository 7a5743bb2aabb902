//! One software file: its checks as they are made, what it is, and what can be done with it.

use super::{number, path_of, shown::Listed};
use crate::{
    app::App,
    gui::{Form, Notice, Page, Refused, Section, Viewer, figures::Count, html, redirect},
    software,
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use serde::de::IgnoredAny;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/software-files/{id}", get(show)).route("/software-files/{id}/validate", post(validate))
}

/// The page of a software file; its live parts are taken from the whole of it.
#[derive(Template)]
#[template(path = "software_file.html")]
struct FilePage {
    page: Page,
    shown: Listed,
}

impl FilePage {
    fn path(&self) -> String {
        path_of(self.shown.file.id)
    }

    fn exact(&self, bytes: &u64) -> Count {
        Count(*bytes)
    }
}

async fn show(State(app): State<Arc<App>>, viewer: Viewer, Path(id): Path<String>) -> Result<Response, Refused> {
    let shown = Listed::new(software::show(&app, number(&id)?)?);
    let title = format!("Software file {}", shown.file.id);
    Ok(html(&FilePage { page: Page::new(&app, &viewer, Section::SoftwareFiles, title).await, shown }))
}

async fn validate(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Form(_): Form<IgnoredAny>,
) -> Result<Response, Refused> {
    let id = number(&id)?;
    let notice = match software::validate(&app, viewer.caller(), id).await {
        Ok(_) => Notice::done("Its checks have begun again."),
        Err(problem) => Notice::refused(format!("Its checks have not begun: {}; {}.", problem.detail, problem.next)),
    };
    viewer.tell(&app, notice);
    Ok(redirect(&path_of(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::software_files::shown::tests::{file, release};
    use weir_model::{FetchReason, OwnReason, SoftwareCheck, SoftwareState, Verdict};
    use weir_operator_api::{SoftwareCheckRow, SoftwareFile, SoftwareProgress, SoftwareReasonShown, SoftwareSource};

    fn drawn(file: SoftwareFile) -> String {
        FilePage { page: Page::sample(Section::SoftwareFiles, "Software file 3"), shown: Listed::new(file) }.render().expect("drawn")
    }

    fn row(check: SoftwareCheck, verdict: Verdict) -> SoftwareCheckRow {
        SoftwareCheckRow { check, verdict, reason: None, detail: String::new() }
    }

    #[test]
    fn a_failed_check_says_why_and_what_next() {
        let failed = SoftwareCheckRow {
            reason: Some(FetchReason::PrivateTarget.into()),
            detail: "host.test is <10.0.0.1>".into(),
            ..row(SoftwareCheck::Resolve, Verdict::Failed)
        };
        let text = drawn(SoftwareFile {
            state: SoftwareState::Invalid,
            checks: vec![failed, row(SoftwareCheck::Connect, Verdict::Skipped)],
            reason: Some(SoftwareReasonShown {
                reason: FetchReason::PrivateTarget.into(),
                detail: "host.test is <10.0.0.1>".into(),
                next: "allow its network with `weir software sources`".into(),
            }),
            ..file(3)
        });
        for fact in [
            "private_target",
            "badge critical",
            ">invalid<",
            ">failed<",
            ">skipped<",
            "<code>weir software sources</code>",
            "Validate again",
        ] {
            assert!(text.contains(fact), "{fact}: {text}");
        }
        assert!(!text.contains("<10.0.0.1>"), "it is escaped");
    }

    #[test]
    fn what_is_verified_is_shown_whole_and_secrets_are_not() {
        let source = SoftwareSource::Url { url: "https://host.test/a.weir".into(), username: Some("reader".into()), header: None };
        let text = drawn(SoftwareFile { release: Some(release()), source, ..file(3) });
        for fact in
            ["31\u{202f}400\u{202f}000", "x86_64", "steps 4 to 5", "What is new", "user name reader and a password", &"c".repeat(64)]
        {
            assert!(text.contains(fact), "{fact}: {text}");
        }
        assert!(!text.contains("data-upload"));
    }

    #[test]
    fn a_draft_asks_for_its_file_and_a_download_shows_how_far_it_is() {
        let source = SoftwareSource::Upload { file_name: "a.weir".into() };
        let awaiting =
            SoftwareReasonShown { reason: OwnReason::AwaitingUpload.into(), detail: "nothing came".into(), next: "send it".into() };
        let draft = drawn(SoftwareFile { source, state: SoftwareState::Draft, reason: Some(awaiting), ..file(3) });
        assert!(draft.contains("action=\"/software-files/3/archive\"") && !draft.contains("Validate again"), "{draft}");
        let csrf = draft.find("name=\"csrf\" value=\"token\"").expect("a token");
        assert!(csrf < draft.find("type=\"file\"").expect("a file"), "the token is sent before the file");
        let progress = Some(SoftwareProgress { done: 50, total: Some(200) });
        let text = drawn(SoftwareFile { state: SoftwareState::Validating, progress, ..file(3) });
        assert!(text.contains("max=\"200\" value=\"50\"") && text.contains("50 B of 200 B, 25 %"), "{text}");
    }
}
