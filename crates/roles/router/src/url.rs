//! The URL an operator asks about, in the parts a request has.

/// Host, path and query of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

/// Stands for the address of the router when the URL names none.
const ANY_ADDRESS: &str = "0.0.0.0";

/// `http://HOST[/PATH][?QUERY]`, or `/DOMAIN/PATH[?QUERY]` as asked at an address. A fragment never reaches a server
/// and is dropped.
pub(crate) fn split(url: &str) -> Option<Parts<'_>> {
    let url = url.split('#').next().unwrap_or(url);
    let (host, target) = match url.strip_prefix("http://") {
        Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        None => (ANY_ADDRESS, url),
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let path = if path.is_empty() && host != ANY_ADDRESS { "/" } else { path };
    (!host.is_empty() && path.starts_with('/')).then_some(Parts { host, path, query })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        for (url, expected) in [
            ("http://demo.weir.test", Some(("demo.weir.test", "/", None))),
            ("http://demo.weir.test:81/a/b?c=/d?e#f", Some(("demo.weir.test:81", "/a/b", Some("c=/d?e")))),
            ("http://demo.weir.test?x", Some(("demo.weir.test", "/", Some("x")))),
            ("http://[::1]:80/demo.weir.test/a", Some(("[::1]:80", "/demo.weir.test/a", None))),
            ("/demo.weir.test/a?b", Some((ANY_ADDRESS, "/demo.weir.test/a", Some("b")))),
            ("https://demo.weir.test/", None),
            ("demo.weir.test/a", None),
            ("http:///a", None),
            ("?a", None),
            ("", None),
        ] {
            assert_eq!(split(url), expected.map(|(host, path, query)| Parts { host, path, query }), "{url}");
        }
    }
}
