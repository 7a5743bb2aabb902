//! `weir user ...`.

use crate::{
    api_client::{ApiClient, escape},
    cli::{Format, UserVerb},
    output,
};
use weir_operator_api::{OneTimePassword, paths};

pub(super) async fn run(api: &ApiClient, format: Format, verb: UserVerb) -> anyhow::Result<()> {
    match verb {
        UserVerb::Reset { user } => {
            let path = format!("{}/{}/one-time-password", paths::USERS, escape(&user));
            let made: OneTimePassword = api.post(&path, &()).await?;
            output::print(format, &made, |made| made.one_time_password.clone())
        }
    }
}
