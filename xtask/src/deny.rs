//! `deny.toml` held to the graph that is built: bans, sources, licences. The syntax is cargo-deny's; what is not
//! understood here is refused, so that no line of the file is silently without effect.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::findings::Findings;
use crate::graph::Graph;
use crate::license;

/// The parts of `deny.toml` that are checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deny {
    #[serde(rename = "graph")]
    _graph: Targets,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

/// Platforms that cargo-deny resolves; here it is the host.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Targets {
    #[serde(rename = "targets")]
    _targets: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    #[serde(rename = "multiple-versions")]
    _multiple_versions: MultipleVersions,
    #[serde(rename = "wildcards")]
    _wildcards: Verdict,
    #[serde(rename = "allow-wildcard-paths")]
    _allow_wildcard_paths: bool,
    deny: Vec<Ban>,
}

/// Only `allow` is offered: duplicates that matter are named one by one.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum MultipleVersions {
    Allow,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
    use_instead: Option<String>,
    #[serde(default)]
    wrappers: Vec<String>,
    #[serde(default)]
    deny_multiple_versions: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: Verdict,
    unknown_git: Verdict,
    allow_registry: Vec<String>,
}

impl Deny {
    /// Reads `deny.toml`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let deny: Self = toml::from_str(text).context("reading deny.toml")?;
        for ban in &deny.bans.deny {
            if !ban.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                bail!("deny.toml: {:?} is not a plain crate name; version ranges and patterns are not read here", ban.name);
            }
            if ban.deny_multiple_versions && !ban.wrappers.is_empty() {
                bail!("deny.toml: {}: wrappers and deny-multiple-versions exclude each other", ban.name);
            }
        }
        Ok(deny)
    }

    /// No banned crate is built.
    pub(crate) fn bans(&self, graph: &Graph, findings: &mut Findings) {
        let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, package) in graph.packages.iter().enumerate() {
            places.entry(&package.name).or_default().push(index);
        }
        for ban in &self.bans.deny {
            let found = places.get(ban.name.as_str()).map(Vec::as_slice).unwrap_or_default();
            if ban.deny_multiple_versions {
                if found.len() > 1 {
                    let versions: Vec<&str> = found.iter().map(|&index| graph.packages[index].version.as_str()).collect();
                    findings.add(format!("{} is built in {} versions ({}): {}", ban.name, found.len(), versions.join(", "), ban.reason));
                }
                continue;
            }
            for index in found {
                ban.judge(graph, *index, findings);
            }
        }
    }

    /// Everything comes from this workspace or an allowed registry.
    pub(crate) fn sources(&self, graph: &Graph, findings: &mut Findings) {
        let (Verdict::Deny, Verdict::Deny) = (&self.sources.unknown_registry, &self.sources.unknown_git);
        for package in &graph.packages {
            let allowed = match &package.source {
                None => package.folder.is_some(),
                Some(source) => {
                    let registry = source.strip_prefix("registry+");
                    registry.is_some_and(|registry| self.sources.allow_registry.iter().any(|allowed| allowed == registry))
                }
            };
            if !allowed {
                let source = package.source.as_deref().unwrap_or("a folder outside the workspace");
                findings.add(format!("{} comes from {source}: only the registries in deny.toml are allowed", package.name));
            }
        }
    }

    /// Every licence expression can be met with allowed licences.
    pub(crate) fn licenses(&self, graph: &Graph, findings: &mut Findings) -> Result<()> {
        let allowed: BTreeSet<&str> = self.licenses.allow.iter().map(String::as_str).collect();
        for package in &graph.packages {
            let Some(expression) = &package.license else {
                findings.add(format!("{} declares no licence", package.name));
                continue;
            };
            if !license::satisfied(expression, &allowed).with_context(|| format!("licence of {}", package.name))? {
                findings.add(format!("{} is under {expression}, which the licences allowed in deny.toml do not meet", package.name));
            }
        }
        Ok(())
    }
}

impl Ban {
    fn judge(&self, graph: &Graph, index: usize, findings: &mut Findings) {
        let users = graph.edges.iter().filter(|edge| edge.to == index).map(|edge| graph.packages[edge.from].name.as_str());
        let refused: BTreeSet<&str> = users.filter(|user| !self.wrappers.iter().any(|wrapper| wrapper == user)).collect();
        if refused.is_empty() && !self.wrappers.is_empty() {
            return;
        }
        let users: Vec<&str> = refused.into_iter().collect();
        let instead = self.use_instead.as_ref().map(|name| format!("; use {name}")).unwrap_or_default();
        findings.add(format!("{} is banned ({}{instead}), needed by {}", self.name, self.reason, users.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Edge, Need, Package};

    fn deny(bans: &str) -> Result<Deny> {
        Deny::parse(&format!(
            r#"
            graph = {{ targets = [] }}
            licenses = {{ allow = ["MIT"] }}
            bans = {{ multiple-versions = "allow", wildcards = "deny", allow-wildcard-paths = true, deny = [{bans}] }}
            sources = {{ unknown-registry = "deny", unknown-git = "deny", allow-registry = ["https://r.example"] }}
            "#
        ))
    }

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            license: Some("MIT".into()),
            source: Some("registry+https://r.example".into()),
            folder: None,
            tests: Vec::new(),
        }
    }

    fn graph() -> Graph {
        let packages = vec![package("app", "1.0.0"), package("middle", "1.0.0"), package("ring", "0.17.0"), package("ring", "0.16.0")];
        let edges = vec![Edge { from: 1, to: 2, need: Need::Normal }];
        Graph { packages, edges }
    }

    fn banned(bans: &str) -> Vec<String> {
        let mut findings = Findings::default();
        deny(bans).unwrap().bans(&graph(), &mut findings);
        findings.into_lines()
    }

    #[test]
    fn a_ban_is_found_unless_only_wrappers_use_it() {
        assert_eq!(banned(r#"{ crate = "moka", reason = "r" }"#), Vec::<String>::new());
        let lines = banned(r#"{ crate = "ring", reason = "one TLS stack", use-instead = "aws-lc-rs" }"#);
        assert_eq!(lines[0], "ring is banned (one TLS stack; use aws-lc-rs), needed by middle");
        assert_eq!(banned(r#"{ crate = "ring", reason = "r", wrappers = ["middle"] }"#), Vec::<String>::new());
        assert_eq!(banned(r#"{ crate = "ring", reason = "r", wrappers = ["app"] }"#).len(), 1);
    }

    #[test]
    fn two_versions_of_a_single_crate_are_found() {
        let lines = banned(r#"{ crate = "ring", reason = "one", deny-multiple-versions = true }"#);
        assert_eq!(lines, ["ring is built in 2 versions (0.17.0, 0.16.0): one"]);
    }

    #[test]
    fn syntax_that_is_not_read_is_refused() {
        let cases = [
            r#"{ crate = "ring", reason = "r", colour = 1 }"#,
            r#"{ crate = "ring:<=0.16", reason = "r" }"#,
            r#"{ crate = "pingora*", reason = "r" }"#,
            r#"{ crate = "ring" }"#,
            r#""ring""#,
            r#"{ crate = "ring", reason = "r", wrappers = ["a"], deny-multiple-versions = true }"#,
        ];
        for case in cases {
            assert!(deny(case).is_err(), "{case}");
        }
    }

    #[test]
    fn other_sources_and_licences_are_found() {
        let mut graph = graph();
        graph.packages[0].source = Some("git+https://r.example/app".into());
        graph.packages[1].license = Some("GPL-3.0".into());
        graph.packages[2].license = None;
        let deny = deny("").unwrap();
        let mut findings = Findings::default();
        deny.sources(&graph, &mut findings);
        deny.licenses(&graph, &mut findings).unwrap();
        let lines = findings.into_lines();
        assert!(lines.len() == 3 && lines[0].starts_with("app comes from git+"), "{lines:?}");
        assert!(lines[1].starts_with("middle is under GPL-3.0") && lines[2] == "ring declares no licence", "{lines:?}");
    }
}
