//! Which loopback /24 a network uses: each has a lock, so that two networks never share one.

use crate::commands::Misconfigured;
use anyhow::Context;
use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};
use std::{
    fs::{File, OpenOptions},
    io::ErrorKind,
    net::Ipv4Addr,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The /24 when the command line says nothing.
pub(crate) const DEFAULT: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 0);
/// Second octets `auto` chooses from: clear of 127.0.0.1, of the default, and of the clients' 127.128.0.0/9.
const AUTO_SECOND: std::ops::Range<u8> = 80..120;

/// A /24 this process has to itself, for as long as this lives.
pub(crate) struct Base {
    /// Its first address.
    pub(crate) network: Ipv4Addr,
    _lock: File,
}

/// What the command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A free one.
    Auto,
    /// This one.
    This(Ipv4Addr),
}

impl Wanted {
    /// Reads `--base`.
    pub(crate) fn parse(text: &str) -> Result<Self, Misconfigured> {
        if text == "auto" {
            return Ok(Wanted::Auto);
        }
        match text.parse::<Ipv4Addr>() {
            Ok(address) if address.is_loopback() && address.octets()[3] == 0 && address.octets()[1] < 128 => Ok(Wanted::This(address)),
            _ => Err(Misconfigured(format!(
                "--base {text} is not a loopback /24 such as 127.77.0.0 (127.0.0.0 to 127.127.255.0, last octet 0), nor `auto`"
            ))),
        }
    }
}

fn lock(network: Ipv4Addr) -> anyhow::Result<Option<Base>> {
    lock_in(&std::env::temp_dir(), network)
}

/// Takes the lock of a /24, unless somebody has it. The directory is everybody's: no link there is followed.
fn lock_in(directory: &Path, network: Ipv4Addr) -> anyhow::Result<Option<Base>> {
    let path = directory.join(format!("weir-base-{network}.lock"));
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("an open flag fits an int");
    let file = match OpenOptions::new().create(true).truncate(false).write(true).custom_flags(flags).open(&path) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied) || error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Ok(None);
        }
        other => other.with_context(|| format!("open {}", path.display()))?,
    };
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(Base { network, _lock: file }))
}

impl Base {
    /// Takes the /24 that is wanted.
    pub(crate) fn take(wanted: Wanted) -> anyhow::Result<Self> {
        match wanted {
            Wanted::This(network) => lock(network)?.ok_or_else(|| {
                Misconfigured(format!("{network}/24 is used by another `weir up` on this machine; choose --base auto")).into()
            }),
            Wanted::Auto => {
                for second in AUTO_SECOND {
                    for third in 0..=255 {
                        if let Some(base) = lock(Ipv4Addr::new(127, second, third, 0))? {
                            return Ok(base);
                        }
                    }
                }
                Err(Misconfigured("no free loopback /24 between 127.80.0.0 and 127.119.255.0".into()).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_base_may_be() {
        assert!(matches!(Wanted::parse("auto"), Ok(Wanted::Auto)));
        assert!(matches!(Wanted::parse("127.90.3.0"), Ok(Wanted::This(_))));
        for text in ["", "127.90.3.1", "10.0.0.0", "127.128.0.0", "127.90.3", "any"] {
            assert!(Wanted::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_planted_as_a_lock_is_not_followed() {
        let dir = tempfile::tempdir().expect("dir");
        let network = Ipv4Addr::new(127, 90, 3, 0);
        let target = dir.path().join("target");
        std::os::unix::fs::symlink(&target, dir.path().join(format!("weir-base-{network}.lock"))).expect("link");
        assert!(lock_in(dir.path(), network).expect("refused, not failed").is_none());
        assert!(!target.exists(), "nothing was made through the link");
    }

    #[test]
    fn two_networks_never_share_a_base() {
        let first = Base::take(Wanted::Auto).expect("free");
        let second = Base::take(Wanted::Auto).expect("free");
        assert_ne!(first.network, second.network);
        assert!(Base::take(Wanted::This(first.network)).is_err());
    }
}
