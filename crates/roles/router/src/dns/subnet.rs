//! The client-subnet option (RFC 7871): whom a resolver asks for, and what goes back to it.

use std::net::IpAddr;

/// Family, source and scope prefix lengths.
const FIXED_BYTES: usize = 4;
const FAMILY_V4: u16 = 1;
const FAMILY_V6: u16 = 2;

/// A client's network as a resolver tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet {
    /// 0 only with a source prefix length of 0: some clients ask not to be told apart that way.
    family: u16,
    /// Source prefix length, in bits.
    source: u8,
    /// As many bytes as `source` needs; the others are 0.
    address: [u8; 16],
}

impl Subnet {
    /// Reads an option's data; nothing when it is malformed (RFC 7871 section 6: no byte too many, no bit behind the
    /// prefix set, and no scope in a query).
    pub(super) fn read(option: &[u8]) -> Option<Self> {
        let (fixed, told) = option.split_at_checked(FIXED_BYTES)?;
        let (family, source, scope) = (u16::from_be_bytes([fixed[0], fixed[1]]), fixed[2], fixed[3]);
        let bits_max = match family {
            0 => 0,
            FAMILY_V4 => 32,
            FAMILY_V6 => 128,
            _ => return None,
        };
        if scope != 0 || source > bits_max || told.len() != usize::from(source).div_ceil(8) {
            return None;
        }
        let behind = told.len() * 8 - usize::from(source);
        if told.last().is_some_and(|last| (last.trailing_zeros() as usize) < behind) {
            return None;
        }
        let mut address = [0; 16];
        address[..told.len()].copy_from_slice(told);
        Some(Self { family, source, address })
    }

    /// The client, and how many bits of it are told; nothing when none are.
    pub(super) fn client(&self) -> Option<(IpAddr, u8)> {
        let address = match self.family {
            FAMILY_V4 => {
                let [a, b, c, d, ..] = self.address;
                IpAddr::from([a, b, c, d])
            }
            _ => IpAddr::from(self.address),
        };
        (self.source > 0).then_some((address, self.source))
    }

    /// How many bits of the client are told.
    pub(super) fn source(&self) -> u8 {
        self.source
    }

    /// Bytes of the option's data.
    pub(super) fn len(&self) -> u16 {
        FIXED_BYTES as u16 + u16::from(self.source.div_ceil(8))
    }

    /// The data of the answer's option: what was told, and for how much of the client's address the answer holds. Only the
    /// first [`Subnet::len`] bytes of it.
    pub(super) fn answer(&self, scope: u8) -> [u8; FIXED_BYTES + 16] {
        let mut option = [0; FIXED_BYTES + 16];
        option[..2].copy_from_slice(&self.family.to_be_bytes());
        (option[2], option[3]) = (self.source, scope);
        option[FIXED_BYTES..].copy_from_slice(&self.address);
        option
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn well_formed_and_not() {
        for (option, client) in [
            (&[0, 1, 24, 0, 10, 1, 2][..], Some(Some(("10.1.2.0", 24)))),
            (&[0, 1, 32, 0, 10, 1, 2, 3], Some(Some(("10.1.2.3", 32)))),
            (&[0, 1, 9, 0, 10, 128], Some(Some(("10.128.0.0", 9)))),
            (&[0, 1, 0, 0], Some(None)),
            (&[0, 0, 0, 0], Some(None)),
            (&[0, 2, 0, 0], Some(None)),
            (&[0, 2, 48, 0, 0x20, 1, 0xd, 0xb8, 0, 1], Some(Some(("2001:db8:1::", 48)))),
            (&[0, 1, 24, 0, 10, 1], None),
            (&[0, 1, 24, 0, 10, 1, 2, 0], None),
            (&[0, 1, 33, 0, 10, 1, 2, 3, 0], None),
            (&[0, 1, 9, 0, 10, 129], None),
            (&[0, 1, 24, 24, 10, 1, 2], None),
            (&[0, 0, 8, 0, 10], None),
            (&[0, 3, 0, 0], None),
            (&[0, 1, 24], None),
            (&[], None),
        ] {
            let read = Subnet::read(option).map(|subnet| subnet.client());
            let expected = client.map(|told| told.map(|(address, bits)| (address.parse::<IpAddr>().expect("address"), bits)));
            assert_eq!(read, expected, "{option:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_told_goes_back(option in proptest::collection::vec(any::<u8>(), 0..24), scope: u8) {
            if let Some(subnet) = Subnet::read(&option) {
                let mut expected = option;
                expected[3] = scope;
                prop_assert_eq!(&subnet.answer(scope)[..usize::from(subnet.len())], &expected[..]);
            }
        }
    }
}
