//! `weir user ...`.

use crate::{
    api_client::{ApiClient, escape},
    cli::{Format, UserVerb},
    output::{self, time},
};
use weir_operator_api::{NewUser, OneTimePassword, User, UserRequest, UserRoleRequest, paths};

pub(super) async fn run(api: &ApiClient, format: Format, verb: UserVerb) -> anyhow::Result<()> {
    match verb {
        UserVerb::List => {
            let users: Vec<User> = api.list(paths::USERS).await?;
            output::print(format, &users, |users| show(users))
        }
        UserVerb::Create { user, role } => {
            let made: NewUser = api.post(paths::USERS, &UserRequest { name: user, role: role.word() }).await?;
            output::print(format, &made, |made| made.one_time_password.clone())
        }
        UserVerb::Role { user, role } => {
            let path = format!("{}/{}/role", paths::USERS, escape(&user));
            let user: User = api.post(&path, &UserRoleRequest { role: role.word() }).await?;
            output::print(format, &user, |user| show(std::slice::from_ref(user)))
        }
        UserVerb::Delete { user } => {
            api.delete(&format!("{}/{}", paths::USERS, escape(&user))).await?;
            output::print(format, &serde_json::json!({ "deleted": user }), |_| format!("{user} deleted"))
        }
        UserVerb::Reset { user } => {
            let path = format!("{}/{}/one-time-password", paths::USERS, escape(&user));
            let made: OneTimePassword = api.post(&path, &()).await?;
            output::print(format, &made, |made| made.one_time_password.clone())
        }
    }
}

fn show(users: &[User]) -> String {
    let row = |user: &User| {
        let password = if user.must_change { "one-time".to_owned() } else { format!("since {}", time(user.changed_ms)) };
        [user.name.clone(), user.role.to_string(), password, time(user.created_ms)]
    };
    output::table(["USER", "ROLE", "PASSWORD", "MADE"], users.iter().map(row))
}
