//! Lines for the system tests: programs, a release directory and archives below `target/dist-test`.
//!
//! ```text
//! released/ current/ next/ faults/   weir and weir-keeper of each build
//! keys/                    the release directory of every network in a test
//! archives/                the line that was cut, this line, the next line and the one after it, the next major, and one archive
//!                          for each fault
//! made                     how each archive is packed and of which programs, then what came of it; written last, removed first
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::dist::{self, Built, Dist};
use crate::releases;

/// The folder below cargo's target folder.
const FOLDER: &str = "dist-test";

/// Faults, as `--fault` takes them. A test that counts requests needs more than a start makes.
const FAULTS: [&str; 4] = ["crash_at_start", "crash_after_requests:20", "never_ready", "errors_500"];

/// Where the lines are.
pub(crate) fn folder(target: &Path) -> PathBuf {
    target.join(FOLDER)
}

/// The release directory of every network in a test.
pub(crate) fn keys(target: &Path) -> PathBuf {
    folder(target).join("keys")
}

/// Texts that only fault code contains (crates/bin/weir/src/faults.rs). Names of faults are in every build's command line.
const FAULT_TEXTS: [&str; 2] = ["broken on purpose", "500 fault\n"];

/// The programs of the four builds.
struct Builds {
    released: Built,
    current: Built,
    next: Built,
    faults: Built,
}

/// Builds what has changed; archives are packed again only when a program or how it is packed is another one. Returns a line on
/// each archive.
pub(crate) fn make(root: &Path, target: &Path) -> Result<Vec<String>> {
    let folder = folder(target);
    let build = |name: &str, features: &[&str]| dist::build(root, target, "dev", features, &folder.join(name));
    let builds = Builds {
        released: releases::newest(root)?.build(root, target, &folder.join("released"))?,
        current: build("current", &[])?,
        next: build("next", &["weir/synthetic-next"])?,
        faults: build("faults", &["weir/synthetic-next", "weir/faults"])?,
    };
    for (built, faulty) in [(&builds.released, false), (&builds.current, false), (&builds.next, false), (&builds.faults, true)] {
        fault_code(&std::fs::read(&built.program).with_context(|| format!("reading {}", built.program.display()))?, faulty)
            .with_context(|| built.program.display().to_string())?;
    }
    let plan = plan(&builds);
    let inputs = inputs(&plan)?;
    let made = folder.join("made");
    if let Some(figures) = kept(&made, &inputs, &folder) {
        println!("{} is of these programs", folder.display());
        return Ok(figures);
    }
    // `made` goes first: a run that is cut off leaves nothing that looks whole.
    if made.exists() {
        std::fs::remove_file(&made).with_context(|| format!("removing {}", made.display()))?;
    }
    for stale in [keys(target), folder.join("archives")] {
        if stale.exists() {
            std::fs::remove_dir_all(&stale).with_context(|| format!("removing {}", stale.display()))?;
        }
    }
    let figures = plan.iter().map(|(arguments, built)| pack(&folder, arguments, built)).collect::<Result<Vec<_>>>()?;
    let lines: String = figures.iter().map(|figure| format!("{figure}\n")).collect();
    std::fs::write(&made, inputs + &lines).with_context(|| format!("writing {}", made.display()))?;
    Ok(figures)
}

/// What is packed, in this order: the next major states the current line as its bridge.
fn plan(builds: &Builds) -> Vec<(Vec<&'static str>, &Built)> {
    let Builds { released, current, next, .. } = builds;
    // The archive of a line that was cut says what its programs say, as this line's does.
    let sound = [("current", released), ("current", current), ("next", next), ("after-next", next), ("next-major", next)];
    let sound = sound.map(|(line, built)| (vec!["--line", line], built));
    let faulty = FAULTS.map(|fault| (vec!["--line", "next", "--fault", fault], &builds.faults));
    sound.into_iter().chain(faulty).collect()
}

/// Packs one archive; returns its name and its figures.
fn pack(folder: &Path, arguments: &[&str], built: &Built) -> Result<String> {
    let (out, keys) = (folder.join("archives"), folder.join("keys"));
    let place = |path: &Path| path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()));
    let (out, keys) = (place(&out)?, place(&keys)?);
    let arguments = [&["--out", &out, "--keys", &keys, "--profile", "dev"], arguments].concat();
    let packed = dist::pack(&Dist::read(&arguments, None, None)?, built)?;
    let name = packed.archive.file_name().and_then(|name| name.to_str()).context("an archive has a name")?;
    Ok(format!("{name}: {}", packed.figure))
}

/// What the archives are made of: one line for each, how it is packed and the digests of its programs.
fn inputs(plan: &[(Vec<&str>, &Built)]) -> Result<String> {
    let mut lines = String::new();
    for (arguments, built) in plan {
        lines.push_str(&arguments.join(" "));
        for program in [&built.program, &built.keeper] {
            let (digest, _) = weir_slots::digest_of_file(program).with_context(|| format!("reading {}", program.display()))?;
            lines.push_str(&format!(" {digest}"));
        }
        lines.push('\n');
    }
    Ok(lines)
}

/// The lines on the archives when they are of these inputs and all there.
fn kept(made: &Path, inputs: &str, folder: &Path) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(made).ok()?;
    let figures: Vec<&str> = text.strip_prefix(inputs)?.lines().collect();
    let there = |line: &&str| line.split_once(':').is_some_and(|(name, _)| folder.join("archives").join(name).is_file());
    let whole = figures.len() == inputs.lines().count() && figures.iter().all(there);
    let signs = folder.join("keys/metadata/timestamp.json").is_file();
    (whole && signs).then(|| figures.into_iter().map(|line| format!("{line}, before")).collect())
}

/// Whether a program contains fault code exactly when it should.
fn fault_code(program: &[u8], wanted: bool) -> Result<()> {
    for text in FAULT_TEXTS {
        let found = program.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        ensure!(
            found == wanted,
            "fault code {text:?}: {}",
            if found { "is in a build without faults" } else { "is missing in the faulty build" }
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_the_faulty_build_contains_fault_code() {
        let faulty = b"- broken on purpose - 500 fault\n -";
        assert!(fault_code(faulty, true).is_ok() && fault_code(b"sound", false).is_ok());
        for (program, wanted) in [(&faulty[..], false), (b"sound", true), (b"broken on purpose", true), (b"500 fault\n", false)] {
            assert!(fault_code(program, wanted).is_err(), "{wanted}");
        }
        let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/bin/weir/src/faults.rs")).unwrap();
        assert!(FAULT_TEXTS.iter().all(|text| source.contains(&text.escape_default().to_string())), "the texts are those of fault code");
    }

    #[test]
    fn archives_are_kept_only_whole_and_of_the_same_inputs() {
        let folder = std::env::temp_dir().join(format!("weir-xtask-synthetic-{}", std::process::id()));
        let (made, archive) = (folder.join("made"), folder.join("archives/a.weir"));
        for place in ["archives", "keys/metadata"] {
            fs::create_dir_all(folder.join(place)).unwrap();
        }
        let inputs = "--line current 1 2\n";
        assert_eq!(kept(&made, inputs, &folder), None, "nothing was made");
        fs::write(&made, format!("{inputs}a.weir: 1.0 MiB in 0.1 s\n")).unwrap();
        fs::write(folder.join("keys/metadata/timestamp.json"), "{}").unwrap();
        assert_eq!(kept(&made, inputs, &folder), None, "the archive is not there");
        fs::write(&archive, "archive").unwrap();
        assert_eq!(kept(&made, inputs, &folder).unwrap(), ["a.weir: 1.0 MiB in 0.1 s, before"]);
        for other in ["--line current 1 3\n", "--line current 1 2\n--line next 1 2\n", "--line next 1 2\n"] {
            assert_eq!(kept(&made, other, &folder), None, "{other}");
        }
        fs::write(&made, inputs).unwrap();
        assert_eq!(kept(&made, inputs, &folder), None, "packing was cut off");
        fs::remove_dir_all(folder).unwrap();
    }
}
