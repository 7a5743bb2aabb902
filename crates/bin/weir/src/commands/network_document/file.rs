//! The file: read, with the place of whatever is wrong in it.

use anyhow::Context;
use std::{io::Read, path::Path};
use toml::de::{DeTable, DeValue};
use weir_operator_api::NetworkDocument;

/// Standard input, as the command line says it.
const STANDARD_INPUT: &str = "-";

/// A document with the text it was read from.
pub(super) struct File {
    pub(super) document: NetworkDocument,
    name: String,
    text: String,
}

impl File {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let is_input = path.as_os_str() == STANDARD_INPUT;
        let name = if is_input { "standard input".to_owned() } else { path.display().to_string() };
        let mut text = String::new();
        match is_input {
            true => std::io::stdin().read_to_string(&mut text).map(drop),
            false => std::fs::read_to_string(path).map(|read| text = read),
        }
        .with_context(|| format!("read {name}"))?;
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        Self::parse(name, text, is_json)
    }

    fn parse(name: String, text: String, is_json: bool) -> anyhow::Result<Self> {
        let document = if is_json {
            serde_json::from_str(&text).map_err(anyhow::Error::from)
        } else {
            toml::from_str(&text).map_err(anyhow::Error::from)
        };
        Ok(Self { document: document.with_context(|| format!("{name} is no network document"))?, name, text })
    }

    /// Where in the file a place such as `delivery_services[3].origin` is: `network.toml:14`. In TOML only.
    pub(super) fn at(&self, place: &str) -> Option<String> {
        let root = DeTable::parse(&self.text).ok()?;
        let mut offset = None;
        let mut here: Option<&DeValue<'_>> = None;
        for name in place.split('.') {
            let (key, index) = match name.split_once('[') {
                Some((key, index)) => (key, index.strip_suffix(']')?.parse::<usize>().ok()),
                None => (name, None),
            };
            let table = match here {
                None => root.get_ref(),
                Some(value) => value.as_table()?,
            };
            // What is missing is said where it would be.
            let Some((spelt, value)) = table.get_key_value(key) else { break };
            offset = Some(spelt.span().start);
            here = Some(value.get_ref());
            if let Some(item) = index.and_then(|index| value.get_ref().as_array()?.get(index)) {
                offset = Some(item.span().start);
                here = Some(item.get_ref());
            }
        }
        let line = self.text.get(..offset?)?.matches('\n').count() + 1;
        Some(format!("{}:{line}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"format = 1

[[locations]]
name = "core"

[[locations]]
name = "east"
parent = "core"

[[delivery_services]]
name = "demo"
domain = "demo.weir.test"
origin = "http://origin.example.com"
engines = [
    "east-1",
    "east-2",
]
[delivery_services.caching]
max_ttl_seconds = 7
"#;

    fn parse(text: &str, is_json: bool) -> Result<File, String> {
        File::parse("network.toml".into(), text.into(), is_json).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_place_is_a_line() {
        let file = parse(TEXT, false).unwrap();
        for (place, line) in [
            ("format", 1),
            ("locations[0]", 3),
            ("locations[1].parent", 8),
            ("locations[0].parent", 3),
            ("delivery_services[0].origin", 13),
            ("delivery_services[0].engines[1]", 16),
            ("delivery_services[0].caching.max_ttl_seconds", 19),
        ] {
            assert_eq!(file.at(place), Some(format!("network.toml:{line}")), "{place}");
        }
        assert_eq!(file.at("devices[0].name"), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (from, to, expected) in [
            ("parent = \"core\"", "parnt = \"core\"", ["line 8", "parnt"]),
            ("parent = \"core\"", "parent = 7", ["line 8", "string"]),
            ("max_ttl_seconds = 7", "max_ttl_seconds = -7", ["line 19", "-7"]),
            ("format = 1\n", "", ["format", "missing field"]),
            ("name = \"core\"", "name = \"core", ["line 4", "string"]),
        ] {
            let error = parse(&TEXT.replace(from, to), false).err().unwrap_or_else(|| panic!("{to} was taken"));
            assert!(expected.iter().all(|part| error.contains(part)) && error.contains("network.toml"), "{to}: {error}");
        }
        let error = parse("{\"format\": 1,\n\"locations\": [{\"nme\": 1}]}", true).err().unwrap();
        assert!(error.contains("nme") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn what_export_writes_is_read_again() {
        let file = parse(TEXT, false).unwrap();
        let written = toml::to_string(&file.document).unwrap();
        assert_eq!(parse(&written, false).unwrap().document, file.document, "{written}");
        let json = serde_json::to_string(&file.document).unwrap();
        assert_eq!(parse(&json, true).unwrap().document, file.document);
    }
}
