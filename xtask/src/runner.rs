//! Test programs side by side. What one printed stays together: it is shown when the program has ended, and is in a file until then.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::{self, Command};

/// Patience for one test program: the longest takes some 15 minutes. Every test has deadlines of its own; this is for one that hangs
/// all the same.
const PATIENCE: Duration = Duration::from_secs(40 * 60);

/// A built test target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The target's name.
    pub(crate) name: String,
    /// The file to run.
    file: PathBuf,
    /// Folder of its package: cargo runs tests there, and so does this.
    package: PathBuf,
}

/// How programs run.
pub(crate) struct Way<'a> {
    /// How many at a time.
    pub(crate) at_once: usize,
    /// What each is given on its command line.
    pub(crate) arguments: &'a [&'a str],
    /// What each sees in its environment.
    pub(crate) environment: &'a [(&'a str, String)],
    /// Targets that take longest, which begin first: at the end there is nobody to wait beside.
    pub(crate) first: &'a [&'a str],
    /// Folder that holds what a program prints while it runs.
    pub(crate) said: &'a Path,
}

/// Builds what this `cargo test` would run, and says what that is.
pub(crate) fn build(cargo_test: &Command) -> Result<Vec<Program>> {
    let command = cargo_test.clone().argument("--no-run").argument("--message-format=json-render-diagnostics");
    parse(&command::read(&command)?)
}

/// The test programs among cargo's messages, one line of JSON each.
fn parse(messages: &str) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message = serde_json::from_str(line).with_context(|| format!("reading cargo's message {line}"))?;
        let (Some(file), Some(manifest), Some(target)) = (message.executable, message.manifest_path, message.target) else { continue };
        if message.profile.is_some_and(|profile| profile.test) {
            let package = manifest.parent().map(Path::to_owned).context("a manifest is in a folder")?;
            programs.push(Program { name: target.name, file, package });
        }
    }
    Ok(programs)
}

/// Runs all of them; each line of what they printed goes to `line` as well. One failure hides no other.
pub(crate) fn run(mut programs: Vec<Program>, way: &Way, mut line: impl FnMut(&str) + Send) -> Result<()> {
    let rank = |program: &Program| way.first.iter().position(|name| *name == program.name).unwrap_or(way.first.len());
    programs.sort_by_key(rank);
    std::fs::create_dir_all(way.said).with_context(|| format!("making {}", way.said.display()))?;
    let queue = Mutex::new(VecDeque::from(programs));
    let shown = Mutex::new((&mut line, Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..way.at_once {
            scope.spawn(|| {
                while let Some(program) = { queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() } {
                    let (start, said) = (weir_clock::monotonic(), way.said.join(said_name(&program)));
                    println!("     Running {}: {}", program.name, said.display());
                    let ended = way.command(&program).whole(&said, PATIENCE);
                    let took = start.elapsed().as_secs_f64();
                    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                    let (line, failed) = &mut *shown;
                    println!("\n     Ran {} ({}): {took:.1} s", program.name, program.file.display());
                    let (text, passed) = ended.unwrap_or_else(|error| (format!("{error:#}\n"), false));
                    print!("{text}");
                    text.lines().for_each(&mut **line);
                    if !passed {
                        failed.push(program.name);
                    }
                }
            });
        }
    });
    let (_, failed) = shown.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

/// The name of the file that holds what a program prints: of its own file, as two crates may have targets of one name.
fn said_name(program: &Program) -> String {
    let file = program.file.file_name().unwrap_or_default();
    format!("{}.said", file.to_string_lossy())
}

impl Way<'_> {
    fn command(&self, program: &Program) -> Command {
        let file = program.file.to_string_lossy();
        let command = Command::new(&file, self.arguments).directory(&program.package).environment("CARGO_MANIFEST_DIR", &program.package);
        self.environment.iter().fold(command, |command, (name, value)| command.environment(name, value))
    }
}

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    #[test]
    fn only_test_programs_are_taken_from_cargos_messages() {
        let text = r#"
{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a"},"profile":{"test":false},"executable":"/t/a"}
{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a"},"profile":{"test":true},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"whole"},"profile":{"test":true},"executable":"/t/whole-1"}
{"reason":"build-script-executed","package_id":"b"}
{"reason":"build-finished","success":true}
"#;
        let whole = Program { name: "whole".into(), file: "/t/whole-1".into(), package: "/w/a".into() };
        assert_eq!(parse(text).unwrap(), [whole]);
        assert!(parse("{\"executable\": 1}").is_err());
    }

    /// Runs shell scripts as if they were test programs; returns what was shown and what failed.
    fn ran(scripts: &[(&str, &str)], first: &[&str]) -> (Vec<String>, Result<()>) {
        let folder = std::env::temp_dir().join(format!("weir-xtask-runner-{}-{}", std::process::id(), scripts[0].0));
        std::fs::create_dir_all(&folder).unwrap();
        let mut programs = Vec::new();
        for (name, script) in scripts {
            let file = folder.join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(&file, mode).unwrap();
            programs.push(Program { name: (*name).to_owned(), file, package: folder.clone() });
        }
        let way = Way { at_once: 1, arguments: &["said"], environment: &[("WORD", "heard".to_owned())], first, said: &folder };
        let mut lines = Vec::new();
        let outcome = run(programs, &way, |line| lines.push(line.to_owned()));
        std::fs::remove_dir_all(folder).unwrap();
        (lines, outcome)
    }

    #[test]
    fn every_program_runs_in_its_package_and_the_long_ones_first() {
        let (lines, outcome) = ran(&[("a", "echo a $1 $WORD"), ("b", "echo b; pwd >&2; basename $CARGO_MANIFEST_DIR")], &["b"]);
        outcome.unwrap();
        assert_eq!((lines[0].as_str(), lines.last().unwrap().as_str()), ("b", "a said heard"), "{lines:?}");
        assert!(lines[1].ends_with(lines[2].as_str()), "standard error is where it came, and it ran in its package's folder: {lines:?}");
    }

    #[test]
    fn one_that_hangs_is_killed_and_what_it_said_is_shown() {
        let said = std::env::temp_dir().join(format!("weir-xtask-hangs-{}", std::process::id()));
        let hangs = Command::new("sh", &["-c", "echo begun; exec sleep 1000"]);
        let (text, passed) = hangs.whole(&said, Duration::from_millis(300)).unwrap();
        std::fs::remove_file(said).unwrap();
        assert!(!passed && text.starts_with("begun\n") && text.contains("was killed after"), "{text}");
    }

    #[test]
    fn a_failure_is_named_and_hides_no_other_program() {
        let result = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let (lines, outcome) = ran(&[("bad", "echo no; exit 101"), ("good", &format!("echo '{result}'")), ("torn", "kill -9 $$")], &[]);
        assert_eq!(outcome.unwrap_err().to_string(), "failed: bad, torn");
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.line(line));
        assert_eq!(tally.passed, 2);
    }
}
