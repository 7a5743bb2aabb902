//! Users of the pages: the first one, others with their roles, passwords changed by their owners, one-time passwords for those
//! locked out. There is always an administrator.

use super::{fields, passwords};
use crate::{
    app::App,
    change::{Caller, Change, NOTHING, Refusal},
    domain::{attempts, sessions},
    keep,
    tables::{self, users::User},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use weir_operator_api::{
    AccessRole, NewUser, Problem, Reason, UserRequest,
    user::{USER_NAME_CHARS, USERS_MAX},
};
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

/// How often a standby looks whether its one-time passwords were changed.
const LOOK_PERIOD: std::time::Duration = std::time::Duration::from_secs(10);

/// Makes the first user when there is none, and takes a one-time password away that is no longer valid. Ends sessions and reads
/// places kept from before. Before the manager serves.
pub(crate) async fn begin(app: &Arc<App>) -> Result<(), Problem> {
    let users = app.users();
    if users.is_empty() {
        let password = passwords::one_time()?;
        let hash = app.passwords.hash(password.clone()).await?;
        // The file first: a user whose password nobody knows would lock everybody out.
        keep_one_time(&app.directory.join(ONE_TIME_FILE), &password)?;
        app.change(Caller::manager(), move |change| insert(change, FIRST_USER, hash, AccessRole::Admin)).await?;
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

/// Beside a standby, which may have been the primary: takes its one-time passwords away as soon as their users have chosen their own, at
/// whichever manager. Ends when there are none.
pub(crate) async fn forget_when_chosen(directory: PathBuf, follower: Arc<crate::follower::Follower>) {
    let mut ticks = tokio::time::interval(LOOK_PERIOD);
    let files = [ONE_TIME_FILE, NEXT_ONE_TIME_FILE].map(|name| directory.join(name));
    while files.iter().any(|file| file.exists()) {
        ticks.tick().await;
        let Some(config) = follower.database() else { continue };
        let read = config.read(|tx| Ok::<_, Refusal>(tables::users::all(tx)?)).await;
        if !read.is_ok_and(|users| users.iter().all(|user| !user.must_change)) {
            continue;
        }
        if let Some(problem) = files.iter().find_map(|file| forget(file).err()) {
            tracing::warn!(%problem, "a one-time password nobody needs stays on the disk");
        }
    }
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

fn insert(change: &Change<'_>, name: &str, password_hash: String, role: AccessRole) -> Result<User, Refusal> {
    let now_ms = change.now_ms;
    let user = User { name: name.to_owned(), password_hash, must_change: true, created_ms: now_ms, changed_ms: now_ms, role };
    tables::users::insert(change.tx, &user)?;
    change.users_changed();
    change.audit("create", format_args!("user {name}"), NOTHING, Some(&of_role(role)))?;
    Ok(user)
}

/// What the audit says of a user.
fn of_role(role: AccessRole) -> serde_json::Value {
    serde_json::json!({ "role": role })
}

/// A user as the API shows them.
pub(crate) fn shown(user: &User) -> weir_operator_api::User {
    let User { name, must_change, created_ms, changed_ms, role, .. } = user;
    let (must_change, created_ms, changed_ms) = (*must_change, *created_ms, *changed_ms);
    weir_operator_api::User { name: name.clone(), role: *role, must_change, created_ms, changed_ms }
}

/// Makes a user with a one-time password, which the answer alone shows.
pub(crate) async fn create(app: &Arc<App>, caller: Caller, request: &UserRequest) -> Result<NewUser, Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
    check_name(&request.name)?;
    let role: AccessRole = fields::read("role", &request.role)?;
    // Before the hash, which costs much more than to look.
    if app.users().iter().any(|u| u.name == request.name) {
        return Err(taken(&request.name));
    }
    let password = passwords::one_time()?;
    let hash = app.passwords.hash(password.clone()).await?;
    let name = request.name.clone();
    let made = app.change(caller, move |change| {
        let users = tables::users::all(change.tx)?;
        if users.iter().any(|u| u.name == name) {
            return Err(taken(&name).into());
        }
        if users.len() >= USERS_MAX {
            return Err(fields::too_many("users", USERS_MAX).into());
        }
        insert(change, &name, hash, role)
    });
    let record = shown(&made.await?);
    app.attempts.forgive(&record.name);
    Ok(NewUser { one_time_password: password.to_string(), record })
}

fn taken(name: &str) -> Problem {
    Problem::new(Reason::NameTaken, format!("there is a user {name}")).at("name")
}

fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let begins = name.starts_with(plain);
    if begins && name.len() <= USER_NAME_CHARS && name.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-')) {
        return Ok(());
    }
    let detail = format!("{name:?} is not 1 to {USER_NAME_CHARS} of a-z, 0-9, '.', '_' and '-', a letter or digit first");
    Err(Problem::new(Reason::InvalidField, detail).at("name"))
}

/// Deletes a user and ends their sessions.
pub(crate) async fn delete(app: &Arc<App>, caller: Caller, name: &str) -> Result<(), Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
    let user = name.to_owned();
    let deleted = app.change(caller, move |change| {
        let role = existing(change, &user)?.role;
        keep_an_admin(change, &user)?;
        tables::users::delete(change.tx, &user)?;
        change.users_changed();
        Ok(change.audit("delete", format_args!("user {user}"), Some(&of_role(role)), NOTHING)?)
    });
    deleted.await?;
    sessions::end_all(app, name, None).await;
    Ok(())
}

/// Gives a user another role. Their sessions end when it is a lower one: what their pages offer is no longer theirs.
pub(crate) async fn set_role(app: &Arc<App>, caller: Caller, name: &str, role: &str) -> Result<weir_operator_api::User, Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
    let role: AccessRole = fields::read("role", role)?;
    let user = name.to_owned();
    let changed = app.change(caller, move |change| {
        let before = existing(change, &user)?;
        if role < AccessRole::Admin {
            keep_an_admin(change, &user)?;
        }
        let after = User { role, ..before.clone() };
        if role != before.role {
            tables::users::set_role(change.tx, &user, role)?;
            change.users_changed();
            change.audit("change role", format_args!("user {user}"), Some(&of_role(before.role)), Some(&of_role(role)))?;
        }
        Ok((before.role, after))
    });
    let (before, after) = changed.await?;
    if after.role < before {
        sessions::end_all(app, name, None).await;
    }
    Ok(shown(&after))
}

fn existing(change: &Change<'_>, name: &str) -> Result<User, Refusal> {
    let users = tables::users::all(change.tx)?;
    Ok(users.into_iter().find(|u| u.name == name).ok_or_else(|| fields::absent("user", name))?)
}

/// Refuses when nobody else is an administrator.
fn keep_an_admin(change: &Change<'_>, name: &str) -> Result<(), Refusal> {
    let users = tables::users::all(change.tx)?;
    if users.iter().any(|u| u.name != name && u.role == AccessRole::Admin) {
        return Ok(());
    }
    Err(Problem::new(Reason::LastAdmin, format!("{name} is the last administrator")).into())
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
    forget_one_time(app, user).await;
    Ok(changed)
}

/// Gives a user a one-time password, returned here and kept in a file until it is changed. Their sessions end.
pub(crate) async fn reset(app: &Arc<App>, caller: Caller, name: &str) -> Result<Zeroizing<String>, Problem> {
    caller.access.everywhere(AccessRole::Admin)?;
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
    let user = existing(change, name)?;
    if before.is_some_and(|b| b != user.password_hash) {
        return Err(Problem::new(Reason::BadPassword, "the password was changed meanwhile").next_step("sign in again").into());
    }
    let user = User { password_hash, must_change, changed_ms: change.now_ms, ..user };
    tables::users::set_password(change.tx, &user)?;
    change.users_changed();
    change.audit(verb, format_args!("user {name}"), NOTHING, NOTHING)?;
    Ok(user)
}

/// Takes the file of a one-time password away that this user had: others may have one that still counts. The password is changed
/// whatever becomes of the file; the next start without such users tries again.
async fn forget_one_time(app: &App, user: &User) {
    let path = app.directory.join(ONE_TIME_FILE);
    let Ok(text) = fs::read_to_string(&path).map(Zeroizing::new) else { return };
    let theirs = app.passwords.proves(Zeroizing::new(text.trim().to_owned()), Some(&user.password_hash)).await;
    if theirs.unwrap_or(false) {
        // `file_problem` logs why it stays.
        let _ = forget(&path);
    }
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
