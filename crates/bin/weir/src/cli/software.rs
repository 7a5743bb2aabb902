//! What may be typed after `weir software`.

use clap::Subcommand;

/// Software files: releases that can be chosen for an update.
#[derive(Subcommand)]
pub(crate) enum SoftwareVerb {
    /// Every software file and where it stands
    List,
}
