//! `weir release describe`: what this program is, for whoever packs it.

use crate::{cli::Format, output};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use weir_device_api::hello::PROTOCOL;
use weir_model::{Line, ReleaseInterface, Span, Version};
use weir_release::Migration;
use weir_slots::Digest;

/// Versions of the keepalive this build speaks; its datagrams carry one.
const KEEPALIVE: Span = Span { min: 1, max: 1 };
/// Formats of cache records this build reads: content is kept in RAM, and gone with the process that wrote it.
const CACHE_FORMAT: Span = Span { min: 1, max: 1 };

/// What a program says of itself. Keys of a later line are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    /// Its version.
    pub(crate) version: Version,
    /// Its line.
    pub(crate) line: Line,
    /// The architecture it was built for.
    pub(crate) arch: String,
    /// The bridges its line states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bridges: Option<BTreeSet<Line>>,
    /// What it has in common with every build of its line.
    pub(crate) interface: ReleaseInterface,
    /// The schema steps it brings.
    pub(crate) migrations: Vec<Migration>,
    /// Whether it is a build of the synthetic next line, which is any version its MANIFEST says.
    pub(crate) synthetic: bool,
    /// Whether it does wrong what its MANIFEST says.
    pub(crate) faults: bool,
}

/// This program.
pub(crate) fn described() -> Described {
    let version = Version::current();
    let span = |min: u16, max: u16| Span { min: min.into(), max: max.into() };
    let keeper = Span { min: weir_keeper_api::PROTOCOL, max: weir_keeper_api::PROTOCOL };
    let protocols = [("device", span(PROTOCOL.min, PROTOCOL.max)), ("keepalive", KEEPALIVE), ("keeper", keeper)];
    let schema = weir_manager::schema();
    let digest = |hex: String| Digest::try_from(hex).expect("the manager gives digests as 64 lower-case digits");
    let migrations = schema.steps.into_iter().map(|step| Migration { step: step.step, up: digest(step.up), down: step.down.map(digest) });
    Described {
        version,
        line: version.line,
        arch: std::env::consts::ARCH.to_owned(),
        bridges: None,
        interface: ReleaseInterface {
            protocols: protocols.map(|(name, span)| (name.to_owned(), span)).into_iter().collect::<BTreeMap<_, _>>(),
            schema: schema.span,
            cache_format: CACHE_FORMAT,
            gates: weir_model::release::gates(),
        },
        migrations: migrations.collect(),
        synthetic: cfg!(feature = "synthetic-next"),
        faults: cfg!(feature = "faults"),
    }
}

pub(super) fn run(format: Format) -> anyhow::Result<()> {
    output::print(format, &described(), table)
}

fn table(described: &Described) -> String {
    let interface = &described.interface;
    let mut rows = vec![
        ["version".to_owned(), described.version.to_string()],
        ["line".to_owned(), described.line.to_string()],
        ["architecture".to_owned(), described.arch.clone()],
    ];
    rows.extend(interface.protocols.iter().map(|(name, speaks)| [format!("protocol {name}"), span(*speaks)]));
    rows.push(["schema steps".to_owned(), span(interface.schema)]);
    rows.push(["cache format".to_owned(), span(interface.cache_format)]);
    rows.extend(interface.gates.iter().map(|gate| [format!("gate {}", gate.name), format!("since {}", gate.since)]));
    let way_back = |step: &Migration| if step.down.is_some() { "up and down" } else { "up" };
    rows.extend(described.migrations.iter().map(|step| [format!("schema step {}", step.step), way_back(step).to_owned()]));
    if described.synthetic {
        rows.push(["synthetic".to_owned(), "a build for tests: its version is what its MANIFEST says".to_owned()]);
    }
    if described.faults {
        rows.push(["faults".to_owned(), "a build for tests: breaks as its MANIFEST says".to_owned()]);
    }
    output::table(["WHAT", "IS"], rows)
}

pub(super) fn span(span: Span) -> String {
    if span.min == span.max { span.min.to_string() } else { format!("{} to {}", span.min, span.max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_may_be_packed() {
        let described = described();
        let json = serde_json::to_string(&described).expect("JSON");
        assert_eq!(serde_json::from_str::<Described>(&json).expect("own JSON"), described);
        assert_eq!(described.line, Version::current().line);
        assert_eq!(described.interface.protocols["device"].max, u32::from(PROTOCOL.max));
        let newest = described.migrations.last().map(|step| step.step);
        assert_eq!(newest, Some(described.interface.schema.max));
    }
}
