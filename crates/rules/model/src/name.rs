//! Names an operator chooses. Parsed once at the edge; inside, a name is always valid.

use serde::{Deserialize, Serialize, Serializer};
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// Longest label in bytes (RFC 1035 section 2.3.4).
pub const LABEL_BYTES: usize = 63;
/// Longest domain name in text form, in bytes (RFC 1035 section 2.3.4).
pub const DOMAIN_BYTES: usize = 253;
/// The label under a service's domain that holds engine names: `<engine>.se.<domain>`.
pub const ENGINE_LABEL: &str = "se";

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is longer than its limit.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// A character outside `a-z`, `0-9` and `-`.
    #[error("has {0:?}; use a-z, 0-9 and '-'")]
    Character(char),
    /// A label begins or ends with `-`.
    #[error("has a label that begins or ends with '-'")]
    Hyphen,
    /// A domain has one label only, or an empty one.
    #[error("is not a domain name such as video.example.com")]
    Labels,
}

fn check_label(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > LABEL_BYTES {
        return Err(NameError::TooLong(LABEL_BYTES));
    }
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-';
    if let Some(c) = text.chars().find(|c| !allowed(c)) {
        return Err(NameError::Character(c));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(NameError::Hyphen);
    }
    Ok(())
}

fn check_domain(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > DOMAIN_BYTES {
        return Err(NameError::TooLong(DOMAIN_BYTES));
    }
    let mut labels = 0;
    for label in text.split('.') {
        if label.is_empty() {
            return Err(NameError::Labels);
        }
        check_label(label)?;
        labels += 1;
    }
    let numeric_end = text.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    if labels < 2 || numeric_end {
        return Err(NameError::Labels);
    }
    Ok(())
}

/// Longest detail of a delivery service, in bytes: it goes out with every response.
#[cfg(feature = "synthetic-next")]
pub const DETAIL_BYTES: usize = 32;

#[cfg(feature = "synthetic-next")]
fn check_detail(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > DETAIL_BYTES {
        return Err(NameError::TooLong(DETAIL_BYTES));
    }
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-';
    text.chars().find(|c| !allowed(c)).map_or(Ok(()), |c| Err(NameError::Character(c)))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $check:ident) => {
        $(#[$doc])*
        ///
        /// A copy shares its text: configurations name one thing many times.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.as_str().to_owned()
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A device's name: one DNS label, because an engine is `<name>.se.<domain>`.
    DeviceName,
    check_label
);
name!(
    /// A location's name: one label.
    LocationName,
    check_label
);
name!(
    /// A delivery service's name: one label.
    ServiceName,
    check_label
);
name!(
    /// A domain a delivery service is published under: lower case, at least two labels, never an address.
    Domain,
    check_domain
);
#[cfg(feature = "synthetic-next")]
name!(
    /// A delivery service's detail: the word its engines put as `detail` of `Cache-Status` (RFC 9211 section 2.7).
    Detail,
    check_detail
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels() {
        for (text, expected) in [
            ("east-1", Ok(())),
            ("a", Ok(())),
            ("", Err(NameError::Empty)),
            ("East", Err(NameError::Character('E'))),
            ("a.b", Err(NameError::Character('.'))),
            ("-a", Err(NameError::Hyphen)),
            ("a-", Err(NameError::Hyphen)),
            (&"a".repeat(64), Err(NameError::TooLong(63))),
        ] {
            assert_eq!(text.parse::<DeviceName>().map(|_| ()), expected, "{text:?}");
        }
    }

    #[test]
    fn domains() {
        for (text, expected) in [
            ("video.example.com", Ok(())),
            ("demo.weir.test", Ok(())),
            ("com", Err(NameError::Labels)),
            ("a..b", Err(NameError::Labels)),
            ("127.0.0.1", Err(NameError::Labels)),
            ("a.b:80", Err(NameError::Character(':'))),
        ] {
            assert_eq!(text.parse::<Domain>().map(|_| ()), expected, "{text:?}");
        }
    }

    #[cfg(feature = "synthetic-next")]
    #[test]
    fn details() {
        for (text, expected) in [
            ("gold", Ok(())),
            ("-", Ok(())),
            (&"a".repeat(32), Ok(())),
            (&"a".repeat(33), Err(NameError::TooLong(32))),
            ("", Err(NameError::Empty)),
            ("a b", Err(NameError::Character(' '))),
            ("a;b", Err(NameError::Character(';'))),
            ("Gold", Err(NameError::Character('G'))),
        ] {
            assert_eq!(text.parse::<Detail>().map(|_| ()), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_parsed_name_survives_json(text in "[ -~]{0,70}") {
            if let Ok(name) = text.parse::<DeviceName>() {
                let json = serde_json::to_string(&name).expect("names are strings");
                prop_assert_eq!(serde_json::from_str::<DeviceName>(&json).expect("same rule"), name);
            } else {
                let json = serde_json::to_string(&text).expect("text");
                prop_assert!(serde_json::from_str::<DeviceName>(&json).is_err());
            }
        }
    }
}
