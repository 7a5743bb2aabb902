//! Which delivery services' content any web page may read.
//!
//! A script whose request is redirected to another origin twice reads the answer only if that says
//! `Access-Control-Allow-Origin: *`: its own origin is `null` by then (Fetch standard, HTTP-redirect fetch).

use http::{HeaderMap, header::ACCESS_CONTROL_ALLOW_ORIGIN};
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};
use weir_model::ServiceName;

/// Services whose last response from upstream was for every page to read.
#[derive(Default)]
pub(crate) struct Readable {
    services: Mutex<BTreeSet<ServiceName>>,
}

impl Readable {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<ServiceName>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A response came from upstream. Errors say nothing of the content, and a 304 need not repeat what it confirms.
    pub(crate) fn learn(&self, service: &ServiceName, status: u16, fields: &HeaderMap) {
        if !(200..300).contains(&status) {
            return;
        }
        let by_all = fields.get(ACCESS_CONTROL_ALLOW_ORIGIN).is_some_and(|origins| origins.as_bytes() == b"*");
        let mut services = self.lock();
        if by_all && !services.contains(service) {
            services.insert(service.clone());
        } else if !by_all {
            services.remove(service);
        }
    }

    /// Whether any page may read a service's content, as far as this engine knows.
    pub(crate) fn by_all(&self, service: &ServiceName) -> bool {
        self.lock().contains(service)
    }

    /// Forgets services that are no longer configured.
    pub(crate) fn retain(&self, known: impl Fn(&ServiceName) -> bool) {
        self.lock().retain(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_response_with_content_decides() {
        let (readable, service) = (Readable::default(), "demo".parse().expect("name"));
        assert!(!readable.by_all(&service), "unknown is no");
        for (status, origins, expected) in [
            (200, Some("*"), true),
            (404, None, true),
            (304, None, true),
            (206, Some("*"), true),
            (200, Some("https://player.example"), false),
            (304, Some("*"), false),
            (200, Some("*"), true),
            (200, None, false),
        ] {
            let mut fields = HeaderMap::new();
            if let Some(origins) = origins {
                fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origins.parse().expect("value"));
            }
            readable.learn(&service, status, &fields);
            assert_eq!(readable.by_all(&service), expected, "{status} {origins:?}");
        }
    }
}
