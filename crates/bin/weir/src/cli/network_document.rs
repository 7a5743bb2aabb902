//! `weir apply` and `weir export`: the network as a file.

use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct ApplyArgs {
    /// The file, TOML, or JSON when its name ends in .json; `-` reads TOML from standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Confirm that much goes: the hash that the dry run says
    #[arg(long, value_name = "HASH")]
    pub(crate) confirm: Option<String>,
}
