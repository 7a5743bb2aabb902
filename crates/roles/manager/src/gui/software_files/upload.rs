//! Registering a software file by sending it, and sending the file of one that waits for it.

use super::{
    number, path_of,
    shown::METHODS,
    typed::{Typed, size},
};
use crate::{
    app::App,
    gui::{
        Notice, Page, Refused, Section, Viewer,
        file_form::{FILE_FIELD, FileForm, Sender, next, note, pass},
        form::{Fields, read},
        html_with, redirect,
        rejected::Rejected,
    },
    software,
};
use askama::Template;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, State, multipart::Field},
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use std::sync::Arc;
use weir_operator_api::{Problem, Reason};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/new/software-upload", get(blank).post(create))
        .route("/software-files/{id}/archive", post(send))
        // What an upload may have is bounded where it is written; the fields before it in `file_form`.
        .layer(DefaultBodyLimit::disable())
}

#[derive(Template)]
#[template(path = "software_file_upload.html")]
struct UploadPage {
    page: Page,
    typed: Typed,
    rejected: Rejected,
}

impl UploadPage {
    /// What is wrong with the file, or with its name.
    fn at_file(&self) -> String {
        [FILE_FIELD, "file_name"].map(|field| self.rejected.at(field)).concat()
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// A software file that is still to be registered.
    New,
    /// One that waits for it.
    Known(i64),
}

async fn draw(app: &App, viewer: &Viewer, typed: Typed, rejected: Rejected) -> Response {
    let page = Page::new(app, viewer, Section::SoftwareFiles, "Upload a software file").await;
    html_with(rejected.status(), &UploadPage { page, typed, rejected })
}

async fn blank(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Response, Refused> {
    Ok(draw(&app, &viewer, Typed::blank(), Rejected::default()).await)
}

async fn create(State(app): State<Arc<App>>, form: FileForm) -> Result<Response, Response> {
    receive(&app, form, Target::New).await
}

async fn send(State(app): State<Arc<App>>, Path(id): Path<String>, form: FileForm) -> Result<Response, Response> {
    let id = number(&id).map_err(|problem| Refused::from(problem).into_response())?;
    receive(&app, form, Target::Known(id)).await
}

/// Reads a form up to its file, and takes the file if the form is one of this session.
async fn receive(app: &Arc<App>, form: FileForm, target: Target) -> Result<Response, Response> {
    let FileForm { sender, mut parts } = form;
    let mut fields = Fields::new();
    while let Some(part) = next(&mut parts).await.map_err(IntoResponse::into_response)? {
        if part.name() == Some(FILE_FIELD) {
            sender.admit(app, &fields).await?;
            return take(app, &sender, target, fields, part).await.map_err(IntoResponse::into_response);
        }
        note(&mut fields, part).await.map_err(IntoResponse::into_response)?;
    }
    sender.admit(app, &fields).await?;
    refuse(app, &sender, target, fields, nothing_chosen()).await.map_err(IntoResponse::into_response)
}

fn nothing_chosen() -> Problem {
    Problem::new(Reason::MissingField, "no file is chosen").at(FILE_FIELD).next_step("choose a release archive, a file that ends in .weir")
}

/// The last part of a name as a browser sends it; some send whole paths.
fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or_default().trim()
}

async fn take(app: &Arc<App>, sender: &Sender, target: Target, fields: Fields, file: Field<'_>) -> Result<Response, Refused> {
    let name = base_name(file.file_name().unwrap_or_default()).to_owned();
    if name.is_empty() {
        return refuse(app, sender, target, fields, nothing_chosen()).await;
    }
    let id = match target {
        Target::Known(id) => id,
        Target::New => match read::<Typed>(fields.clone()).map(|typed| typed.of_upload(&name)) {
            Ok(request) => match software::register(app, sender.viewer.caller(), request).await {
                Ok(file) => file.id,
                Err(problem) => return refuse(app, sender, target, fields, problem).await,
            },
            Err(refused) => return Err(refused),
        },
    };
    // Said by the page's script alone: a browser does not tell how long one file of a form is.
    let length = fields.get("bytes").and_then(|v| v.last()).and_then(|text| size(text).ok().flatten());
    let notice = match pass(file, |body| software::upload(app, sender.viewer.caller(), id, length, body)).await {
        Ok(_) => Notice::done(format!("{name} has come whole as software file {id}; its checks have begun.")),
        Err(problem) => Notice::refused(format!("{name} was not taken: {}; {}.", problem.detail, problem.next)),
    };
    sender.viewer.tell(app, notice);
    Ok(onward(sender, id))
}

/// The form again with what is wrong; of a known software file its page, with a notice.
async fn refuse(app: &Arc<App>, sender: &Sender, target: Target, fields: Fields, problem: Problem) -> Result<Response, Refused> {
    match target {
        Target::New => Ok(draw(app, &sender.viewer, read(fields)?, problem.into()).await),
        Target::Known(id) => {
            sender.viewer.tell(app, Notice::refused(format!("Nothing was sent: {}; {}.", problem.detail, problem.next)));
            Ok(onward(sender, id))
        }
    }
}

/// On to the software file's page.
fn onward(sender: &Sender, id: i64) -> Response {
    let path = path_of(id);
    if sender.by_script { (StatusCode::NO_CONTENT, [(LOCATION, path)]).into_response() } else { redirect(&path) }
}

#[cfg(test)]
mod tests {
    use super::base_name;

    #[test]
    fn a_name_has_no_folders() {
        for (sent, name) in [("a.weir", "a.weir"), ("C:\\x\\a.weir", "a.weir"), ("/tmp/../a.weir", "a.weir"), ("", ""), ("x/", "")] {
            assert_eq!(base_name(sent), name);
        }
    }
}
