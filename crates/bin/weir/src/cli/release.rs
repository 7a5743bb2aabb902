//! What may be typed after `weir release`.

use clap::Subcommand;

/// The publisher's commands: keys, builds, signatures.
#[derive(Subcommand)]
pub(crate) enum ReleaseVerb {
    /// What this program is: version, wire, schema, gates
    Describe,
}
