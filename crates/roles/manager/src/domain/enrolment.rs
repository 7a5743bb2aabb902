//! Enrolment: a token for a certificate. A device that asks again with the same key gets another certificate, nothing else.

use super::{devices, fields, tokens};
use crate::{
    change::{Change, Refusal},
    snapshot::DeviceRecord,
    tables::{self, tokens::Kept},
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, net::IpAddr, time::SystemTime};
use weir_device_api::{EnrolRequest, EnrolToken};
use weir_model::Role;
use weir_net::identity::{Authority, Subject, fingerprint_of, public_key_of_request};
use weir_operator_api::{Addresses, EnrolmentToken, Problem, Reason, device::WEIGHT};

/// Most devices of a network.
pub(crate) const DEVICES_MAX: usize = 20_000;

/// What an enrolment made.
pub(crate) struct Enrolled {
    pub(crate) certificate_pem: String,
    pub(crate) activated: bool,
}

pub(crate) fn enrol(
    change: &Change<'_>,
    authority: &Authority,
    request: &EnrolRequest,
    token: &EnrolToken,
    now: SystemTime,
) -> Result<Enrolled, Refusal> {
    let network = change.before;
    let hello = &request.hello;
    let kept = proven(change, authority, token)?;
    if kept.role != hello.role {
        let detail = format!("the token enrols a {}, {} is a {}", kept.role, hello.device, hello.role);
        return Err(Problem::new(Reason::TokenForOtherRole, detail).at("hello.role").into());
    }
    let bad_request =
        |error| Problem::new(Reason::BadCertificateRequest, weir_telemetry::Chain(&error).to_string()).at("certificate_request");
    let key = public_key_of_request(&request.certificate_request).map_err(bad_request)?;
    let key_sha256 = hex::encode(Sha256::digest(key));
    let known = network.devices.get(&hello.device);
    if known.is_some_and(|d| d.public_key_sha256 != key_sha256 || d.role != hello.role) {
        let next = "choose another name, or delete the old device first";
        return Err(Problem::new(Reason::NameTaken, format!("there is a device {}", hello.device))
            .at("hello.device")
            .next_step(next)
            .into());
    }
    spend(change, &kept, known)?;
    if known.is_none() && network.devices.len() >= DEVICES_MAX {
        return Err(fields::too_many("devices", DEVICES_MAX).into());
    }
    let addresses = addresses(&request.listeners);
    reachable(hello.role, &addresses)?;
    let subject = Subject { device: hello.device.to_string(), role: hello.role.to_string() };
    let certificate_pem = authority.sign_request(&request.certificate_request, &subject, &hosts(&addresses), now).map_err(bad_request)?;
    let certificate = weir_net::tls::first_certificate(&certificate_pem).expect("what was just signed is a certificate");
    let record = record(change, request, &kept, key_sha256, hex::encode(fingerprint_of(&certificate)), known);
    write(change, &record, known)?;
    Ok(Enrolled { certificate_pem, activated: record.active })
}

/// The token's record, if the secret is right and the time has not passed.
fn proven(change: &Change<'_>, authority: &Authority, token: &EnrolToken) -> Result<EnrolmentToken, Refusal> {
    let bad = || Problem::new(Reason::BadToken, "no such token, or it was deleted, or its secret is wrong").at("token");
    let Some(Kept { secret_sha256, record }) = tables::tokens::enrolment(change.tx, &hex::encode(token.id))? else {
        return Err(bad().into());
    };
    if !tokens::proves(&token.secret, &secret_sha256) || token.ca != authority.fingerprint() {
        return Err(bad().into());
    }
    if record.expires_ms <= change.now_ms {
        return Err(Problem::new(Reason::TokenExpired, "the token's time has passed").at("token").into());
    }
    Ok(record)
}

/// Takes one use of the token, unless this very device has taken one before.
fn spend(change: &Change<'_>, token: &EnrolmentToken, known: Option<&DeviceRecord>) -> Result<(), Refusal> {
    if known.is_some_and(|d| d.enrolled_with == token.id) {
        return Ok(());
    }
    if token.uses_left == 0 {
        return Err(Problem::new(Reason::TokenUsedUp, "the token has enrolled as many devices as it may").at("token").into());
    }
    tables::tokens::use_enrolment(change.tx, &token.id)?;
    Ok(())
}

fn record(
    change: &Change<'_>,
    request: &EnrolRequest,
    token: &EnrolmentToken,
    public_key_sha256: String,
    certificate_sha256: String,
    known: Option<&DeviceRecord>,
) -> DeviceRecord {
    let addresses = addresses(&request.listeners);
    let active = known.is_some_and(|d| d.active);
    let activates = !active && token.activate_into.is_some();
    // Documents name active devices only: enrolling an inactive one changes none of them.
    let configures = activates || known.is_some_and(|d| d.active && d.addresses != addresses);
    let revision = if configures { change.revision() } else { known.map_or(change.before.stamp.generation, |d| d.revision) };
    DeviceRecord {
        id: known.map_or(0, |d| d.id),
        name: request.hello.device.clone(),
        role: request.hello.role,
        active: active || activates,
        location: if activates { token.activate_into.clone() } else { known.and_then(|d| d.location.clone()) },
        weight: known.map_or(WEIGHT, |d| d.weight),
        capacity_mbps: known.and_then(|d| d.capacity_mbps),
        activated_generation: if activates { revision } else { known.map_or(0, |d| d.activated_generation) },
        addresses,
        public_key_sha256,
        certificate_sha256,
        enrolled_with: token.id.clone(),
        enrolled_ms: known.map_or(change.now_ms, |d| d.enrolled_ms),
        revision,
    }
}

fn write(change: &Change<'_>, record: &DeviceRecord, known: Option<&DeviceRecord>) -> Result<(), Refusal> {
    let location = devices::location_id(change.before, record.location.as_ref());
    match known {
        Some(_) => tables::devices::update(change.tx, record, location)?,
        None => {
            tables::devices::insert(change.tx, record, location)?;
        }
    }
    change.audit("enrol", format_args!("device {}", record.name), known, Some(record))?;
    change.enrolled();
    Ok(())
}

/// Listeners as the API shows them.
pub(crate) fn addresses(listeners: &weir_device_api::Listeners) -> Addresses {
    let weir_device_api::Listeners { dns, http, https, device, admin, keepalive } = *listeners;
    Addresses { dns, http, https, device, admin, keepalive }
}

/// Refuses listeners of the data plane on every address of a box (`0.0.0.0`, `::`): what a device reports is where viewers,
/// resolvers and engines are sent, and that is nowhere.
pub(crate) fn reachable(role: Role, addresses: &Addresses) -> Result<(), Problem> {
    if role == Role::Manager {
        return Ok(());
    }
    let Addresses { dns, http, keepalive, .. } = *addresses;
    for (listener, address) in [("dns", dns), ("http", http), ("keepalive", keepalive)] {
        if let Some(address) = address.filter(|address| address.ip().to_canonical().is_unspecified()) {
            let detail = format!("{address} is every address of the {role}'s box, so nobody can be sent there");
            let next = format!("write the address {listener} is reached at in device.toml, and start the device again");
            return Err(Problem::new(Reason::InvalidField, detail).at(format!("listeners.{listener}")).next_step(next));
        }
    }
    Ok(())
}

fn hosts(addresses: &Addresses) -> Vec<IpAddr> {
    let Addresses { dns, http, https, device, admin, keepalive } = *addresses;
    let hosts: BTreeSet<IpAddr> = [dns, http, https, device, admin, keepalive].into_iter().flatten().map(|a| a.ip()).collect();
    hosts.into_iter().collect()
}
