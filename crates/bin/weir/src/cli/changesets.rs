//! What may be typed after `weir changesets` and `weir undo`.

use clap::{Args, Subcommand};

/// Every write of the configuration, as it is kept.
#[derive(Subcommand)]
pub(crate) enum ChangesetsVerb {
    /// The newest ones: who did what, newest last
    List {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// One of them: who, when, every field that is not as it was, and whether it can be taken back
    Show(ChangesetRef),
    /// Each one as soon as it is kept, a line each, until interrupted; with `--output json` an object a line
    Watch {
        /// Those after this one first; absent: only what comes from now on
        #[arg(long, value_name = "REV")]
        after: Option<u64>,
    },
}

/// Which changeset is meant.
#[derive(Args)]
pub(crate) struct ChangesetRef {
    /// Number of the changeset: REV of `weir changesets list`
    #[arg(value_name = "REV", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rev: u64,
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn typed(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(std::iter::once("weir").chain(line.split_whitespace())).map(|cli| cli.command)
    }

    #[test]
    fn what_may_be_typed() {
        for line in [
            "changesets list",
            "changesets list --limit 5 --output json",
            "changesets show 12",
            "changesets watch",
            "changesets watch --after 0 --output json",
            "undo 12",
        ] {
            typed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_may_not() {
        for line in [
            "changesets",
            "changesets list --limit -1",
            "changesets show",
            "changesets show 0",
            "changesets show newest",
            "changesets watch 12",
            "changesets undo 12",
            "undo",
            "undo 0",
            "undo 1 2",
            "undo 12 --override",
        ] {
            let Err(error) = typed(line) else { panic!("{line}") };
            assert!(error.use_stderr(), "{line} is a usage error: exit code 64");
        }
    }
}
