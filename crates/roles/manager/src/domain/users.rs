//! Users of the pages: the first one, passwords changed by their owners, one-time passwords for those locked out.

use super::{fields, passwords};
use crate::{
    app::App,
    change::{Caller, Change, NOTHING, Refusal},
    domain::{attempts, sessions},
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
/// Where the next one waits until its hash is committed.
const NEXT_ONE_TIME_FILE: &str = "one-time-password.next";

/// The user of this name.
pub(crate) fn find(app: &App, name: &str) -> Result<User, Problem> {
    app.users().iter().find(|u| u.name == name).cloned().ok_or_else(|| fields::absent("user", name))
}

/// Makes the first user when there is none, and takes a one-time password away that is no longer valid. Ends sessions and reads
/// places kept from before. Before the manager serves.
pub(crate) async fn begin(app: &Arc<App>) -> Result<(), Problem> {
    let users = app.users();
    if users.is_empty() {
        let password = passwords::one_time()?;
        let hash = app.passwords.hash(password.clone()).await?;
        // The file first: a user whose password nobody knows would lock everybody out.
        keep_one_time(&app.directory.join(ONE_TIME_FILE), &password)?;
        app.change(Caller::manager(), move |change| create(change, FIRST_USER, hash)).await?;
        tracing::info!(user = FIRST_USER, file = %app.directory.join(ONE_TIME_FILE).display(), "user made; its one-time password is in the file");
    } else if users.iter().any(|u| u.must_change) {
        finish_reset(app, &users).await?;
    } else {
        forget(&app.directory.join(NEXT_ONE_TIME_FILE))?;
        forget(&app.directory.join(ONE_TIME_FILE))?;
    }
    attempts::begin(app).await?;
    sessions::begin(app).await
}

/// A reset that was cut off left the next password in its own file: it counts if its hash was committed.
async fn finish_reset(app: &App, users: &[User]) -> Result<(), Problem> {
    let next = app.directory.join(NEXT_ONE_TIME_FILE);
    let text = match fs::read_to_string(&next) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file_problem("read", &next, &error)),
    };
    for user in users.iter().filter(|u| u.must_change) {
        if app.passwords.proves(Zeroizing::new(text.trim().to_owned()), Some(&user.password_hash)).await? {
            return publish_next(&app.directory);
        }
    }
    forget(&next)
}

fn create(change: &Change<'_>, name: &str, password_hash: String) -> Result<(), Refusal> {
    let user = User { name: name.to_owned(), password_hash, must_change: true, created_ms: change.now_ms, changed_ms: change.now_ms };
    tables::users::insert(change.tx, &user)?;
    change.users_changed();
    change.audit("create", format_args!("user {name}"), NOTHING, NOTHING)?;
    Ok(())
}

/// Gives a user the password of their choice, and returns them with it. Their sessions end, all of them: the caller opens another.
pub(crate) async fn change_password(app: &Arc<App>, caller: Caller, user: &User, new: Zeroizing<String>) -> Result<User, Problem> {
    passwords::check(&user.name, &new)?;
    if app.passwords.proves(new.clone(), Some(&user.password_hash)).await? {
        return Err(Problem::new(Reason::BadPassword, "the new password is the one before").at("new"));
    }
    let hash = app.passwords.hash(new).await?;
    let (name, before) = (user.name.clone(), user.password_hash.clone());
    let changed = app.change(caller, move |change| write(change, &name, "change password", hash, false, Some(&before))).await?;
    sessions::end_all(app, &user.name, None).await;
    // The password is changed whatever becomes of the file, which `file_problem` logs; the next start tries again.
    let _ = forget(&app.directory.join(ONE_TIME_FILE));
    Ok(changed)
}

/// Gives a user a one-time password, returned here and kept in a file until it is changed. Their sessions end.
pub(crate) async fn reset(app: &Arc<App>, caller: Caller, name: &str) -> Result<Zeroizing<String>, Problem> {
    let user = find(app, name)?;
    let password = passwords::one_time()?;
    let hash = app.passwords.hash(password.clone()).await?;
    let _one_at_a_time = app.passwords.resetting.lock().await;
    // Beside the one that still counts, which stays should this not be committed.
    let next = app.directory.join(NEXT_ONE_TIME_FILE);
    keep_one_time(&next, &password)?;
    let written = app.change(caller, move |change| write(change, &user.name, "reset password", hash, true, None)).await;
    if let Err(problem) = written {
        let _ = forget(&next);
        return Err(problem);
    }
    app.attempts.forgive(name);
    sessions::end_all(app, name, None).await;
    // The password counts, and whoever asked gets it: a file that could not be moved is logged, and moved by the next start.
    let _ = publish_next(&app.directory);
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
) -> Result<User, Refusal> {
    let users = tables::users::all(change.tx)?;
    let user = users.into_iter().find(|u| u.name == name).ok_or_else(|| fields::absent("user", name))?;
    if before.is_some_and(|b| b != user.password_hash) {
        return Err(Problem::new(Reason::BadPassword, "the password was changed meanwhile").next_step("sign in again").into());
    }
    let user = User { password_hash, must_change, changed_ms: change.now_ms, ..user };
    tables::users::set_password(change.tx, &user)?;
    change.users_changed();
    change.audit(verb, format_args!("user {name}"), NOTHING, NOTHING)?;
    Ok(user)
}

fn keep_one_time(path: &Path, password: &str) -> Result<(), Problem> {
    keep::file(path, format!("{password}\n").as_bytes()).map_err(|error| file_problem("written", path, &error))
}

/// The next one-time password is the one.
fn publish_next(directory: &Path) -> Result<(), Problem> {
    let path = directory.join(ONE_TIME_FILE);
    fs::rename(directory.join(NEXT_ONE_TIME_FILE), &path).map_err(|error| file_problem("moved", &path, &error))
}

fn forget(path: &Path) -> Result<(), Problem> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_problem("removed", path, &error)),
        _ => Ok(()),
    }
}

fn file_problem(what: &str, path: &Path, error: &io::Error) -> Problem {
    tracing::error!(%error, path = %path.display(), what, "one-time password file");
    let reason = if error.kind() == io::ErrorKind::StorageFull { Reason::DiskFull } else { Reason::Internal };
    Problem::new(reason, format!("the file of the one-time password could not be {what}"))
}
