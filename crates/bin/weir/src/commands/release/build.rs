//! `weir release build` and `pack`: a program becomes an image, is listed and signed, and leaves as an archive.

use super::{conclude, describe::Described, explain, lacking_text, open, open_to_sign, published_json};
use crate::{
    cli::{BuildArgs, Format, PackArgs},
    commands::{self, Misconfigured},
    output,
    up::progress::Progress,
};
use anyhow::{Context, bail};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use weir_model::Version;
use weir_release::{Effort, ImagePlan, Listed, Published, ReleaseDirectory};
use weir_slots::{ImageFile, PROGRAM, digest_of_file};

/// The name of the keeper's program in an image.
const KEEPER: &str = "weir-keeper";
/// Patience for a program to say what it is.
const DESCRIBE_PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(format: Format, arguments: &BuildArgs) -> anyhow::Result<()> {
    let started = weir_clock::monotonic();
    let directory = open_to_sign(&arguments.at)?;
    is_directory(&arguments.out)?;
    let described = ask(&arguments.program)?;
    let plan = plan(&described, arguments)?;
    let progress = Progress::new();
    progress.step(&format!("packing and signing {}", plan.version));
    let now = weir_clock::wall_seconds();
    let built = if arguments.replace { directory.replace(&plan, now) } else { directory.build(&plan, now) };
    let (listed, published) = built.map_err(|error| explain(error, &arguments.at.directory))?;
    let archive = match published {
        Published::Version(_) => {
            progress.step("writing the archive");
            Some(Written::new(&directory, &arguments.at.directory, plan.version, &plan.arch, &arguments.out)?)
        }
        Published::Waiting(_) => None,
    };
    progress.end();
    let seconds = started.elapsed().as_secs_f64();
    let mut done = serde_json::json!({
        "version": plan.version,
        "arch": plan.arch,
        "archive": archive.as_ref().map(Written::json),
        "image": image_json(&listed),
        "seconds": (seconds * 10.0).round() / 10.0,
    });
    merge(&mut done, published_json(&published));
    conclude(format, &done, &published, &arguments.at.directory, || match &archive {
        Some(archive) => archive.text(seconds),
        None => format!("then write the archive: {}", pack_command(&arguments.at.directory, &plan)),
    })
}

fn pack_command(directory: &Path, plan: &ImagePlan) -> String {
    format!("weir release pack --directory {} --version {} --arch {}", directory.display(), plan.version, plan.arch)
}

pub(super) fn pack(format: Format, arguments: &PackArgs) -> anyhow::Result<()> {
    let started = weir_clock::monotonic();
    let directory = open(&arguments.at.directory)?;
    is_directory(&arguments.out)?;
    if let Some(lacking) = directory.waiting().map_err(|error| explain(error, &arguments.at.directory))? {
        eprintln!("weir: a change waits for signatures ({}); the archive carries the list published before it", lacking_text(&lacking));
    }
    let written = Written::new(&directory, &arguments.at.directory, arguments.version, &arguments.arch, &arguments.out)?;
    let done = serde_json::json!({ "version": arguments.version, "arch": arguments.arch, "archive": written.json() });
    output::print(format, &done, |_| written.text(started.elapsed().as_secs_f64()))
}

fn is_directory(out: &Path) -> anyhow::Result<()> {
    if out.is_dir() { Ok(()) } else { Err(Misconfigured(format!("--out {} is no directory; make it first", out.display())).into()) }
}

/// An archive that was written.
struct Written {
    path: PathBuf,
    bytes: u64,
    sha256: String,
}

impl Written {
    fn new(directory: &ReleaseDirectory, at: &Path, version: Version, arch: &str, out: &Path) -> anyhow::Result<Self> {
        let path = directory.pack(version, arch, out).map_err(|error| explain(error, at))?;
        let (sha256, bytes) = digest_of_file(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(Self { path, bytes, sha256: sha256.to_string() })
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "path": self.path, "bytes": self.bytes, "sha256": self.sha256 })
    }

    fn text(&self, seconds: f64) -> String {
        format!(
            "archive: {}\nsize:    {} ({} bytes)\nsha256:  {}\ntook:    {seconds:.1} s",
            self.path.display(),
            output::bytes(self.bytes),
            self.bytes,
            self.sha256
        )
    }
}

fn image_json(listed: &Listed) -> serde_json::Value {
    let manifest = listed.release.as_ref().map(|release| release.manifest);
    serde_json::json!({ "name": listed.name, "bytes": listed.bytes, "sha256": listed.sha256, "manifest_sha256": manifest })
}

/// Adds the keys of one object to another.
fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    if let (Some(into), serde_json::Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

/// Asks a program what it is.
fn ask(program: &Path) -> anyhow::Result<Described> {
    let refused = |why: String| Misconfigured(format!("{} cannot be packed: {why}", program.display()));
    // A relative name without a slash would be looked for in PATH.
    let absolute = std::fs::canonicalize(program).map_err(|error| refused(error.to_string()))?;
    let run = async {
        let mut command = tokio::process::Command::new(&absolute);
        command.args(["release", "describe", "--output", "json"]).stdin(Stdio::null()).kill_on_drop(true);
        tokio::time::timeout(DESCRIBE_PATIENCE, command.output()).await
    };
    let said = match commands::runtime()?.block_on(run) {
        Ok(said) => said.map_err(|error| refused(format!("it cannot be run here: {error}")))?,
        Err(_) => bail!(refused(format!("it did not say what it is within {} s", DESCRIBE_PATIENCE.as_secs()))),
    };
    if !said.status.success() {
        let stderr = String::from_utf8_lossy(&said.stderr);
        return Err(refused(format!("`release describe` ended with {}: {}", said.status, stderr.trim_end())).into());
    }
    serde_json::from_slice(&said.stdout)
        .map_err(|error| refused(format!("what `release describe` printed is no description: {error}")).into())
}

fn plan(described: &Described, arguments: &BuildArgs) -> Result<ImagePlan, Misconfigured> {
    let version = arguments.version.unwrap_or(described.version);
    if version != described.version && !described.synthetic {
        let program = arguments.program.display();
        return Err(Misconfigured(format!(
            "{program} is {}, and only a build of the synthetic next line can be {version}",
            described.version
        )));
    }
    let stated = (!arguments.bridge.is_empty()).then(|| arguments.bridge.iter().copied().collect());
    if stated.is_some() && stated != described.bridges && !described.synthetic {
        return Err(Misconfigured(
            "--bridge is for a build of the synthetic next line; a line states its bridges in its program".to_owned(),
        ));
    }
    if arguments.fault.is_some() && !described.faults {
        let program = arguments.program.display();
        return Err(Misconfigured(format!("{program} has no faults in it; cargo xtask dist --fault builds one that has")));
    }
    let keeper = arguments.keeper.as_ref().map(|source| ImageFile { path: KEEPER.to_owned(), source: source.clone() });
    let worker = ImageFile { path: PROGRAM.to_owned(), source: arguments.program.clone() };
    Ok(ImagePlan {
        version,
        arch: described.arch.clone(),
        bridges: stated.or_else(|| described.bridges.clone()),
        interface: described.interface.clone(),
        migrations: described.migrations.clone(),
        notes: arguments.notes.clone(),
        fault: arguments.fault.clone(),
        effort: if arguments.quick { Effort::Development } else { Effort::Release },
        files: [worker].into_iter().chain(keeper).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command, ReleaseVerb};
    use clap::Parser;

    fn typed(line: &str) -> BuildArgs {
        let words = ["weir", "release", "build", "--directory", "d", "--program", "p"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).expect(line).command {
            Command::Release { verb: ReleaseVerb::Build(arguments) } => arguments,
            _ => panic!("another command"),
        }
    }

    fn described(synthetic: bool, faults: bool) -> Described {
        Described { synthetic, faults, bridges: None, ..super::super::describe::described() }
    }

    #[test]
    fn only_a_synthetic_program_is_another_version_and_only_a_faulty_one_breaks() {
        let other = "--version 7.0.0-b1";
        for (line, synthetic, faults, fits) in [
            ("", false, false, true),
            (other, false, false, false),
            (other, true, false, true),
            ("--bridge 1.0", false, false, false),
            ("--version 2.0.0-b1 --bridge 1.0", true, false, true),
            ("--fault never_ready", true, false, false),
            ("--fault never_ready", true, true, true),
        ] {
            assert_eq!(plan(&described(synthetic, faults), &typed(line)).is_ok(), fits, "{line} {synthetic} {faults}");
        }
        let plan = plan(&described(true, true), &typed("--version 7.0.0-b1 --fault errors_500 --keeper k --notes n")).expect("plan");
        assert_eq!((plan.version.to_string().as_str(), plan.fault.as_deref(), plan.notes.as_str()), ("7.0.0-b1", Some("errors_500"), "n"));
        assert_eq!(plan.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["weir", "weir-keeper"]);
    }
}
