//! What may be typed after `weir cms`: verbs of one manager's box, over its control socket.

use super::Why;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use weir_model::{DeviceName, Version};

/// `weir cms`.
#[derive(Args)]
pub(crate) struct CmsArgs {
    #[command(flatten)]
    pub(crate) of: BoxArgs,
    #[command(subcommand)]
    pub(crate) verb: CmsVerb,
}

/// Which box is meant: the one of this data directory, or one of a network started by `weir up`.
#[derive(Args, Clone, Default)]
pub(crate) struct BoxArgs {
    /// Data directory of the manager on this box (instead of --network)
    #[arg(long, global = true, env = "WEIR_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Which of the two boxes of the network that --network names; absent: manager
    #[arg(long = "box", global = true, value_enum, value_name = "WHICH")]
    pub(crate) which: Option<WhichBox>,
}

impl BoxArgs {
    /// Whether the data directory was typed: one that the environment names gives way to `--box`.
    pub(crate) fn data_was_typed(&self) -> bool {
        self.data
            .as_ref()
            .is_some_and(|data| std::env::var_os("WEIR_DATA").is_none_or(|of_environment| of_environment != *data.as_os_str()))
    }
}

/// A box of a network as network.json names it, whatever its role is by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum WhichBox {
    /// The first one.
    Manager,
    /// The second one.
    Standby,
}

#[derive(Subcommand)]
pub(crate) enum CmsVerb {
    /// What this box is, why, how the pair stands, and what to do next; also of a box that is down
    Info,
    /// Let this box be primary or standby again
    Enable,
    /// Keep this box from being primary or standby, also over restarts; devices go on with what they have
    Disable {
        /// Why, for whoever finds the box disabled
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Change which box is the primary
    Role {
        #[command(subcommand)]
        verb: RoleVerb,
    },
    /// Have this standby take what the primary has, also where it has more or other itself; that is set beside the configuration
    Resync,
    /// Changes this box acknowledged alone when it was primary, which the network does not have
    Unreplicated {
        #[command(subcommand)]
        verb: Option<UnreplicatedVerb>,
    },
    /// The network key that seals secrets in the database and its backups
    Key {
        #[command(subcommand)]
        verb: KeyVerb,
    },
    /// The configuration database of this box
    Database {
        #[command(subcommand)]
        verb: DatabaseVerb,
    },
    /// The software of this box, in a downgrade of the whole network that waits for you at the managers' command lines
    Software {
        #[command(subcommand)]
        verb: BoxSoftwareVerb,
    },
    /// In a downgrade of the whole network: take the managers' steps at their command lines from here, on the manager that was promoted
    /// because the one that drove it is lost
    TakeOver {
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Subcommand)]
pub(crate) enum BoxSoftwareVerb {
    /// Switch this manager's box to the version of a downgrade: the primary first, then the standby
    Switch {
        /// The version the downgrade leads to
        #[arg(value_name = "VERSION")]
        to: Version,
    },
}

#[derive(Subcommand)]
pub(crate) enum RoleVerb {
    /// Make this box the primary
    Primary {
        /// When the primary is silent: how many changes it knows to be missing may be lost
        #[arg(long, value_name = "N")]
        accept_loss: Option<u64>,
    },
    /// Make this box the standby: the other one takes over
    Standby,
}

#[derive(Subcommand)]
pub(crate) enum UnreplicatedVerb {
    /// One file of them, as it was kept: a JSON object a line
    Show { name: String },
    /// Delete one file of them: nobody needs it any more
    Dismiss { name: String },
}

#[derive(Subcommand)]
pub(crate) enum KeyVerb {
    /// Show the key as a phrase of 24 words, with its fingerprint
    Export,
    /// Say that the phrase is kept elsewhere
    Confirm {
        /// As `export` shows it
        fingerprint: String,
    },
    /// Take the network's key: reads the phrase of 24 words from standard input
    Import,
}

#[derive(Subcommand)]
pub(crate) enum DatabaseVerb {
    /// Make a backup now, prove it, copy it where the schedule says
    Backup {
        /// Restore it on trial before it is kept
        #[arg(long)]
        rehearse: bool,
    },
    /// The backups this box knows
    Backups,
    /// Fetch a backup to a file outside this box
    Fetch {
        name: String,
        /// Get it back from this engine's vault first; this box need not know it
        #[arg(long, value_name = "ENGINE")]
        from: Option<DeviceName>,
        /// Where to
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Delete a backup
    Delete { name: String },
    /// Say that a fetched backup is kept elsewhere
    Confirm {
        name: String,
        /// SHA-256 of the file where it is kept, in hex
        #[arg(value_name = "SHA256")]
        sha256: String,
    },
    /// Put a backup in the place of this box's database
    Restore {
        /// The file of the backup, or the name of one that is on this box
        file: PathBuf,
        /// Go on although a manager does not answer: what it has and the backup has not is lost
        #[arg(long)]
        accept_loss: bool,
    },
    /// Restore a backup on trial, with this program: says whether it would work, changes nothing
    Rehearse { file: PathBuf },
    /// Check this box's database, or a backup
    Validate { file: Option<PathBuf> },
    /// Rebuild the database's indexes; with --full write it anew, without what deleted rows left
    Maintenance {
        /// Needs free space of twice the database's size
        #[arg(long)]
        full: bool,
    },
    /// Bring the database back to a schema this program can run on
    Downgrade(DowngradeArgs),
    /// When backups are made and where copies go; without options it is shown
    Schedule(ScheduleArgs),
}

#[derive(Args)]
pub(crate) struct DowngradeArgs {
    /// Only say what would be done, tried on a copy
    #[arg(long)]
    pub(crate) plan: bool,
    /// Schema step to go to; absent: the newest of this program
    #[arg(long, value_name = "STEP")]
    pub(crate) to: Option<u32>,
    /// Restore this backup of the older line instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "to"])]
    pub(crate) from_backup: Option<PathBuf>,
    /// As of `restore`
    #[arg(long, requires = "from_backup")]
    pub(crate) accept_loss: bool,
    /// Although the other manager does not run this version, because its box is lost; the reason goes into the journal
    #[arg(long, requires = "why", conflicts_with_all = ["plan", "from_backup"])]
    pub(crate) alone: bool,
    /// Why it is done alone
    #[arg(long, value_name = "TEXT", requires = "alone")]
    pub(crate) why: Option<String>,
}

#[derive(Args)]
pub(crate) struct ScheduleArgs {
    /// Make one every so many hours
    #[arg(long, value_name = "HOURS", conflicts_with = "never", value_parser = clap::value_parser!(u32).range(1..=168))]
    pub(crate) every: Option<u32>,
    /// Make none by itself
    #[arg(long)]
    pub(crate) never: bool,
    /// How many are kept on this box
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) keep: Option<u32>,
    /// Engines whose vault gets a copy, comma separated; `none` for none
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) engines: Option<Vec<String>>,
    /// Where a copy is PUT, https; `none` for nowhere
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Name of a header the PUT carries
    #[arg(long, value_name = "NAME")]
    pub(crate) header: Option<String>,
    /// File whose only line is the header's value: secrets do not belong in the process list
    #[arg(long, value_name = "FILE", requires = "header")]
    pub(crate) header_value_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn typed(line: &str) -> Result<CmsArgs, clap::Error> {
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Cms(arguments) => Ok(arguments),
            _ => panic!("{line}: not the verb"),
        }
    }

    #[test]
    fn every_verb_is_understood() {
        for line in [
            "info",
            "enable",
            "disable --why moving",
            "role primary",
            "role primary --accept-loss 0",
            "role standby",
            "resync",
            "unreplicated",
            "unreplicated show 1-5-9.jsonl",
            "unreplicated dismiss 1-5-9.jsonl",
            "key export",
            "key confirm 0011223344556677",
            "key import",
            "database backup --rehearse",
            "database backups",
            "database fetch a.weirbackup --to /tmp/a",
            "database fetch a.weirbackup --from core-1 --to /tmp/a",
            "database delete a.weirbackup",
            "database confirm a.weirbackup 00",
            "database restore /tmp/a",
            "database restore a.weirbackup --accept-loss",
            "database rehearse /tmp/a",
            "database validate",
            "database validate /tmp/a",
            "database maintenance --full",
            "database downgrade --plan --to 7",
            "database downgrade --from-backup /tmp/a --accept-loss",
            "database schedule --every 168 --keep 100",
            "database schedule --every 6 --keep 3 --engines core-1,east-1 --url https://a/b",
            "database schedule --never",
            "software switch 1.0.0-b1",
            "take-over --why silent",
        ] {
            assert!(typed(&format!("weir cms {line} --data /d")).is_ok(), "{line}");
        }
        for line in [
            "role",
            "role third",
            "database downgrade --plan --from-backup a",
            "database downgrade --accept-loss",
            "database schedule --every 0",
            "database schedule --every 169",
            "database schedule --keep 101",
            "key confirm",
            "software",
            "software switch",
            "software switch 1.0",
            "take-over",
        ] {
            assert!(typed(&format!("weir cms {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn a_box_is_named_by_its_directory_or_by_its_place_in_a_network() {
        let of = |line: &str| typed(line).expect("understood").of;
        assert_eq!(of("weir cms info --data /d").data, Some("/d".into()));
        assert_eq!(of("weir --network /n cms --box standby info").which, Some(WhichBox::Standby));
        assert_eq!(of("weir cms info --network /n --box manager").which, Some(WhichBox::Manager));
    }
}
