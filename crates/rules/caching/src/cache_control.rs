//! Cache directives of a response (RFC 9111 section 5.2, 5861, 9213) and of a request.
//!
//! The parser is total: every value yields directives. A malformed argument never loosens: a `max-age` that is no number
//! makes the response stale (section 4.2.1), a `no-cache` or `private` whose list cannot be read counts without its list.

use crate::fields::{is_token, list_members, unquote};
use crate::{Fields, targeted};

/// Largest delta-seconds: 2^31 seconds, which section 1.2.2 of RFC 9111 allows in place of any larger value.
pub const SECONDS_MAX: u32 = 1 << 31;

/// The field the directives were read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ControlField {
    /// `Weir-CDN-Cache-Control`: for Weir alone.
    WeirCdn,
    /// `CDN-Cache-Control`: for every CDN (RFC 9213 section 3).
    Cdn,
    /// `Cache-Control`.
    #[default]
    CacheControl,
}

impl ControlField {
    /// Targeted fields, the one that decides first before the other (RFC 9213 section 2.2).
    pub const TARGETED: [ControlField; 2] = [ControlField::WeirCdn, ControlField::Cdn];

    /// The field's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            ControlField::WeirCdn => "weir-cdn-cache-control",
            ControlField::Cdn => "cdn-cache-control",
            ControlField::CacheControl => "cache-control",
        }
    }

    /// Whether `Cache-Control` and `Expires` are out of the decision (RFC 9213 section 2.2).
    pub fn is_targeted(self) -> bool {
        self != ControlField::CacheControl
    }
}

/// How much of a response `no-cache` or `private` covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// The directive is absent.
    #[default]
    Nothing,
    /// These fields only, in lower case (the qualified form).
    Fields(Vec<String>),
    /// The whole response.
    Whole,
}

impl Scope {
    /// Whether the whole response is covered.
    pub fn is_whole(&self) -> bool {
        *self == Scope::Whole
    }

    /// Whether the field is named by the qualified form.
    pub fn names(&self, field: &str) -> bool {
        matches!(self, Scope::Fields(names) if names.iter().any(|name| name.eq_ignore_ascii_case(field)))
    }

    pub(crate) fn widen(&mut self, other: Scope) {
        match (&mut *self, other) {
            (_, Scope::Nothing) | (Scope::Whole, _) => {}
            (Scope::Fields(names), Scope::Fields(more)) => names.extend(more),
            (_, other) => *self = other,
        }
    }

    /// The scope a list of field names gives; one that cannot be read covers everything.
    pub(crate) fn of_list(list: &[u8]) -> Scope {
        let mut names = Vec::new();
        for member in list_members(list) {
            match std::str::from_utf8(member) {
                Ok(name) if is_token(member) => names.push(name.to_ascii_lowercase()),
                _ => return Scope::Whole,
            }
        }
        if names.is_empty() { Scope::Whole } else { Scope::Fields(names) }
    }
}

/// The response directives that decide for this cache.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    /// Where they were read.
    pub source: ControlField,
    /// `max-age` in seconds; 0 when malformed.
    pub max_age_s: Option<u32>,
    /// `s-maxage` in seconds; 0 when malformed.
    pub s_maxage_s: Option<u32>,
    /// `stale-while-revalidate` in seconds; 0 when malformed.
    pub stale_while_revalidate_s: Option<u32>,
    /// `stale-if-error` in seconds; 0 when malformed.
    pub stale_if_error_s: Option<u32>,
    /// `no-cache`.
    pub no_cache: Scope,
    /// `private`.
    pub private: Scope,
    /// `no-store`.
    pub no_store: bool,
    /// `public`.
    pub public: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
    /// `proxy-revalidate`.
    pub proxy_revalidate: bool,
    /// `must-understand`.
    pub must_understand: bool,
}

impl Directives {
    /// The directives that decide for this cache: the first targeted field that is present, not empty and parses as a
    /// structured field decides alone (RFC 9213 section 2.2), else `Cache-Control`.
    pub fn of_response<F: Fields + ?Sized>(fields: &F) -> Directives {
        for field in ControlField::TARGETED {
            if let Some(directives) = targeted::parse(fields.values(field.name()), field) {
                return directives;
            }
        }
        Directives::parse(fields.values(ControlField::CacheControl.name()))
    }

    /// Reads `Cache-Control` field lines.
    ///
    /// Of a repeated directive with seconds the first occurrence counts (RFC 9111 section 4.2.1).
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Directives {
        let mut directives = Directives::default();
        for member in lines.flat_map(list_members) {
            let (name, argument) = split_argument(member);
            directives.apply(&name, &argument);
        }
        directives
    }

    fn apply(&mut self, name: &[u8], argument: &Argument) {
        match name {
            b"max-age" => keep_first(&mut self.max_age_s, argument),
            b"s-maxage" => keep_first(&mut self.s_maxage_s, argument),
            b"stale-while-revalidate" => keep_first(&mut self.stale_while_revalidate_s, argument),
            b"stale-if-error" => keep_first(&mut self.stale_if_error_s, argument),
            b"no-cache" => self.no_cache.widen(argument.scope()),
            b"private" => self.private.widen(argument.scope()),
            b"no-store" => self.no_store = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            // These two loosen, so they count in their exact form only.
            b"public" => self.public |= *argument == Argument::Absent,
            b"must-understand" => self.must_understand |= *argument == Argument::Absent,
            _ => {}
        }
    }

    /// Whether a stale response must not be used without validation (RFC 9111 sections 5.2.2.2, 5.2.2.8, 5.2.2.10).
    pub fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.s_maxage_s.is_some()
    }

    /// Whether a response to a request with `Authorization` may be shared (RFC 9111 section 3.5).
    pub fn allows_authorized(&self) -> bool {
        self.public || self.must_revalidate || self.s_maxage_s.is_some()
    }

    /// Whether the field may not be kept: named by a qualified `no-cache` or `private` (sections 5.2.2.4, 5.2.2.7).
    pub fn withholds(&self, field: &str) -> bool {
        self.no_cache.names(field) || self.private.names(field)
    }
}

/// Whether the client wants an answer from the cache or none (RFC 9111 section 5.2.1.7).
///
/// The only request directive honoured: the others are advisory (section 5.2.1) and would let any viewer turn hits
/// into origin requests.
pub fn only_if_cached<F: Fields + ?Sized>(request: &F) -> bool {
    request.values("cache-control").flat_map(list_members).any(|member| member.eq_ignore_ascii_case(b"only-if-cached"))
}

/// A delta-seconds (RFC 9111 section 1.2.2): digits only, [`SECONDS_MAX`] when larger.
pub fn delta_seconds(value: &[u8]) -> Option<u32> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = value.iter().fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    Some(seconds.min(SECONDS_MAX))
}

#[derive(Debug, PartialEq, Eq)]
enum Argument {
    Absent,
    Value(Vec<u8>),
    Malformed,
}

impl Argument {
    fn seconds(&self) -> u32 {
        match self {
            Argument::Value(value) => delta_seconds(value).unwrap_or(0),
            Argument::Absent | Argument::Malformed => 0,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Argument::Value(list) => Scope::of_list(list),
            Argument::Absent | Argument::Malformed => Scope::Whole,
        }
    }
}

fn keep_first(slot: &mut Option<u32>, argument: &Argument) {
    slot.get_or_insert_with(|| argument.seconds());
}

/// Name in lower case and argument of one directive; white space around `=` makes the argument malformed.
fn split_argument(member: &[u8]) -> (Vec<u8>, Argument) {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else {
        return (member.to_ascii_lowercase(), Argument::Absent);
    };
    let (name, value) = (&member[..equals], &member[equals + 1..]);
    let trimmed = crate::fields::trim_ows(name);
    let argument = match unquote(value) {
        _ if trimmed.len() != name.len() => Argument::Malformed,
        Some(text) => Argument::Value(text),
        None if is_token(value) => Argument::Value(value.to_vec()),
        None => Argument::Malformed,
    };
    (trimmed.to_ascii_lowercase(), argument)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(lines: &[&str]) -> Directives {
        Directives::parse(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn max_age_in_every_spelling() {
        let cases: &[(&[&str], Option<u32>)] = &[
            (&["max-age=3600"], Some(3600)),
            (&["MaX-aGe=3600"], Some(3600)),
            (&["max-age=003600"], Some(3600)),
            (&["max-age=\"3600\""], Some(3600)),
            (&["max-age='3600'"], Some(0)),
            (&["max-age=3600.0"], Some(0)),
            (&["max-age=-1"], Some(0)),
            (&["max-age=a3600"], Some(0)),
            (&["max-age=3600a"], Some(0)),
            (&["max-age =3600"], Some(0)),
            (&["max-age= 3600"], Some(0)),
            (&["max-age"], Some(0)),
            (&["max-age="], Some(0)),
            (&["max-age=2147483648"], Some(SECONDS_MAX)),
            (&["max-age=99999999999999999999"], Some(SECONDS_MAX)),
            (&["max-age=1800, max-age=1"], Some(1800)),
            (&["max-age=1", "max-age=1800"], Some(1)),
            (&["extension=\"max-age=3600\", max-age=1"], Some(1)),
            (&["max-age=1, extension=\"max-age=3600\""], Some(1)),
            (&["extension=\"a, max-age=3600"], Some(3600)),
            (&["extension=\"max-age=3600\""], None),
            (&["s-maxage=3600"], None),
            (&[""], None),
            (&[], None),
        ];
        for (lines, expected) in cases {
            assert_eq!(parse(lines).max_age_s, *expected, "{lines:?}");
        }
    }

    #[test]
    fn no_cache_and_private_keep_their_lists() {
        let fields = |names: &[&str]| Scope::Fields(names.iter().map(|name| (*name).to_owned()).collect());
        let cases: &[(&[&str], Scope)] = &[
            (&["no-cache"], Scope::Whole),
            (&["No-CaChE"], Scope::Whole),
            (&["no-cache=\"a\""], fields(&["a"])),
            (&["no-cache=\"A, b\""], fields(&["a", "b"])),
            (&["no-cache=a"], fields(&["a"])),
            (&["no-cache=\"a\"", "no-cache=\"b\""], fields(&["a", "b"])),
            (&["no-cache=\"a\", no-cache"], Scope::Whole),
            (&["no-cache, no-cache=\"a\""], Scope::Whole),
            (&["no-cache=\"\""], Scope::Whole),
            (&["no-cache=\"a b\""], Scope::Whole),
            (&["no-cache=\"a"], Scope::Whole),
            (&["no-cache="], Scope::Whole),
            (&["max-age=1"], Scope::Nothing),
        ];
        for (lines, expected) in cases {
            assert_eq!(parse(lines).no_cache, *expected, "{lines:?}");
            let private: Vec<String> = lines.iter().map(|line| line.to_lowercase().replace("no-cache", "private")).collect();
            let private: Vec<&str> = private.iter().map(String::as_str).collect();
            assert_eq!(parse(&private).private, *expected, "{private:?}");
        }
    }

    #[test]
    fn restricting_directives_count_with_any_argument_and_loosening_ones_without() {
        let odd = parse(&["no-store=\"x\", must-revalidate=1, proxy-revalidate=x, public=yes, must-understand=1, \u{fe}=1"]);
        assert!(odd.no_store && odd.must_revalidate && odd.proxy_revalidate);
        assert!(!odd.public && !odd.must_understand);
        assert!(parse(&["foo=\"bar, no-store"]).no_store);
    }

    #[test]
    fn targeted_field_decides_alone() {
        let of = |lines: &[(&str, &str)]| {
            let lines: Vec<(&str, &[u8])> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            Directives::of_response(&lines[..])
        };
        let all = [("cache-control", "no-store"), ("CDN-Cache-Control", "max-age=1"), ("Weir-CDN-Cache-Control", "max-age=2")];
        assert_eq!((of(&all).source, of(&all).max_age_s, of(&all).no_store), (ControlField::WeirCdn, Some(2), false));
        assert_eq!((of(&all[..2]).source, of(&all[..2]).max_age_s), (ControlField::Cdn, Some(1)));
        assert!(of(&all[..1]).no_store);
        let broken = of(&[("cache-control", "no-store"), ("cdn-cache-control", "max-age=10000, &&&&&")]);
        assert_eq!((broken.source, broken.no_store), (ControlField::CacheControl, true));
        let empty = of(&[("cache-control", "no-store"), ("cdn-cache-control", "")]);
        assert!(empty.no_store, "RFC 9213 section 2.1: an empty targeted field is ignored");
    }

    #[test]
    fn only_if_cached_is_read_from_any_line() {
        let lines: &[(&str, &[u8])] = &[("cache-control", b"max-age=0"), ("Cache-Control", b"no-cache, Only-If-Cached")];
        assert!(only_if_cached(lines));
        assert!(!only_if_cached(&lines[..1]));
    }

    proptest! {
        #[test]
        fn parse_never_panics(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..4)) {
            let _ = Directives::parse(lines.iter().map(Vec::as_slice));
        }

        #[test]
        fn seconds_are_clamped_numbers(seconds in any::<u64>()) {
            let expected = u32::try_from(seconds).unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
            prop_assert_eq!(delta_seconds(seconds.to_string().as_bytes()), Some(expected));
        }

        #[test]
        fn no_store_is_never_hidden_by_what_precedes_it(prefix in "[ -~]{0,40}") {
            // Only a closed quoted-string may hold it.
            prop_assume!(prefix.matches('"').count() == 0);
            let line = format!("{prefix}, no-store");
            prop_assert!(Directives::parse([line.as_bytes()].into_iter()).no_store);
        }
    }
}
