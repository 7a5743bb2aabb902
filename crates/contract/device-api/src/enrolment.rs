//! Enrolment: a token for a certificate.

use crate::{Hello, Listeners};
use serde::{Deserialize, Serialize};
use std::{fmt, net::SocketAddr, str::FromStr};

/// What an operator hands to a new device: `weir-enrol.<id>.<secret>.<ca>`, all lower-case hex.
/// `ca` is the SHA-256 of the network CA certificate (DER), so the device knows whom it talks to before it trusts anybody.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolToken {
    /// Which token; 8 bytes.
    pub id: [u8; 8],
    /// Its secret; 32 bytes. The manager keeps its SHA-256 only.
    pub secret: [u8; 32],
    /// SHA-256 of the CA certificate.
    pub ca: [u8; 32],
}

/// The text is not an enrolment token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an enrolment token; it begins with weir-enrol. and is printed by `weir token enrolment create`")]
pub struct TokenError;

impl fmt::Debug for EnrolToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolToken").field("id", &hex::encode(self.id)).finish_non_exhaustive()
    }
}
impl fmt::Display for EnrolToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weir-enrol.{}.{}.{}", hex::encode(self.id), hex::encode(self.secret), hex::encode(self.ca))
    }
}
impl FromStr for EnrolToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        fn bytes<const N: usize>(part: Option<&str>) -> Result<[u8; N], TokenError> {
            let mut out = [0; N];
            hex::decode_to_slice(part.ok_or(TokenError)?, &mut out).map_err(|_| TokenError)?;
            Ok(out)
        }
        let mut parts = text.strip_prefix("weir-enrol.").ok_or(TokenError)?.split('.');
        let token = Self { id: bytes(parts.next())?, secret: bytes(parts.next())?, ca: bytes(parts.next())? };
        if parts.next().is_some() { Err(TokenError) } else { Ok(token) }
    }
}

/// A new device asks for its certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// Who asks; the name must be free, or free to be taken again by the same key.
    pub hello: Hello,
    /// The token as text.
    pub token: String,
    /// PKCS#10 request, PEM. The manager takes the public key from it and nothing else.
    pub certificate_request: String,
    /// Where it will listen.
    pub listeners: Listeners,
}

/// The manager's answer.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolAnswer {
    /// The manager.
    pub hello: Hello,
    /// The device's certificate, PEM.
    pub certificate: String,
    /// The network CA, PEM.
    pub ca: String,
    /// Whether the token activated the device at once.
    pub activated: bool,
    /// Where the manager's operator API is: what a standby tells those who ask it.
    #[serde(default)]
    pub api: Option<SocketAddr>,
    /// The network key, 64 hex digits: for a manager only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_key: Option<String>,
}

impl fmt::Debug for EnrolAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hello, activated, api, .. } = self;
        f.debug_struct("EnrolAnswer").field("hello", hello).field("activated", activated).field("api", api).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_survives_text(id: [u8; 8], secret: [u8; 32], ca: [u8; 32]) {
            let token = EnrolToken { id, secret, ca };
            prop_assert_eq!(token.to_string().parse::<EnrolToken>(), Ok(token.clone()));
            prop_assert!(!format!("{token:?}").contains(&hex::encode(secret)), "a secret is never printed");
        }
        #[test]
        fn anything_else_is_refused(text in "\\PC{0,80}") {
            prop_assert_eq!(text.parse::<EnrolToken>(), Err(TokenError));
        }
    }
}
