//! Which delivery service a request is for: the URL forms routers and engines accept.
//!
//! | form | Host | path |
//! |---|---|---|
//! | name | the service's domain, `<engine>.se.<domain>` or `<router>.sr.<domain>` | the content's path |
//! | address | an IP address | `/<domain>` and the content's path |
//!
//! Hosts are compared without case, port and trailing dot. The engine label is not looked up: a viewer sent to an engine
//! before a configuration change keeps a URL that works, at whichever engine stands in for it. A router's label is: nobody
//! holds such a name for longer than one redirect.

use crate::{
    names::ROUTER_LABEL,
    network::{Network, ServiceIndex, lowered},
};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_model::name::ENGINE_LABEL;

/// How a URL names its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UrlForm {
    /// By Host.
    Name,
    /// By the first segment of the path, at an IP address.
    Address,
}

impl UrlForm {
    /// The word used in JSON, logs and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            UrlForm::Name => "name",
            UrlForm::Address => "address",
        }
    }
}

/// A request's service, and its path there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// Which service.
    pub service: ServiceIndex,
    /// How it was named.
    pub form: UrlForm,
    /// The content's path; begins with `/`.
    pub path: &'a str,
}

/// Why a request is for no service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unresolved {
    /// The Host is neither a name nor an address.
    BadHost,
    /// No delivery service is published under the domain.
    UnknownDomain,
    /// The Host is an address and the path does not begin with a domain.
    NoDomainInPath,
    /// The target is not a path.
    NotAPath,
}

impl Unresolved {
    /// The word used in JSON, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Unresolved::BadHost => "bad_host",
            Unresolved::UnknownDomain => "unknown_domain",
            Unresolved::NoDomainInPath => "no_domain_in_path",
            Unresolved::NotAPath => "not_a_path",
        }
    }
}

/// The service and content path of a request.
///
/// # Errors
/// [`Unresolved`] says why there is none.
pub fn resolve<'a>(network: &Network, host: &str, path: &'a str) -> Result<Resolved<'a>, Unresolved> {
    if !path.starts_with('/') {
        return Err(Unresolved::NotAPath);
    }
    match read_host(host)? {
        Host::Name(name) => {
            let service = service_of_host(network, name).ok_or(Unresolved::UnknownDomain)?;
            Ok(Resolved { service, form: UrlForm::Name, path })
        }
        Host::Address => {
            let (domain, rest) = first_segment(path);
            if !domain.contains('.') {
                return Err(Unresolved::NoDomainInPath);
            }
            let service = network.service_of_domain(without_dot(domain)).ok_or(Unresolved::UnknownDomain)?;
            Ok(Resolved { service, form: UrlForm::Address, path: rest })
        }
    }
}

enum Host<'a> {
    Name(&'a str),
    Address,
}

/// `host[:port]` (RFC 3986 section 3.2.2): the port is checked for its shape and dropped. An IPv6 address may come without
/// its brackets, as the server loop's `host` has it.
fn read_host(host: &str) -> Result<Host<'_>, Unresolved> {
    let port = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if let Some(literal) = host.strip_prefix('[') {
        let (address, rest) = literal.split_once(']').ok_or(Unresolved::BadHost)?;
        let rest_is_port = rest.is_empty() || rest.strip_prefix(':').is_some_and(port);
        let valid = rest_is_port && address.parse::<Ipv6Addr>().is_ok();
        return if valid { Ok(Host::Address) } else { Err(Unresolved::BadHost) };
    }
    let name = match host.split_once(':') {
        Some((name, digits)) if port(digits) => name,
        Some(_) if host.parse::<Ipv6Addr>().is_ok() => return Ok(Host::Address),
        Some(_) => return Err(Unresolved::BadHost),
        None => host,
    };
    if name.is_empty() {
        return Err(Unresolved::BadHost);
    }
    Ok(if name.parse::<Ipv4Addr>().is_ok() { Host::Address } else { Host::Name(without_dot(name)) })
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn service_of_host(network: &Network, name: &str) -> Option<ServiceIndex> {
    network.service_of_domain(name).or_else(|| {
        lowered(name, |lower| {
            let (device, rest) = lower.split_once('.')?;
            let known = match rest.split_once('.')? {
                (ENGINE_LABEL, domain) if !device.is_empty() => domain,
                (ROUTER_LABEL, domain) if network.router_named(device).is_some() => domain,
                _ => return None,
            };
            network.service_of_domain(known)
        })
    })
}

/// `/first/rest` as `first` and `/rest`; a missing rest is `/`.
fn first_segment(path: &str) -> (&str, &str) {
    let inner = &path[1..];
    match inner.find('/') {
        Some(end) => inner.split_at(end),
        None => (inner, "/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        use {Unresolved::*, UrlForm::*};
        let network = sample::network();
        let long = "a".repeat(300);
        for (host, path, expected) in [
            ("demo.weir.test", "/a/b.ts", Ok((Name, "/a/b.ts"))),
            ("DEMO.Weir.Test:8080", "/a", Ok((Name, "/a"))),
            ("demo.weir.test.", "/a", Ok((Name, "/a"))),
            ("demo.weir.test.:80", "/", Ok((Name, "/"))),
            ("demo.weir.test:", "/", Ok((Name, "/"))),
            ("east-1.se.demo.weir.test", "/a", Ok((Name, "/a"))),
            ("East-1.SE.demo.weir.test:8080", "/a", Ok((Name, "/a"))),
            ("gone.se.demo.weir.test", "/a", Ok((Name, "/a"))),
            ("router-1.sr.demo.weir.test:8080", "/a", Ok((Name, "/a"))),
            ("Router-1.SR.demo.weir.test.", "/a", Ok((Name, "/a"))),
            ("gone.sr.demo.weir.test", "/a", Err(UnknownDomain)),
            ("east-1.sr.demo.weir.test", "/a", Err(UnknownDomain)),
            ("sr.demo.weir.test", "/a", Err(UnknownDomain)),
            ("127.0.7.20:8080", "/demo.weir.test/a/b.ts", Ok((Address, "/a/b.ts"))),
            ("127.0.7.20", "/Demo.Weir.Test/", Ok((Address, "/"))),
            ("127.0.7.20", "/demo.weir.test", Ok((Address, "/"))),
            ("127.0.7.20", "/demo.weir.test//x", Ok((Address, "//x"))),
            ("[::1]:8080", "/demo.weir.test./a", Ok((Address, "/a"))),
            ("[::1]", "/demo.weir.test/a", Ok((Address, "/a"))),
            ("demo.weir.test", "/demo.weir.test/a", Ok((Name, "/demo.weir.test/a"))),
            ("other.test", "/a", Err(UnknownDomain)),
            ("se.demo.weir.test", "/a", Err(UnknownDomain)),
            (".se.demo.weir.test", "/a", Err(UnknownDomain)),
            ("a.b.se.demo.weir.test", "/a", Err(UnknownDomain)),
            ("east-1.xse.demo.weir.test", "/a", Err(UnknownDomain)),
            ("east-1.sedemo.weir.test", "/a", Err(UnknownDomain)),
            ("demo.weir.test..", "/a", Err(UnknownDomain)),
            (&long, "/a", Err(UnknownDomain)),
            ("127.0.7.20", "/other.test/a", Err(UnknownDomain)),
            ("127.0.7.20", "/east-1.se.demo.weir.test/a", Err(UnknownDomain)),
            ("127.0.7.20", "/", Err(NoDomainInPath)),
            ("127.0.7.20", "//demo.weir.test/a", Err(NoDomainInPath)),
            ("127.0.7.20", "/vod/a.ts", Err(NoDomainInPath)),
            ("demo.weir.test", "*", Err(NotAPath)),
            ("demo.weir.test", "", Err(NotAPath)),
            ("", "/a", Err(BadHost)),
            (":80", "/a", Err(BadHost)),
            ("::1", "/demo.weir.test/a", Ok((Address, "/a"))),
            ("::1:x", "/demo.weir.test/a", Err(BadHost)),
            ("[::1", "/demo.weir.test/a", Err(BadHost)),
            ("[::1]x", "/demo.weir.test/a", Err(BadHost)),
            ("[127.0.0.1]", "/demo.weir.test/a", Err(BadHost)),
            ("demo.weir.test:8o", "/a", Err(BadHost)),
        ] {
            let found = resolve(&network, host, path).map(|r| (r.form, r.path));
            assert_eq!(found, expected, "{host} {path}");
        }
    }

    #[test]
    fn the_word_is_the_same_in_json() {
        for why in [Unresolved::BadHost, Unresolved::UnknownDomain, Unresolved::NoDomainInPath, Unresolved::NotAPath] {
            assert_eq!(serde_json::to_value(why).expect("json"), why.as_str());
        }
    }

    proptest! {
        #[test]
        fn any_host_and_path(host in "\\PC{0,300}", path in "\\PC{0,80}") {
            let network = sample::network();
            if let Ok(found) = resolve(&network, &host, &path) {
                prop_assert!(found.path.starts_with('/'));
            }
        }
        #[test]
        fn both_forms_name_the_same_content(path in "/[a-z0-9/._-]{0,40}") {
            let network = sample::network();
            let by_name = resolve(&network, "demo.weir.test", &path).expect("name form");
            let moved = format!("/demo.weir.test{path}");
            let by_address = resolve(&network, "192.0.2.1:81", &moved).expect("address form");
            prop_assert_eq!(by_name.path, by_address.path);
            prop_assert_eq!(by_name.service, by_address.service);
        }
    }
}
