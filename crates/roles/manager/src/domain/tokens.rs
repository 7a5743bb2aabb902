//! Tokens: made from the system's randomness, shown once, kept as SHA-256.

use super::fields;
use crate::{
    change::{Change, NOTHING, Refusal},
    tables::{self, tokens::Kept},
};
use aws_lc_rs::rand;
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, str::FromStr};
use subtle::ConstantTimeEq;
use weir_device_api::EnrolToken;
use weir_model::{Role, ServiceName};
use weir_operator_api::{
    AccessRole, ApiToken, ApiTokenRequest, EnrolmentToken, EnrolmentTokenRequest, NewApiToken, NewEnrolmentToken, Problem, Reason,
    paths::API_TOKEN_PREFIX,
    token::{API_TOKEN_SECONDS_MAX, ENROLMENT_SECONDS_MAX, ENROLMENT_USES_MAX, TOKEN_NAME_BYTES, TOKEN_SERVICES_MAX, TOKENS_MAX},
};

/// `weir-api.<id>.<secret>`.
pub(crate) struct ApiSecret {
    pub(crate) id: [u8; 8],
    pub(crate) secret: [u8; 32],
}

impl FromStr for ApiSecret {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id_text, secret_text) = text.strip_prefix(API_TOKEN_PREFIX).and_then(|t| t.split_once('.')).ok_or(())?;
        let (mut id, mut secret) = ([0; 8], [0; 32]);
        hex::decode_to_slice(id_text, &mut id).map_err(|_| ())?;
        hex::decode_to_slice(secret_text, &mut secret).map_err(|_| ())?;
        Ok(Self { id, secret })
    }
}

/// Fresh bytes of the system's randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Problem::new(Reason::Internal, "the system gives no randomness"))?;
    Ok(bytes)
}

/// What is kept of a secret.
pub(crate) fn digest(secret: &[u8; 32]) -> String {
    hex::encode(Sha256::digest(secret))
}

/// Compares a secret with what is kept of it, in constant time.
pub(crate) fn proves(secret: &[u8; 32], kept_sha256: &str) -> bool {
    digest(secret).as_bytes().ct_eq(kept_sha256.as_bytes()).into()
}

pub(crate) fn create_enrolment(change: &Change<'_>, request: &EnrolmentTokenRequest, ca: [u8; 32]) -> Result<NewEnrolmentToken, Refusal> {
    change.access().everywhere(AccessRole::Admin)?;
    let role: Role = fields::read("role", &request.role)?;
    fields::between("uses", request.uses.into(), 1, ENROLMENT_USES_MAX.into())?;
    let life = fields::between("expires_in_seconds", request.expires_in_seconds, 1, ENROLMENT_SECONDS_MAX)?;
    let into = request.activate_into.as_deref().map(|l| fields::location(change.before, "activate_into", l)).transpose()?;
    tables::tokens::delete_expired(change.tx, change.now_ms)?;
    if tables::tokens::enrolment_all(change.tx)?.len() >= TOKENS_MAX {
        return Err(fields::too_many("enrolment tokens", TOKENS_MAX).into());
    }
    let token = EnrolToken { id: random()?, secret: random()?, ca };
    let record = EnrolmentToken {
        id: hex::encode(token.id),
        role,
        uses_left: request.uses,
        expires_ms: change.now_ms + life * 1000,
        activate_into: into.map(|l| l.name.clone()),
        created_ms: change.now_ms,
        created_by: change.actor().to_string(),
    };
    let kept = Kept { secret_sha256: digest(&token.secret), record };
    tables::tokens::insert_enrolment(change.tx, &kept, into.map(|l| l.id))?;
    change.audit("create", format_args!("enrolment token {}", kept.record.id), NOTHING, Some(&kept.record))?;
    Ok(NewEnrolmentToken { token: token.to_string(), record: kept.record })
}

pub(crate) fn delete_enrolment(change: &Change<'_>, id: &str) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Admin)?;
    let Some(token) = tables::tokens::enrolment(change.tx, id)? else { return Err(fields::absent("enrolment token", id).into()) };
    tables::tokens::delete_enrolment(change.tx, id)?;
    change.audit("delete", format_args!("enrolment token {id}"), Some(&token.record), NOTHING)?;
    Ok(())
}

pub(crate) fn create_api(change: &Change<'_>, request: &ApiTokenRequest) -> Result<NewApiToken, Refusal> {
    change.access().everywhere(AccessRole::Admin)?;
    let name = request.name.as_str();
    if name.is_empty() || name.len() > TOKEN_NAME_BYTES || name.chars().any(char::is_control) {
        let detail = format!("a name has 1 to {TOKEN_NAME_BYTES} bytes and no control characters");
        return Err(Problem::new(Reason::InvalidField, detail).at("name").into());
    }
    let life = request.expires_in_seconds.map(|s| fields::between("expires_in_seconds", s, 1, API_TOKEN_SECONDS_MAX)).transpose()?;
    let (role, services) = access(request)?;
    let known = tables::tokens::api_all(change.tx)?;
    if known.iter().any(|t| t.record.name == name) {
        return Err(Problem::new(Reason::NameTaken, format!("there is a token {name:?}")).at("name").into());
    }
    if known.len() >= TOKENS_MAX {
        return Err(fields::too_many("API tokens", TOKENS_MAX).into());
    }
    let token = ApiSecret { id: random()?, secret: random()? };
    let record = ApiToken {
        id: hex::encode(token.id),
        name: name.to_owned(),
        expires_ms: life.map(|s| change.now_ms + s * 1000),
        role,
        services,
        created_ms: change.now_ms,
        created_by: change.actor().to_string(),
    };
    let kept = Kept { secret_sha256: digest(&token.secret), record };
    tables::tokens::insert_api(change.tx, &kept)?;
    change.api_tokens_changed();
    change.audit("create", format_args!("API token {}", kept.record.id), NOTHING, Some(&kept.record))?;
    let text = format!("{API_TOKEN_PREFIX}{}.{}", kept.record.id, hex::encode(token.secret));
    Ok(NewApiToken { token: text, record: kept.record })
}

/// What a token may do: a role, and the delivery services it is confined to.
fn access(request: &ApiTokenRequest) -> Result<(AccessRole, Option<Vec<ServiceName>>), Problem> {
    let role = request.role.as_deref().map(|role| fields::read("role", role)).transpose()?;
    let Some(names) = &request.services else { return Ok((role.unwrap_or(AccessRole::Admin), None)) };
    let role = role.filter(|role| *role < AccessRole::Admin).ok_or_else(|| {
        Problem::new(Reason::InvalidField, "a token that is confined to delivery services is operator or viewer").at("role")
    })?;
    if names.is_empty() || names.len() > TOKEN_SERVICES_MAX {
        let detail = format!("names {} delivery services, not 1 to {TOKEN_SERVICES_MAX}", names.len());
        return Err(Problem::new(Reason::InvalidField, detail).at("services"));
    }
    let mut services = BTreeSet::new();
    for (at, text) in names.iter().enumerate() {
        services.insert(fields::read::<ServiceName>(&format!("services[{at}]"), text)?);
    }
    Ok((role, Some(services.into_iter().collect())))
}

pub(crate) fn delete_api(change: &Change<'_>, id: &str) -> Result<(), Refusal> {
    change.access().everywhere(AccessRole::Admin)?;
    let tokens = tables::tokens::api_all(change.tx)?;
    let Some(token) = tokens.iter().find(|t| t.record.id == id) else { return Err(fields::absent("API token", id).into()) };
    tables::tokens::delete_api(change.tx, id)?;
    change.api_tokens_changed();
    change.audit("delete", format_args!("API token {id}"), Some(&token.record), NOTHING)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_survives_text_and_only_its_secret_proves_it(id: [u8; 8], secret: [u8; 32], bit in 0usize..256) {
            let text = format!("{API_TOKEN_PREFIX}{}.{}", hex::encode(id), hex::encode(secret));
            let read: ApiSecret = text.parse().expect("token");
            prop_assert_eq!((read.id, read.secret), (id, secret));
            prop_assert!(proves(&secret, &digest(&secret)));
            let mut other = secret;
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!proves(&other, &digest(&secret)));
        }
        #[test]
        fn anything_else_is_refused(text in "(weir-api\\.)?\\PC{0,90}") {
            prop_assert!(text.parse::<ApiSecret>().is_err());
        }
    }
}
