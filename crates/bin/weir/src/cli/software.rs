//! What may be typed after `weir software`.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use std::{net::IpAddr, path::PathBuf, str::FromStr};
use weir_model::{DownloadMethod, Version};

/// Software files: releases that can be chosen for an update.
#[derive(Subcommand)]
pub(crate) enum SoftwareVerb {
    /// Register a release archive by its URL, or send one; its checks begin at once
    #[command(disable_version_flag = true)]
    Register(RegisterArgs),
    /// Send the bytes of a registered upload that did not come whole
    Upload {
        /// Number of the software file, or its version when no other file has it
        #[arg(value_name = "ID|VERSION")]
        which: SoftwareRef,
        /// The release archive
        #[arg(long, value_name = "PATH")]
        file: PathBuf,
        #[command(flatten)]
        wait: SoftwareWait,
    },
    /// Make the checks again; of a URL the file is fetched again
    Validate {
        /// Number of the software file, or its version when no other file has it
        #[arg(value_name = "ID|VERSION")]
        which: SoftwareRef,
        #[command(flatten)]
        wait: SoftwareWait,
    },
    /// Every software file and where it stands
    List,
    /// One software file: its release, and a row for each check
    Show {
        /// Number of the software file, or its version when no other file has it
        #[arg(value_name = "ID|VERSION")]
        which: SoftwareRef,
        #[command(flatten)]
        wait: SoftwareWait,
    },
    /// Remove a software file and the archive the manager keeps of it
    Delete {
        /// Number of the software file, or its version when no other file has it
        #[arg(value_name = "ID|VERSION")]
        which: SoftwareRef,
        /// Although devices run its version and no other file could bring them back to it
        #[arg(long = "override")]
        overrides: bool,
    },
    /// What may be chosen on the Update Software page, what it would mean, and why the others may not
    Choices,
    /// Networks that software may be fetched from beside public ones; with --allow or --none: replace them
    Sources {
        /// This network too, such as 10.1.0.0/16 or 192.0.2.7; may be given again
        #[arg(long, value_name = "NETWORK", value_parser = network, value_delimiter = ',', conflicts_with = "none")]
        allow: Vec<IpNet>,
        /// Public ones only
        #[arg(long)]
        none: bool,
    },
}

/// What is registered.
#[derive(Args)]
#[command(group(ArgGroup::new("source").required(true).args(["url", "file"])))]
pub(crate) struct RegisterArgs {
    /// Where the manager fetches the archive: http or https, without user and password in it
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Send this archive instead of naming a URL
    #[arg(long, value_name = "PATH", conflicts_with_all = ["username", "header"])]
    pub(crate) file: Option<PathBuf>,
    /// The version it must have, such as 1.1.0-b1; with --file it may be left to the archive
    #[arg(long, value_name = "VERSION", required_unless_present = "file")]
    pub(crate) version: Option<Version>,
    /// The size it must have, in bytes; absent: not compared
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) bytes: Option<u64>,
    #[command(flatten)]
    pub(crate) secrets: SecretArgs,
    /// A device that is updated alone rests before it switches, instead of switching by itself
    #[arg(long)]
    pub(crate) no_auto_reload: bool,
    /// How devices will get it
    #[arg(long, value_enum, default_value_t = Method::Default)]
    pub(crate) method: Method,
    /// Your own words
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) comment: String,
    #[command(flatten)]
    pub(crate) wait: SoftwareWait,
}

/// What the server of a URL asks for. Secrets come from a file, standard input or the environment: arguments can be read by every user of the box.
#[derive(Args)]
pub(crate) struct SecretArgs {
    /// User name for basic authentication
    #[arg(long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Its password: a file, or - for standard input; absent: environment WEIR_SOURCE_PASSWORD
    #[arg(long, value_name = "FILE", requires = "username")]
    pub(crate) password_file: Option<PathBuf>,
    /// Name of a header that carries a secret
    #[arg(long, value_name = "NAME", conflicts_with = "username")]
    pub(crate) header: Option<String>,
    /// Its value: a file, or - for standard input; absent: environment WEIR_SOURCE_HEADER_VALUE
    #[arg(long, value_name = "FILE", requires = "header")]
    pub(crate) header_value_file: Option<PathBuf>,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct SoftwareWait {
    /// Stay until its checks have ended, and show each; exit code 1 when one failed
    #[arg(long)]
    pub(crate) wait: bool,
}

/// How devices get a software file, as it is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Method {
    /// From a copy in the network, else from its source
    Default,
    /// From a copy in the network only; not a choice before every copy is there
    PrepositionedOnly,
    /// From its source only
    DirectDownloadOnly,
}

impl From<Method> for DownloadMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Default => Self::Default,
            Method::PrepositionedOnly => Self::PrepositionedOnly,
            Method::DirectDownloadOnly => Self::DirectDownloadOnly,
        }
    }
}

/// Which software file is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SoftwareRef {
    /// Its number.
    Id(i64),
    /// The one file of this version.
    Version(Version),
}

impl FromStr for SoftwareRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = text.parse().ok().filter(|id| *id > 0 && text.bytes().all(|b| b.is_ascii_digit()));
        id.map(Self::Id)
            .or_else(|| text.parse().ok().map(Self::Version))
            .ok_or_else(|| "is neither the number of a software file nor a version such as 1.1.0-b1".to_owned())
    }
}

/// Reads `address/prefix`; an address alone is that one.
fn network(text: &str) -> Result<IpNet, String> {
    let network: Option<IpNet> = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.ok_or_else(|| "is not a network such as 10.1.0.0/16".to_owned())
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Command};
    use clap::Parser;

    use super::*;

    fn typed(line: &str) -> Result<SoftwareVerb, clap::Error> {
        Cli::try_parse_from(["weir", "software"].into_iter().chain(line.split_whitespace())).map(|cli| match cli.command {
            Command::Software { verb } => verb,
            _ => panic!("another command"),
        })
    }

    #[test]
    fn what_may_be_typed() {
        for line in [
            "register https://example.com/a.weir --version 1.1.0-b1",
            "register https://example.com/a.weir --version 1.1.0.b.1 --bytes 7 --username u --password-file - --no-auto-reload --comment c --wait",
            "register https://example.com/a.weir --version 1.1.0-b1 --username u",
            "register https://example.com/a.weir --version 1.1.0-b1 --header X-Key --header-value-file f --method prepositioned-only",
            "register --file a.weir",
            "register --file a.weir --version 1.1.0-b1 --bytes 7 --method direct-download-only --wait",
            "upload 3 --file a.weir --wait",
            "validate 3",
            "validate 1.1.0-b1 --wait",
            "list",
            "show 3",
            "delete 1.1.0-b1 --override",
            "choices",
            "sources",
            "sources --allow 10.0.0.0/8 --allow fd00::/8,192.0.2.7",
            "sources --none",
        ] {
            typed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_may_not() {
        for line in [
            "register",
            "register https://example.com/a.weir",
            "register https://example.com/a.weir --version 1.1",
            "register https://example.com/a.weir --file a.weir --version 1.1.0-b1",
            "register https://example.com/a.weir --version 1.1.0-b1 --bytes 0",
            "register https://example.com/a.weir --version 1.1.0-b1 --password-file f",
            "register https://example.com/a.weir --version 1.1.0-b1 --header-value-file f",
            "register https://example.com/a.weir --version 1.1.0-b1 --username u --header h",
            "register https://example.com/a.weir --version 1.1.0-b1 --method soon",
            "register https://example.com/a.weir --version 1.1.0-b1 --password secret",
            "register --file a.weir --username u",
            "register --file a.weir --header h",
            "upload 3",
            "show",
            "show 0",
            "show -3",
            "show +3",
            "show latest",
            "delete",
            "sources --allow nowhere",
            "sources --allow 10.0.0.0/8 --none",
        ] {
            let Err(error) = typed(line) else { panic!("{line}") };
            assert!(error.use_stderr(), "{line} is a usage error: exit code 64");
        }
    }

    #[test]
    fn a_number_is_an_id_and_a_version_a_version() {
        for (text, which) in [
            ("3", SoftwareRef::Id(3)),
            ("1.1.0-b1", SoftwareRef::Version("1.1.0-b1".parse().unwrap())),
            ("1.1.0.b.1", SoftwareRef::Version("1.1.0-b1".parse().unwrap())),
        ] {
            assert_eq!(text.parse(), Ok(which));
        }
    }

    #[test]
    fn an_address_alone_is_one_address() {
        for (text, wanted) in [("192.0.2.7", "192.0.2.7/32"), ("2001:db8::1", "2001:db8::1/128"), ("10.0.0.0/8", "10.0.0.0/8")] {
            assert_eq!(network(text).unwrap().to_string(), wanted);
        }
    }
}
