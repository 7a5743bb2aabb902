//! The system delivery service: release archives for the devices of this network, and for nobody else.
//!
//! Every engine carries it, and knows it without being told (`weir_routing::with_software`). An archive is filled like any
//! content, from the engines up the tree, and in the end from the managers' device API instead of an origin. Its path is its
//! SHA-256, so it never changes: the engine says so itself, whatever its upstream said, and keeps nothing that has another one.
//! A device's request counts like another engine's: no session, no steering, a fill for others in a drain.

mod digest;
mod hold;

pub(crate) use digest::Digested;
pub(crate) use hold::{Holds, hold};

use crate::{fields::VIA, refusal::Refusal};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
};
use weir_device_api::paths;
use weir_model::{DeliveryService, DeviceConfiguration, delivery};
use weir_net::http1::Request;

/// How long an archive may be kept: it never changes (RFC 9111 section 5.2.2.1, RFC 8246). A year is what is said for ever.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// What the configuration in force says of the system delivery service.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// It is carried; not when an operator's service is called like it.
    is_carried: bool,
    /// Addresses of the network's devices.
    devices: HashSet<IpAddr>,
    /// The managers' device APIs, in the order to ask them.
    managers: Vec<SocketAddr>,
}

impl Delivery {
    /// As a device's document says.
    pub(crate) fn of(configuration: &DeviceConfiguration, is_carried: bool) -> Self {
        let managers: Vec<SocketAddr> = configuration.managers.iter().map(|manager| manager.device).collect();
        let engines = configuration.engines.iter().map(|engine| engine.http.ip()).chain(configuration.engine_addresses.iter().copied());
        let routers = configuration.routers.iter().flat_map(|router| [Some(router.keepalive), router.http, router.dns]);
        let others = routers.flatten().chain(managers.iter().copied()).map(|at| at.ip());
        Self { is_carried, devices: engines.chain(others).map(|address| address.to_canonical()).collect(), managers }
    }

    /// The archive a request is for, when its service is this one.
    pub(crate) fn archive<'p>(&self, service: &DeliveryService, request: &Request<'_>, path: &'p str) -> Result<Option<&'p str>, Refusal> {
        if !self.is_carried || !delivery::is_reserved_name(&service.name) {
            return Ok(None);
        }
        if !self.devices.contains(&request.peer.ip().to_canonical()) {
            return Err(Refusal::NotADevice);
        }
        if !matches!(request.method, "GET" | "HEAD") {
            return Err(Refusal::MethodNotAllowed);
        }
        delivery::archive_at(path).map(Some).ok_or(Refusal::NoArchive)
    }

    /// Where an archive comes from when no engine has it.
    pub(crate) fn source(&self, sha256: &str) -> ArchiveSource {
        ArchiveSource { managers: self.managers.clone(), sha256: sha256.to_owned() }
    }
}

/// An archive at the managers.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveSource {
    /// Asked in turn.
    pub(crate) managers: Vec<SocketAddr>,
    sha256: String,
}

impl ArchiveSource {
    /// In hexadecimal digits, lower case.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What a manager is asked for.
    pub(crate) fn target(&self) -> String {
        format!("{}/{}", paths::SOFTWARE, self.sha256)
    }

    /// What the fields of a manager's answer are to everybody further down: of a manager's own only those of the message remain.
    pub(crate) fn fields(&self, status: u16, received: &HeaderMap) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for name in [header::CONTENT_LENGTH, header::CONTENT_RANGE, header::DATE] {
            if let Some(value) = received.get(&name) {
                fields.insert(name, value.clone());
            }
        }
        let is_archive = matches!(status, 200 | 206);
        let cache_control = if is_archive { CACHE_CONTROL } else { "no-store" };
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
        if is_archive {
            fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            let tag = HeaderValue::from_str(&format!("\"{}\"", self.sha256)).expect("hexadecimal digits");
            fields.insert(header::ETAG, tag);
        }
        fields
    }
}

/// What a device's request, or nobody's, sends upstream: nothing of its own but the range it asks for.
pub(crate) fn outgoing(range: Option<&str>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(header::VIA, HeaderValue::from_static(VIA));
    if let Some(range) = range.and_then(|range| HeaderValue::from_str(range).ok()) {
        fields.insert(HeaderName::from_static("range"), range);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> ArchiveSource {
        ArchiveSource { managers: Vec::new(), sha256: "a1".repeat(32) }
    }

    #[test]
    fn a_managers_answer_is_an_archive_for_ever_or_nothing_to_keep() {
        let mut received = HeaderMap::new();
        for (name, value) in [("content-length", "7"), ("cache-control", "no-store"), ("set-cookie", "a=b"), ("etag", "W/\"x\"")] {
            received.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let whole = source().fields(200, &received);
        assert_eq!(whole[header::CACHE_CONTROL], CACHE_CONTROL);
        assert_eq!(whole[header::ETAG], format!("\"{}\"", "a1".repeat(32)));
        assert_eq!(whole[header::CONTENT_LENGTH], "7");
        assert!(!whole.contains_key(header::SET_COOKIE));
        let absent = source().fields(404, &received);
        assert_eq!(absent[header::CACHE_CONTROL], "no-store");
        assert!(!absent.contains_key(header::ETAG));
    }

    #[test]
    fn a_managers_path_is_that_of_the_device_api() {
        assert_eq!(source().target(), format!("/device/v1/software/{}", "a1".repeat(32)));
    }
}
