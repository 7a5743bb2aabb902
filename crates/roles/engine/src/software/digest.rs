//! The SHA-256 of a body on its way into the store.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A body that must have a certain digest.
pub(crate) struct Digested {
    expected: String,
    sum: Sha256,
}

impl Digested {
    /// Nothing of it has come; `expected` is hexadecimal, in lower case.
    pub(crate) fn new(expected: &str) -> Self {
        Self { expected: expected.to_owned(), sum: Sha256::new() }
    }

    /// The next bytes.
    pub(crate) fn take(&mut self, bytes: &Bytes) {
        self.sum.update(bytes);
    }

    /// Whether what came is what was meant.
    pub(crate) fn ends_right(self) -> bool {
        format!("{:x}", self.sum.finalize()) == self.expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_bytes_have_the_digest() {
        const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for (pieces, right) in [(&["abc"][..], true), (&["a", "", "bc"], true), (&["abd"], false), (&["abc", "c"], false), (&[], false)] {
            let mut digested = Digested::new(ABC);
            pieces.iter().for_each(|piece| digested.take(&Bytes::from_static(piece.as_bytes())));
            assert_eq!(digested.ends_right(), right, "{pieces:?}");
        }
    }
}
