//! Targeted cache control fields (RFC 9213): dictionary structured fields (RFC 8941 section 4.2.2).
//!
//! The parser is strict: one error anywhere and the field counts as absent, so that `Cache-Control` decides.

use crate::cache_control::{ControlField, Directives, SECONDS_MAX, Scope};

/// Reads the lines of a targeted field; nothing when they are absent, empty or not a dictionary (RFC 9213 section 2.1).
///
/// A member of another type than its directive's is not consumed (section 2.1), except that a restriction holds in any
/// type but `?0`. Of a repeated member the last counts, as in every dictionary.
pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>, source: ControlField) -> Option<Directives> {
    let mut value = Vec::new();
    for line in lines {
        if !value.is_empty() {
            value.extend_from_slice(b", ");
        }
        value.extend_from_slice(line);
    }
    let members = dictionary(&value)?;
    if members.is_empty() {
        return None;
    }
    let mut directives = Directives { source, ..Directives::default() };
    for (index, (name, item)) in members.iter().enumerate() {
        let overridden = members[index + 1..].iter().any(|(later, _)| later == name);
        if !overridden {
            apply(&mut directives, name, item);
        }
    }
    Some(directives)
}

fn apply(directives: &mut Directives, name: &[u8], item: &Item) {
    match name {
        b"max-age" => directives.max_age_s = item.seconds(),
        b"s-maxage" => directives.s_maxage_s = item.seconds(),
        b"stale-while-revalidate" => directives.stale_while_revalidate_s = item.seconds(),
        b"stale-if-error" => directives.stale_if_error_s = item.seconds(),
        b"no-cache" => directives.no_cache = item.scope(),
        b"private" => directives.private = item.scope(),
        b"no-store" => directives.no_store = item.restricts(),
        b"must-revalidate" => directives.must_revalidate = item.restricts(),
        b"proxy-revalidate" => directives.proxy_revalidate = item.restricts(),
        b"public" => directives.public = *item == Item::Boolean(true),
        b"must-understand" => directives.must_understand = *item == Item::Boolean(true),
        _ => {}
    }
}

/// A member's value, as far as directives need it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Integer(i64),
    Boolean(bool),
    Text(Vec<u8>),
    /// A decimal, byte sequence or inner list: no directive has one.
    Other,
}

impl Item {
    fn seconds(&self) -> Option<u32> {
        match self {
            Item::Integer(seconds) if *seconds < 0 => Some(0),
            Item::Integer(seconds) => Some(u32::try_from(*seconds).unwrap_or(SECONDS_MAX).min(SECONDS_MAX)),
            _ => None,
        }
    }

    fn restricts(&self) -> bool {
        *self != Item::Boolean(false)
    }

    fn scope(&self) -> Scope {
        match self {
            Item::Boolean(false) => Scope::Nothing,
            Item::Text(list) => Scope::of_list(list),
            _ => Scope::Whole,
        }
    }
}

/// Most digits of an integer (RFC 8941 section 3.3.1), and of a decimal before its point, in digits.
const INTEGER_DIGITS_MAX: usize = 15;
/// Most digits of a decimal before its point (section 3.3.2), in digits.
const DECIMAL_DIGITS_MAX: usize = 12;
/// Most digits of a decimal after its point (section 3.3.2), in digits.
const FRACTION_DIGITS_MAX: usize = 3;

fn dictionary(value: &[u8]) -> Option<Vec<(Vec<u8>, Item)>> {
    let mut input = Cursor { rest: value };
    let mut members = Vec::new();
    input.skip_spaces();
    while !input.rest.is_empty() {
        let key = input.key()?.to_vec();
        let item = if input.take(b'=') { input.member()? } else { Item::Boolean(true) };
        input.parameters()?;
        members.push((key, item));
        input.skip_ows();
        if input.rest.is_empty() {
            break;
        }
        if !input.take(b',') {
            return None;
        }
        input.skip_ows();
        if input.rest.is_empty() {
            return None;
        }
    }
    Some(members)
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !accept(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip_spaces(&mut self) {
        self.take_while(|byte| byte == b' ');
    }

    fn skip_ows(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        matches!(self.rest.first()?, b'a'..=b'z' | b'*').then_some(())?;
        Some(self.take_while(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*')))
    }

    fn member(&mut self) -> Option<Item> {
        if !self.take(b'(') {
            return self.item();
        }
        loop {
            self.skip_spaces();
            if self.take(b')') {
                return Some(Item::Other);
            }
            self.item()?;
            self.parameters()?;
            matches!(self.rest.first()?, b' ' | b')').then_some(())?;
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.take(b';') {
            self.skip_spaces();
            self.key()?;
            if self.take(b'=') {
                self.item()?;
            }
        }
        Some(())
    }

    fn item(&mut self) -> Option<Item> {
        match self.rest.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'?' => self.boolean(),
            b':' => self.byte_sequence(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                let is_token = |byte: u8| matches!(byte, b':' | b'/') || crate::fields::is_token(&[byte]);
                Some(Item::Text(self.take_while(is_token).to_vec()))
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Item> {
        let negative = self.take(b'-');
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if self.take(b'.') {
            let fraction = self.take_while(|byte| byte.is_ascii_digit());
            let fits = (1..=DECIMAL_DIGITS_MAX).contains(&digits.len()) && (1..=FRACTION_DIGITS_MAX).contains(&fraction.len());
            return fits.then_some(Item::Other);
        }
        if digits.is_empty() || digits.len() > INTEGER_DIGITS_MAX {
            return None;
        }
        let value = digits.iter().fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Some(Item::Integer(if negative { -value } else { value }))
    }

    fn string(&mut self) -> Option<Item> {
        self.take(b'"');
        let mut text = Vec::new();
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return Some(Item::Text(text)),
                b'\\' => {
                    let (escaped, rest) = self.rest.split_first()?;
                    matches!(escaped, b'"' | b'\\').then_some(())?;
                    text.push(*escaped);
                    self.rest = rest;
                }
                b' '..=b'~' => text.push(*byte),
                _ => return None,
            }
        }
    }

    fn boolean(&mut self) -> Option<Item> {
        self.take(b'?');
        if self.take(b'1') {
            return Some(Item::Boolean(true));
        }
        self.take(b'0').then_some(Item::Boolean(false))
    }

    fn byte_sequence(&mut self) -> Option<Item> {
        self.take(b':');
        self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        self.take(b':').then_some(Item::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(value: &str) -> Option<Directives> {
        parse([value.as_bytes()].into_iter(), ControlField::Cdn)
    }

    #[test]
    fn what_is_not_a_dictionary_is_absent() {
        let bad = [
            "",
            " ",
            "max-age=10000, &&&&&",
            "max-age =100",
            "max-age= 100",
            "MaX-aGe=3600",
            "max-age=1,",
            ",max-age=1",
            "max-age=1 no-store",
            "max-age=1234567890123456",
            "max-age=1.2345",
            "max-age=-",
            "max-age=",
            "a=\"x",
            "a=\"\\x\"",
            "a=\"\u{e9}\"",
            "a=?2",
            "a=:b",
            "a=(1 2",
            "a=(1,2)",
            "a;B",
            "a=@1",
        ];
        for bad in bad {
            assert_eq!(of(bad), None, "{bad:?}");
        }
        assert_eq!(parse(std::iter::empty(), ControlField::Cdn), None);
    }

    #[test]
    fn members_of_the_right_type_count() {
        let max_age = |value| of(value).unwrap().max_age_s;
        assert_eq!(max_age("max-age=3600"), Some(3600));
        assert_eq!(max_age("foobar, max-age=3600;x=1;y=\"z\""), Some(3600));
        assert_eq!(max_age("max-age=1, max-age=2"), Some(2), "the last member of a name counts");
        assert_eq!(max_age("max-age=99999999999"), Some(SECONDS_MAX));
        assert_eq!(max_age("max-age=-5"), Some(0));
        for other in ["max-age=\"10000\"", "max-age=60.5", "max-age", "max-age=tok", "max-age=(1 2)", "max-age=:aGk=:", "none"] {
            assert_eq!(max_age(other), None, "{other}");
        }
        assert!(of("no-store").unwrap().no_store);
        assert!(of("no-store=1").unwrap().no_store);
        assert!(!of("no-store=?0").unwrap().no_store);
        assert_eq!(of("no-cache").unwrap().no_cache, Scope::Whole);
        assert_eq!(of("no-cache=\"a, B\"").unwrap().no_cache, Scope::Fields(vec!["a".into(), "b".into()]));
        assert_eq!(of("private=a").unwrap().private, Scope::Fields(vec!["a".into()]));
        assert_eq!(of("private=1").unwrap().private, Scope::Whole);
        assert!(of("public, must-understand, a=(\"x\";p t);q, b=*/:").unwrap().public);
    }

    #[test]
    fn lines_join_into_one_dictionary() {
        let lines: [&[u8]; 2] = [b"max-age=10", b"no-store"];
        let directives = parse(lines.into_iter(), ControlField::WeirCdn).unwrap();
        assert_eq!((directives.max_age_s, directives.no_store, directives.source), (Some(10), true, ControlField::WeirCdn));
    }

    proptest! {
        #[test]
        fn parse_never_panics(value in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse([value.as_slice()].into_iter(), ControlField::Cdn);
        }

        #[test]
        fn nearly_dictionaries_never_panic(value in "([a-z*][a-z0-9-]{0,5}(=([0-9.-]{0,17}|\"[ -~]{0,5}\"|[?][01]|:[a-z=]*:|\\([a-z 0-9]*\\)))?[;, ]{0,2}){0,6}") {
            let _ = of(&value);
        }

        #[test]
        fn integers_round_trip(seconds in 0u32..=SECONDS_MAX) {
            prop_assert_eq!(of(&format!("max-age={seconds}")).unwrap().max_age_s, Some(seconds));
        }
    }
}
