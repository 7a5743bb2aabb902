//! The URL a client is sent to: by a router to an engine, by an offloaded engine to a router.

use crate::{names::ROUTER_LABEL, network::Engine, url_form::UrlForm};
use std::{fmt::Write, net::SocketAddr};
use weir_model::{DeviceName, Domain, name::ENGINE_LABEL};

/// What the mark of a steered request begins with, as one `&`-separated part of the query: `weir-steered=<engine>.<rest>`.
/// The engine writes it, routers hand it on, and what follows the engine's name is the engine's own business.
pub const STEERED_MARK: &str = "weir-steered=";

/// The port a URL of scheme `http` leaves out.
const HTTP_PORT: u16 = 80;

/// The engine that steered a request here, wherever in the query its mark stands; of several the last.
pub fn steered_by(query: &str) -> Option<&str> {
    let mark = query.rsplit('&').find_map(|part| part.strip_prefix(STEERED_MARK))?;
    // A device name has no dot.
    mark.split_once('.').map(|(engine, _)| engine)
}

/// Appends `http://<engine>.se.<domain>[:port]<path>[?query]` (name form; port 80 is left out) or
/// `http://<address:port>/<domain><path>[?query]` (address form).
pub fn push_location(out: &mut String, engine: &Engine, domain: &Domain, form: UrlForm, path: &str, query: Option<&str>) {
    push_device(out, (&engine.name, ENGINE_LABEL, engine.http), domain, form);
    push_content(out, path, query);
}

/// Appends the URL an offloaded engine steers a viewer to: `http://<router>.sr.<domain>[:port]<path>[?query]` (name form) or
/// `http://<address:port>/<domain><path>[?query]` (address form).
pub fn push_steering(
    out: &mut String,
    (router, http): (&DeviceName, SocketAddr),
    domain: &Domain,
    form: UrlForm,
    path: &str,
    query: Option<&str>,
) {
    push_device(out, (router, ROUTER_LABEL, http), domain, form);
    push_content(out, path, query);
}

fn push_device(out: &mut String, (name, label, http): (&DeviceName, &str, SocketAddr), domain: &Domain, form: UrlForm) {
    let written = match (form, http.port()) {
        (UrlForm::Name, HTTP_PORT) => write!(out, "http://{name}.{label}.{domain}"),
        (UrlForm::Name, port) => write!(out, "http://{name}.{label}.{domain}:{port}"),
        (UrlForm::Address, _) => write!(out, "http://{http}/{domain}"),
    };
    written.expect("writing to a string does not fail");
}

fn push_content(out: &mut String, path: &str, query: Option<&str>) {
    out.push_str(path);
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{network::LocationIndex, sample, url_form};

    #[test]
    fn forms() {
        for (http, form, query, expected) in [
            ("192.0.2.7:8080", UrlForm::Name, Some("t=1&u"), "http://east-1.se.demo.weir.test:8080/a/b.ts?t=1&u"),
            ("192.0.2.7:80", UrlForm::Name, None, "http://east-1.se.demo.weir.test/a/b.ts"),
            ("192.0.2.7:8080", UrlForm::Address, None, "http://192.0.2.7:8080/demo.weir.test/a/b.ts"),
            ("[2001:db8::7]:8080", UrlForm::Address, Some(""), "http://[2001:db8::7]:8080/demo.weir.test/a/b.ts?"),
        ] {
            let engine = Engine {
                name: sample::name("east-1"),
                location: LocationIndex(0),
                http: http.parse().expect(http),
                weight: 1,
                offload: None,
            };
            let mut location = String::new();
            push_location(&mut location, &engine, &sample::name("demo.weir.test"), form, "/a/b.ts", query);
            assert_eq!(location, expected);
        }
    }

    #[test]
    fn marks() {
        for (query, engine) in [
            ("weir-steered=east-1.1.42", Some("east-1")),
            ("t=1&weir-steered=east-1.1.42", Some("east-1")),
            ("weir-steered=east-1.1.42&_HLS_msn=7&_HLS_part=1", Some("east-1")),
            ("weir-steered=east-1.1.42&a&weir-steered=east-2.1.50&b", Some("east-2")),
            ("weir-steered=", None),
            ("weir-steered=east-1", None),
            ("xweir-steered=east-1.1.42", None),
            ("t=weir-steered=east-1.1.42", None),
            ("", None),
        ] {
            assert_eq!(steered_by(query), engine, "{query}");
        }
    }

    /// What an offloaded engine writes, a router reads back as the same content.
    #[test]
    fn the_router_reads_steering_back() {
        let network = sample::network();
        let router = &network.routers()[1];
        let http = router.http.expect("the sample's have one");
        for (form, expected) in [
            (UrlForm::Name, "http://router-2.sr.demo.weir.test:8080/x/y.m3u8?t=1"),
            (UrlForm::Address, "http://127.0.7.12:8080/demo.weir.test/x/y.m3u8?t=1"),
        ] {
            let mut location = String::new();
            push_steering(&mut location, (&router.name, http), &sample::name("demo.weir.test"), form, "/x/y.m3u8", Some("t=1"));
            assert_eq!(location, expected);
            let rest = location.strip_prefix("http://").expect("scheme");
            let (host, target) = rest.split_at(rest.find('/').expect("path"));
            let path = target.split_once('?').expect("query").0;
            let resolved = url_form::resolve(&network, host, path).expect("a service");
            assert_eq!((resolved.form, resolved.path), (form, "/x/y.m3u8"));
        }
    }

    /// What a router writes, an engine reads back as the same content.
    #[test]
    fn the_engine_reads_it_back() {
        let network = sample::network();
        for form in [UrlForm::Name, UrlForm::Address] {
            let mut location = String::new();
            push_location(&mut location, &network.engines()[2], &sample::name("demo.weir.test"), form, "/x//y.m3u8", None);
            let rest = location.strip_prefix("http://").expect("scheme");
            let (host, path) = rest.split_at(rest.find('/').expect("path"));
            let resolved = url_form::resolve(&network, host, path).expect("a service");
            assert_eq!((resolved.form, resolved.path), (form, "/x//y.m3u8"));
        }
    }
}
