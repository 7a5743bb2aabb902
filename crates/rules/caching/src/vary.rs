//! `Vary` and the key of a variant (RFC 9111 section 4.1).

use crate::Fields;
use crate::fields::{is_token, list_members, trim_ows};
use std::fmt::Write;

/// Most selecting fields a response may name; one that names more matches nothing.
pub const SELECTING_FIELDS_MAX: usize = 16;

/// Selecting fields whose values are lists of case-insensitive members without a meaningful order, in lower case
/// (RFC 9110 sections 12.5.2 to 12.5.4: priority is stated by weight; order "cannot be relied upon").
const UNORDERED: [&str; 3] = ["accept-charset", "accept-encoding", "accept-language"];

/// The request fields that selected a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vary {
    /// These, in lower case, sorted, each once; none when the response does not vary.
    Fields(Vec<String>),
    /// Something no request states: `*`, a name that is none, or more than [`SELECTING_FIELDS_MAX`]. Never matches.
    Anything,
}

impl Vary {
    /// Reads the `Vary` lines of a response; `*` anywhere wins.
    pub fn of_response<F: Fields + ?Sized>(response: &F) -> Vary {
        let mut names = Vec::new();
        for member in response.values("vary").flat_map(list_members) {
            match std::str::from_utf8(member) {
                Ok(name) if is_token(member) && name != "*" => names.push(name.to_ascii_lowercase()),
                _ => return Vary::Anything,
            }
        }
        names.sort_unstable();
        names.dedup();
        if names.len() > SELECTING_FIELDS_MAX { Vary::Anything } else { Vary::Fields(names) }
    }

    /// Key of the variant this request selects, empty when the response does not vary; nothing when none matches.
    ///
    /// One line per selecting field: its name, and after `:` its value when the request has it. Values are normalised in
    /// ways that keep their meaning: lines joined, white space around list members dropped, and for the fields whose
    /// order and case mean nothing, both.
    pub fn key<F: Fields + ?Sized>(&self, request: &F) -> Option<String> {
        let Vary::Fields(names) = self else { return None };
        let mut key = String::new();
        for name in names {
            key.push_str(name);
            if request.has(name) {
                key.push(':');
                write_normalised(&mut key, name, request);
            }
            key.push('\n');
        }
        Some(key)
    }

    /// Whether a response stored with this `key` answers this request.
    pub fn matches<F: Fields + ?Sized>(&self, key: &str, request: &F) -> bool {
        match self {
            Vary::Fields(names) if names.is_empty() => key.is_empty(),
            _ => self.key(request).is_some_and(|selected| selected == key),
        }
    }
}

fn write_normalised<F: Fields + ?Sized>(key: &mut String, name: &str, request: &F) {
    let members = request.values(name).flat_map(list_members);
    if !UNORDERED.contains(&name) {
        write_members(key, members);
        return;
    }
    let mut members: Vec<Vec<u8>> =
        members.map(|member| member.iter().filter(|byte| !matches!(byte, b' ' | b'\t')).map(u8::to_ascii_lowercase).collect()).collect();
    members.sort_unstable();
    members.dedup();
    write_members(key, members.iter().map(Vec::as_slice));
}

/// Writes members joined by commas; bytes that would make the key ambiguous or not text are written as `%XX`.
fn write_members<'a>(key: &mut String, members: impl Iterator<Item = &'a [u8]>) {
    for (index, member) in members.enumerate() {
        if index > 0 {
            key.push(',');
        }
        for byte in trim_ows(member) {
            match byte {
                b'%' | 0..=0x1f | 0x7f..=0xff => write!(key, "%{byte:02X}").expect("a String takes every write"),
                _ => key.push(char::from(*byte)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines<'a>(lines: &'a [(&'a str, &'a str)]) -> Vec<(&'a str, &'a [u8])> {
        lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
    }

    fn vary(values: &[&str]) -> Vary {
        let lines: Vec<(&str, &[u8])> = values.iter().map(|value| ("Vary", value.as_bytes())).collect();
        Vary::of_response(&lines[..])
    }

    #[test]
    fn star_anywhere_never_matches() {
        for star in
            [&["*"][..], &["*, *"], &["*", "*"], &[", *"], &["", "*"], &["*, Foo"], &["Foo, *"], &["Foo", "*"], &["a b"], &["\"*\""]]
        {
            assert_eq!(vary(star), Vary::Anything, "{star:?}");
            assert_eq!(vary(star).key(&lines(&[("Foo", "1")])[..]), None);
            assert!(!vary(star).matches("", &lines(&[])[..]));
        }
        let many: Vec<String> = (0..=SELECTING_FIELDS_MAX).map(|n| format!("f{n}")).collect();
        assert_eq!(vary(&[&many.join(",")]), Vary::Anything);
        assert_eq!(vary(&[""]), Vary::Fields(Vec::new()));
    }

    #[test]
    fn requests_match_after_normalising() {
        type Lines<'a> = &'a [(&'a str, &'a str)];
        let cases: &[(&str, Lines, Lines, bool)] = &[
            ("Foo", &[("Foo", "1")], &[("foo", "1")], true),
            ("Foo", &[("Foo", "1")], &[("Foo", "2")], false),
            ("Foo", &[("Foo", "a")], &[("Foo", "A")], false),
            ("Foo", &[("Foo", "1")], &[], false),
            ("Foo", &[], &[("Foo", "1")], false),
            ("Foo", &[], &[("Foo", "")], false),
            ("Foo", &[], &[], true),
            ("Foo", &[("Foo", "1"), ("Other", "2")], &[("Foo", "1"), ("Other", "3")], true),
            ("Foo", &[("Foo", "1,2")], &[("Foo", " 1, 2 ")], true),
            ("Foo", &[("Foo", "1, 2")], &[("Foo", "1"), ("Foo", "2")], true),
            ("Foo", &[("Foo", "1, 2")], &[("Foo", "2, 1")], false),
            ("Foo", &[("Foo", "\"1, 2\"")], &[("Foo", "\"1,2\"")], false),
            ("Foo, Bar", &[("Foo", "1"), ("Bar", "2")], &[("Bar", "2"), ("Foo", "1")], true),
            ("Foo, Bar", &[("Foo", "1"), ("Bar", "2")], &[("Foo", "1")], false),
            ("Foo, Bar", &[("Foo", "1")], &[("Foo", "1")], true),
            ("Foo, Bar", &[("Foo", "1\nbar:2")], &[("Foo", "1"), ("Bar", "2")], false),
            ("Accept-Language", &[("Accept-Language", "en, de")], &[("Accept-Language", "de, en")], true),
            ("Accept-Language", &[("Accept-Language", "en, de")], &[("Accept-Language", "eN ,   De")], true),
            ("Accept-Language", &[("Accept-Language", "en;q=0.5")], &[("Accept-Language", "en; q=0.5")], true),
            ("Accept-Language", &[("Accept-Language", "en;q=0.5, de")], &[("Accept-Language", "en, de")], false),
            ("Accept-Encoding", &[("Accept-Encoding", "gzip, br")], &[("Accept-Encoding", "br,GZIP")], true),
        ];
        for (names, stored, presented, expected) in cases {
            let vary = vary(&[names]);
            let key = vary.key(&lines(stored)[..]).unwrap();
            assert_eq!(vary.matches(&key, &lines(presented)[..]), *expected, "{names}: {stored:?} {presented:?}");
        }
    }

    #[test]
    fn order_case_and_repeats_of_vary_do_not_matter() {
        assert_eq!(vary(&["Foo, bar", "FOO"]), vary(&["Bar,foo"]));
    }

    proptest! {
        #[test]
        fn parse_and_key_never_panic(
            vary in proptest::collection::vec(any::<u8>(), 0..40),
            value in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let response: &[(&str, &[u8])] = &[("vary", &vary)];
            let request: &[(&str, &[u8])] = &[("foo", &value), ("accept-encoding", &value)];
            let _ = Vary::of_response(response).key(request);
        }

        #[test]
        fn a_request_matches_its_own_key(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let request: &[(&str, &[u8])] = &[("foo", &value), ("accept-encoding", &value)];
            let vary = vary(&["foo, accept-encoding, bar"]);
            let key = vary.key(request).unwrap();
            prop_assert!(vary.matches(&key, request));
            prop_assert_eq!(key.lines().count(), 3);
        }
    }
}
