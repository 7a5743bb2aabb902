//! The dependency graph of the workspace as cargo resolves it for this host, reduced to what the checks need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::{Command, capture};

/// One package that is really built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// Name in the registry or the workspace.
    pub(crate) name: String,
    /// Version text.
    pub(crate) version: String,
    /// SPDX expression as published; `None` when the package declares none.
    pub(crate) license: Option<String>,
    /// Where it comes from; `None` is a path in this workspace.
    pub(crate) source: Option<String>,
    /// Folder of a workspace member relative to the root, `None` for everything else.
    pub(crate) folder: Option<String>,
    /// Names of its integration test targets.
    pub(crate) tests: Vec<String>,
}

/// How one package needs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Linked into what ships.
    Normal,
    /// Only while building it.
    Build,
    /// Only its tests.
    Dev,
}

/// A directed edge between two packages, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    /// The package that needs.
    pub(crate) from: usize,
    /// The package that is needed.
    pub(crate) to: usize,
    /// How.
    pub(crate) need: Need,
}

/// Packages reachable from the workspace members, and the edges between them.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// All packages; edges index into it.
    pub(crate) packages: Vec<Package>,
    /// Active edges only.
    pub(crate) edges: Vec<Edge>,
}

impl Graph {
    /// Index of the workspace member called `name`.
    pub(crate) fn member(&self, name: &str) -> Option<usize> {
        self.packages.iter().position(|package| package.folder.is_some() && package.name == name)
    }

    /// Everything linked into `start`, with the path that leads there; `start` itself excluded.
    pub(crate) fn linked(&self, start: usize) -> BTreeMap<usize, Vec<usize>> {
        let mut paths: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut queue = vec![(start, vec![start])];
        while let Some((at, path)) = queue.pop() {
            for edge in self.edges.iter().filter(|edge| edge.from == at && edge.need == Need::Normal) {
                if edge.to != start && !paths.contains_key(&edge.to) {
                    let mut longer = path.clone();
                    longer.push(edge.to);
                    paths.insert(edge.to, longer.clone());
                    queue.push((edge.to, longer));
                }
            }
        }
        paths
    }
}

/// Asks cargo for the graph of the workspace at `root`, for the host platform.
pub(crate) fn load(root: &Path) -> Result<Graph> {
    let host = host_triple(root)?;
    let text = capture(&Command::new("cargo", &["metadata", "--format-version", "1", "--filter-platform", &host]).directory(root))?;
    parse(&text)
}

fn host_triple(root: &Path) -> Result<String> {
    let text = capture(&Command::new("rustc", &["-vV"]).directory(root))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

/// Builds the graph from the JSON of `cargo metadata`.
pub(crate) fn parse(text: &str) -> Result<Graph> {
    let metadata: Metadata = serde_json::from_str(text).context("reading cargo metadata")?;
    let members: BTreeSet<&str> = metadata.workspace_members.iter().map(String::as_str).collect();
    let raw: BTreeMap<&str, &RawPackage> = metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut graph = Graph::default();
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    let mut queue: Vec<&str> = members.iter().copied().collect();
    let mut pending: Vec<(&str, &str, Need)> = Vec::new();
    while let Some(id) = queue.pop() {
        if index.contains_key(id) {
            continue;
        }
        let (Some(package), Some(node)) = (raw.get(id), nodes.get(id)) else { bail!("cargo metadata does not describe {id}") };
        index.insert(id, graph.packages.len());
        graph.packages.push(package.reduce(members.contains(id), &metadata.workspace_root)?);
        for dep in &node.deps {
            let Some(target) = raw.get(dep.pkg.as_str()) else { bail!("cargo metadata does not describe {}", dep.pkg) };
            for need in active_needs(package, node, dep, &target.name) {
                pending.push((id, &dep.pkg, need));
                queue.push(&dep.pkg);
            }
        }
    }
    graph.edges = pending.into_iter().map(|(from, to, need)| Edge { from: index[from], to: index[to], need }).collect();
    graph.edges.sort();
    graph.edges.dedup();
    Ok(graph)
}

/// The kinds of need that the enabled features switch on.
///
/// `cargo metadata` lists an optional dependency as soon as a weak feature (`name?/feature`) mentions it, although
/// nothing builds it; so each optional one must be switched on by an enabled feature.
fn active_needs(package: &RawPackage, node: &Node, dep: &NodeDep, target: &str) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for kind in &dep.dep_kinds {
        let declared: Vec<&Declared> =
            package.dependencies.iter().filter(|declared| declared.name == target && declared.kind == kind.kind).collect();
        let built = declared.is_empty() || declared.iter().any(|declared| !declared.optional || switched_on(package, node, declared));
        if built {
            needs.push(match kind.kind.as_deref() {
                Some("dev") => Need::Dev,
                Some("build") => Need::Build,
                _ => Need::Normal,
            });
        }
    }
    needs
}

fn switched_on(package: &RawPackage, node: &Node, declared: &Declared) -> bool {
    let name = declared.rename.as_deref().unwrap_or(&declared.name);
    node.features.iter().any(|feature| {
        let asks = package.features.get(feature).map(Vec::as_slice).unwrap_or_default();
        asks.iter()
            .any(|ask| ask.strip_prefix("dep:") == Some(name) || ask.split_once('/').is_some_and(|(dependency, _)| dependency == name))
    })
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
    workspace_members: Vec<String>,
    workspace_root: PathBuf,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct RawPackage {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Declared>,
    features: BTreeMap<String, Vec<String>>,
    targets: Vec<Target>,
}

impl RawPackage {
    fn reduce(&self, member: bool, root: &Path) -> Result<Package> {
        let folder = if member {
            let parent = self.manifest_path.parent().context("a manifest has a folder")?;
            let relative = parent.strip_prefix(root).with_context(|| format!("{} is outside the workspace", self.name))?;
            Some(relative.to_string_lossy().into_owned())
        } else {
            None
        };
        let tests = self.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "test"));
        Ok(Package {
            name: self.name.clone(),
            version: self.version.clone(),
            license: self.license.clone(),
            source: self.source.clone(),
            folder,
            tests: tests.map(|target| target.name.clone()).collect(),
        })
    }
}

#[derive(Deserialize)]
struct Declared {
    name: String,
    rename: Option<String>,
    kind: Option<String>,
    optional: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDep>,
    features: Vec<String>,
}

#[derive(Deserialize)]
struct NodeDep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of one crate that needs `tls`, whose optional `ring` is only mentioned by a weak feature.
    fn metadata(tls_features: &str) -> String {
        let package = |name: &str, features: &str, dependencies: &str| {
            format!(
                r#"{{"id":"{name}","name":"{name}","version":"1.0.0","license":"MIT","source":null,"manifest_path":"/r/{name}/Cargo.toml",
                   "dependencies":{dependencies},"features":{features},"targets":[]}}"#
            )
        };
        let need = |name: &str, optional: bool| format!(r#"[{{"name":"{name}","rename":null,"kind":null,"optional":{optional}}}]"#);
        let packages = [
            package("app", "{}", &need("tls", false)),
            package("tls", r#"{"ring":["dep:ring"],"std":["ring?/std"]}"#, &need("ring", true)),
            package("ring", "{}", "[]"),
        ];
        let edge = |name: &str| format!(r#"[{{"pkg":"{name}","dep_kinds":[{{"kind":null}}]}}]"#);
        format!(
            r#"{{"packages":[{}],"workspace_members":["app"],"workspace_root":"/r","resolve":{{"nodes":[
                {{"id":"app","deps":{},"features":[]}},{{"id":"tls","deps":{},"features":{tls_features}}},{{"id":"ring","deps":[],"features":[]}}]}}}}"#,
            packages.join(","),
            edge("tls"),
            edge("ring")
        )
    }

    fn names(graph: &Graph) -> Vec<&str> {
        let mut names: Vec<&str> = graph.packages.iter().map(|package| package.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_weak_feature_builds_nothing() {
        let graph = parse(&metadata(r#"["std"]"#)).unwrap();
        assert_eq!(names(&graph), ["app", "tls"]);
    }

    #[test]
    fn an_enabled_feature_builds_the_optional_dependency() {
        let graph = parse(&metadata(r#"["ring","std"]"#)).unwrap();
        assert_eq!(names(&graph), ["app", "ring", "tls"]);
        let app = graph.member("app").unwrap();
        let deepest = graph.linked(app).into_values().map(|path| path.len()).max();
        assert_eq!(deepest, Some(3), "app -> tls -> ring");
    }
}
