//! `weir release`: what a publisher does; talks to no manager.

use crate::cli::{Format, ReleaseVerb};

pub(super) fn run(_format: Format, verb: ReleaseVerb) -> anyhow::Result<()> {
    match verb {
        ReleaseVerb::Describe => anyhow::bail!("release commands are being built"),
    }
}
