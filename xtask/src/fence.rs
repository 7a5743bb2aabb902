//! The `unsafe` fence: every crate takes the workspace's lints, which forbid `unsafe`, except those that `layers.toml` names.

use std::path::Path;

use anyhow::{Context, Result};

use crate::findings::Findings;
use crate::graph::Graph;
use crate::layers::Fenced;

/// Checks the manifests of all members.
pub(crate) fn check(root: &Path, graph: &Graph, fenced: &[Fenced], findings: &mut Findings) -> Result<()> {
    for entry in fenced {
        if entry.reason.trim().is_empty() {
            findings.add(format!("layers.toml: unsafe in {} gives no reason", entry.package));
        }
        if graph.member(&entry.package).is_none() {
            findings.add(format!("layers.toml: unsafe names {}, which is no member", entry.package));
        }
    }
    let root_manifest = read(&root.join("Cargo.toml"))?;
    if lint(&root_manifest, &["workspace", "lints", "rust", "unsafe_code"]) != Some("forbid") {
        findings.add("Cargo.toml: [workspace.lints.rust] unsafe_code must be \"forbid\"".to_owned());
    }
    for package in &graph.packages {
        let Some(folder) = &package.folder else { continue };
        let manifest = read(&root.join(folder).join("Cargo.toml"))?;
        let open = fenced.iter().any(|entry| entry.package == package.name);
        if let Some(line) = judge(&package.name, &manifest, open) {
            findings.add(line);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.parse().with_context(|| format!("reading {}", path.display()))
}

/// The level of a lint given as a word or as `{ level = ".." }`.
fn lint<'a>(manifest: &'a toml::Table, path: &[&str]) -> Option<&'a str> {
    let (last, folders) = path.split_last()?;
    let mut table = manifest;
    for folder in folders {
        table = table.get(*folder)?.as_table()?;
    }
    let value = table.get(*last)?;
    value.as_str().or_else(|| value.get("level")?.as_str())
}

/// What is wrong with a member's lints, if anything.
fn judge(name: &str, manifest: &toml::Table, open: bool) -> Option<String> {
    let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) == Some(true);
    if inherits {
        return None;
    }
    if !open {
        return Some(format!(
            "{name} does not take the workspace's lints: add `[lints] workspace = true` (unsafe is fenced, see layers.toml)"
        ));
    }
    match lint(manifest, &["lints", "rust", "unsafe_code"]) {
        Some("deny") => None,
        _ => Some(format!(
            "{name} may hold unsafe code but must set unsafe_code = \"deny\", so that each block is allowed by name and reason"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fenced_crates_leave_the_workspace_lints() {
        let own: toml::Table = "[lints.rust]\nunsafe_code = \"deny\"".parse().unwrap();
        let loose: toml::Table = "[lints.rust]\nunsafe_code = { level = \"allow\" }".parse().unwrap();
        let inherited: toml::Table = "[lints]\nworkspace = true".parse().unwrap();
        let none: toml::Table = "[package]\nname = \"a\"".parse().unwrap();
        let cases = [
            (&own, false, true),
            (&own, true, false),
            (&loose, true, true),
            (&inherited, false, false),
            (&none, false, true),
            (&none, true, true),
        ];
        for (manifest, open, bad) in cases {
            assert_eq!(judge("a", manifest, open).is_some(), bad, "{manifest} open={open}");
        }
    }
}
