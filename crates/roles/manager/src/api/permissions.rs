//! What each route needs: the role, and whether a token that is confined to delivery services may use it.
//!
//! A route that is not in the table is open to nobody but administrators; a test holds the table to the OpenAPI document.

use crate::access::Access;
use axum::http::Method;
use weir_operator_api::{
    AccessRole::{self, Admin, Operator, Viewer},
    Problem,
};

/// Whom a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Whoever has the role.
    Role(AccessRole),
    /// Also tokens that are confined to delivery services: the verb judges which.
    Services(AccessRole),
}
use For::{Role, Services};

/// A route by its method and path, relative to `/api/v1`.
const ROUTES: &[(&str, &str, For)] = &[
    ("GET", "/status", Role(Viewer)),
    ("GET", "/locations", Role(Viewer)),
    ("POST", "/locations", Role(Operator)),
    ("GET", "/locations/{name}", Role(Viewer)),
    ("PUT", "/locations/{name}", Role(Operator)),
    ("DELETE", "/locations/{name}", Role(Operator)),
    ("POST", "/locations/{name}/confirm-removal", Role(Operator)),
    ("GET", "/devices", Role(Viewer)),
    ("GET", "/devices/{name}", Role(Viewer)),
    ("DELETE", "/devices/{name}", Role(Admin)),
    ("POST", "/devices/{name}/activate", Role(Operator)),
    ("POST", "/devices/{name}/deactivate", Role(Operator)),
    ("GET", "/devices/{name}/logs", Role(Viewer)),
    ("GET", "/devices/{name}/offload", Role(Viewer)),
    ("POST", "/devices/{name}/offload", Role(Operator)),
    ("GET", "/devices/{name}/offload/preview", Role(Viewer)),
    ("POST", "/devices/{name}/unoffload", Role(Operator)),
    ("GET", "/updates", Role(Viewer)),
    ("GET", "/devices/{name}/update", Role(Viewer)),
    ("POST", "/devices/{name}/update", Role(Operator)),
    ("GET", "/devices/{name}/update/preview", Role(Viewer)),
    ("POST", "/devices/{name}/update/reload", Role(Operator)),
    ("POST", "/devices/{name}/update/cancel", Role(Operator)),
    ("POST", "/devices/{name}/update/clear-burned", Role(Operator)),
    ("GET", "/rollout", Role(Viewer)),
    ("POST", "/rollout", Role(Operator)),
    ("POST", "/rollout/plan", Role(Viewer)),
    ("GET", "/rollout/journal", Role(Viewer)),
    ("POST", "/rollout/{verb}", Role(Operator)),
    ("POST", "/rollout/devices/{name}/{verb}", Role(Operator)),
    ("GET", "/features", Role(Viewer)),
    ("GET", "/delivery-services", Services(Viewer)),
    ("POST", "/delivery-services", Services(Operator)),
    ("GET", "/delivery-services/{name}", Services(Viewer)),
    ("PUT", "/delivery-services/{name}", Services(Operator)),
    ("DELETE", "/delivery-services/{name}", Services(Operator)),
    ("GET", "/coverage-zones", Role(Viewer)),
    ("PUT", "/coverage-zones", Role(Operator)),
    ("GET", "/export", Role(Viewer)),
    ("POST", "/apply", Role(Operator)),
    ("GET", "/enrolment-tokens", Role(Admin)),
    ("POST", "/enrolment-tokens", Role(Admin)),
    ("DELETE", "/enrolment-tokens/{id}", Role(Admin)),
    ("GET", "/tokens", Role(Admin)),
    ("POST", "/tokens", Role(Admin)),
    ("DELETE", "/tokens/{id}", Role(Admin)),
    ("GET", "/users", Role(Admin)),
    ("POST", "/users", Role(Admin)),
    ("DELETE", "/users/{name}", Role(Admin)),
    ("POST", "/users/{name}/role", Role(Admin)),
    ("POST", "/users/{name}/one-time-password", Role(Admin)),
    ("GET", "/alarms", Role(Viewer)),
    ("POST", "/alarms/{id}/acknowledge", Role(Operator)),
    ("GET", "/audit", Role(Viewer)),
    ("GET", "/changesets", Role(Viewer)),
    ("GET", "/changesets/{rev}", Role(Viewer)),
    ("POST", "/changesets/{rev}/undo", Role(Operator)),
    ("GET", "/delivery-services/{name}/history", Role(Viewer)),
    ("GET", "/locations/{name}/history", Role(Viewer)),
    ("GET", "/devices/{name}/history", Role(Viewer)),
    ("GET", "/coverage-zones/history", Role(Viewer)),
    ("GET", "/route/explain", Role(Viewer)),
    ("GET", "/software-files", Role(Viewer)),
    ("POST", "/software-files", Role(Operator)),
    ("GET", "/software-files/{id}", Role(Viewer)),
    ("DELETE", "/software-files/{id}", Role(Operator)),
    ("PUT", "/software-files/{id}/archive", Role(Operator)),
    ("POST", "/software-files/{id}/validate", Role(Operator)),
    ("GET", "/software-choices", Role(Viewer)),
    ("GET", "/software-sources", Role(Viewer)),
    ("PUT", "/software-sources", Role(Admin)),
    ("GET", "/backups", Role(Viewer)),
    ("POST", "/backups", Role(Operator)),
    ("GET", "/backups/{name}", Role(Admin)),
    ("DELETE", "/backups/{name}", Role(Admin)),
    ("POST", "/backups/{name}/confirm", Role(Admin)),
    ("POST", "/backups/{name}/rehearse", Role(Operator)),
    ("POST", "/backups/{name}/recover", Role(Admin)),
    ("GET", "/backup-schedule", Role(Viewer)),
    ("PUT", "/backup-schedule", Role(Admin)),
    ("GET", "/pair", Role(Viewer)),
    ("POST", "/pair/role", Role(Admin)),
];

/// What the paths above are below of.
const BASE: &str = "/api/v1";

/// Refuses a caller whose role or confinement is not for this route. A path that is none is nobody's secret.
pub(super) fn allow(access: &Access, method: &Method, path: Option<&str>) -> Result<(), Problem> {
    let Some(path) = path else { return Ok(()) };
    // RFC 9110 section 9.3.2: HEAD is GET without the content.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    match needed(method, path) {
        Some(Role(role)) => access.everywhere(role),
        Some(Services(role)) => access.role(role),
        // The answer is 405.
        None if is_known(path) => Ok(()),
        None => access.everywhere(Admin),
    }
}

fn needed(method: &str, path: &str) -> Option<For> {
    let path = path.strip_prefix(BASE)?;
    ROUTES.iter().find(|(m, p, _)| *m == method && *p == path).map(|(_, _, needed)| *needed)
}

/// Whether the path is in the table with any method.
fn is_known(path: &str) -> bool {
    path.strip_prefix(BASE).is_some_and(|path| ROUTES.iter().any(|(_, p, _)| *p == path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_in_the_table_and_nothing_else_once() {
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        let mut served = BTreeSet::new();
        for (path, verbs) in document["paths"].as_object().expect("paths") {
            for method in verbs.as_object().expect("verbs").keys() {
                let method = method.to_uppercase();
                assert!(needed(&method, path).is_some(), "{method} {path} has no entry in the table of permissions");
                served.insert((method, path.clone()));
            }
        }
        let listed: BTreeSet<_> = ROUTES.iter().map(|(m, p, _)| ((*m).to_owned(), format!("{BASE}{p}"))).collect();
        assert_eq!(listed.len(), ROUTES.len(), "a route is there twice");
        assert_eq!(listed.difference(&served).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "routes that are not served");
    }

    #[test]
    fn nobody_writes_as_a_viewer_and_reading_secrets_is_for_administrators() {
        for (method, path, needed) in ROUTES {
            let (Role(role) | Services(role)) = *needed;
            // A plan is asked for with a body, and changes nothing.
            assert!(*method == "GET" || role >= Operator || *path == "/rollout/plan", "{method} {path}");
            let secret = ["/users", "/tokens", "/enrolment-tokens", "/backups/{name}"].iter().any(|s| path.starts_with(s));
            assert!(!secret || role == Admin || path.ends_with("/rehearse"), "{method} {path}");
        }
    }

    #[test]
    fn a_route_nobody_wrote_down_is_for_administrators_alone() {
        let path = Some("/api/v1/brand-new");
        assert!(allow(&Access::of(Operator), &Method::GET, path).is_err());
        assert!(allow(&Access::admin(), &Method::GET, path).is_ok());
        assert!(allow(&Access::of(Viewer), &Method::GET, None).is_ok(), "the answer is 404");
        assert!(allow(&Access::of(Viewer), &Method::PATCH, Some("/api/v1/users/{name}")).is_ok(), "the answer is 405");
        assert!(allow(&Access::of(Viewer), &Method::HEAD, Some("/api/v1/locations")).is_ok());
    }
}
