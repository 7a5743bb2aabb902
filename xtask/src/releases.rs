//! `releases.toml`: the lines that were cut, and programs built from their commits.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use weir_model::{Line, Version};

use crate::command::{Command, capture, run};
use crate::dist::{self, Built};

/// The file, in the workspace's folder.
const FILE: &str = "releases.toml";

/// Hexadecimal digits of a commit.
const COMMIT_DIGITS: usize = 40;

/// A line that was cut.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    line: Line,
    version: Version,
    commit: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    release: Vec<Release>,
}

/// The line that was cut last.
pub(crate) fn newest(root: &Path) -> Result<Release> {
    let path = root.join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let current: Version = weir_model::version().parse().context("the version of the workspace")?;
    let releases = read(&text, current).with_context(|| path.display().to_string())?;
    releases.into_iter().next_back().with_context(|| format!("{} names no line", path.display()))
}

/// Every line, oldest first; `current`: the version of the workspace, which comes after all of them.
fn read(text: &str, current: Version) -> Result<Vec<Release>> {
    let File { release: releases } = toml::from_str(text)?;
    for Release { line, version, commit } in &releases {
        ensure!(version.line == *line, "{version} is not of line {line}");
        let is_hex = commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        ensure!(commit.len() == COMMIT_DIGITS && is_hex, "{line}: a commit has {COMMIT_DIGITS} digits, not {commit:?}");
        // One release directory lists one content for each version.
        ensure!(*version < current, "{version} was cut, so the workspace is a later version than {current}");
    }
    for two in releases.windows(2) {
        ensure!(two[0].line < two[1].line, "{} comes before {}", two[1].line, two[0].line);
    }
    Ok(releases)
}

impl Release {
    /// Builds its programs from its commit into the folder `to`; what is there already is kept.
    pub(crate) fn build(&self, root: &Path, target: &Path, to: &Path) -> Result<Built> {
        let (built, made) = (Built { program: to.join("weir"), keeper: to.join("weir-keeper") }, to.join("commit"));
        let is_made = std::fs::read_to_string(&made).is_ok_and(|commit| commit == self.commit);
        if is_made && built.program.is_file() && built.keeper.is_file() {
            println!("{} is of line {}, {}", to.display(), self.line, self.commit);
            return Ok(built);
        }
        // It goes first: a build that is cut off leaves nothing that looks whole.
        if made.exists() {
            std::fs::remove_file(&made).with_context(|| format!("removing {}", made.display()))?;
        }
        let source = self.unpack(root, target)?;
        let built = dist::build_aside(&source, target, "dev", &[], to)?;
        std::fs::write(&made, &self.commit).with_context(|| format!("writing {}", made.display()))?;
        Ok(built)
    }

    /// The source of its commit, in a folder of its own.
    fn unpack(&self, root: &Path, target: &Path) -> Result<PathBuf> {
        let commit = format!("{}^{{commit}}", self.commit);
        capture(&Command::new("git", &["cat-file", "-e", &commit]).directory(root)).with_context(|| {
            format!(
                "line {} was cut at a commit that cannot be read here; a clone without it fetches it: git fetch origin {}",
                self.line, self.commit
            )
        })?;
        let folder = target.join("released");
        let (source, archive) = (folder.join(&self.commit), folder.join("source.tar"));
        // Also the source of another line, before.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        std::fs::create_dir_all(&source).with_context(|| format!("making {}", source.display()))?;
        let place = |path: &Path| path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()));
        let (tar, into) = (place(&archive)?, place(&source)?);
        run(&Command::new("git", &["archive", "--format=tar", "--output", &tar, &self.commit]).directory(root))?;
        run(&Command::new("tar", &["-x", "-f", &tar, "-C", &into]))?;
        std::fs::remove_file(&archive).with_context(|| format!("removing {}", archive.display()))?;
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn text(releases: &[(&str, &str, &str)]) -> String {
        let one = |(line, version, commit): &(&str, &str, &str)| {
            format!("[[release]]\nline = \"{line}\"\nversion = \"{version}\"\ncommit = \"{commit}\"\n")
        };
        releases.iter().map(one).collect()
    }

    #[test]
    fn lines_are_in_order_and_before_the_present_version() {
        let current = "1.2.1-b1".parse().expect("version");
        let good = read(&text(&[("1.0", "1.0.0-b1", COMMIT), ("1.1", "1.1.3-b2", COMMIT)]), current).expect("good");
        assert_eq!(good.iter().map(|release| release.line.to_string()).collect::<Vec<_>>(), ["1.0", "1.1"]);
        for (releases, wanted) in [
            (&[("1.0", "1.1.0-b1", COMMIT)][..], "not of line 1.0"),
            (&[("1.0", "1.0.0-b1", "800433f")], "40 digits"),
            (&[("1.0", "1.0.0-b1", "0123456789abcdef0123456789abcdef0123456G")], "40 digits"),
            (&[("1.2", "1.2.1-b1", COMMIT)], "later version"),
            (&[("1.1", "1.1.0-b1", COMMIT), ("1.0", "1.0.0-b1", COMMIT)], "1.0 comes before 1.1"),
            (&[("1.1", "1.1.0-b1", COMMIT), ("1.1", "1.1.1-b1", COMMIT)], "1.1 comes before 1.1"),
        ] {
            let error = format!("{:#}", read(&text(releases), current).expect_err(wanted));
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
        assert!(read("[[release]]\nline = \"1.0\"\n", current).is_err());
    }

    #[test]
    fn the_workspace_is_after_the_line_that_was_cut_last() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let newest = newest(root).expect("a line was cut");
        assert_eq!(newest.version.maintenance, 0, "a line is cut at its first version: {newest:?}");
    }
}
