//! The folder tree is the architecture: fails on an edge that points upward or sideways, on a banned crate, on a source
//! or licence outside `deny.toml`, and on a crate that drops the workspace's lints.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::findings::Findings;
use crate::graph::{self, Graph};
use crate::{deny, fence};

/// `layers.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layers {
    layer: Vec<Layer>,
    #[serde(default)]
    edge: Vec<Allowed>,
    #[serde(default)]
    without: Vec<Without>,
    #[serde(default, rename = "unsafe")]
    pub(crate) fenced: Vec<Fenced>,
}

/// A folder and its place in the order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    folder: String,
    number: u8,
    /// No edge inside this folder can be allowed.
    #[serde(default)]
    closed: bool,
}

/// An edge inside one folder that is allowed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    from: String,
    to: String,
    reason: String,
}

/// Crates that a package, or every package of a folder, must not link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Without {
    package: Option<String>,
    folder: Option<String>,
    crates: Vec<String>,
    reason: String,
}

/// A crate that may set its own lints because it holds `unsafe` code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fenced {
    pub(crate) package: String,
    pub(crate) reason: String,
}

impl Layers {
    /// Reads `layers.toml`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("reading layers.toml")
    }

    fn of(&self, folder: &str) -> Option<&Layer> {
        let inside = |layer: &&Layer| Path::new(folder).starts_with(&layer.folder);
        self.layer.iter().find(inside)
    }
}

/// Runs every check of the graph on the workspace at `root`.
pub(crate) fn check(root: &Path) -> Result<Findings> {
    let read = |name: &str| std::fs::read_to_string(root.join(name)).with_context(|| format!("reading {name}"));
    let layers = Layers::parse(&read("layers.toml")?)?;
    let denied = deny::Deny::parse(&read("deny.toml")?)?;
    let graph = graph::load(root)?;
    let mut findings = Findings::default();
    edges(&graph, &layers, &mut findings);
    without(&graph, &layers, &mut findings);
    denied.bans(&graph, &mut findings);
    denied.sources(&graph, &mut findings);
    denied.licenses(&graph, &mut findings)?;
    fence::check(root, &graph, &layers.fenced, &mut findings)?;
    Ok(findings)
}

/// Every edge between workspace members points to a lower number, or is listed.
fn edges(graph: &Graph, layers: &Layers, findings: &mut Findings) {
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for edge in &graph.edges {
        let (from, to) = (&graph.packages[edge.from], &graph.packages[edge.to]);
        let (Some(from_folder), Some(to_folder)) = (&from.folder, &to.folder) else { continue };
        let (Some(above), Some(below)) = (layers.of(from_folder), layers.of(to_folder)) else { continue };
        if below.number < above.number {
            continue;
        }
        let (from, to) = (&from.name, &to.name);
        if below.number > above.number {
            findings.add(format!("{from} ({}) depends upward on {to} ({}): move the shared part below both", above.folder, below.folder));
        } else if above.closed {
            findings.add(format!(
                "{from} depends on {to} inside {}: these never depend on each other, they meet in crates/contract",
                above.folder
            ));
        } else if let Some(index) = layers.edge.iter().position(|allowed| allowed.from == *from && allowed.to == *to) {
            used.insert(index);
        } else {
            findings.add(format!("{from} depends sideways on {to}: remove the edge, or list it in layers.toml with its reason"));
        }
    }
    for package in graph.packages.iter().filter(|package| package.folder.as_deref().is_some_and(|folder| layers.of(folder).is_none())) {
        findings.add(format!("{} is in no layer: add its folder to layers.toml", package.name));
    }
    for (index, allowed) in layers.edge.iter().enumerate() {
        if allowed.reason.trim().is_empty() {
            findings.add(format!("layers.toml: {} -> {} gives no reason", allowed.from, allowed.to));
        }
        if !used.contains(&index) {
            findings.add(format!("layers.toml: {} -> {} is listed but does not exist: remove the entry", allowed.from, allowed.to));
        }
    }
}

/// No package links a crate that its `without` entry names.
fn without(graph: &Graph, layers: &Layers, findings: &mut Findings) {
    for rule in &layers.without {
        let covered = |index: &usize| {
            let package = &graph.packages[*index];
            let by_name = rule.package.as_deref() == Some(package.name.as_str());
            let by_folder = rule.folder.as_deref().zip(package.folder.as_deref());
            package.folder.is_some() && (by_name || by_folder.is_some_and(|(rule, folder)| Path::new(folder).starts_with(rule)))
        };
        let starts: Vec<usize> = (0..graph.packages.len()).filter(covered).collect();
        if starts.is_empty() {
            findings.add(format!("layers.toml: a `without` entry covers no package ({})", rule.reason));
        }
        for start in starts {
            for path in graph.linked(start).into_values() {
                let names: Vec<&str> = path.iter().map(|&index| graph.packages[index].name.as_str()).collect();
                if names.last().is_some_and(|last| rule.crates.iter().any(|banned| banned == last)) {
                    findings.add(format!("{} must not be linked: {}", names.join(" -> "), rule.reason));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Edge, Need, Package};

    const LAYERS: &str = r#"
        layer = [{ folder = "crates/rules", number = 1 }, { folder = "crates/platform", number = 3 }, { folder = "crates/roles", number = 4, closed = true }]
        edge = [{ from = "net", to = "clock", reason = "time" }]
        without = [{ folder = "crates/rules", crates = ["tokio"], reason = "pure" }]
    "#;

    fn graph(edges: &[(&str, &str, Need)]) -> Graph {
        let members = ["rules/model", "platform/net", "platform/clock", "roles/engine", "roles/router"];
        let mut packages: Vec<Package> = members.iter().map(|path| package(path, true)).collect();
        packages.push(package("x/hyper", false));
        packages.push(package("x/tokio", false));
        let at = |name: &str| packages.iter().position(|package| package.name == name).unwrap();
        let edges = edges.iter().map(|&(from, to, need)| Edge { from: at(from), to: at(to), need }).collect();
        Graph { packages, edges }
    }

    fn package(path: &str, member: bool) -> Package {
        let name = path.split('/').next_back().unwrap().to_owned();
        let folder = member.then(|| format!("crates/{path}"));
        Package { name, version: "1.0.0".into(), license: None, source: None, folder, tests: Vec::new() }
    }

    fn findings(edges_given: &[(&str, &str, Need)]) -> Vec<String> {
        let layers = Layers::parse(LAYERS).unwrap();
        let mut findings = Findings::default();
        let mut all = vec![("net", "clock", Need::Normal)];
        all.extend_from_slice(edges_given);
        let graph = graph(&all);
        edges(&graph, &layers, &mut findings);
        without(&graph, &layers, &mut findings);
        findings.into_lines()
    }

    #[test]
    fn edges_downward_and_listed_ones_pass() {
        assert_eq!(findings(&[("engine", "net", Need::Normal), ("engine", "model", Need::Dev)]), Vec::<String>::new());
    }

    #[test]
    fn each_bad_edge_is_named() {
        let cases = [
            ("model", "net", Need::Normal, "upward"),
            ("net", "engine", Need::Dev, "upward"),
            ("clock", "net", Need::Normal, "sideways"),
            ("engine", "router", Need::Normal, "never depend on each other"),
        ];
        for (from, to, need, word) in cases {
            let lines = findings(&[(from, to, need)]);
            assert!(
                lines.len() == 1 && lines[0].contains(from) && lines[0].contains(to) && lines[0].contains(word),
                "{from} -> {to}: {lines:?}"
            );
        }
    }

    #[test]
    fn a_forbidden_crate_is_found_through_others_with_its_path() {
        let lines = findings(&[("model", "hyper", Need::Normal), ("hyper", "tokio", Need::Normal)]);
        assert_eq!(lines, ["model -> hyper -> tokio must not be linked: pure"]);
        assert_eq!(findings(&[("model", "tokio", Need::Dev)]), Vec::<String>::new(), "tests may use it");
    }

    #[test]
    fn a_listed_edge_that_is_gone_is_named() {
        let layers = Layers::parse(LAYERS).unwrap();
        let mut findings = Findings::default();
        edges(&graph(&[]), &layers, &mut findings);
        assert_eq!(findings.into_lines(), ["layers.toml: net -> clock is listed but does not exist: remove the entry"]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(Layers::parse("layer = []\nedges = []").is_err());
    }
}
