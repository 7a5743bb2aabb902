//! The tests' Python tools: pinned, in a virtual environment of their own below the tools' folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{Command, run};

/// What is installed, relative to the repository.
const REQUIREMENTS: &str = "tests/tools/requirements.txt";
/// The names of `WEIR_SKIP` that it brings.
pub(crate) const NAMES: [&str; 3] = ["dnspython", "schemathesis", "tuf"];

fn environment(tools: &Path) -> PathBuf {
    tools.join("python")
}

/// Whether the environment was made from the requirements as they are now.
pub(crate) fn current(root: &Path, tools: &Path) -> bool {
    let environment = environment(tools);
    let wanted = std::fs::read(root.join(REQUIREMENTS)).ok();
    // Copied last: an installation cut short is made again.
    let installed = std::fs::read(environment.join("requirements.txt")).ok();
    wanted.is_some() && wanted == installed && environment.join("bin/schemathesis").is_file()
}

/// Makes the environment anew.
pub(crate) fn install(root: &Path, tools: &Path) -> Result<()> {
    let environment = environment(tools);
    let requirements = root.join(REQUIREMENTS);
    std::fs::create_dir_all(tools).with_context(|| format!("making {}", tools.display()))?;
    run(&Command::new("python3", &["-m", "venv", "--clear"]).argument(text(&environment)?))?;
    let python = environment.join("bin/python");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"];
    run(&Command::new(text(&python)?, &pip).argument(text(&requirements)?))?;
    if !environment.join("bin/schemathesis").is_file() {
        bail!("pip left no schemathesis in {}", environment.display());
    }
    std::fs::copy(&requirements, environment.join("requirements.txt")).context("noting what is installed")?;
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_current_only_when_it_was_finished_from_these_requirements() {
        let folder = std::env::temp_dir().join(format!("weir-xtask-python-{}", std::process::id()));
        let (root, tools) = (folder.join("root"), folder.join("tools"));
        for path in [root.join("tests/tools"), tools.join("python/bin")] {
            std::fs::create_dir_all(path).unwrap();
        }
        std::fs::write(root.join(REQUIREMENTS), "dnspython==1\n").unwrap();
        std::fs::write(tools.join("python/bin/schemathesis"), "").unwrap();
        assert!(!current(&root, &tools), "cut short before it was noted");
        let noted = tools.join("python/requirements.txt");
        std::fs::write(&noted, "dnspython==0\n").unwrap();
        assert!(!current(&root, &tools), "made from others");
        std::fs::write(&noted, "dnspython==1\n").unwrap();
        assert!(current(&root, &tools));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
