//! What crosses processes and devices: the keepalive datagram and the keeper's control messages.

use aws_lc_rs::hmac;
use weir_device_api::{
    EnrolToken,
    keepalive::{Audience, Channel, Keepalive},
};
use weir_model::{configuration::KeepaliveKey, offload::SHARE_WHOLE};

/// Where a datagram names its key.
const KEY_AT: std::ops::Range<usize> = 6..10;
/// Where it says its share: one above the whole counts as the whole.
const SHARE_AT: std::ops::Range<usize> = 52..54;
const MAC_BYTES: usize = 32;

/// A keepalive: bytes nobody signed are refused, signed ones are read or refused, and what was read is spelled as it came, but for
/// a share above the whole.
pub fn keepalive(bytes: &[u8]) -> bool {
    let key = KeepaliveKey { id: 1, secret: "5a".repeat(32) };
    let router = "router-1".parse().expect("a name");
    let audience = Audience { router: &router, channel: Channel::Datagram };
    assert!(Keepalive::decode(bytes, std::slice::from_ref(&key), &audience).is_err(), "unsigned bytes were taken");
    let mut body = bytes.to_vec();
    if let Some(id) = body.get_mut(KEY_AT) {
        id.copy_from_slice(&key.id.to_be_bytes());
    }
    let signed = [&body[..], &[0, 8], b"router-1"].concat();
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[0x5a; 32]), &signed);
    body.extend_from_slice(mac.as_ref());
    let Ok(keepalive) = Keepalive::decode(&body, std::slice::from_ref(&key), &audience) else { return false };
    assert!(keepalive.share_permille <= SHARE_WHOLE, "a share above the whole was kept");
    let spelled = keepalive.encode(&key, &audience).expect("a key");
    let is_same = body[..SHARE_AT.start] == spelled[..SHARE_AT.start]
        && body[SHARE_AT.end..body.len() - MAC_BYTES] == spelled[SHARE_AT.end..body.len() - MAC_BYTES];
    assert!(is_same, "another spelling was taken");
    true
}

/// An enrolment token: what is taken is spelled as it came, but for the case of its digits.
pub fn enrol_token(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(token) = text.parse::<EnrolToken>() else { return false };
    assert!(token.to_string().eq_ignore_ascii_case(text), "another spelling was taken");
    true
}

/// A control message: one spelling only.
pub fn keeper_message(bytes: &[u8]) -> bool {
    let Ok(message) = weir_keeper_api::decode(bytes) else { return false };
    assert_eq!(weir_keeper_api::encode(&message), bytes, "another spelling was taken");
    true
}
