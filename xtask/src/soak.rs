//! `cargo xtask soak [PART..]`: the long forms of heavy suites. Their short forms run in `cargo xtask test`.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::{Command, run, succeeds};
use crate::suite::{self, system_tests};
use crate::synthetic;

/// The parts, in the order they run.
pub(crate) const PARTS: [&str; 4] = ["fuzz", "schema", "pair", "load"];

/// Generated cases of each property of the schema steps, the digests and undo.
const SCHEMA_CASES: &str = "10000";
/// Rounds in which managers are killed under writes.
const PAIR_ROUNDS: &str = "500";

/// Requests of a crowd that are answered while the network goes up and back; other viewers' are not counted.
const LOAD_REQUESTS: &str = "10000000";

/// Runs the parts that are named, or all; one failure hides no other.
pub(crate) fn run_parts(root: &Path, named: &[&str]) -> Result<()> {
    if let Some(unknown) = named.iter().find(|part| !PARTS.contains(part)) {
        bail!("no part {unknown:?}; there are {}", PARTS.join(", "));
    }
    let mut failed = Vec::new();
    for part in PARTS.into_iter().filter(|part| named.is_empty() || named.contains(part)) {
        println!("\n== soak {part}");
        let outcome = match part {
            "fuzz" => fuzz(root),
            "schema" => schema(root),
            "pair" => pair(root),
            _ => load(root),
        };
        if let Err(error) = outcome {
            println!("{error:#}");
            failed.push(part);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

/// Properties of schema steps, digests and undo, as the next line, over many cases.
fn schema(root: &Path) -> Result<()> {
    let packages = ["test", "-p", "weir-database", "-p", "weir-manager", "--features", "weir-manager/synthetic-next", "--no-fail-fast"];
    let cases = std::env::var("PROPTEST_CASES").unwrap_or_else(|_| SCHEMA_CASES.to_owned());
    run(&Command::new("cargo", &packages).directory(root).environment("PROPTEST_CASES", cases))
}

/// Managers killed at random points under continuous writes.
fn pair(root: &Path) -> Result<()> {
    system(root, "pair_kill", ("WEIR_PAIR_ROUNDS", PAIR_ROUNDS))
}

/// The whole network goes up and back again and again while viewers compare every answer.
fn load(root: &Path) -> Result<()> {
    system(root, "requirements", ("WEIR_LOAD_REQUESTS", LOAD_REQUESTS))
}

/// A system test in its long form; how long may be said in the environment.
fn system(root: &Path, test: &str, (variable, long): (&'static str, &str)) -> Result<()> {
    let target = suite::target(root);
    synthetic::make(root, &target)?;
    run(&Command::new("cargo", &["build", "--workspace", "--all-targets"]).directory(root))?;
    let long = std::env::var(variable).unwrap_or_else(|_| long.to_owned());
    let command = system_tests(root, &target).environment(variable, long);
    run(&command.argument("--test").argument(test).argument("--").argument("--test-threads=1").argument("--nocapture"))
}

/// cargo-fuzz where it is installed, the same functions over many random inputs where it is not.
fn fuzz(root: &Path) -> Result<()> {
    let seconds = std::env::var("WEIR_SOAK_SECONDS").unwrap_or_else(|_| "300".to_owned());
    let seconds: u32 = seconds.parse().context("WEIR_SOAK_SECONDS is a number of seconds")?;
    if !succeeds(&Command::new("cargo", &["fuzz", "--version"])) {
        println!(
            "cargo-fuzz is not installed (`cargo install cargo-fuzz`, with a nightly toolchain): running the property tests long instead"
        );
        let long = Command::new("cargo", &["test", "-p", "weir-fuzz"]).directory(root);
        return run(&long.environment("PROPTEST_CASES", (u64::from(seconds) * 200).to_string()));
    }
    let mut failed: Vec<String> = Vec::new();
    for target in fuzz_targets(root)? {
        println!("\n== fuzz {target}: {seconds} s");
        let corpus = format!("fuzz/corpus/{target}");
        let limit = format!("-max_total_time={seconds}");
        let fuzz = Command::new("cargo", &["+nightly", "fuzz", "run", "--fuzz-dir", "fuzz/cargo-fuzz", &target, &corpus, "--", &limit]);
        if let Err(error) = run(&fuzz.directory(root)) {
            println!("{error:#}");
            failed.push(target);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("fuzz targets that found something: {}", failed.join(", ")) }
}

fn fuzz_targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
