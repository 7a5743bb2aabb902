//! Metadata as somebody with a publisher's key would sign it to do harm: the tests' own reading of TUF 1.0.

use crate::{Publisher, archive::Archive};
use anyhow::Context;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// How far above the genuine metadata a forged one is, so that every store looks at it.
const AHEAD: u64 = 1000;

/// An archive whose metadata is being forged with the keys of a release directory.
pub struct Forge {
    archive: Archive,
    /// By the number that the root gives them.
    keys: BTreeMap<String, Ed25519KeyPair>,
    /// What the root says of each role.
    roles: Value,
    timestamp: Value,
    snapshot: Value,
    targets: Value,
}

/// The part of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `timestamp.json`.
    Timestamp,
    /// `<n>.snapshot.json`.
    Snapshot,
    /// `<n>.targets.json`.
    Targets,
}

/// Canonical JSON as TUF signs it: keys in order, no white space, only `"` and `\` escaped.
fn canonical(value: &Value) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("{}:{}", quoted(name), canonical(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        plain => plain.to_string(),
    }
}

fn ends(part: Part) -> &'static str {
    match part {
        Part::Timestamp => "timestamp.json",
        Part::Snapshot => ".snapshot.json",
        Part::Targets => ".targets.json",
    }
}

fn read(archive: &mut Archive, part: Part) -> anyhow::Result<Value> {
    serde_json::from_slice(archive.entry(ends(part))).with_context(|| format!("{part:?}"))
}

impl Forge {
    /// Begins with an archive of this publisher.
    pub fn of(publisher: &Publisher, archive: &Path) -> anyhow::Result<Self> {
        let mut archive = Archive::open(archive)?;
        let newest = archive.entries.iter().rfind(|(path, _)| path.ends_with(".root.json")).context("a root")?;
        let root: Value = serde_json::from_slice(&newest.1)?;
        let known = root["signed"]["keys"].as_object().context("keys")?;
        let mut keys = BTreeMap::new();
        for entry in std::fs::read_dir(publisher.folder().join("keys"))? {
            let pem = std::fs::read_to_string(entry?.path())?;
            let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
            let key = Ed25519KeyPair::from_pkcs8(&BASE64_STANDARD.decode(body)?).map_err(|error| anyhow::anyhow!("{error}"))?;
            let public = hex::encode(key.public_key());
            if let Some((id, _)) = known.iter().find(|(_, known)| known["keyval"]["public"] == *public) {
                keys.insert(id.clone(), key);
            }
        }
        let roles = root["signed"]["roles"].clone();
        let [timestamp, snapshot, targets] = [Part::Timestamp, Part::Snapshot, Part::Targets].map(|part| read(&mut archive, part));
        Ok(Self { archive, keys, roles, timestamp: timestamp?, snapshot: snapshot?, targets: targets? }.ahead(AHEAD))
    }

    /// Raises the version of every part.
    fn ahead(mut self, by: u64) -> Self {
        for part in [&mut self.timestamp, &mut self.snapshot, &mut self.targets] {
            let version = part["signed"]["version"].as_u64().expect("a version");
            part["signed"]["version"] = json!(version + by);
        }
        self
    }

    /// The same, once more ahead of whatever was forged before.
    #[must_use]
    pub fn after(self, others: u64) -> Self {
        self.ahead(others * AHEAD)
    }

    fn part(&mut self, part: Part) -> &mut Value {
        match part {
            Part::Timestamp => &mut self.timestamp,
            Part::Snapshot => &mut self.snapshot,
            Part::Targets => &mut self.targets,
        }
    }

    /// Changes what is signed of a part.
    #[must_use]
    pub fn edit(mut self, part: Part, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.part(part)["signed"]);
        self
    }

    /// Puts another image in, and signs for it.
    #[must_use]
    pub fn image(mut self, bytes: &[u8]) -> Self {
        let (path, body) = self.archive.entries.last_mut().expect("an archive ends with its image");
        bytes.clone_into(body);
        let name = path.trim_start_matches("image/").to_owned();
        let target = &mut self.targets["signed"]["targets"][name];
        target["length"] = json!(bytes.len());
        target["hashes"]["sha256"] = json!(crate::sha256(bytes));
        self
    }

    fn sign(&self, part: Part, document: &mut Value) {
        let role = ends(part).trim_start_matches('.').trim_end_matches(".json");
        let ids = self.roles[role]["keyids"].as_array().expect("keys of a role").iter().filter_map(Value::as_str);
        let bytes = canonical(&document["signed"]);
        let signatures = ids.filter_map(|id| Some((id, hex::encode(self.keys.get(id)?.sign(bytes.as_bytes())))));
        document["signatures"] = signatures.map(|(id, signature)| json!({ "keyid": id, "sig": signature })).collect();
    }

    /// The archive, every part signed and pointed at.
    pub fn finish(self) -> Archive {
        self.finish_with(|_, _| {})
    }

    /// The archive; each part goes through `after` once it is signed, before the part above points at it.
    pub fn finish_with(mut self, after: impl Fn(Part, &mut Value)) -> Archive {
        let mut below: Option<(&str, Value)> = None;
        for (part, name) in [(Part::Targets, "targets.json"), (Part::Snapshot, "snapshot.json"), (Part::Timestamp, "")] {
            let mut document = self.part(part).clone();
            if let Some((name, file)) = below.take() {
                document["signed"]["meta"][name] = file;
            }
            self.sign(part, &mut document);
            after(part, &mut document);
            let bytes = serde_json::to_vec(&document).expect("JSON");
            let version = document["signed"]["version"].clone();
            below = Some((name, json!({ "length": bytes.len(), "hashes": { "sha256": crate::sha256(&bytes) }, "version": version })));
            self.put(part, &version, bytes);
        }
        self.archive
    }

    fn put(&mut self, part: Part, version: &Value, bytes: Vec<u8>) {
        let entry = self.archive.entries.iter_mut().find(|(path, _)| path.ends_with(ends(part))).expect("a set is whole");
        let path = if part == Part::Timestamp { "metadata/timestamp.json".to_owned() } else { format!("metadata/{version}{}", ends(part)) };
        *entry = (path, bytes);
    }
}

/// An archive of which one role's part carries fewer signatures than the role needs; `None` is the newest root.
pub fn below_threshold(publisher: &Publisher, genuine: &Path, role: Option<Part>) -> anyhow::Result<Archive> {
    let short = |document: &mut Value| document["signatures"].as_array_mut().expect("signatures").truncate(1);
    let Some(role) = role else {
        let mut archive = Archive::open(genuine)?;
        let newest = archive.entries.iter_mut().rfind(|(path, _)| path.ends_with(".root.json")).context("a root")?;
        let mut root: Value = serde_json::from_slice(&newest.1)?;
        short(&mut root);
        newest.1 = serde_json::to_vec(&root)?;
        return Ok(archive);
    };
    Ok(Forge::of(publisher, genuine)?.finish_with(|part, document| {
        if part == role {
            short(document);
        }
    }))
}

/// Attacks on the metadata that a network refuses as a whole: name, archive, check and reason.
pub fn attacks(publisher: &Publisher, genuine: &Path) -> anyhow::Result<Vec<(&'static str, Archive, &'static str, &'static str)>> {
    let forge = || Forge::of(publisher, genuine);
    let past = json!("2020-01-01T00:00:00Z");
    let unsigned = forge()?.finish_with(|part, document| {
        if part == Part::Targets {
            document["signatures"] = json!([]);
        }
    });
    let twice = forge()?.finish_with(|part, document| {
        if part == Part::Targets {
            let one = document["signatures"][0].clone();
            document["signatures"] = json!([one, one]);
        }
    });
    let altered = forge()?.finish_with(|part, document| {
        if part == Part::Targets {
            document["signed"]["weir"]["floor"] = json!("1.0.0-a1");
        }
    });
    let older = |part: Part| anyhow::Ok(forge()?.edit(part, |signed| signed["version"] = json!(1)).finish());
    let mut mixed = forge()?.finish();
    let targets = mixed.entry(".targets.json");
    let at = targets.windows(7).position(|bytes| bytes == b"\"sig\":\"").context("a signature")? + 7;
    // As long as it was, and with another digest.
    targets[at] = if targets[at] == b'0' { b'1' } else { b'0' };
    let stranger = Publisher::alone()?;
    let foreign = stranger.release("1.0.0-b1", |_| {})?;
    let foreign = Forge::of(&stranger, &foreign)?.finish();
    Ok(vec![
        ("signed by nobody", unsigned, "signature", "unsigned"),
        ("signed twice by one key", twice, "signature", "duplicate_signature"),
        ("altered after it was signed", altered, "signature", "unsigned"),
        ("signed by another network's key", foreign, "signature", "unsigned"),
        ("an older snapshot", older(Part::Snapshot)?, "signature", "rollback"),
        ("an older list", older(Part::Targets)?, "signature", "rollback"),
        ("another list than the one pointed at", mixed, "signature", "metadata_mixed"),
        ("expired", forge()?.edit(Part::Timestamp, |signed| signed["expires"] = past).finish(), "listed", "expired"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_set_that_lies_about_nothing_is_trusted() {
        let publisher = Publisher::alone().unwrap();
        let genuine = publisher.release("1.0.0-b1", |_| {}).unwrap();
        let forged = Forge::of(&publisher, &genuine).unwrap().finish();
        assert_eq!(publisher.refused(&forged.bytes()), None, "so what is refused below is refused for its lie");
    }

    #[test]
    fn each_attack_is_refused_for_its_reason() {
        let publisher = Publisher::alone().unwrap();
        let genuine = publisher.release("1.0.0-b1", |_| {}).unwrap();
        for (name, archive, check, reason) in attacks(&publisher, &genuine).unwrap() {
            let refused = publisher.refused(&archive.bytes()).unwrap_or_else(|| panic!("{name} is accepted"));
            assert_eq!(refused, (check.to_owned(), reason.to_owned()), "{name}");
        }
    }

    #[test]
    fn json_is_signed_in_one_form() {
        let value = json!({ "b": [1, true, null], "a": "x\"\\y" });
        assert_eq!(canonical(&value), r#"{"a":"x\"\\y","b":[1,true,null]}"#);
    }
}
