//! `cargo xtask dist`: builds a line, and packs and signs it as a release archive.
//!
//! A build with features replaces `weir` in the profile's folder, which others run. So it is copied out at once, and what was
//! there before is put back, whatever became of the build; the next build of cargo's links its own there again.

mod arguments;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use weir_model::Version;

use crate::command::{Command, capture, run};

pub(crate) use arguments::{Dist, HELP, Target};

/// The programs of an image.
const PROGRAMS: [&str; 2] = ["weir", "weir-keeper"];

/// Bytes in a MiB, for people.
const MIB_BYTES: f64 = 1024.0 * 1024.0;

/// The programs of one build, where nothing replaces them.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    /// The worker.
    pub(crate) program: PathBuf,
    /// The keeper.
    pub(crate) keeper: PathBuf,
}

/// A signed archive.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    /// Where it is.
    pub(crate) archive: PathBuf,
    /// Its size and how long packing took, for people.
    pub(crate) figure: String,
}

/// What `weir release describe` says, as far as it matters here.
#[derive(Deserialize)]
struct Described {
    version: Version,
    synthetic: bool,
    faults: bool,
}

/// `cargo xtask dist`.
pub(crate) fn run_dist(root: &Path, target: &Path, dist: &Dist) -> Result<Packed> {
    let programs = target.join("dist").join(format!("{}-{}", dist.target.as_str(), if dist.fault.is_some() { "faults" } else { "sound" }));
    let built = build(root, target, &dist.profile, dist.features(), &programs)?;
    pack(dist, &built)
}

/// Builds both programs with these features and copies them into the folder `to`.
pub(crate) fn build(root: &Path, target: &Path, profile: &str, features: &[&str], to: &Path) -> Result<Built> {
    if !features.is_empty() {
        return build_aside(root, target, profile, features, to);
    }
    std::fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    let start = weir_clock::monotonic();
    cargo(root, target, profile, features)?;
    built(&folder_of(target, profile), to, features, start)
}

/// The same of another source or with other features than everybody's: what the profile's folder held is there again afterwards.
pub(crate) fn build_aside(source: &Path, target: &Path, profile: &str, features: &[&str], to: &Path) -> Result<Built> {
    std::fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    let from = folder_of(target, profile);
    let there = set_aside(&from, to)?;
    let start = weir_clock::monotonic();
    let built = cargo(source, target, profile, features).and_then(|()| built(&from, to, features, start));
    for program in &there {
        program.put_back()?;
    }
    built
}

/// Where cargo leaves what a profile makes: what `dev` makes is in `debug`.
fn folder_of(target: &Path, profile: &str) -> PathBuf {
    target.join(if profile == "dev" { "debug" } else { profile })
}

/// Copies both programs, and says what came of the build.
fn built(from: &Path, to: &Path, features: &[&str], start: Instant) -> Result<Built> {
    let built = copy(from, to)?;
    let features = if features.is_empty() { "no features".to_owned() } else { features.join(",") };
    let figure = figure(&built.program, start)?;
    println!("built {} ({features}): {figure}", built.program.display());
    Ok(built)
}

fn cargo(source: &Path, target: &Path, profile: &str, features: &[&str]) -> Result<()> {
    let mut command = Command::new("cargo", &["build", "--profile", profile]).directory(source).environment("CARGO_TARGET_DIR", target);
    // The tests build the whole workspace: with another choice of packages cargo would unify features differently and build
    // the dependencies again. What is shipped gets only what it asks for.
    let packages: &[&str] = if profile == "dev" { &["--workspace"] } else { &["--package", "weir", "--package", "weir-keeper"] };
    for argument in packages {
        command = command.argument(*argument);
    }
    for name in PROGRAMS {
        command = command.argument("--bin").argument(name);
    }
    if !features.is_empty() {
        command = command.argument("--features").argument(features.join(","));
    }
    run(&command)
}

/// A program that a build replaces for a while.
struct Aside {
    /// Where others run it.
    place: PathBuf,
    /// Another link to it; `None` when there is no such program yet.
    kept: Option<PathBuf>,
}

fn set_aside(from: &Path, to: &Path) -> Result<Vec<Aside>> {
    let aside = |name: &str| {
        let (place, kept) = (from.join(name), to.join(format!("{name}.aside")));
        if kept.exists() {
            std::fs::remove_file(&kept).with_context(|| format!("removing {}", kept.display()))?;
        }
        if !place.exists() {
            return Ok(Aside { place, kept: None });
        }
        std::fs::hard_link(&place, &kept).with_context(|| format!("linking {}", place.display()))?;
        Ok(Aside { place, kept: Some(kept) })
    };
    PROGRAMS.into_iter().map(aside).collect()
}

impl Aside {
    fn put_back(&self) -> Result<()> {
        let failed = || format!("putting {} back", self.place.display());
        let Some(kept) = &self.kept else {
            return if self.place.exists() { std::fs::remove_file(&self.place).with_context(failed) } else { Ok(()) };
        };
        std::fs::rename(kept, &self.place).with_context(failed)?;
        // Two links to one file stay as they are (rename(2)): the build replaced nothing.
        if kept.exists() { std::fs::remove_file(kept).with_context(failed) } else { Ok(()) }
    }
}

fn copy(from: &Path, to: &Path) -> Result<Built> {
    for name in PROGRAMS {
        let (from, to) = (from.join(name), to.join(name));
        // A program that runs cannot be written to, but replaced.
        if to.exists() {
            std::fs::remove_file(&to).with_context(|| format!("replacing {}", to.display()))?;
        }
        std::fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(Built { program: to.join(PROGRAMS[0]), keeper: to.join(PROGRAMS[1]) })
}

/// Packs and signs.
pub(crate) fn pack(dist: &Dist, built: &Built) -> Result<Packed> {
    let start = weir_clock::monotonic();
    let program = text(&built.program)?;
    let described = describe(program)?;
    if described.synthetic != (dist.target != Target::Current) || described.faults != dist.fault.is_some() {
        bail!("{program} is another build than was asked for (synthetic: {}, faults: {})", described.synthetic, described.faults);
    }
    let current: Version = weir_model::version().parse().context("the version of the workspace")?;
    let version = stated_version(dist, current, described.version)?;
    std::fs::create_dir_all(&dist.out).with_context(|| format!("making {}", dist.out.display()))?;
    let (keys, out) = (text(&dist.keys)?, text(&dist.out)?);
    if !dist.keys.join("metadata/timestamp.json").exists() {
        println!("{keys} is made, with one development key");
        run(&Command::new(program, &["release", "keygen", "--directory", keys]))?;
    }
    let mut command = Command::new(program, &["release", "build", "--directory", keys, "--program", program]);
    command = command.argument("--keeper").argument(text(&built.keeper)?);
    for argument in dist.stated(current, described.version) {
        command = command.argument(argument);
    }
    if dist.profile == "dev" {
        command = command.argument("--quick");
    }
    // A build under development has one version for many days; who signs with other keys replaces a release by hand.
    if is_development(&dist.keys)? {
        command = command.argument("--replace");
    }
    run(&command.argument("--out").argument(out)).with_context(|| match dist.target {
        Target::NextMajor => format!("a bridge must be listed: `cargo xtask dist --line current --keys {keys}` lists this line"),
        _ => format!("packing {version}"),
    })?;
    let archive = dist.out.join(format!("weir-{version}-{}.weir", std::env::consts::ARCH));
    let figure = figure(&archive, start)?;
    println!("packed {}: {figure}", archive.display());
    Ok(Packed { archive, figure })
}

/// Whether a release directory has nothing but the one key of development.
fn is_development(keys: &Path) -> Result<bool> {
    let folder = keys.join("keys");
    for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        if !entry?.file_name().to_string_lossy().starts_with("development-") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn describe(program: &str) -> Result<Described> {
    let text = capture(&Command::new(program, &["--output", "json", "release", "describe"]))?;
    serde_json::from_str(&text).with_context(|| format!("{program} release describe: {text}"))
}

/// The version the archive will have.
fn stated_version(dist: &Dist, current: Version, built: Version) -> Result<Version> {
    let stated = dist.stated(current, built);
    let named = stated.iter().position(|argument| argument == "--version").and_then(|at| stated.get(at + 1));
    named.map_or(Ok(built), |text| text.parse().with_context(|| format!("version {text}")))
}

fn figure(file: &Path, start: Instant) -> Result<String> {
    let bytes = std::fs::metadata(file).with_context(|| format!("reading {}", file.display()))?.len();
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let size = bytes as f64 / MIB_BYTES;
    Ok(format!("{size:.1} MiB in {:.1} s", start.elapsed().as_secs_f64()))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_program_is_put_back_whatever_became_of_the_build() {
        let folder = std::env::temp_dir().join(format!("weir-xtask-dist-{}", std::process::id()));
        let (from, to) = (folder.join("debug"), folder.join("next"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(from.join("weir"), "default").unwrap();
        for replaced in [true, false] {
            let aside = set_aside(&from, &to).unwrap();
            if replaced {
                // As cargo does: a new file in its place.
                fs::remove_file(from.join("weir")).unwrap();
                fs::write(from.join("weir"), "next").unwrap();
                fs::write(from.join("weir-keeper"), "next").unwrap();
            }
            aside.iter().for_each(|program| program.put_back().unwrap());
            assert_eq!(fs::read_to_string(from.join("weir")).unwrap(), "default");
            assert!(!from.join("weir-keeper").exists(), "there was none before");
            assert_eq!(fs::read_dir(&to).unwrap().count(), 0, "nothing is left");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
