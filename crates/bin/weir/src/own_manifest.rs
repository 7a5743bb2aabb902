//! What the MANIFEST beside this program says of it: a synthetic build is whatever version its slot says.

use crate::commands::Misconfigured;
use anyhow::Context;
use serde::Deserialize;
use std::{fs::File, io::Read, path::Path};
use weir_model::{Version, next};
use weir_slots::MANIFEST_MAX_BYTES;

/// The name of the MANIFEST in a slot.
const MANIFEST: &str = "MANIFEST";

/// What of a MANIFEST is meant for the program itself.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct OwnManifest {
    /// The version it is.
    pub(crate) version: Version,
    /// The fault it has; only a build with faults looks.
    #[serde(default)]
    #[cfg_attr(not(feature = "faults"), allow(dead_code, reason = "a build without faults has none, whatever its MANIFEST says"))]
    pub(crate) fault: Option<String>,
}

/// Reads the MANIFEST beside this program; there is none where the program does not run from a slot.
pub(crate) fn read() -> anyhow::Result<Option<OwnManifest>> {
    let program = std::env::current_exe().context("find this program's file")?;
    read_beside(&program)
}

fn read_beside(program: &Path) -> anyhow::Result<Option<OwnManifest>> {
    let path = program.with_file_name(MANIFEST);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("open {}", path.display())),
    };
    let mut bytes = Vec::new();
    file.take(MANIFEST_MAX_BYTES as u64).read_to_end(&mut bytes).with_context(|| format!("read {}", path.display()))?;
    let wrong = |error: serde_json::Error| Misconfigured(format!("{} is not a MANIFEST: {error}", path.display()));
    Ok(Some(serde_json::from_slice(&bytes).map_err(wrong)?))
}

/// Makes this program the version its MANIFEST says. Call it before anything reads the version.
pub(crate) fn take_version() -> anyhow::Result<()> {
    match read()? {
        Some(manifest) => next::take_version(manifest.version).context("take the version of the MANIFEST"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_says_what_runs_in_it() {
        let slot = tempfile::tempdir().expect("directory");
        let program = slot.path().join("weir");
        assert_eq!(read_beside(&program).expect("no MANIFEST"), None);
        let manifest = slot.path().join(MANIFEST);
        for (text, expected) in [
            (r#"{"format": 1, "version": "2.0.0-b1", "files": []}"#, Some(("2.0.0-b1", None))),
            (r#"{"version": "1.1.0-b2", "fault": "never_ready"}"#, Some(("1.1.0-b2", Some("never_ready")))),
            (r#"{"version": "two"}"#, None),
            ("", None),
        ] {
            std::fs::write(&manifest, text).expect("write");
            let read = read_beside(&program).ok().flatten();
            let said = read.as_ref().map(|own| (own.version.to_string(), own.fault.as_deref()));
            assert_eq!(said, expected.map(|(version, fault)| (version.to_owned(), fault)), "{text:?}");
        }
    }
}
