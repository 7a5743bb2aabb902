//! Checks, tests and media of the workspace: `cargo xtask --help`.
#![allow(clippy::print_stdout, reason = "what it prints is its output")]

mod command;
mod deny;
mod dist;
mod fence;
mod findings;
mod graph;
mod layers;
mod license;
mod media;
mod prerequisites;
mod python;
mod releases;
mod runner;
mod soak;
mod suite;
mod synthetic;
mod tally;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::command::{Command, run};
use crate::suite::Extent;

const HELP: &str = "\
Usage: cargo xtask COMMAND

  test [--quick]  every check and every test, installing what they need where that is allowed
                  --quick: format, clippy, layers, tidy and every test but the system tests
  layers          the dependency graph against layers.toml, deny.toml and the unsafe fence
  tidy            house rules on every tracked file
  dist ARGS       a signed release archive of this line or a synthetic one: `cargo xtask dist --help`
  synthetic       the synthetic lines that system tests install, below target/dist-test
  bench [ARGS]    side by side with nginx (bench/run.sh); ARGS are passed on
  tools           what the tests need besides Rust: installed, or named
  soak [PART..]   long forms of heavy suites: fuzz, schema (properties of the database, 10,000 cases each), pair (managers
                  killed under writes, 500 rounds), load (the network goes up and back while a crowd is answered 10,000,000
                  times and compares each answer); all of them when none is named
  media           make the demo stream again with ffmpeg

Environment:
  WEIR_SKIP          test: prerequisites to go on without (nginx, ffmpeg, chromium, hls.js, kdig, dnspython, schemathesis,
                     tuf), separated by commas
  WEIR_DEV_KEYS      dist: the release directory that signs when --keys is not given
  WEIR_SOAK_SECONDS  soak: seconds per fuzz target, 300 if not given
  WEIR_PAIR_ROUNDS   soak: rounds in which managers are killed
  WEIR_LOAD_REQUESTS soak: requests of the crowd while the network goes up and back
  PROPTEST_CASES     soak: cases of each property
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[&str]) -> Result<bool> {
    let root = root()?;
    match arguments {
        ["test"] => return suite::test(&root, Extent::Full),
        ["test", "--quick"] => return suite::test(&root, Extent::Quick),
        ["layers"] => suite::report(layers::check(&root)?)?,
        ["tidy"] => suite::report(tidy::check(&root)?)?,
        ["bench", rest @ ..] => run(&Command::new("bench/run.sh", rest).directory(&root))?,
        ["dist", "--help" | "-h"] => print!("{}", dist::HELP),
        ["dist", rest @ ..] => distribute(&root, rest)?,
        ["synthetic"] => synthetic::make(&root, &suite::target(&root)).map(drop)?,
        ["tools"] => suite::tools(&root)?,
        ["soak", parts @ ..] => soak::run_parts(&root, parts)?,
        ["media"] => media::make(&root)?,
        [] | ["--help" | "-h" | "help"] => print!("{HELP}"),
        other => bail!("unknown command {:?}; `cargo xtask --help` lists them", other.join(" ")),
    }
    Ok(true)
}

fn distribute(root: &Path, arguments: &[&str]) -> Result<()> {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let (keys, home) = (variable("WEIR_DEV_KEYS"), variable("HOME"));
    let dist = dist::Dist::read(arguments, keys.as_deref(), home.as_deref())?;
    dist::run_dist(root, &suite::target(root), &dist).map(|_| ())
}

/// The workspace's folder.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_owned).context("xtask lies in the workspace")
}
