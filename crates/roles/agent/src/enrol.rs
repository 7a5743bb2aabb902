//! Enrolment: a token for a certificate. Repeating it with the same key and token is harmless.

use crate::{
    client::{ANSWER_TIMEOUT, ClientError, http_client, refusal},
    device_state::{DeviceState, EnrolmentKeyError, Identity, StateError},
};
use std::net::SocketAddr;
use weir_device_api::{EnrolAnswer, EnrolRequest, EnrolToken, Hello, Listeners, hello, paths};
use weir_model::{DeviceName, Role, Stamp, version};
use weir_net::identity::{CertificateRequest, IdentityError, Subject};

/// Why a device could not enrol.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Its state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its key.
    #[error(transparent)]
    Key(#[from] EnrolmentKeyError),
    /// Its key or request.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The manager cannot be reached, is not the one the token names, or said no.
    #[error("enrol {device}")]
    Manager {
        /// Who wanted in.
        device: DeviceName,
        /// Why not.
        #[source]
        source: ClientError,
    },
}

/// Enrols a device with the manager at `manager` and keeps the identity in `state`.
pub async fn enrol(
    state: &DeviceState,
    device: &DeviceName,
    role: Role,
    manager: SocketAddr,
    token: &EnrolToken,
    listeners: Listeners,
) -> Result<EnrolAnswer, EnrolError> {
    let subject = Subject { device: device.to_string(), role: role.to_string() };
    let key = state.enrolment_key(|| Ok(CertificateRequest::create(&subject)?.key_pem))?;
    let request = CertificateRequest::with_key(&subject, &key)?;
    let body = EnrolRequest {
        hello: Hello { protocol: hello::PROTOCOL, version: version().to_owned(), device: device.clone(), role, stamp: Stamp::default() },
        token: token.to_string(),
        certificate_request: request.request_pem,
        listeners,
    };
    let failed = |source| EnrolError::Manager { device: device.clone(), source };
    let answer = ask(manager, token, &body).await.map_err(failed)?;
    // First: an identity without the key would make a standby that can never take over.
    if let Some(key) = answer.network_key.as_ref().filter(|_| role == Role::Manager) {
        state.keep_network_key(key)?;
    }
    state.keep_identity(&Identity {
        device: device.clone(),
        role,
        certificate: answer.certificate.clone(),
        key: request.key_pem,
        ca: answer.ca.clone(),
        manager,
        manager_name: answer.hello.device.clone(),
        manager_api: answer.api,
    })?;
    Ok(answer)
}

async fn ask(manager: SocketAddr, token: &EnrolToken, body: &EnrolRequest) -> Result<EnrolAnswer, ClientError> {
    let unreachable = |source| ClientError::Unreachable { address: manager, source };
    let http = http_client(weir_net::tls::pinned_client_config(token.ca)?).map_err(unreachable)?;
    let url = format!("https://{manager}{}", paths::ENROL);
    let response = http.post(url).timeout(ANSWER_TIMEOUT).json(body).send().await.map_err(unreachable)?;
    if !response.status().is_success() {
        return Err(refusal(manager, response).await);
    }
    response.json().await.map_err(unreachable)
}
