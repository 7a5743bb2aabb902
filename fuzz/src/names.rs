//! Names, versions and origin URLs that operators and devices send.

use std::fmt::Display;
use std::str::FromStr;

use weir_model::{DeviceName, Domain, LocationName, OriginUrl, ServiceName, Version, name, origin};

/// What is read is written again as text that reads the same.
fn round_trip<T: FromStr + Display + PartialEq>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let written = value.to_string();
    assert!(written.parse::<T>().ok().as_ref() == Some(&value), "{text:?} is written as {written:?}, which reads otherwise");
    Some(value)
}

/// Every kind of name, taken when it is a domain: an accepted one is a DNS name as it stands.
pub fn names(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let labels = [
        round_trip::<DeviceName>(text).map(|name| name.to_string()),
        round_trip::<LocationName>(text).map(|name| name.to_string()),
        round_trip::<ServiceName>(text).map(|name| name.to_string()),
    ];
    for label in labels.into_iter().flatten() {
        assert!(label.len() <= name::LABEL_BYTES && is_host(&label) && !label.contains('.'), "{label:?}");
    }
    let Some(domain) = round_trip::<Domain>(text) else { return false };
    assert!(domain.as_str().len() <= name::DOMAIN_BYTES && is_host(domain.as_str()), "{domain}");
    true
}

fn is_host(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// A version.
pub fn version(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| round_trip::<Version>(text).is_some())
}

/// An origin URL: never an address that no origin may have, never more than one line of a request.
pub fn origin_url(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some(url) = round_trip::<OriginUrl>(text) else { return false };
    let literal = url.host().trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse() {
        assert!(origin::address_allowed(address), "{address}");
    }
    for part in [url.host(), url.prefix(), &url.authority()] {
        assert!(part.bytes().all(|byte| byte.is_ascii_graphic()), "{part:?}");
    }
    true
}
