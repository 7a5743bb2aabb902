//! What each page needs of whoever has signed in: looking is for all, forms are for operators, and what decides who may do what, or
//! cannot be taken back, is for administrators. Judged once, before a page is asked.

use crate::access::Access;
use axum::http::Method;
use weir_operator_api::{
    AccessRole::{self, Admin, Operator, Viewer},
    Problem,
};

/// Pages about oneself: for everybody.
const OWN: [&str; 3] = ["/login", "/logout", "/password"];
/// Pages, and all below them, for administrators alone.
const ADMINISTRATION: [&str; 7] =
    ["/users", "/tokens", "/managers/", "/backups/", "/backup-schedule", "/devices/{name}/delete", "/software-files/sources"];

/// The role that a page or form needs, by its route.
fn needed(method: &Method, path: &str) -> AccessRole {
    let looks = matches!(*method, Method::GET | Method::HEAD);
    if OWN.contains(&path) {
        Viewer
    } else if ADMINISTRATION.iter().any(|above| path.starts_with(above)) {
        Admin
    } else if looks {
        Viewer
    } else {
        Operator
    }
}

/// Refuses what the role is not enough for. A path that is no page is nobody's secret.
pub(super) fn allow(role: AccessRole, method: &Method, path: Option<&str>) -> Result<(), Problem> {
    let Some(path) = path else { return Ok(()) };
    let problem = |problem: Problem| problem.next_step("ask an administrator to do it, or for another role");
    Access::of(role).role(needed(method, path)).map_err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_is_for_all_forms_for_operators_and_administration_for_administrators() {
        for (method, path, expected) in [
            (Method::GET, "/", Viewer),
            (Method::GET, "/devices/{name}/activation", Viewer),
            (Method::POST, "/devices/{name}/activation", Operator),
            (Method::POST, "/changesets/{rev}/undo", Operator),
            (Method::POST, "/locations/{name}/delete", Operator),
            (Method::GET, "/devices/{name}/delete", Admin),
            (Method::POST, "/devices/{name}/delete", Admin),
            (Method::POST, "/software-files/sources", Admin),
            (Method::GET, "/users", Admin),
            (Method::POST, "/users/{name}/role", Admin),
            (Method::POST, "/tokens/api", Admin),
            (Method::GET, "/managers", Viewer),
            (Method::POST, "/managers/take-over", Admin),
            (Method::GET, "/backups", Viewer),
            (Method::POST, "/backups", Operator),
            (Method::GET, "/backups/{name}", Admin),
            (Method::POST, "/password", Viewer),
            (Method::POST, "/logout", Viewer),
        ] {
            assert_eq!(needed(&method, path), expected, "{method} {path}");
        }
        assert!(allow(Viewer, &Method::POST, Some("/locations")).is_err());
        assert!(allow(Viewer, &Method::POST, None).is_ok(), "the answer is 404");
    }
}
