//! What the tests need besides Rust: found, installed where that is allowed, or named precisely.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::{Command, capture, find, run, succeeds};
use crate::python;

/// A program that a Debian package brings.
struct Tool {
    /// The word for `WEIR_SKIP`.
    name: &'static str,
    program: &'static str,
    package: &'static str,
    purpose: &'static str,
    /// Arguments with which it must succeed; empty: it is enough that it is there.
    proof: &'static [&'static str],
}

/// Debian's python3 comes without what makes a virtual environment.
const CAN_MAKE_ENVIRONMENTS: &[&str] = &["-c", "import ensurepip, venv"];

const TOOLS: &[Tool] = &[
    Tool { name: "nginx", program: "nginx", package: "nginx-light", purpose: "an outside origin", proof: &[] },
    Tool { name: "ffmpeg", program: "ffprobe", package: "ffmpeg", purpose: "counting the frames a viewer gets", proof: &[] },
    Tool { name: "chromium", program: "chromium", package: "chromium", purpose: "playing a live stream", proof: &[] },
    Tool { name: "chromium", program: "chromedriver", package: "chromium-driver", purpose: "driving the browser", proof: &[] },
    Tool { name: "hls.js", program: "node", package: "nodejs", purpose: "installing hls.js", proof: &[] },
    Tool { name: "hls.js", program: "npm", package: "npm", purpose: "installing hls.js", proof: &[] },
    Tool { name: "mount", program: "unshare", package: "util-linux", purpose: "a disk without room", proof: &["--mount", "true"] },
    Tool { name: "netns", program: "unshare", package: "util-linux", purpose: "boxes that are cut off", proof: &["--net", "true"] },
    Tool { name: "netns", program: "ip", package: "iproute2", purpose: "joining boxes that are cut off", proof: &[] },
    Tool { name: "kdig", program: "kdig", package: "knot-dnsutils", purpose: "asking the routers' DNS", proof: &[] },
    Tool { name: "dnspython", program: "python3", package: "python3-venv", purpose: "installing dnspython", proof: CAN_MAKE_ENVIRONMENTS },
    Tool {
        name: "schemathesis",
        program: "python3",
        package: "python3-venv",
        purpose: "installing schemathesis",
        proof: CAN_MAKE_ENVIRONMENTS,
    },
    Tool { name: "tuf", program: "python3", package: "python3-venv", purpose: "installing python-tuf", proof: CAN_MAKE_ENVIRONMENTS },
];

/// Folder of the node tools' manifest and lock file.
const NODE_MANIFEST: &str = "tests/tools";
/// The file that proves the node tools are installed.
const HLS_JS: &str = "node_modules/hls.js/dist/hls.min.js";

/// What was skipped by name; everything else is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Missing prerequisites that `WEIR_SKIP` names.
    pub(crate) skipped: Vec<String>,
}

/// Names in `WEIR_SKIP`, a comma-separated list.
pub(crate) fn skip_list(text: &str) -> Result<BTreeSet<&str>> {
    let names: BTreeSet<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let known: BTreeSet<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    if let Some(name) = names.difference(&known).next() {
        bail!("WEIR_SKIP names {name:?}; known: {}", Vec::from_iter(known.iter().copied()).join(", "));
    }
    Ok(names)
}

/// Makes sure that all prerequisites are there, with node and Python tools under `tools`.
pub(crate) fn ensure(root: &Path, tools: &Path, skip: &BTreeSet<&str>) -> Result<Ready> {
    let wanted: Vec<&Tool> = missing().into_iter().filter(|tool| !skip.contains(tool.name)).collect();
    if !wanted.is_empty() {
        install_packages(&wanted)?;
    }
    let absent = missing();
    let refused: Vec<&&Tool> = absent.iter().filter(|tool| !skip.contains(tool.name)).collect();
    if !refused.is_empty() {
        bail!("{}", explain(&refused));
    }
    let mut skipped: BTreeSet<&str> = absent.iter().map(|tool| tool.name).collect();
    if !node_tools_current(root, tools) {
        match install_node_tools(root, tools) {
            Ok(()) => {}
            Err(_) if skip.contains("hls.js") => drop(skipped.insert("hls.js")),
            Err(error) => return Err(error.context("installing hls.js; name hls.js in WEIR_SKIP to go on without")),
        }
    }
    if !python::current(root, tools) {
        match python::install(root, tools) {
            Ok(()) => {}
            Err(_) if python::NAMES.iter().all(|name| skip.contains(name)) => skipped.extend(python::NAMES),
            Err(error) => {
                let names = python::NAMES.join(",");
                return Err(error.context(format!("installing Python tools; name {names} in WEIR_SKIP to go on without")));
            }
        }
    }
    Ok(Ready { skipped: skipped.into_iter().map(str::to_owned).collect() })
}

fn missing() -> Vec<&'static Tool> {
    let present =
        |tool: &Tool| find(tool.program).is_some() && (tool.proof.is_empty() || succeeds(&Command::new(tool.program, tool.proof)));
    TOOLS.iter().filter(|tool| !present(tool)).collect()
}

fn explain(missing: &[&&Tool]) -> String {
    let lines = missing.iter().map(|tool| format!("{} (Debian package {}, for {})", tool.program, tool.package, tool.purpose));
    let packages: BTreeSet<&str> = missing.iter().map(|tool| tool.package).collect();
    let names: BTreeSet<&str> = missing.iter().map(|tool| tool.name).collect();
    format!(
        "missing: {}; install with `apt-get install --no-install-recommends {}`, or go on without by WEIR_SKIP={}",
        lines.collect::<Vec<_>>().join(", "),
        packages.into_iter().collect::<Vec<_>>().join(" "),
        names.into_iter().collect::<Vec<_>>().join(",")
    )
}

/// Installs Debian packages when this is root on Debian; otherwise leaves it to the message about what is missing.
fn install_packages(wanted: &[&Tool]) -> Result<()> {
    let root = capture(&Command::new("id", &["-u"]))?.trim() == "0";
    if !root || find("apt-get").is_none() {
        return Ok(());
    }
    let packages: BTreeSet<&str> = wanted.iter().map(|tool| tool.package).collect();
    run(&Command::new("apt-get", &["update", "--quiet"]))?;
    let mut install = Command::new("apt-get", &["install", "--yes", "--quiet", "--no-install-recommends"]);
    for package in packages {
        install = install.argument(package);
    }
    run(&install.environment("DEBIAN_FRONTEND", "noninteractive"))
}

/// Whether the installed node tools come from the lock file as it is now.
fn node_tools_current(root: &Path, tools: &Path) -> bool {
    let lock = |folder: &Path| std::fs::read(folder.join("package-lock.json")).ok();
    let (wanted, installed) = (lock(&root.join(NODE_MANIFEST)), lock(tools));
    wanted.is_some() && wanted == installed && tools.join(HLS_JS).is_file()
}

fn install_node_tools(root: &Path, tools: &Path) -> Result<()> {
    std::fs::create_dir_all(tools).with_context(|| format!("making {}", tools.display()))?;
    for name in ["package.json", "package-lock.json"] {
        let from = root.join(NODE_MANIFEST).join(name);
        std::fs::copy(&from, tools.join(name)).with_context(|| format!("copying {}", from.display()))?;
    }
    if !succeeds(&Command::new("npm", &["--version"])) {
        bail!("npm does not start");
    }
    run(&Command::new("npm", &["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).directory(tools))?;
    if tools.join(HLS_JS).is_file() { Ok(()) } else { bail!("npm ci left no {HLS_JS}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_lists() {
        assert_eq!(skip_list("").unwrap(), BTreeSet::new());
        assert_eq!(skip_list(" nginx, chromium ,").unwrap(), BTreeSet::from(["chromium", "nginx"]));
        assert_eq!(skip_list("netns,mount").unwrap(), BTreeSet::from(["mount", "netns"]));
        let error = skip_list("nginx,crhomium").unwrap_err().to_string();
        assert!(error.contains("crhomium") && error.contains("hls.js"), "{error}");
    }

    #[test]
    fn what_is_missing_is_said_with_both_ways_on() {
        let text = explain(&[&&TOOLS[0], &&TOOLS[3]]);
        for part in ["nginx (Debian package nginx-light, for an outside origin)", "chromium-driver nginx-light", "WEIR_SKIP=chromium,nginx"]
        {
            assert!(text.contains(part), "{text}");
        }
    }
}
