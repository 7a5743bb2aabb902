//! What a server is shown so that it lets the file go.

use crate::Failure;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, header};
use weir_model::FetchReason;
use zeroize::Zeroizing;

/// Header fields of the connection and of the request itself, which are nobody's credentials.
const NOT_CREDENTIALS: [HeaderName; 12] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::RANGE,
    header::IF_RANGE,
    header::ACCEPT_ENCODING,
    header::PROXY_AUTHORIZATION,
];

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
                let name: HeaderName = name.parse().map_err(|_| unusable("the name of the credentials' header field is not one"))?;
                if NOT_CREDENTIALS.contains(&name) {
                    return Err(unusable("the credentials' header field is one of the request's own"));
                }
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
            (header("X-Token", "t0\r\nHost: b"), "characters"),
        ] {
            let refused = line(&credentials).expect_err(word);
            assert!(refused.contains(word) && !refused.contains("t0"), "{refused}");
        }
    }
}
