//! The URL a client is sent to.

use crate::{network::Engine, url_form::UrlForm};
use std::fmt::Write;
use weir_model::{Domain, name::ENGINE_LABEL};

/// The port a URL of scheme `http` leaves out.
const HTTP_PORT: u16 = 80;

/// Appends `http://<engine>.se.<domain>[:port]<path>[?query]` (name form; port 80 is left out) or
/// `http://<address:port>/<domain><path>[?query]` (address form).
pub fn push_location(out: &mut String, engine: &Engine, domain: &Domain, form: UrlForm, path: &str, query: Option<&str>) {
    let port = engine.http.port();
    let written = match form {
        UrlForm::Name if port == HTTP_PORT => write!(out, "http://{}.{ENGINE_LABEL}.{domain}", engine.name),
        UrlForm::Name => write!(out, "http://{}.{ENGINE_LABEL}.{domain}:{port}", engine.name),
        UrlForm::Address => write!(out, "http://{}/{domain}", engine.http),
    };
    written.expect("writing to a string does not fail");
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
            let engine = Engine { name: sample::name("east-1"), location: LocationIndex(0), http: http.parse().expect(http), weight: 1 };
            let mut location = String::new();
            push_location(&mut location, &engine, &sample::name("demo.weir.test"), form, "/a/b.ts", query);
            assert_eq!(location, expected);
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
