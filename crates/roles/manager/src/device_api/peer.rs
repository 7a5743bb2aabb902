//! Which device is asking: the one its certificate names, if that is the certificate we gave it last.

use crate::{
    access::Access,
    app::App,
    change::{Actor, Caller},
    server::Peer,
    snapshot::DeviceRecord,
};
use axum::{extract::FromRequestParts, http::request::Parts};
use std::sync::Arc;
use weir_device_api::{Hello, hello::PROTOCOL};
use weir_model::Role;
use weir_operator_api::{Problem, Reason};

/// An authenticated device.
pub(crate) struct DevicePeer {
    pub(crate) record: DeviceRecord,
    pub(crate) caller: Caller,
    sha256: String,
}

impl FromRequestParts<Arc<App>> for DevicePeer {
    type Rejection = crate::api::Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let Some(Peer::Tls { address, certificate: Some(certificate) }) = parts.extensions.get::<Peer>() else {
            return Err(Problem::new(Reason::CertificateRequired, "the connection shows no certificate of this network").into());
        };
        let record = known(app, &certificate.subject.device, &certificate.sha256)?;
        if record.role.as_str() != certificate.subject.role {
            return Err(refused(&certificate.subject.device).into());
        }
        let caller = Caller { actor: Actor::Device(record.name.to_string()), source: address.ip().to_string(), access: Access::least() };
        Ok(Self { record, caller, sha256: certificate.sha256.clone() })
    }
}

impl DevicePeer {
    /// Whether the device is still one of ours: it may have been deleted while its poll waited.
    pub(crate) fn still_known(&self, app: &App) -> Result<DeviceRecord, Problem> {
        known(app, self.record.name.as_str(), &self.sha256)
    }

    /// Refuses a HELLO that is another device's or that we cannot speak with.
    pub(crate) fn check(&self, hello: &Hello) -> Result<(), Problem> {
        if hello.device != self.record.name {
            let detail = format!("the certificate is {}'s, the report {}'s", self.record.name, hello.device);
            return Err(Problem::new(Reason::CertificateRefused, detail).at("hello.device"));
        }
        if hello.role != self.record.role {
            let detail = format!("{} is a {}, not a {}", hello.device, self.record.role, hello.role);
            return Err(Problem::new(Reason::CertificateRefused, detail).at("hello.role"));
        }
        compatible(hello)
    }
}

/// Refuses a protocol range that has nothing in common with ours.
pub(crate) fn compatible(hello: &Hello) -> Result<(), Problem> {
    PROTOCOL.choose(hello.protocol).map(|_| ()).map_err(|incompatible| {
        let detail = format!("{} {incompatible}", hello.device);
        Problem::new(Reason::Incompatible, detail).at("hello.protocol")
    })
}

/// The record of a device whose certificate TLS has verified. A manager's may be any that our CA signed: managers hold the CA's key, and
/// one that was primary issues its own.
fn known(app: &App, device: &str, sha256: &str) -> Result<DeviceRecord, Problem> {
    let network = app.network();
    let is_shown = |d: &&DeviceRecord| d.certificate_sha256 == sha256 || d.role == Role::Manager;
    network.devices.get(device).filter(is_shown).cloned().ok_or_else(|| refused(device))
}

fn refused(device: &str) -> Problem {
    Problem::new(Reason::CertificateRefused, format!("the certificate of {device} was replaced or revoked"))
}
