//! Users of the pages: the first one, passwords changed by their owners, one-time passwords for those locked out.

use super::{fields, passwords};
use crate::{
    app::App,
    change::{Caller, Change, NOTHING, Refusal},
    domain::sessions,
    keep,
    tables::{self, users::User},
};
use std::{fs, io, path::Path, sync::Arc};
use weir_operator_api::{Problem, Reason};
use zeroize::Zeroizing;

/// The user a network begins with.
pub(crate) const FIRST_USER: &str = "admin";
/// Where a one-time password waits, in the manager's state directory, until it is changed.
const ONE_TIME_FILE: &str = "one-time-password";

/// The user of this name.
pub(crate) fn find(app: &App, name: &str) -> Result<User, Problem> {
    app.users().iter().find(|u| u.name == name).cloned().ok_or_else(|| fields::absent("user", name))
}

/// Makes the first user when there is none, and takes a one-time password away that is no longer valid.
pub(crate) async fn begin(app: &Arc<App>) -> Result<(), Problem> {
    let users = app.users();
    if users.is_empty() {
        let password = passwords::one_time()?;
        let hash = app.passwords.hash(password.clone()).await?;
        // The file first: a user whose password nobody knows would lock everybody out.
        keep_one_time(app, &password)?;
        app.change(Caller::manager(), move |change| create(change, FIRST_USER, hash)).await?;
        tracing::info!(user = FIRST_USER, file = %app.directory.join(ONE_TIME_FILE).display(), "user made; its one-time password is in the file");
    } else if !users.iter().any(|u| u.must_change) {
        forget_one_time(&app.directory)?;
    }
    Ok(())
}

fn create(change: &Change<'_>, name: &str, password_hash: String) -> Result<(), Refusal> {
    let user = User { name: name.to_owned(), password_hash, must_change: true, created_ms: change.now_ms, changed_ms: change.now_ms };
    tables::users::insert(change.tx, &user)?;
    change.users_changed();
    change.audit("create", format_args!("user {name}"), NOTHING, NOTHING)?;
    Ok(())
}

/// Gives a user the password of their choice. Their sessions end, all of them: the caller opens another.
pub(crate) async fn change_password(app: &Arc<App>, caller: Caller, user: &User, new: Zeroizing<String>) -> Result<(), Problem> {
    passwords::check(&user.name, &new)?;
    if app.passwords.proves(new.clone(), Some(&user.password_hash)).await? {
        return Err(Problem::new(Reason::BadPassword, "the new password is the one before").at("new"));
    }
    let hash = app.passwords.hash(new).await?;
    let (name, before) = (user.name.clone(), user.password_hash.clone());
    app.change(caller, move |change| write(change, &name, "change password", hash, false, Some(&before))).await?;
    forget_one_time(&app.directory)?;
    sessions::end_all(app, &user.name, None).await
}

/// Gives a user a one-time password, returned here and kept in a file until it is changed. Their sessions end.
pub(crate) async fn reset(app: &Arc<App>, caller: Caller, name: &str) -> Result<Zeroizing<String>, Problem> {
    let user = find(app, name)?;
    let password = passwords::one_time()?;
    let hash = app.passwords.hash(password.clone()).await?;
    keep_one_time(app, &password)?;
    app.change(caller, move |change| write(change, &user.name, "reset password", hash, true, None)).await?;
    app.attempts.forgive(name);
    sessions::end_all(app, name, None).await?;
    Ok(password)
}

/// Writes a password; with `before`, only if that is still the hash.
fn write(
    change: &Change<'_>,
    name: &str,
    verb: &str,
    password_hash: String,
    must_change: bool,
    before: Option<&str>,
) -> Result<(), Refusal> {
    let users = tables::users::all(change.tx)?;
    let user = users.into_iter().find(|u| u.name == name).ok_or_else(|| fields::absent("user", name))?;
    if before.is_some_and(|b| b != user.password_hash) {
        return Err(Problem::new(Reason::BadPassword, "the password was changed meanwhile").next_step("sign in again").into());
    }
    tables::users::set_password(change.tx, &User { password_hash, must_change, changed_ms: change.now_ms, ..user })?;
    change.users_changed();
    change.audit(verb, format_args!("user {name}"), NOTHING, NOTHING)?;
    Ok(())
}

fn keep_one_time(app: &App, password: &str) -> Result<(), Problem> {
    let path = app.directory.join(ONE_TIME_FILE);
    keep::file(&path, format!("{password}\n").as_bytes()).map_err(|error| file_problem("written", &path, &error))
}

fn forget_one_time(directory: &Path) -> Result<(), Problem> {
    let path = directory.join(ONE_TIME_FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_problem("removed", &path, &error)),
        _ => Ok(()),
    }
}

fn file_problem(what: &str, path: &Path, error: &io::Error) -> Problem {
    tracing::error!(%error, path = %path.display(), what, "one-time password file");
    let reason = if error.kind() == io::ErrorKind::StorageFull { Reason::DiskFull } else { Reason::Internal };
    Problem::new(reason, format!("the file of the one-time password could not be {what}"))
}
