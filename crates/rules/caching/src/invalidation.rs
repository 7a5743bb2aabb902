//! What an unsafe request makes unusable (RFC 9111 section 4.4).

use crate::Fields;
use crate::fields::trim_ows;

/// Whether an answered request invalidates what is stored under its URI: an unsafe method, unknown ones included, and a
/// 2xx or 3xx answer.
pub fn invalidates(method: &str, status: u16) -> bool {
    !matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE") && (200..400).contains(&status)
}

/// A target whose stored responses are to be invalidated too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its path, starting with `/`.
    pub path: &'a str,
    /// Its query.
    pub query: Option<&'a str>,
}

/// The targets `Location` and `Content-Location` of an invalidating answer name, as far as they are of the same origin.
///
/// `authorities` are those the content is known under: the client's, as in `Host`, and the origin's own. References with
/// one of them or a path that starts with `/` are understood; others are left out, which section 4.4 allows.
pub fn named_targets<'a, F: Fields + ?Sized>(response: &'a F, authorities: &'a [&'a str]) -> impl Iterator<Item = Target<'a>> {
    ["location", "content-location"].into_iter().filter_map(move |name| target(response.single(name)?, authorities))
}

/// What is left of a path under a prefix (without a slash at its end); nothing for a path that only begins alike.
pub fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    match path.strip_prefix(prefix)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

fn target<'a>(reference: &'a [u8], authorities: &[&str]) -> Option<Target<'a>> {
    let reference = std::str::from_utf8(trim_ows(reference)).ok()?;
    let reference = reference.split('#').next()?;
    let path_and_query = match strip_scheme(reference) {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (named, rest) = rest.split_at(end);
            // Another origin's content is not this answer's to invalidate.
            authorities.iter().any(|authority| named.eq_ignore_ascii_case(authority)).then_some(rest)?
        }
        None => reference,
    };
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    match path {
        "" if path_and_query.len() < reference.len() => Some(Target { path: "/", query }),
        _ => path.starts_with('/').then_some(Target { path, query }),
    }
}

/// What follows `http://`, `https://` or `//`.
fn strip_scheme(reference: &str) -> Option<&str> {
    let after = |prefix: &str| {
        let (start, rest) = reference.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(rest)
    };
    after("http://").or_else(|| after("https://")).or_else(|| after("//"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unsafe_methods_with_a_good_answer_invalidate() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "post"] {
            for (status, expected) in [(199, false), (200, true), (204, true), (303, true), (399, true), (400, false), (500, false)] {
                assert_eq!(invalidates(method, status), expected, "{method} {status}");
            }
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(!invalidates(method, 200), "{method}");
        }
    }

    #[test]
    fn only_the_same_origin_is_named() {
        let of = |value: &'static str| {
            target(value.as_bytes(), &["origin.example", "video.example:8080"]).map(|target| (target.path, target.query))
        };
        assert_eq!(of("/a/b?c=d#e"), Some(("/a/b", Some("c=d"))));
        assert_eq!(of("http://VIDEO.example:8080/a"), Some(("/a", None)));
        assert_eq!(of("HTTPS://video.example:8080?x"), Some(("/", Some("x"))));
        assert_eq!(of("http://video.example:8080"), Some(("/", None)));
        assert_eq!(of("http://origin.example/a"), Some(("/a", None)));
        assert_eq!(of("//video.example:8080/a"), Some(("/a", None)));
        for other in [
            "http://video.example/a",
            "http://other.example:8080/a",
            "http://origin.example:8080/a",
            "//other/a",
            "a/b",
            "",
            "?x",
            "ftp://video.example:8080/a",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(target(b"/\xff", &["video.example"]), None);
    }

    #[test]
    fn both_fields_are_read() {
        let fields: &[(&str, &[u8])] = &[("Content-Location", b"/b"), ("Location", b"/a"), ("other", b"/c")];
        let paths: Vec<&str> = named_targets(fields, &["video.example"]).map(|target| target.path).collect();
        assert_eq!(paths, ["/a", "/b"]);
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        for (path, prefix, expected) in [
            ("/pre/a", "/pre", Some("/a")),
            ("/pre", "/pre", Some("/")),
            ("/prefix/a", "/pre", None),
            ("/other", "/pre", None),
            ("/a", "", Some("/a")),
        ] {
            assert_eq!(below(path, prefix), expected, "{path} {prefix}");
        }
    }

    proptest! {
        #[test]
        fn target_never_panics(reference in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = target(&reference, &["video.example"]);
        }

        #[test]
        fn targets_have_a_path(reference in "(http:|HTTPS:)?/{0,3}(video.example)?[/?#a-z\u{e9}]{0,8}") {
            if let Some(found) = target(reference.as_bytes(), &["video.example"]) {
                prop_assert!(found.path.starts_with('/'));
            }
        }
    }
}
