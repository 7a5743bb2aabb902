//! Deep links: filters, order and tab of a page live in its query string.

use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};
use std::{collections::BTreeMap, convert::Infallible};
use url::form_urlencoded;

/// Longest value of a query that is looked at, in bytes; what is longer counts as not given.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// The parameters of a page's address. Those it does not know are passed over: an old bookmark still opens the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked(BTreeMap<String, String>);

impl Asked {
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| value.len() <= VALUE_BYTES_MAX);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.trim().to_owned())).collect())
    }

    /// The value of a parameter; empty when it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The value as a number or a word with a meaning; nothing when it has none.
    pub(super) fn read<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).parse().ok()
    }
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.uri))
    }
}

/// `path?name=value&...`, without the parameters that are empty.
pub(super) fn link(path: &str, query: &[(&str, &str)]) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
    let text = pairs.finish();
    if text.is_empty() { path.to_owned() } else { format!("{path}?{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let written = link("/devices", &[("q", "a b&c=\"<ü>"), ("role", ""), ("sort", "name")]);
        assert!(written.starts_with("/devices?q=") && !written.contains(['"', '<', ' ']));
        let asked = Asked::of(&written.parse().expect("uri"));
        assert_eq!((asked.get("q"), asked.get("role"), asked.get("sort")), ("a b&c=\"<ü>", "", "name"));
        assert_eq!(link("/devices", &[("q", "")]), "/devices");
        assert_eq!(Asked::of(&"/x?limit=7&limit=8&a=%ff".parse().expect("uri")).read("limit"), Some(8));
    }
}
