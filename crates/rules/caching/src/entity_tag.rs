//! Entity tags (RFC 9110 section 8.8.3).

/// An entity tag, borrowed from the field it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag<'a> {
    /// Whether it is weak: equal tags mean equivalent content, not equal bytes.
    pub weak: bool,
    /// The opaque tag between the quotes.
    pub opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads `"opaque"` or `W/"opaque"`; unquoted tags, `w/` and control characters are refused.
    pub fn parse(value: &'a [u8]) -> Option<EntityTag<'a>> {
        let value = crate::fields::trim_ows(value);
        let (weak, quoted) = match value.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let opaque = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let is_etagc = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff);
        opaque.iter().all(is_etagc).then_some(EntityTag { weak, opaque })
    }

    /// Strong comparison: both strong and equal (RFC 9110 section 8.8.3.2).
    pub fn strongly_equals(&self, other: &EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison: equal, whether weak or not (RFC 9110 section 8.8.3.2).
    pub fn weakly_equals(&self, other: &EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// The well-formed tags of a list field. Between its quotes a tag has no escapes, and a backslash or comma there is part
/// of it; a member that is no tag is passed over up to the next comma.
pub(crate) fn tags(list: &[u8]) -> impl Iterator<Item = EntityTag<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| {
            let mut quoted = false;
            let end = rest.iter().position(|byte| {
                quoted ^= *byte == b'"';
                *byte == b',' && !quoted
            });
            let member = &rest[..end.unwrap_or(rest.len())];
            rest = end.map_or(&[][..], |end| &rest[end + 1..]);
            EntityTag::parse(member)
        })
    })
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn grammar_is_strict() {
        let tag = |weak, opaque| Some(EntityTag { weak, opaque });
        assert_eq!(EntityTag::parse(b"\"xyzzy\""), tag(false, b"xyzzy"));
        assert_eq!(EntityTag::parse(b" W/\"xyzzy\" "), tag(true, b"xyzzy"));
        assert_eq!(EntityTag::parse(b"\"\""), tag(false, b""));
        assert_eq!(EntityTag::parse(b"\"a\xfc\\,\""), tag(false, b"a\xfc\\,"));
        for bad in ["", "xyzzy", "w/\"x\"", "W\"x\"", "W\\\"x\"", "W/ \"x\"", "\"x", "x\"", "\"", "\"a\"b\"", "\"a b\"", "\"a\x7f\"", "*"] {
            assert_eq!(EntityTag::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_backslash_in_a_list_escapes_nothing() {
        let read = |list: &'static [u8]| tags(list).map(|tag| tag.opaque).collect::<Vec<_>>();
        assert_eq!(read(b"\"a\\\", \"b\""), [&b"a\\"[..], b"b"]);
        assert_eq!(read(b"\"a,\\\""), [b"a,\\"]);
        assert_eq!(read(b"junk, W/\"x\" ,, \"y\""), [b"x", b"y"]);
        assert!(read(b"\"open, \"").is_empty());
    }

    #[test]
    fn comparison_table_of_section_8_8_3_2() {
        let cases = [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ];
        for (one, other, strong, weak) in cases {
            let (one, other) = (EntityTag::parse(one.as_bytes()).unwrap(), EntityTag::parse(other.as_bytes()).unwrap());
            assert_eq!((one.strongly_equals(&other), one.weakly_equals(&other)), (strong, weak), "{one:?} {other:?}");
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics_and_gives_back_what_it_read(value in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Some(tag) = EntityTag::parse(&value) {
                let prefix: &[u8] = if tag.weak { b"W/\"" } else { b"\"" };
                let written = [prefix, tag.opaque, b"\""].concat();
                prop_assert_eq!(crate::fields::trim_ows(&value), written.as_slice());
            }
        }
    }
}
