//! Authorities: the Host field and the authority of an absolute target (RFC 9110 7.2, RFC 3986 3.2).

use super::Refusal;
use std::{net::Ipv6Addr, ops::Range, str::FromStr};

/// The parts of an authority, as offsets into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The host, an IPv6 address without its brackets.
    pub(crate) host: Range<usize>,
    pub(crate) port: Option<u16>,
}

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`. No user information, nothing percent-encoded, no empty host.
pub(crate) fn parse_authority(text: &[u8]) -> Result<Authority, Refusal> {
    let (host, rest) = if text.first() == Some(&b'[') {
        let close = text.iter().position(|byte| *byte == b']').ok_or(Refusal::BadHost)?;
        let address = std::str::from_utf8(&text[1..close]).map_err(|_| Refusal::BadHost)?;
        Ipv6Addr::from_str(address).map_err(|_| Refusal::BadHost)?;
        (1..close, &text[close + 1..])
    } else {
        let end = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
        if end == 0 || !text[..end].iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)) {
            return Err(Refusal::BadHost);
        }
        (0..end, &text[end..])
    };
    let port = match rest {
        [] => None,
        [b':', digits @ ..] => parse_port(digits)?,
        _ => return Err(Refusal::BadHost),
    };
    Ok(Authority { host, port })
}

/// `port = *DIGIT`: an empty one means the default.
fn parse_port(digits: &[u8]) -> Result<Option<u16>, Refusal> {
    if digits.is_empty() {
        return Ok(None);
    }
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::BadHost);
    }
    let value = digits.iter().fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    u16::try_from(value).map(Some).map_err(|_| Refusal::BadHost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        let cases = [
            ("live.example", Some(("live.example", None))),
            ("Live.Example:8080", Some(("Live.Example", Some(8080)))),
            ("live.example:", Some(("live.example", None))),
            ("127.0.0.1:80", Some(("127.0.0.1", Some(80)))),
            ("[::1]:8080", Some(("::1", Some(8080)))),
            ("[::1]", Some(("::1", None))),
            ("a_b", Some(("a_b", None))),
            ("", None),
            (":80", None),
            ("a:65536", None),
            ("a:+80", None),
            ("a:80:80", None),
            ("a b", None),
            ("a,b", None),
            ("a/b", None),
            ("user@a", None),
            ("a%00", None),
            ("[::1", None),
            ("[::g]", None),
            ("[::1]x", None),
        ];
        for (text, expected) in cases {
            let parsed = parse_authority(text.as_bytes()).ok();
            let parsed = parsed.map(|authority| (&text[authority.host], authority.port));
            assert_eq!(parsed, expected, "{text:?}");
        }
    }
}
