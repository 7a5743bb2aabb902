//! Header fields as the rules read them, and the list syntax they share (RFC 9110 section 5).

/// Header field lines that own their bytes: name and value, in order.
pub type FieldLines = Vec<(String, Vec<u8>)>;

/// A set of header field lines, in the order received; names compare without case (RFC 9110 section 5.1).
///
/// Implement it over a parser's own slices with [`Fields::lines`] alone: nothing here allocates.
pub trait Fields {
    /// Every field line: name and value without surrounding white space.
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])>;

    /// The values of every line with this name.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.lines().filter(move |(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first line with this name.
    fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The value, if exactly one line has this name: a field that is not a list must not be repeated (RFC 9110 section 5.3).
    fn single<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        let mut values = self.values(name);
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }

    /// Whether any line has this name.
    fn has(&self, name: &str) -> bool {
        self.lines().any(|(line, _)| line.eq_ignore_ascii_case(name))
    }
}

impl Fields for [(&str, &[u8])] {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (*name, *value))
    }
}

impl Fields for [(String, Vec<u8>)] {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl Fields for FieldLines {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.as_slice().lines()
    }
}

/// `value` without leading and trailing spaces and tabs (OWS, RFC 9110 section 5.6.3).
pub fn trim_ows(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let Some(start) = value.iter().position(is_text) else { return &[] };
    let end = value.iter().rposition(is_text).map_or(start, |last| last + 1);
    &value[start..end]
}

/// Whether `value` is a token (RFC 9110 section 5.6.2).
pub fn is_token(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Members of a comma-separated list (RFC 9110 section 5.6.1), trimmed, empty ones left out.
///
/// A comma inside a quoted-string does not separate. A quote that is never closed is an ordinary character: what follows
/// it stays visible, so a broken argument cannot hide a `no-store` behind it.
pub fn list_members(value: &[u8]) -> ListMembers<'_> {
    ListMembers { rest: Some(value), quotes_close: true }
}

/// Iterator of [`list_members`].
#[derive(Debug, Clone)]
pub struct ListMembers<'a> {
    rest: Option<&'a [u8]>,
    quotes_close: bool,
}

impl<'a> ListMembers<'a> {
    fn cut(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut at = 0;
        while at < rest.len() {
            match rest[at] {
                b',' => {
                    self.rest = Some(&rest[at + 1..]);
                    return Some(&rest[..at]);
                }
                b'"' if self.quotes_close => match quoted_len(&rest[at..]) {
                    Some(len) => at += len,
                    None => self.quotes_close = false,
                },
                _ => at += 1,
            }
        }
        self.rest = None;
        Some(rest)
    }
}

impl<'a> Iterator for ListMembers<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let member = trim_ows(self.cut()?);
            if !member.is_empty() {
                return Some(member);
            }
        }
    }
}

/// Length of the quoted-string at the start of `value`, both quotes included; absent when it is never closed.
fn quoted_len(value: &[u8]) -> Option<usize> {
    let mut at = 1;
    while at < value.len() {
        match value[at] {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The text of a quoted-string (RFC 9110 section 5.6.4), or nothing when `value` is not exactly one.
pub fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    if value.first() != Some(&b'"') || quoted_len(value) != Some(value.len()) {
        return None;
    }
    let mut text = Vec::with_capacity(value.len());
    let mut bytes = value[1..value.len() - 1].iter();
    while let Some(byte) = bytes.next() {
        let byte = if *byte == b'\\' { bytes.next()? } else { byte };
        text.push(*byte);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(value: &str) -> Vec<&str> {
        list_members(value.as_bytes()).map(|member| std::str::from_utf8(member).unwrap()).collect()
    }

    #[test]
    fn lists_split_outside_quotes_only() {
        assert_eq!(members("a, b ,,\tc,"), ["a", "b", "c"]);
        assert_eq!(members(r#"a="x, y", b"#), [r#"a="x, y""#, "b"]);
        assert_eq!(members(r#"a="x\", y", b"#), [r#"a="x\", y""#, "b"]);
        assert_eq!(members(r#"a="x, no-store"#), [r#"a="x"#, "no-store"]);
        assert!(members(" , ,").is_empty());
    }

    #[test]
    fn quoted_strings_are_unescaped_or_refused() {
        assert_eq!(unquote(br#""a\"b""#), Some(br#"a"b"#.to_vec()));
        assert_eq!(unquote(br#""""#), Some(Vec::new()));
        for bad in [&br#"""#[..], br#""a"#, br#""a"b"#, br#""a\""#, b"a", b""] {
            assert_eq!(unquote(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn names_compare_without_case_and_single_refuses_repeats() {
        let lines: &[(&str, &[u8])] = &[("Age", b"1"), ("VARY", b"a"), ("vary", b"b")];
        assert_eq!(lines.values("Vary").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(lines.single("age"), Some(&b"1"[..]));
        assert_eq!(lines.single("vary"), None);
        assert!(!lines.has("date"));
    }

    proptest! {
        #[test]
        fn members_are_trimmed_pieces_of_the_value(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut length = 0;
            for member in list_members(&value) {
                prop_assert_eq!(trim_ows(member), member);
                prop_assert!(!member.is_empty());
                length += member.len();
            }
            prop_assert!(length <= value.len());
        }

        #[test]
        fn unquote_undoes_quoting(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut quoted = vec![b'"'];
            for byte in &text {
                if matches!(byte, b'"' | b'\\') {
                    quoted.push(b'\\');
                }
                quoted.push(*byte);
            }
            quoted.push(b'"');
            prop_assert_eq!(unquote(&quoted), Some(text));
        }
    }
}
