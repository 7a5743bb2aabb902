//! What a server is shown so that it lets the file go.

use crate::Failure;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, header};
use weir_model::FetchReason;
use zeroize::Zeroizing;

/// Header fields of the connection, of the message and of the request itself (RFC 9110 and RFC 9112, and two that old clients sent),
/// which are nobody's credentials. In lower case.
const NOT_CREDENTIALS: [&str; 17] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "if-range",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Why a secret cannot be sent in the header field `name`: whoever registers a source and whoever fetches it ask this.
pub fn header_refused(name: &str) -> Option<&'static str> {
    // RFC 9110 section 5.6.2.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        Some("the name of the credentials' header field is not one")
    } else if NOT_CREDENTIALS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        Some("the credentials' header field is one of the request's own")
    } else {
        None
    }
}

/// Why `value` cannot be sent in a header field (RFC 9110 section 5.5, of which visible ASCII characters and spaces between them are
/// taken). What is refused is not in the reason.
pub fn header_value_refused(value: &str) -> Option<&'static str> {
    if value.is_empty() {
        Some("the credentials are empty")
    } else if value.starts_with(' ') || value.ends_with(' ') || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        Some("the credentials hold characters other than visible ASCII ones and spaces between them")
    } else {
        None
    }
}

/// A secret that a server asks for.
#[derive(Clone, Default)]
pub enum Credentials {
    /// None.
    #[default]
    None,
    /// RFC 7617.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Zeroizing<String>,
    },
    /// A header of the server's own.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Zeroizing<String>,
    },
}

impl Credentials {
    /// The field that carries them.
    pub(crate) fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, Failure> {
        let unusable = |detail: &str| Failure::new(FetchReason::BadUrl, detail);
        let (name, value) = match self {
            Self::None => return Ok(None),
            Self::Basic { username, .. } if username.contains(':') => {
                // RFC 7617 section 2: the first colon ends the user name.
                return Err(unusable("the user name has a colon in it"));
            }
            Self::Basic { username, password } => {
                let pair = Zeroizing::new(format!("{username}:{}", password.as_str()));
                let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
                (header::AUTHORIZATION, HeaderValue::from_str(&value))
            }
            Self::Header { name, value } => {
                if let Some(detail) = header_refused(name).or_else(|| header_value_refused(value)) {
                    return Err(unusable(detail));
                }
                let name: HeaderName = name.parse().map_err(|_| unusable("the name of the credentials' header field is not one"))?;
                (name, HeaderValue::from_str(value))
            }
        };
        let mut value = value.map_err(|_| unusable("the credentials hold characters that no header field may have"))?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> Credentials {
        Credentials::Header { name: name.to_owned(), value: value.to_owned().into() }
    }

    fn line(credentials: &Credentials) -> Result<String, String> {
        match credentials.header() {
            Ok(Some((name, value))) => {
                assert!(value.is_sensitive());
                Ok(format!("{name}: {}", value.to_str().expect("text")))
            }
            Ok(None) => Ok(String::new()),
            Err(failure) => Err(failure.detail),
        }
    }

    #[test]
    fn one_rule_says_which_fields_carry_a_secret() {
        for name in ["Authorization", "x-token", "Cookie", "PRIVATE-TOKEN", "x!#$%&'*+-.^_`|~9"] {
            assert_eq!(header_refused(name), None, "{name}");
            assert!(header(name, "t0").header().is_ok(), "{name}");
        }
        for name in [
            "",
            "x key",
            "x:key",
            "sch\u{fc}ssel",
            "x\r\n",
            "Host",
            "TE",
            "trailer",
            "Keep-Alive",
            "proxy-connection",
            "content-type",
            "accept",
        ] {
            assert!(header_refused(name).is_some(), "{name}");
            assert!(header(name, "t0").header().is_err(), "{name}");
        }
        for name in NOT_CREDENTIALS {
            assert!(header_refused(name).is_some() && name.bytes().all(|byte| !byte.is_ascii_uppercase()), "{name}");
        }
        for value in ["Bearer a b", "~!", "a"] {
            assert_eq!(header_value_refused(value), None, "{value}");
        }
        for value in ["", " a", "a ", "a\tb", "a\r\nb: c", "\u{fc}", "a\u{7f}"] {
            assert!(header_value_refused(value).is_some(), "{value:?}");
            assert!(header("x-token", value).header().is_err(), "{value:?}");
        }
    }

    #[test]
    fn what_a_server_is_shown() {
        // The pair of RFC 7617 section 2.
        let basic = |username: &str| Credentials::Basic { username: username.to_owned(), password: "open sesame".to_owned().into() };
        assert_eq!(line(&basic("Aladdin")), Ok("authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned()));
        assert_eq!(line(&Credentials::None), Ok(String::new()));
        assert_eq!(line(&header("X-Token", "t0")), Ok("x-token: t0".to_owned()));
        for (credentials, word) in [
            (basic("a:b"), "colon"),
            (header("X Token", "t0"), "not one"),
            (header("", "t0"), "not one"),
            (header("Host", "t0"), "request's own"),
            (header("transfer-encoding", "t0"), "request's own"),
            (header("Content-Type", "t0"), "request's own"),
            (header("keep-alive", "t0"), "request's own"),
            (header("Trailer", "t0"), "request's own"),
            (header("User-Agent", "t0"), "request's own"),
            (header("X-Token", ""), "empty"),
            (header("X-Token", " t0"), "characters"),
            (header("X-Token", "t0\t0"), "characters"),
            (header("X-Token", "t0\r\nHost: b"), "characters"),
        ] {
            let refused = line(&credentials).expect_err(word);
            assert!(refused.contains(word) && !refused.contains("t0"), "{refused}");
        }
    }
}
