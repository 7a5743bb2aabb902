//! What may be typed after `weir release`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use weir_model::{Line, Version};
use weir_release::{PublicKey, Quorum, Role, SigningKey};

/// The publisher's commands: keys, builds, signatures.
#[derive(Subcommand)]
pub(crate) enum ReleaseVerb {
    /// Make a release directory: keys, and metadata that lists nothing yet
    ///
    /// Without --separate one key signs everything, which is for development. With --separate root and targets have keys
    /// of their own: move the files of keys/root-* to a machine without a network; only `rotate` needs them.
    Keygen(KeygenArgs),
    /// What this program is: version, line, wire, schema, gates
    ///
    /// `weir release build` asks the program it packs; with --output json the answer is what it reads.
    Describe,
    /// Pack a program as an image, list and sign it, and write its archive
    ///
    /// The program is asked what it is (`PROGRAM release describe`). Every listed release of every line is signed again, so
    /// the new archive carries the newest list. Where keys are missing the change waits: `weir release sign` brings their
    /// signatures, then `weir release pack` writes the archive.
    #[command(disable_version_flag = true)]
    Build(BuildArgs),
    /// Write the archive of a listed release again, with the newest metadata
    #[command(disable_version_flag = true)]
    Pack(PackArgs),
    /// Sign the change that waits with keys from elsewhere; it is published when nothing lacks any more
    Sign {
        #[command(flatten)]
        at: Signing,
        /// A private key (PEM) beside those of the directory; may be given again
        #[arg(long, value_name = "FILE")]
        key: Vec<PathBuf>,
    },
    /// Throw the change that waits for signatures away
    Discard {
        #[command(flatten)]
        at: At,
    },
    /// What is in an archive, without trusting it; or what a release directory has published
    Show(ShowArgs),
    /// Verify an archive from a root, as a device that has seen nothing else would; a row for each check
    #[command(disable_version_flag = true)]
    Verify(VerifyArgs),
    /// Take a release off the list: whoever has seen the new list installs it never again
    Delist {
        #[command(flatten)]
        at: Signing,
        /// The release, such as 1.1.0-b1
        release: Version,
        /// Its architecture
        #[arg(long, default_value = std::env::consts::ARCH)]
        arch: String,
    },
    /// Raise the security floor: every release below it goes off the list, and none is listed again
    Floor {
        #[command(flatten)]
        at: Signing,
        /// The lowest version that may be installed
        floor: Version,
    },
    /// Sign everything but the root again for another year
    Renew {
        #[command(flatten)]
        at: Signing,
    },
    /// Make the next root: other keys, or only another ten years
    Rotate(RotateArgs),
}

/// Which release directory.
#[derive(Args)]
pub(crate) struct At {
    /// The release directory
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// Which release directory, by what time.
#[derive(Args)]
pub(crate) struct Signing {
    /// The release directory
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Sign although the clock is after the end of what is published: nobody renewed in time, and the clock is right
    #[arg(long)]
    pub(crate) force_clock: bool,
}

#[derive(Args)]
pub(crate) struct KeygenArgs {
    #[command(flatten)]
    pub(crate) at: At,
    /// Keys of their own for root and targets, and for snapshot and timestamp together
    #[arg(long)]
    pub(crate) separate: bool,
    /// Signatures and keys of the root, such as 2/3
    #[arg(long, value_name = "M/N", value_parser = quorum, default_value = "1/1", requires = "separate")]
    pub(crate) root: Quorum,
    /// Signatures and keys of the targets
    #[arg(long, value_name = "M/N", value_parser = quorum, default_value = "1/1", requires = "separate")]
    pub(crate) targets: Quorum,
}

#[derive(Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) at: Signing,
    /// The worker to pack: a `weir` program
    #[arg(long, value_name = "PATH")]
    pub(crate) program: PathBuf,
    /// The keeper to pack beside it: a `weir-keeper` program
    #[arg(long, value_name = "PATH")]
    pub(crate) keeper: Option<PathBuf>,
    /// Another version than the program's own; only for a build of the synthetic next line
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<Version>,
    /// A line of the major before that is one step away; may be given again; only for a build of the synthetic next line
    #[arg(long, value_name = "LINE")]
    pub(crate) bridge: Vec<Line>,
    /// What it does wrong on purpose: crash_at_start, crash_after_requests:K, never_ready, errors_500; only for a build with faults
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    pub(crate) fault: Option<String>,
    /// What an operator should know
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) notes: String,
    /// List it instead of another image of the same version, whose archives install no more then
    #[arg(long)]
    pub(crate) replace: bool,
    /// Compress little: for archives that are thrown away
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where the archive is written
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct PackArgs {
    #[command(flatten)]
    pub(crate) at: At,
    /// The release
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Version,
    /// Its architecture
    #[arg(long, default_value = std::env::consts::ARCH)]
    pub(crate) arch: String,
    /// Where the archive is written
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The archive
    #[arg(value_name = "FILE", required_unless_present = "directory")]
    pub(crate) archive: Option<PathBuf>,
    /// A release directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "archive")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The archive
    #[arg(value_name = "FILE")]
    pub(crate) archive: PathBuf,
    /// The root to begin with: release-root.json of a network, or metadata/N.root.json of a release directory
    #[arg(long, value_name = "FILE")]
    pub(crate) root: PathBuf,
    /// The version it must have; absent: any
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<Version>,
    /// The architecture it must have; absent: any
    #[arg(long)]
    pub(crate) arch: Option<String>,
}

#[derive(Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    pub(crate) at: Signing,
    /// Whose keys change; may be given again; absent: only the expiry of the root is new
    #[arg(long, value_enum, value_name = "ROLE")]
    pub(crate) role: Vec<RoleName>,
    /// Make a key here and give it to the roles
    #[arg(long, requires = "role")]
    pub(crate) new_key: bool,
    /// A public key the roles get: 64 hexadecimal digits, or a private key's PEM file; may be given again
    #[arg(long, value_name = "KEY", value_parser = public_key, requires = "role")]
    pub(crate) add: Vec<PublicKey>,
    /// The key the roles lose, by the first digits of its id; may be given again
    #[arg(long, value_name = "ID", requires = "role")]
    pub(crate) remove: Vec<String>,
    /// How many keys must sign from now on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..), requires = "role")]
    pub(crate) threshold: Option<u8>,
}

/// A part of the metadata, as it is typed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// Says which keys sign what
    Root,
    /// Lists images
    Targets,
    /// Says which targets go together
    Snapshot,
    /// Says which snapshot is the newest
    Timestamp,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Root => Self::Root,
            RoleName::Targets => Self::Targets,
            RoleName::Snapshot => Self::Snapshot,
            RoleName::Timestamp => Self::Timestamp,
        }
    }
}

/// Reads `2/3`: two signatures of three keys.
fn quorum(text: &str) -> Result<Quorum, String> {
    let wrong = || "is not signatures/keys such as 2/3".to_owned();
    let (threshold, keys) = text.split_once('/').ok_or_else(wrong)?;
    let (threshold, keys) = (threshold.parse().map_err(|_| wrong())?, keys.parse().map_err(|_| wrong())?);
    if threshold >= 1 && threshold <= keys { Ok(Quorum { keys, threshold }) } else { Err(wrong()) }
}

fn fault(text: &str) -> Result<String, String> {
    let counted = |count: &str| count.parse::<u32>().is_ok_and(|count| count > 0);
    let known = matches!(text, "crash_at_start" | "never_ready" | "errors_500");
    if known || text.strip_prefix("crash_after_requests:").is_some_and(counted) {
        return Ok(text.to_owned());
    }
    Err("is none of crash_at_start, crash_after_requests:K, never_ready, errors_500".to_owned())
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    SigningKey::read(text.as_ref()).map(|key| key.public()).map_err(|error| format!("{error}; nor is it 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn what_may_be_typed() {
        let typed = |line: &str| Cli::try_parse_from(["weir", "release"].into_iter().chain(line.split_whitespace())).is_ok();
        for line in [
            "keygen --directory d",
            "keygen --directory d --separate --root 2/3",
            "describe --output json",
            "build --directory d --program p --keeper k --version 1.1.0-b1 --bridge 1.0 --bridge 1.1 --fault crash_after_requests:7 --out o",
            "pack --directory d --version 1.0.0-b1",
            "sign --directory d --key a --key b",
            "show a.weir",
            "show --directory d",
            "verify a.weir --root r --version 1.0.0.b.1 --arch x86_64",
            "delist --directory d 1.0.0-b1",
            "floor --directory d 1.0.0-b1",
            "build --directory d --program p --replace --force-clock",
            "renew --directory d --force-clock",
            "rotate --directory d --force-clock",
            "rotate --directory d",
            "rotate --directory d --role root --role targets --new-key --remove abc --threshold 2",
        ] {
            assert!(typed(line), "{line}");
        }
        for line in [
            "keygen",
            "keygen --directory d --root 2/3",
            "keygen --directory d --separate --root 3/2",
            "keygen --directory d --separate --root 0/1",
            "build --directory d --program p --fault crash_after_requests:0",
            "build --directory d --program p --fault melt",
            "build --directory d --program p --version 1.1",
            "show",
            "show a.weir --directory d",
            "verify a.weir",
            "rotate --directory d --new-key",
            "discard --directory d --force-clock",
            "pack --directory d --version 1.0.0-b1 --replace",
        ] {
            assert!(!typed(line), "{line}");
        }
    }
}
