//! Users: who may sign in to these pages, and what they may do here. For administrators.

mod deletion;

use super::{
    Form, Notice, Page, Refused, Section, Viewer,
    figures::Moment,
    html_with,
    links::{Asked, link},
    order::{Columns, Order},
    redirect,
    rejected::Rejected,
};
use crate::{app::App, domain::users};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use std::{fmt, sync::Arc};
use weir_operator_api::{AccessRole, User, UserRequest};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/users", get(list).post(create)).route("/users/{name}/role", post(set_role)).merge(deletion::routes())
}

/// A user as a row.
struct Listed {
    user: User,
    created: Moment,
    changed: Moment,
    /// It is whoever looks.
    own: bool,
}

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Role,
    Password,
    Created,
}

impl Columns for Column {
    const ALL: &'static [Column] = &[Column::Name, Column::Role, Column::Password, Column::Created];

    fn word(self) -> &'static str {
        match self {
            Column::Name => "name",
            Column::Role => "role",
            Column::Password => "password",
            Column::Created => "created",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Column::Name => "Name",
            Column::Role => "Role",
            Column::Password => "Password",
            Column::Created => "Made",
        })
    }
}

/// What is typed into the form of a new user.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    name: String,
    role: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TypedRole {
    role: String,
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    page: Page,
    order: Order<Column>,
    users: Vec<Listed>,
    typed: Typed,
    rejected: Rejected,
}

impl UsersPage {
    fn columns(&self) -> &'static [Column] {
        Column::ALL
    }

    fn here(&self) -> String {
        link("/users", &self.order.query())
    }

    fn by(&self, column: &Column) -> String {
        link("/users", &self.order.by(column).query())
    }

    /// Roles, the lowest first: what a new user gets unless somebody decides otherwise.
    fn roles(&self) -> &'static [AccessRole] {
        &AccessRole::ALL
    }
}

/// What a role may do, in words.
pub(super) fn may(role: &AccessRole) -> &'static str {
    match role {
        AccessRole::Viewer => "sees everything but secrets",
        AccessRole::Operator => "changes what is delivered, from where, and by which devices in which versions",
        AccessRole::Admin => "also decides who may do what: users, tokens, sources of software, backups, the pair",
    }
}

fn sorted(order: Order<Column>, mut rows: Vec<Listed>) -> Vec<Listed> {
    rows.sort_by(|a, b| a.user.name.cmp(&b.user.name));
    order.sort(&mut rows, |a, b, column| match column {
        Column::Name => a.user.name.cmp(&b.user.name),
        Column::Role => a.user.role.cmp(&b.user.role),
        Column::Password => a.user.must_change.cmp(&b.user.must_change).then(a.user.changed_ms.cmp(&b.user.changed_ms)),
        Column::Created => a.user.created_ms.cmp(&b.user.created_ms),
    });
    rows
}

async fn draw(app: &App, viewer: &Viewer, order: Order<Column>, typed: Typed, rejected: Rejected) -> Result<Response, Refused> {
    viewer.caller().access.everywhere(AccessRole::Admin)?;
    let listed = |user: User| Listed {
        created: Moment::at(user.created_ms),
        changed: Moment::at(user.changed_ms),
        own: user.name == viewer.user,
        user,
    };
    let shown = UsersPage {
        page: Page::new(app, viewer, Section::Users, "Users").await,
        users: sorted(order, app.users().iter().map(|user| listed(users::shown(user))).collect()),
        order,
        typed,
        rejected,
    };
    Ok(html_with(shown.rejected.status(), &shown))
}

async fn list(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked) -> Result<Response, Refused> {
    draw(&app, &viewer, Order::read(&asked), Typed::default(), Rejected::default()).await
}

async fn create(State(app): State<Arc<App>>, viewer: Viewer, asked: Asked, Form(typed): Form<Typed>) -> Result<Response, Refused> {
    let request = UserRequest { name: typed.name.trim().to_owned(), role: typed.role.clone() };
    match users::create(&app, viewer.caller(), &request).await {
        Ok(made) => {
            let text = format!("User {} is made. Their one-time password, which has to be changed at the first sign-in:", made.record.name);
            viewer.tell(&app, Notice::done(text).once(made.one_time_password));
            Ok(redirect("/users"))
        }
        Err(problem) => draw(&app, &viewer, Order::read(&asked), typed, problem.into()).await,
    }
}

async fn set_role(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(name): Path<String>,
    Form(typed): Form<TypedRole>,
) -> Result<Response, Refused> {
    let notice = match users::set_role(&app, viewer.caller(), &name, &typed.role).await {
        Ok(user) => Notice::done(format!("{name} is {} now: {}.", user.role, may(&user.role))),
        Err(problem) => Notice::refused(format!("{name} keeps their role: {}; {}.", problem.detail, problem.next)),
    };
    viewer.tell(&app, notice);
    Ok(redirect("/users"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, role: AccessRole, must_change: bool) -> Listed {
        let user = User { name: name.into(), role, must_change, created_ms: 1, changed_ms: 1 };
        Listed { created: Moment::at(1), changed: Moment::at(1), own: name == "admin", user }
    }

    #[test]
    fn users_are_shown_with_what_they_may_do_and_nobody_is_offered_their_own_end() {
        let users = vec![listed("zoe", AccessRole::Viewer, true), listed("admin", AccessRole::Admin, false)];
        let order = Order::new(Column::Name, false);
        let page = Page::sample(Section::Users, "Users");
        let users = sorted(order, users);
        assert_eq!(users.iter().map(|l| l.user.name.as_str()).collect::<Vec<_>>(), ["admin", "zoe"]);
        let text = UsersPage { page, order, users, typed: Typed::default(), rejected: Rejected::default() }.render().expect("drawn");
        assert!(text.contains("/users/zoe/delete") && !text.contains("/users/admin/delete"), "{text}");
        assert!(text.contains("one-time"), "{text}");
    }
}
