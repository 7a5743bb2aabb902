//! `cargo xtask test`: every check and every test, in order, one failure hiding no other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::{Command, run, stream};
use crate::findings::Findings;
use crate::graph::{self, Graph};
use crate::runner::{self, Way};
use crate::tally::Tally;
use crate::{layers, prerequisites, synthetic, tidy};

/// The crate of the system tests.
const SYSTEM_TESTS: &str = "weir-tests";

/// Crates in which the synthetic next line differs; their tests run a second time, as that line.
const NEXT_LINE: [&str; 7] = ["weir", "weir-agent", "weir-device-api", "weir-engine", "weir-manager", "weir-model", "weir-operator-api"];

/// The features of the synthetic next line and its faulty builds.
const NEXT_FEATURES: &str = "weir/synthetic-next,weir/faults";

/// Unit tests of one program that run at a time: most of them wait, for timers or for the disk, so that two on two cores leave
/// both idle.
const TEST_THREADS: &str = "8";

/// Programs of unit tests that run at a time: one whose last test is long waits for it alone.
const UNIT_AT_ONCE: usize = 2;

/// Programs of system tests that run at a time, each with at most one network: a network spends most of its time waiting for
/// what a rollout, a lease or a deadline asks for, and keeps two cores some 20 % busy.
const SYSTEM_AT_ONCE: usize = 3;

/// System tests of more than three minutes, longest first.
const LONG: [&str; 6] = ["mixed_lines", "requirements", "rollout", "rollout_network", "update", "update_faults"];

/// System tests that play in real time: a player that is short of the processor stalls, whatever it plays. They run alone.
const REAL_TIME: [&str; 2] = ["playback", "stream"];

/// How much of the suite runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything.
    Full,
    /// Checks and every test but the system tests; nothing is installed.
    Quick,
}

/// How a step ended.
#[derive(Debug)]
enum Outcome {
    Ok,
    Failed(String),
    /// An earlier step that it builds on failed.
    NotRun(&'static str),
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
    tally: Tally,
    /// What it measured beside its time, for the summary.
    figures: Vec<String>,
}

/// The steps that ran, and what later ones need to know of them.
struct Suite {
    root: PathBuf,
    target: PathBuf,
    steps: Vec<Step>,
    skipped: Vec<String>,
}

/// Runs the suite on the workspace at `root`; true when everything passed.
pub(crate) fn test(root: &Path, extent: Extent) -> Result<bool> {
    let skip = std::env::var("WEIR_SKIP").unwrap_or_default();
    let skip = prerequisites::skip_list(&skip)?;
    let mut suite = Suite { root: root.to_owned(), target: target(root), steps: Vec::new(), skipped: Vec::new() };
    if extent == Extent::Full {
        suite.prerequisites(&skip);
    }
    suite.checks();
    let built = suite.step("build", |suite, _| suite.cargo(&["build", "--workspace", "--all-targets"]));
    if built {
        suite.step("unit tests", |suite, tally| suite.unit(tally));
        suite.step("documentation tests", |suite, tally| suite.stream(&["test", "--workspace", "--doc", "--no-fail-fast"], tally));
    } else {
        suite.not_run("unit tests");
        suite.not_run("documentation tests");
    }
    if extent == Extent::Full && built {
        suite.step("clippy as next line", |suite, _| suite.next_line_clippy());
        suite.step("tests as next line", |suite, tally| suite.next_line(tally));
        suite.synthetic();
        suite.step("system tests", |suite, tally| suite.system(tally));
    } else if extent == Extent::Full {
        for name in ["clippy as next line", "tests as next line", "synthetic lines", "system tests"] {
            suite.not_run(name);
        }
    }
    Ok(suite.summary())
}

/// `cargo xtask tools`: the prerequisites of the full suite alone.
pub(crate) fn tools(root: &Path) -> Result<()> {
    let skip = std::env::var("WEIR_SKIP").unwrap_or_default();
    let folder = target(root).join("tools");
    let ready = prerequisites::ensure(root, &folder, &prerequisites::skip_list(&skip)?)?;
    println!("WEIR_TOOLS={}", folder.display());
    for name in &ready.skipped {
        println!("skipped by WEIR_SKIP: {name}");
    }
    Ok(())
}

/// Cargo's target folder.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// Prints what a check found; an error when it found something.
pub(crate) fn report(findings: Findings) -> Result<()> {
    let lines = findings.into_lines();
    for line in &lines {
        println!("{line}");
    }
    if lines.is_empty() { Ok(()) } else { bail!("{} found", lines.len()) }
}

impl Suite {
    fn step(&mut self, name: &'static str, act: impl FnOnce(&mut Self, &mut Tally) -> Result<()>) -> bool {
        println!("\n== {name}");
        let start: Instant = weir_clock::monotonic();
        let mut tally = Tally::default();
        let outcome = match act(self, &mut tally) {
            Ok(()) => Outcome::Ok,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        let took = start.elapsed();
        let passed = matches!(outcome, Outcome::Ok);
        if let Outcome::Failed(reason) = &outcome {
            println!("{name}: FAILED: {reason}");
            tally.failed = tally.failed.max(1);
        }
        println!("-- {name}: {:.1} s", took.as_secs_f64());
        self.steps.push(Step { name, outcome, took, tally, figures: Vec::new() });
        passed
    }

    fn not_run(&mut self, name: &'static str) {
        let outcome = Outcome::NotRun("the build failed");
        self.steps.push(Step { name, outcome, took: Duration::ZERO, tally: Tally::default(), figures: Vec::new() });
    }

    fn synthetic(&mut self) {
        let mut figures = Vec::new();
        self.step("synthetic lines", |suite, _| {
            figures = synthetic::make(&suite.root, &suite.target)?;
            Ok(())
        });
        if let Some(step) = self.steps.last_mut() {
            step.figures = figures;
        }
    }

    fn prerequisites(&mut self, skip: &BTreeSet<&str>) {
        self.step("prerequisites", |suite, tally| {
            let ready = prerequisites::ensure(&suite.root, &suite.tools(), skip)?;
            for name in &ready.skipped {
                println!("skipped by WEIR_SKIP: {name}");
            }
            tally.skipped += ready.skipped.len() as u64;
            suite.skipped = ready.skipped;
            Ok(())
        });
    }

    fn checks(&mut self) {
        self.step("format", |suite, _| suite.cargo(&["fmt", "--all", "--check"]));
        self.step("clippy", |suite, _| suite.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
        self.step("layers", |suite, _| report(layers::check(&suite.root)?));
        self.step("tidy", |suite, _| report(tidy::check(&suite.root)?));
    }

    fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        run(&Command::new("cargo", arguments).directory(&self.root))
    }

    fn stream(&self, arguments: &[&str], tally: &mut Tally) -> Result<()> {
        stream(&Command::new("cargo", arguments).directory(&self.root), |line| tally.line(line))
    }

    /// Everything but the system tests. Targets are chosen by name and the packages stay the whole workspace: with another
    /// choice of packages cargo would unify features differently and build the dependencies again.
    fn unit(&self, tally: &mut Tally) -> Result<()> {
        let graph = graph::load(&self.root)?;
        let mut command = Command::new("cargo", &["test", "--workspace", "--lib", "--bins"]).directory(&self.root);
        let names = test_targets(&graph, |package| package != SYSTEM_TESTS);
        let both: Vec<String> = names.intersection(&test_targets(&graph, |package| package == SYSTEM_TESTS)).cloned().collect();
        if !both.is_empty() {
            bail!("test targets of {SYSTEM_TESTS} and of another crate have one name, and would run in both steps: {}", both.join(", "));
        }
        for name in names {
            command = command.argument("--test").argument(name);
        }
        units(&command, &self.target, tally)
    }

    /// Tests of the crates in which the synthetic next line differs, as that line: unit tests and their own test targets.
    fn next_line(&self, tally: &mut Tally) -> Result<()> {
        let mut command = self.as_next_line(&["test", "--lib", "--bins"]);
        for name in test_targets(&graph::load(&self.root)?, |package| NEXT_LINE.contains(&package)) {
            command = command.argument("--test").argument(name);
        }
        units(&command, &self.target, tally)
    }

    fn next_line_clippy(&self) -> Result<()> {
        run(&self.as_next_line(&["clippy", "--all-targets"]).argument("--").argument("-D").argument("warnings"))
    }

    /// A cargo command on [`NEXT_LINE`]. The system tests' crate goes with them: what it asks of the dependencies is the rest of
    /// what the workspace asks, and without it cargo would build serde_json, and with it most dependencies, a second time.
    fn as_next_line(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo", arguments).directory(&self.root).argument("--features").argument(NEXT_FEATURES);
        for package in NEXT_LINE.into_iter().chain([SYSTEM_TESTS]) {
            command = command.argument("--package").argument(package);
        }
        command
    }

    fn system(&self, tally: &mut Tally) -> Result<()> {
        let names = test_targets(&graph::load(&self.root)?, |package| package == SYSTEM_TESTS);
        if names.is_empty() {
            bail!("{SYSTEM_TESTS} has no test target");
        }
        let mut command = Command::new("cargo", &["test", "--workspace"]).directory(&self.root);
        for name in names {
            command = command.argument("--test").argument(name);
        }
        let mut environment = environment(&self.target);
        environment.push(("WEIR_SKIP", self.skipped.join(",")));
        let (arguments, said) = (&["--test-threads=1"][..], said(&self.target));
        let way = Way { at_once: SYSTEM_AT_ONCE, arguments, environment: &environment, first: &LONG, said: &said };
        let (alone, others): (Vec<_>, Vec<_>) =
            runner::build(&command)?.into_iter().partition(|program| REAL_TIME.contains(&program.name.as_str()));
        let beside = runner::run(others, &way, |line| tally.line(line));
        let alone = runner::run(alone, &Way { at_once: 1, ..way }, |line| tally.line(line));
        match (beside, alone) {
            (Err(beside), Err(alone)) => bail!("{beside:#}; {alone:#}"),
            (beside, alone) => beside.and(alone),
        }
    }

    /// Prints the steps, the runner's own last line and the closing line.
    fn summary(&self) -> bool {
        let mut total = Tally::default();
        println!("\n== summary");
        for step in &self.steps {
            total.add(&step.tally);
            let seconds = step.took.as_secs_f64();
            match &step.outcome {
                Outcome::Ok => println!("ok       {:<20} {seconds:>7.1} s", step.name),
                Outcome::Failed(reason) => println!("FAILED   {:<20} {seconds:>7.1} s  {reason}", step.name),
                Outcome::NotRun(reason) => println!("not run  {:<20}            {reason}", step.name),
            }
            for figure in &step.figures {
                println!("         {figure}");
            }
        }
        if !self.skipped.is_empty() {
            println!("skipped by WEIR_SKIP: {}", self.skipped.join(", "));
        }
        if let Some(last) = &total.last {
            println!("{last}");
        }
        println!("{}", total.closing());
        total.failed == 0
    }
}

/// Runs the programs of a `cargo test` of unit tests.
fn units(cargo_test: &Command, target: &Path, tally: &mut Tally) -> Result<()> {
    let (environment, said) = ([("RUST_TEST_THREADS", TEST_THREADS.to_owned())], said(target));
    let way = Way { at_once: UNIT_AT_ONCE, arguments: &[], environment: &environment, first: &["weir_manager", "manager"], said: &said };
    runner::run(runner::build(cargo_test)?, &way, |line| tally.line(line))
}

/// Where test programs that run leave what they print.
fn said(target: &Path) -> PathBuf {
    target.join("said")
}

/// What system tests need to know.
fn environment(target: &Path) -> Vec<(&'static str, String)> {
    let places = [
        ("WEIR_BIN", target.join("debug/weir")),
        ("WEIR_DIST", synthetic::folder(target)),
        ("WEIR_DEV_KEYS", synthetic::keys(target)),
        ("WEIR_TOOLS", target.join("tools")),
    ];
    places.into_iter().map(|(name, place)| (name, place.to_string_lossy().into_owned())).collect()
}

/// `cargo test` with what system tests need to know; their targets are still to be named.
pub(crate) fn system_tests(root: &Path, target: &Path) -> Command {
    let command = Command::new("cargo", &["test", "--workspace", "--no-fail-fast"]).directory(root);
    environment(target).into_iter().fold(command, |command, (name, value)| command.environment(name, value))
}

/// Names of the integration test targets of the packages that `wanted` takes.
fn test_targets(graph: &Graph, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let members = graph.packages.iter().filter(|package| package.folder.is_some() && wanted(&package.name));
    members.flat_map(|package| package.tests.iter().cloned()).collect()
}
