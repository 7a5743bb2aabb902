//! `weir token ...`.

use crate::{
    api_client::{ApiClient, escape},
    cli::{ApiTokenVerb, EnrolmentTokenVerb, Format, RoleArg, TokenVerb},
    output::{self, or_dash, time},
};
use weir_operator_api::{ApiToken, ApiTokenRequest, EnrolmentToken, EnrolmentTokenRequest, NewApiToken, NewEnrolmentToken, paths};

pub(super) async fn run(api: &ApiClient, format: Format, verb: TokenVerb) -> anyhow::Result<()> {
    match verb {
        TokenVerb::Enrolment { verb } => enrolment(api, format, verb).await,
        TokenVerb::Api { verb } => api_token(api, format, verb).await,
    }
}

async fn delete(api: &ApiClient, format: Format, collection: &str, id: &str) -> anyhow::Result<()> {
    api.delete(&format!("{collection}/{}", escape(id))).await?;
    output::print(format, &serde_json::json!({ "deleted": id }), |_| format!("{id} deleted"))
}

async fn enrolment(api: &ApiClient, format: Format, verb: EnrolmentTokenVerb) -> anyhow::Result<()> {
    match verb {
        EnrolmentTokenVerb::List => {
            let tokens: Vec<EnrolmentToken> = api.list(paths::ENROLMENT_TOKENS).await?;
            output::print(format, &tokens, |tokens| {
                output::table(
                    ["ID", "ROLE", "USES LEFT", "EXPIRES", "ACTIVATES INTO", "MADE BY"],
                    tokens.iter().map(|t| {
                        [
                            t.id.clone(),
                            t.role.to_string(),
                            t.uses_left.to_string(),
                            time(t.expires_ms),
                            or_dash(t.activate_into.as_ref()),
                            t.created_by.clone(),
                        ]
                    }),
                )
            })
        }
        EnrolmentTokenVerb::Create { role, uses, expires_in, activate_into } => {
            let request = EnrolmentTokenRequest { role, uses, expires_in_seconds: expires_in, activate_into };
            let made: NewEnrolmentToken = api.post(paths::ENROLMENT_TOKENS, &request).await?;
            output::print(format, &made, |made| made.token.clone())
        }
        EnrolmentTokenVerb::Delete { id } => delete(api, format, paths::ENROLMENT_TOKENS, &id).await,
    }
}

async fn api_token(api: &ApiClient, format: Format, verb: ApiTokenVerb) -> anyhow::Result<()> {
    match verb {
        ApiTokenVerb::List => {
            let tokens: Vec<ApiToken> = api.list(paths::TOKENS).await?;
            output::print(format, &tokens, |tokens| {
                output::table(["ID", "NAME", "ROLE", "SERVICES", "EXPIRES", "MADE BY"], tokens.iter().map(api_row))
            })
        }
        ApiTokenVerb::Create { name, expires_in, role, services } => {
            let services = (!services.is_empty()).then_some(services);
            let request = ApiTokenRequest { name, expires_in_seconds: expires_in, role: role.map(RoleArg::word), services };
            let made: NewApiToken = api.post(paths::TOKENS, &request).await?;
            output::print(format, &made, |made| made.token.clone())
        }
        ApiTokenVerb::Delete { id } => delete(api, format, paths::TOKENS, &id).await,
    }
}

fn api_row(token: &ApiToken) -> [String; 6] {
    let services = token.services.as_ref().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    [
        token.id.clone(),
        token.name.clone(),
        token.role.to_string(),
        services.unwrap_or_else(|| "all".into()),
        or_dash(token.expires_ms.map(time)),
        token.created_by.clone(),
    ]
}
