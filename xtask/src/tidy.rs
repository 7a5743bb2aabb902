//! House rules that no compiler checks: file length, module names, words that must not stand in the repository.

use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{Command, capture};
use crate::findings::Findings;

/// Lines of Rust in one file, tests excluded; past this a second noun has appeared.
const FILE_LINES_MAX: usize = 500;

/// Module names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "types", "prelude"];

/// A word that must not stand in a file, and what to do instead. Written in halves so that this file does not match.
struct Word {
    text: &'static str,
    scope: Scope,
    instead: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Every text file.
    Everywhere,
    /// Rust files.
    Rust,
    /// Test code in Rust files.
    RustTests,
    /// Lock files of npm.
    NpmLock,
}

const WORDS: &[Word] = &[
    Word { text: concat!("/wo", "rk/"), scope: Scope::Everywhere, instead: "a path of one machine: use a path relative to the repository" },
    Word { text: concat!("/ro", "ot/"), scope: Scope::Everywhere, instead: "a path of one machine: use $HOME or a relative path" },
    Word { text: concat!("registry.", "npmjs"), scope: Scope::Everywhere, instead: "a registry address: lock files carry integrity only" },
    Word {
        text: concat!("registry.", "yarnpkg"),
        scope: Scope::Everywhere,
        instead: "a registry address: lock files carry integrity only",
    },
    Word { text: concat!("index.", "crates.io"), scope: Scope::Everywhere, instead: "a registry address: cargo knows its own" },
    Word { text: concat!("files.", "pythonhosted"), scope: Scope::Everywhere, instead: "a registry address: lock files carry hashes only" },
    Word { text: concat!("\"resol", "ved\":"), scope: Scope::NpmLock, instead: "npm install --omit-lockfile-registry-resolved" },
    Word { text: concat!("#[ign", "ore"), scope: Scope::Rust, instead: "delete the test or repair it" },
    Word { text: concat!("to", "do!("), scope: Scope::Rust, instead: "refuse with a reason, or do not offer it" },
    Word { text: concat!("unimple", "mented!("), scope: Scope::Rust, instead: "refuse with a reason, or do not offer it" },
    Word { text: concat!("thread::", "sleep("), scope: Scope::RustTests, instead: "wait for the condition with a deadline" },
];

/// Checks every file that git tracks or would track in the repository at `root`.
pub(crate) fn check(root: &Path) -> Result<Findings> {
    let list = Command::new("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).directory(root);
    let listed = capture(&list)?;
    let mut findings = Findings::default();
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = root.join(name);
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| format!("reading {name}"))?;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            judge(name, text, &mut findings);
        }
    }
    Ok(findings)
}

fn judge(name: &str, text: &str, findings: &mut Findings) {
    let path = Path::new(name);
    let rust = path.extension().is_some_and(|extension| extension == "rs");
    let test_module = path.file_name().is_some_and(|name| name == "tests.rs");
    let test_file = test_module || path.components().any(|part| part.as_os_str() == "tests");
    let tests_from = if test_file { 0 } else { first_test_line(text) };
    words(name, text, rust, tests_from, findings);
    if rust {
        names(path, findings);
        if !test_file && tests_from > FILE_LINES_MAX {
            findings.add(format!(
                "{name}: {tests_from} lines without its tests, at most {FILE_LINES_MAX}: a second noun has appeared, split it"
            ));
        }
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if !test_module && !first.starts_with("//!") {
            findings.add(format!("{name}:1: the first line is a module doc that says what the file is for (`//! ..`)"));
        }
    }
}

/// How many lines stand before the test module; all of them when there is none.
fn first_test_line(text: &str) -> usize {
    let mut lines = text.lines().enumerate();
    lines.find(|(_, line)| line.starts_with("#[cfg(test)]")).map_or_else(|| text.lines().count(), |(index, _)| index)
}

fn words(name: &str, text: &str, rust: bool, tests_from: usize, findings: &mut Findings) {
    for word in WORDS {
        let applies = match word.scope {
            Scope::Everywhere => true,
            Scope::Rust | Scope::RustTests => rust,
            Scope::NpmLock => name.ends_with("package-lock.json"),
        };
        if !applies {
            continue;
        }
        let skip = if word.scope == Scope::RustTests { tests_from } else { 0 };
        for (index, _) in text.lines().enumerate().skip(skip).filter(|(_, line)| line.contains(word.text)) {
            findings.add(format!("{name}:{}: {:?}: {}", index + 1, word.text, word.instead));
        }
    }
}

fn names(path: &Path, findings: &mut Findings) {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if stem == "mod" {
        findings.add(format!("{}: write the module as `name.rs` beside `name/`", path.display()));
    }
    let folders = path.parent().into_iter().flat_map(Path::components).filter_map(|part| part.as_os_str().to_str());
    for part in folders.chain([stem]).filter(|part| EMPTY_NAMES.contains(part)) {
        findings.add(format!("{}: a module called {part} says nothing: name it after the noun inside", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        judge(name, text, &mut findings);
        findings.into_lines()
    }

    #[test]
    fn each_forbidden_word_is_found_where_it_counts() {
        let sleep = concat!("std::thread::", "sleep(x)");
        let cases = [
            ("docs/a.md", format!("see {}main", concat!("/wo", "rk/")), 1),
            ("a/src/a.rs", format!("//! A.\n{}]\n", concat!("#[ign", "ore")), 1),
            ("a/src/a.rs", format!("//! A.\n{})\n", concat!("to", "do!(")), 1),
            ("docs/a.md", concat!("to", "do!()").to_owned(), 0),
            ("a/src/a.rs", format!("//! A.\n{sleep}\n"), 0),
            ("a/src/a.rs", format!("//! A.\n#[cfg(test)]\nmod tests {{\n{sleep}\n}}\n"), 1),
            ("a/tests/a.rs", format!("//! A.\n{sleep}\n"), 1),
            ("t/package-lock.json", format!("{} 1", concat!("\"resol", "ved\":")), 1),
            ("t/package.json", format!("{} 1", concat!("\"resol", "ved\":")), 0),
        ];
        for (name, text, count) in cases {
            assert_eq!(found(name, &text).len(), count, "{name}: {text}");
        }
    }

    #[test]
    fn long_files_are_found_and_tests_do_not_count() {
        let long =
            |code: usize, tests: usize| format!("//! A.\n{}#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(code), "x\n".repeat(tests));
        assert_eq!(found("a/src/a.rs", &long(499, 900)).len(), 0);
        assert_eq!(found("a/src/a.rs", &long(500, 0)).len(), 1);
        assert_eq!(found("a/tests/a.rs", &long(900, 0)).len(), 0);
        assert_eq!(found("a/src/a/tests.rs", &"x\n".repeat(900)).len(), 0);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        for name in ["a/src/mod.rs", "a/src/utils.rs", "a/src/common/a.rs", "a/src/types.rs"] {
            assert_eq!(found(name, "//! A.\n").len(), 1, "{name}");
        }
        assert_eq!(found("a/src/model.rs", "//! A.\n").len(), 0);
        assert_eq!(found("a/src/model.rs", "fn a() {}\n").len(), 1, "no module doc");
    }
}
