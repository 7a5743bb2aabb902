//! Engine → router keepalive: one UDP datagram, or the frame that opens a lifeline (TCP); HMAC-SHA256 at its end.
//!
//! ```text
//! 0      4        5         6        10     18         26     34           42        46         50       52       54     n
//! "WKA1" version  state(u8) key(u32) boot   sequence   term   generation   sessions  active     load‰    share‰   name   mac(32)
//! ```
//! Integers are big-endian; `name` is a length byte and that many bytes. The mac covers everything before it and then the
//! [`Audience`], which is not sent: which router it is for, on which [`Channel`], and, on a lifeline, the nonce the router
//! sent first. So a recording is worth nothing to another router or on the other channel, and a lifeline's frame nothing
//! on another connection.

use aws_lc_rs::hmac;
use weir_model::{DeviceName, Stamp, configuration::KeepaliveKey, offload::SHARE_WHOLE};

/// Largest keepalive, in bytes.
pub const KEEPALIVE_BYTES_MAX: usize = FIXED_BYTES + 1 + weir_model::name::LABEL_BYTES + MAC_BYTES;
const MAGIC: &[u8; 4] = b"WKA1";
const VERSION: u8 = 1;
const FIXED_BYTES: usize = 54;
const MAC_BYTES: usize = 32;

/// Bytes of a lifeline's nonce.
pub const NONCE_BYTES: usize = 16;

/// What a router sends first on a lifeline: random, and never the same twice.
pub type Nonce = [u8; NONCE_BYTES];

/// Whether the engine takes viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineState {
    /// It serves.
    Serving,
    /// It is about to stop: send it nothing new from now on.
    Leaving,
    /// Server Offload holds it: send it no new viewer; what it serves runs to its end.
    Offloading,
}

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keepalive {
    /// Who.
    pub engine: DeviceName,
    /// Whether it takes viewers.
    pub state: EngineState,
    /// Rises with each start of the worker; persisted.
    pub boot: u64,
    /// Rises with each keepalive of one boot, whatever its channel.
    pub sequence: u64,
    /// The configuration it runs from.
    pub stamp: Stamp,
    /// Viewer sessions.
    pub sessions: u32,
    /// Requests being answered.
    pub active_requests: u32,
    /// How busy it is, in thousandths of what it can do; 0 when not measured.
    pub load_permille: u16,
    /// The part of its configured weight it takes now, in thousandths: 1000, or less while it ramps up after an offload.
    pub share_permille: u16,
}

/// How a keepalive reaches its router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// As a UDP datagram.
    Datagram,
    /// As the frame that opens a lifeline on which the router sent this nonce.
    Lifeline(Nonce),
}

/// Whom a keepalive is for. Both ends know it, so it is signed and not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience<'a> {
    /// The router.
    pub router: &'a DeviceName,
    /// The way there.
    pub channel: Channel,
}

impl Audience<'_> {
    /// Appends what the mac covers behind the keepalive: channel, router, nonce. The first two say how long the rest is.
    fn append_to(&self, signed: &mut Vec<u8>) {
        let (channel, nonce) = match &self.channel {
            Channel::Datagram => (0, &[][..]),
            Channel::Lifeline(nonce) => (1, &nonce[..]),
        };
        signed.push(channel);
        append_name(signed, self.router);
        signed.extend_from_slice(nonce);
    }
}

/// Why bytes are not a keepalive for this audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeepaliveError {
    /// Too short, too long, or lengths that do not add up.
    #[error("wrong length")]
    Length,
    /// Another protocol or version.
    #[error("not keepalive version 1")]
    Version,
    /// A state byte this version does not know.
    #[error("unknown state")]
    State,
    /// Not a device name.
    #[error("bad engine name")]
    Name,
    /// A key this router does not hold.
    #[error("unknown key {0}")]
    Key(u32),
    /// The mac does not match: another key, another audience, or changed bytes.
    #[error("wrong mac")]
    Mac,
}

fn hmac_key(key: &KeepaliveKey) -> Option<hmac::Key> {
    let mut secret = [0; 32];
    hex::decode_to_slice(&key.secret, &mut secret).ok()?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &secret))
}

fn append_name(out: &mut Vec<u8>, name: &DeviceName) {
    let name = name.as_str().as_bytes();
    out.push(u8::try_from(name.len()).expect("a label has at most 63 bytes"));
    out.extend_from_slice(name);
}

impl Keepalive {
    /// The keepalive for one audience, signed with `key`; `None` when the key is not 64 hex digits.
    pub fn encode(&self, key: &KeepaliveKey, audience: &Audience<'_>) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(2 * KEEPALIVE_BYTES_MAX);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.push(match self.state {
            EngineState::Serving => 0,
            EngineState::Leaving => 1,
            EngineState::Offloading => 2,
        });
        out.extend_from_slice(&key.id.to_be_bytes());
        for number in [self.boot, self.sequence, self.stamp.term, self.stamp.generation] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.sessions.to_be_bytes());
        out.extend_from_slice(&self.active_requests.to_be_bytes());
        out.extend_from_slice(&self.load_permille.to_be_bytes());
        out.extend_from_slice(&self.share_permille.min(SHARE_WHOLE).to_be_bytes());
        append_name(&mut out, &self.engine);
        let sent = out.len();
        audience.append_to(&mut out);
        let mac = hmac::sign(&hmac_key(key)?, &out);
        out.truncate(sent);
        out.extend_from_slice(mac.as_ref());
        Some(out)
    }

    /// Checks the mac against the key the bytes name and the audience the reader is, then reads them.
    pub fn decode(bytes: &[u8], keys: &[KeepaliveKey], audience: &Audience<'_>) -> Result<Self, KeepaliveError> {
        if bytes.len() < FIXED_BYTES + 2 + MAC_BYTES || bytes.len() > KEEPALIVE_BYTES_MAX {
            return Err(KeepaliveError::Length);
        }
        let (body, mac) = bytes.split_at(bytes.len() - MAC_BYTES);
        if &body[..4] != MAGIC || body[4] != VERSION {
            return Err(KeepaliveError::Version);
        }
        let id = u32_at(body, 6);
        let key = keys.iter().find(|k| k.id == id).and_then(hmac_key).ok_or(KeepaliveError::Key(id))?;
        let mut signed = Vec::with_capacity(2 * KEEPALIVE_BYTES_MAX);
        signed.extend_from_slice(body);
        audience.append_to(&mut signed);
        hmac::verify(&key, &signed, mac).map_err(|_| KeepaliveError::Mac)?;
        let state = match body[5] {
            0 => EngineState::Serving,
            1 => EngineState::Leaving,
            2 => EngineState::Offloading,
            _ => return Err(KeepaliveError::State),
        };
        let name = &body[FIXED_BYTES + 1..];
        if usize::from(body[FIXED_BYTES]) != name.len() {
            return Err(KeepaliveError::Length);
        }
        let engine = std::str::from_utf8(name).ok().and_then(|n| n.parse().ok()).ok_or(KeepaliveError::Name)?;
        Ok(Self {
            engine,
            state,
            boot: u64_at(body, 10),
            sequence: u64_at(body, 18),
            stamp: Stamp { term: u64_at(body, 26), generation: u64_at(body, 34) },
            sessions: u32_at(body, 42),
            active_requests: u32_at(body, 46),
            load_permille: u16::from_be_bytes([body[50], body[51]]),
            share_permille: u16::from_be_bytes([body[52], body[53]]).min(SHARE_WHOLE),
        })
    }
}

/// What a router says on a lifeline after the engine's frame: from now on it sends this engine no new viewer, because it
/// learnt of the offload in force at this stamp or a later one, from its configuration or from the engine itself.
///
/// ```text
/// 0      8            16
/// term   generation   mac(32)      the first two are u64, big-endian
/// ```
/// The mac covers `"WKA1 obeyed"`, the audience of the engine's own frame on this lifeline, and the stamp; its key is the one
/// that frame named. Sent again whenever the stamp rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obeyed {
    /// The offload's stamp.
    pub stamp: Stamp,
}

/// Bytes of an [`Obeyed`].
pub const OBEYED_BYTES: usize = 16 + MAC_BYTES;

impl Obeyed {
    fn signed(self, audience: &Audience<'_>) -> Vec<u8> {
        let mut signed = b"WKA1 obeyed".to_vec();
        audience.append_to(&mut signed);
        signed.extend_from_slice(&self.stamp.term.to_be_bytes());
        signed.extend_from_slice(&self.stamp.generation.to_be_bytes());
        signed
    }

    /// As sent; `None` when the key is not 64 hex digits.
    pub fn encode(self, key: &KeepaliveKey, audience: &Audience<'_>) -> Option<[u8; OBEYED_BYTES]> {
        let mac = hmac::sign(&hmac_key(key)?, &self.signed(audience));
        let mut out = [0; OBEYED_BYTES];
        out[..8].copy_from_slice(&self.stamp.term.to_be_bytes());
        out[8..16].copy_from_slice(&self.stamp.generation.to_be_bytes());
        out[16..].copy_from_slice(mac.as_ref());
        Some(out)
    }

    /// Checks the mac and reads the stamp.
    ///
    /// # Errors
    /// [`KeepaliveError::Mac`]: another key, router or connection, or changed bytes.
    pub fn decode(bytes: &[u8; OBEYED_BYTES], key: &KeepaliveKey, audience: &Audience<'_>) -> Result<Self, KeepaliveError> {
        let obeyed = Self { stamp: Stamp { term: u64_at(bytes, 0), generation: u64_at(bytes, 8) } };
        let key_of = hmac_key(key).ok_or(KeepaliveError::Key(key.id))?;
        hmac::verify(&key_of, &obeyed.signed(audience), &bytes[16..]).map_err(|_| KeepaliveError::Mac)?;
        Ok(obeyed)
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes, inside the fixed part"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes, inside the fixed part"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(id: u32) -> KeepaliveKey {
        KeepaliveKey { id, secret: format!("{id:064x}") }
    }
    fn sample() -> Keepalive {
        Keepalive {
            engine: "east-1".parse().expect("name"),
            state: EngineState::Serving,
            boot: 7,
            sequence: 9,
            stamp: Stamp { term: 1, generation: 42 },
            sessions: 3,
            active_requests: 2,
            load_permille: 125,
            share_permille: 1000,
        }
    }

    fn router(name: &str) -> DeviceName {
        name.parse().expect("name")
    }

    const NONCE: Nonce = *b"0123456789abcdef";

    /// The bytes of version 1, frozen: a router of one line reads the engines of the next.
    #[test]
    fn golden() {
        let body = "574b413101000000000100000000000000070000000000000009000000000000000100000000000000\
                    2a0000000300000002007d03e806656173742d31";
        let macs = [
            (Channel::Datagram, "00284e2ec04535e75cae1e2b31b0391354f1cf2deaef167cf9ca5a0a17ace65e"),
            (Channel::Lifeline(NONCE), "bd07a7fa1d20662bfa391b6c0153a30f6b8124726252657ab6c8cf9f50240c88"),
        ];
        let router = router("router-1");
        for (channel, mac) in macs {
            let audience = Audience { router: &router, channel };
            let bytes = sample().encode(&key(1), &audience).expect("key");
            assert_eq!(hex::encode(&bytes), format!("{body}{mac}"), "{channel:?}");
            assert_eq!(Keepalive::decode(&bytes, &[key(2), key(1)], &audience), Ok(sample()));
        }
    }

    #[test]
    fn it_is_for_one_router_on_one_channel_and_one_connection() {
        let (one, two) = (router("router-1"), router("router-2"));
        let other_nonce = *b"fedcba9876543210";
        let audiences = [
            Audience { router: &one, channel: Channel::Datagram },
            Audience { router: &two, channel: Channel::Datagram },
            Audience { router: &one, channel: Channel::Lifeline(NONCE) },
            Audience { router: &one, channel: Channel::Lifeline(other_nonce) },
            Audience { router: &two, channel: Channel::Lifeline(NONCE) },
        ];
        for made_for in &audiences {
            let bytes = sample().encode(&key(1), made_for).expect("key");
            for read_as in &audiences {
                let expected = if made_for == read_as { Ok(sample()) } else { Err(KeepaliveError::Mac) };
                assert_eq!(Keepalive::decode(&bytes, &[key(1)], read_as), expected, "{made_for:?} read as {read_as:?}");
            }
        }
    }

    #[test]
    fn a_key_the_router_does_not_hold() {
        let router = router("router-1");
        let audience = Audience { router: &router, channel: Channel::Datagram };
        let bytes = sample().encode(&key(1), &audience).expect("key");
        assert_eq!(Keepalive::decode(&bytes, &[key(2)], &audience), Err(KeepaliveError::Key(1)));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_refused(bit in 0usize..(FIXED_BYTES + 7 + MAC_BYTES) * 8) {
            let router = router("router-1");
            let audience = Audience { router: &router, channel: Channel::Datagram };
            let mut bytes = sample().encode(&key(1), &audience).expect("key");
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Keepalive::decode(&bytes, &[key(1)], &audience).is_err());
        }
        #[test]
        fn noise_never_panics(bytes: Vec<u8>) {
            let router = router("router-1");
            let audience = Audience { router: &router, channel: Channel::Datagram };
            prop_assert!(Keepalive::decode(&bytes, &[key(1)], &audience).is_err());
        }
    }
}
