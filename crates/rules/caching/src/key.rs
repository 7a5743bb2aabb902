//! The primary cache key: what names an object whatever the request says of itself (RFC 9111 section 2).

use crate::Policy;

/// Writes the key of a target into `key`, which is cleared first, so that one buffer serves many requests.
///
/// `service` names the delivery service: not its domain alone, which another service may have later, with another origin
/// or other rules. `path` starts with `/`; all are written as given, so they must have been normalised the way the upstream
/// request is. No query and an empty query are different targets.
pub fn write_primary_key(key: &mut String, service: &str, path: &str, query: Option<&str>, policy: &Policy) {
    key.clear();
    key.push_str(service);
    key.push_str(path);
    if let Some(query) = query.filter(|_| !policy.ignore_query) {
        key.push('?');
        key.push_str(query);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_counts_unless_ignored() {
        let key = |query, policy| {
            let mut key = String::from("left over");
            write_primary_key(&mut key, "video.example", "/a/b.ts", query, &policy);
            key
        };
        let ignoring = Policy { ignore_query: true, ..Policy::default() };
        assert_eq!(key(None, Policy::default()), "video.example/a/b.ts");
        assert_eq!(key(Some(""), Policy::default()), "video.example/a/b.ts?");
        assert_eq!(key(Some("x=1"), Policy::default()), "video.example/a/b.ts?x=1");
        assert_eq!(key(Some("x=1"), ignoring), "video.example/a/b.ts");
        assert_eq!(key(None, ignoring), "video.example/a/b.ts");
    }
}
