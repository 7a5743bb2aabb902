//! What each page needs of whoever has signed in: looking is for all, forms are for operators, and what decides who may do what, or
//! cannot be taken back, is for administrators. Judged once, before a page is asked.
//!
//! A page that is not in the table is open to nobody but administrators; a test holds the table to the routes.

use crate::access::Access;
use axum::http::Method;
use weir_operator_api::{
    AccessRole::{self, Admin, Operator, Viewer},
    Problem,
};

/// A page or form by its method and route.
const PAGES: &[(&str, &str, AccessRole)] = &[
    // About oneself: for everybody.
    ("GET", "/login", Viewer),
    ("POST", "/login", Viewer),
    ("POST", "/logout", Viewer),
    ("GET", "/password", Viewer),
    ("POST", "/password", Viewer),
    ("GET", "/", Viewer),
    ("GET", "/lights", Viewer),
    ("GET", "/events", Viewer),
    ("GET", "/alarms", Viewer),
    ("POST", "/alarms/{id}/acknowledge", Operator),
    ("GET", "/audit", Viewer),
    ("GET", "/changesets/{rev}", Viewer),
    ("POST", "/changesets/{rev}/undo", Operator),
    ("GET", "/backups", Viewer),
    ("POST", "/backups", Operator),
    ("POST", "/backups/schedule", Admin),
    ("GET", "/backup/{name}", Viewer),
    ("POST", "/backup/{name}/rehearse", Operator),
    ("GET", "/backups/{name}/file", Admin),
    ("POST", "/backups/{name}/confirm", Admin),
    ("GET", "/backups/{name}/delete", Admin),
    ("POST", "/backups/{name}/delete", Admin),
    ("GET", "/delivery-services", Viewer),
    ("GET", "/new/delivery-service", Viewer),
    ("POST", "/new/delivery-service", Operator),
    ("GET", "/delivery-services/{name}", Viewer),
    ("POST", "/delivery-services/{name}", Operator),
    ("GET", "/delivery-services/{name}/delete", Viewer),
    ("POST", "/delivery-services/{name}/delete", Operator),
    ("GET", "/delivery-services/{name}/history", Viewer),
    ("GET", "/devices", Viewer),
    ("GET", "/devices.csv", Viewer),
    ("GET", "/devices/{name}", Viewer),
    ("GET", "/devices/{name}/activation", Viewer),
    ("POST", "/devices/{name}/activation", Operator),
    ("POST", "/devices/{name}/deactivate", Operator),
    ("POST", "/devices/{name}/offload", Operator),
    ("POST", "/devices/{name}/unoffload", Operator),
    ("GET", "/devices/{name}/alarms", Viewer),
    ("POST", "/devices/{name}/alarms/{id}/acknowledge", Operator),
    ("GET", "/devices/{name}/configuration", Viewer),
    ("GET", "/devices/{name}/delete", Admin),
    ("POST", "/devices/{name}/delete", Admin),
    ("GET", "/devices/{name}/logs", Viewer),
    ("GET", "/devices/{name}/update-software", Viewer),
    ("POST", "/devices/{name}/update-software", Operator),
    ("POST", "/devices/{name}/update-software/reload", Operator),
    ("POST", "/devices/{name}/update-software/cancel", Operator),
    ("GET", "/devices/{name}/update-software/clear-burned", Viewer),
    ("POST", "/devices/{name}/update-software/clear-burned", Operator),
    ("GET", "/explain", Viewer),
    ("GET", "/locations", Viewer),
    ("POST", "/locations", Operator),
    ("GET", "/locations/{name}", Viewer),
    ("POST", "/locations/{name}", Operator),
    ("POST", "/locations/{name}/delete", Operator),
    ("GET", "/managers", Viewer),
    ("GET", "/managers/take-over", Admin),
    ("POST", "/managers/take-over", Admin),
    ("GET", "/rollout", Viewer),
    ("GET", "/rollout/plan", Viewer),
    ("POST", "/rollout/start", Operator),
    ("GET", "/rollout/{verb}", Viewer),
    ("POST", "/rollout/{verb}", Operator),
    ("GET", "/rollout/devices/{name}/{verb}", Viewer),
    ("POST", "/rollout/devices/{name}/{verb}", Operator),
    ("GET", "/software-files", Viewer),
    ("GET", "/software-files/{id}", Viewer),
    ("POST", "/software-files/{id}/validate", Operator),
    ("POST", "/software-files/{id}/archive", Operator),
    ("GET", "/software-files/{id}/delete", Viewer),
    ("POST", "/software-files/{id}/delete", Operator),
    ("GET", "/new/software-file", Viewer),
    ("POST", "/new/software-file", Operator),
    ("GET", "/new/software-upload", Viewer),
    ("POST", "/new/software-upload", Operator),
    ("POST", "/software-files/sources", Admin),
    ("GET", "/tokens", Admin),
    ("POST", "/tokens/api", Admin),
    ("GET", "/tokens/api/{id}/delete", Admin),
    ("POST", "/tokens/api/{id}/delete", Admin),
    ("POST", "/tokens/enrolment", Admin),
    ("POST", "/tokens/enrolment/{id}/delete", Admin),
    ("GET", "/update-software", Viewer),
    ("POST", "/update-software", Operator),
    ("GET", "/users", Admin),
    ("POST", "/users", Admin),
    ("POST", "/users/{name}/role", Admin),
    ("GET", "/users/{name}/delete", Admin),
    ("POST", "/users/{name}/delete", Admin),
];

/// The role that a page or form needs, by its route; nothing where the answer is 405.
fn needed(method: &Method, path: &str) -> Option<AccessRole> {
    // RFC 9110 section 9.3.2: HEAD is GET without the content.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let mut of_path = PAGES.iter().filter(|(_, p, _)| *p == path).peekable();
    if of_path.peek().is_none() {
        return Some(Admin);
    }
    of_path.find(|(m, ..)| *m == method).map(|(_, _, role)| *role)
}

/// Refuses what the role is not enough for. A path that is no page is nobody's secret.
pub(super) fn allow(role: AccessRole, method: &Method, path: Option<&str>) -> Result<(), Problem> {
    let Some(needed) = path.and_then(|path| needed(method, path)) else { return Ok(()) };
    let problem = |problem: Problem| problem.next_step("ask an administrator to do it, or for another role");
    Access::of(role).role(needed).map_err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    fn sources(below: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(below).expect("the sources").map(|entry| entry.expect("an entry").path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    /// What lies between a bracket that has been opened and its end.
    fn within(text: &str) -> &str {
        let mut depth = 1;
        let end = text.char_indices().find(|(_, c)| {
            depth += match c {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0
        });
        &text[..end.expect("it ends").0]
    }

    /// The routes that the pages' sources have.
    fn routed() -> BTreeSet<(String, String)> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gui");
        let texts: Vec<String> = sources(&directory).into_iter().map(|path| fs::read_to_string(path).expect("a source")).collect();
        let constant = |own: &str, name: &str| {
            let value = |text: &str| Some(text.split_once(&format!("const {name}: &str = \""))?.1.split_once('"')?.0.to_owned());
            value(own).or_else(|| texts.iter().find_map(|text| value(text))).expect(name)
        };
        let mut found = BTreeSet::new();
        for text in &texts {
            for (_, rest) in text.match_indices(".route(").map(|(at, mark)| text.split_at(at + mark.len())) {
                let Some((path, handlers)) = within(rest).split_once(", ") else { continue };
                let path = match path.trim().strip_prefix('"') {
                    Some(literal) => literal.trim_end_matches('"').to_owned(),
                    None => constant(text, path.trim()),
                };
                for (method, word) in [("GET", "get("), ("POST", "post("), ("PUT", "put("), ("DELETE", "delete(")] {
                    let calls = |at: usize| at == 0 || handlers[..at].ends_with(['.', ' ']);
                    if handlers.match_indices(word).any(|(at, _)| calls(at)) {
                        found.insert((method.to_owned(), path.clone()));
                    }
                }
            }
        }
        found
    }

    #[test]
    fn every_page_is_in_the_table_and_nothing_else_once() {
        let mut routed = routed();
        // What every page is dressed with is nobody's secret, and is not behind the table.
        routed.retain(|(_, path)| !path.starts_with("/assets/"));
        let listed: BTreeSet<_> = PAGES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(listed.len(), PAGES.len(), "a page is there twice");
        let none = Vec::<&(String, String)>::new();
        assert_eq!(routed.difference(&listed).collect::<Vec<_>>(), none, "pages without an entry in the table of permissions");
        assert_eq!(listed.difference(&routed).collect::<Vec<_>>(), none, "pages that are not served");
    }

    #[test]
    fn looking_is_for_all_forms_for_operators_and_administration_for_administrators() {
        let own = ["/login", "/logout", "/password"];
        let administration = ["/users", "/tokens", "/managers/", "/backups/", "/devices/{name}/delete", "/software-files/sources"];
        for (method, path, role) in PAGES {
            let expected = match *method {
                _ if own.contains(path) => Viewer,
                _ if administration.iter().any(|above| path.starts_with(above)) => Admin,
                "GET" => Viewer,
                _ => Operator,
            };
            assert_eq!(*role, expected, "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_for_administrators() {
        assert!(allow(Viewer, &Method::POST, Some("/locations")).is_err());
        assert!(allow(Operator, &Method::GET, Some("/brand-new")).is_err());
        assert!(allow(Admin, &Method::GET, Some("/brand-new")).is_ok());
        assert!(allow(Viewer, &Method::HEAD, Some("/locations")).is_ok());
        assert!(allow(Viewer, &Method::PUT, Some("/users")).is_ok(), "the answer is 405");
        assert!(allow(Viewer, &Method::POST, None).is_ok(), "the answer is 404");
    }
}
