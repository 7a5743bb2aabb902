//! Synthetic lines for the system tests: programs, a release directory and archives below `target/dist-test`.
//!
//! ```text
//! current/ next/ faults/   weir and weir-keeper of each build
//! keys/                    the release directory of every network in a test
//! archives/                this line, the next line, the next major, and one archive for each fault
//! made                     the digests of the programs; written last
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::dist::{self, Built, Dist};

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

/// Builds what has changed; archives are packed again only when a program is another one.
pub(crate) fn make(root: &Path, target: &Path) -> Result<()> {
    let folder = folder(target);
    let build = |name: &str, features: &[&str]| dist::build(root, target, "dev", features, &folder.join(name));
    let current = build("current", &[])?;
    let next = build("next", &["weir/synthetic-next"])?;
    let faults = build("faults", &["weir/synthetic-next", "weir/faults"])?;
    let digests = digests(&[&current, &next, &faults])?;
    let made = folder.join("made");
    if std::fs::read_to_string(&made).is_ok_and(|before| before == digests) {
        println!("{} is of these programs", folder.display());
        return Ok(());
    }
    for stale in [keys(target), folder.join("archives")] {
        if stale.exists() {
            std::fs::remove_dir_all(&stale).with_context(|| format!("removing {}", stale.display()))?;
        }
    }
    // First: the next major states it as its bridge.
    pack(&folder, &["--line", "current"], &current)?;
    pack(&folder, &["--line", "next"], &next)?;
    pack(&folder, &["--line", "next-major"], &next)?;
    for fault in FAULTS {
        pack(&folder, &["--line", "next", "--fault", fault], &faults)?;
    }
    std::fs::write(&made, digests).with_context(|| format!("writing {}", made.display()))
}

fn pack(folder: &Path, arguments: &[&str], built: &Built) -> Result<()> {
    let (out, keys) = (folder.join("archives"), folder.join("keys"));
    let place = |path: &Path| path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()));
    let (out, keys) = (place(&out)?, place(&keys)?);
    let arguments = [&["--out", &out, "--keys", &keys, "--profile", "dev"], arguments].concat();
    dist::pack(&Dist::read(&arguments, None, None)?, built).map(drop)
}

fn digests(builds: &[&Built]) -> Result<String> {
    let programs = builds.iter().flat_map(|built| [&built.program, &built.keeper]);
    let lines = programs.map(|program| {
        let (digest, _) = weir_slots::digest_of_file(program).with_context(|| format!("reading {}", program.display()))?;
        Ok(format!("{digest}\n"))
    });
    lines.collect()
}
