//! Sealed values open at their place, with their key, unchanged; else not.

use super::*;
use proptest::prelude::*;

fn seal(byte: u8) -> Seal {
    Seal::new(&NetworkKey::from_hex(&hex::encode([byte; 32])).expect("a key"))
}

proptest! {
    #[test]
    fn what_is_sealed_opens(plain: Vec<u8>) {
        let sealed = seal(1).seal(place::CA_KEY, &plain);
        let opened = seal(1).open(place::CA_KEY, &sealed).expect("opens");
        prop_assert_eq!(opened.as_slice(), plain.as_slice());
        prop_assert_eq!(seal(1).open(place::KEEPALIVE, &sealed), Err(SealError::Refused), "another place");
        prop_assert_eq!(seal(2).open(place::CA_KEY, &sealed), Err(SealError::Refused), "another key");
    }

    #[test]
    fn any_bit_flipped_does_not_open(plain in proptest::collection::vec(any::<u8>(), 0..40), at: prop::sample::Index) {
        let sealed = seal(1).seal(place::CA_KEY, &plain);
        let mut bytes = BASE64_STANDARD.decode(&sealed[PREFIX.len()..]).expect("base64");
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let flipped = format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes));
        prop_assert_eq!(seal(1).open(place::CA_KEY, &flipped), Err(SealError::Refused));
    }

    #[test]
    fn nothing_else_panics(text in "(sealed:v1:)?\\PC{0,60}") {
        prop_assert!(seal(1).open(place::CA_KEY, &text).is_err());
    }
}

#[test]
fn the_same_is_sealed_differently_each_time() {
    assert_ne!(seal(1).seal("x", b"secret"), seal(1).seal("x", b"secret"));
}

#[test]
fn what_was_never_sealed_is_said_to_be() {
    assert_eq!(seal(1).open("x", "plain text"), Err(SealError::NotSealed));
    assert_eq!(seal(1).open("x", "sealed:v1:!!"), Err(SealError::Unreadable));
    assert_eq!(seal(1).open("x", "sealed:v1:AAAA"), Err(SealError::Unreadable), "shorter than a nonce");
}

#[test]
fn a_seal_says_nothing_of_its_key() {
    let shown = format!("{:?}", seal(7));
    assert!(!shown.contains("0707") && shown.contains(seal(7).fingerprint()), "{shown}");
}
