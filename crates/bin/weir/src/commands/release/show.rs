//! `weir release show`: what an archive claims to be, and what a release directory has published.

use super::{describe, explain, lacking_json, lacking_text, open};
use crate::{
    cli::{Format, ShowArgs},
    output::{self, or_dash},
};
use anyhow::Context;
use serde_json::{Value, json};
use std::path::Path;
use weir_release::{Archive, Claims, KeyFile, Lacking, Listed, ReleaseManifest};

pub(super) fn run(format: Format, arguments: &ShowArgs) -> anyhow::Result<()> {
    match (&arguments.archive, &arguments.directory) {
        (Some(archive), _) => show_archive(format, archive),
        (None, Some(directory)) => show_directory(format, directory),
        (None, None) => unreachable!("the command line asks for one of them"),
    }
}

fn show_archive(format: Format, path: &Path) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    let archive = Archive::open(path).with_context(shown)?;
    let content = archive.content();
    let claims = content.metadata().claims().with_context(shown)?;
    let manifest = archive.manifest().with_context(shown)?;
    let (bytes, sha256) = content.image_digest();
    let listed = claims.listing.images.get(content.image_name());
    let its_own_list = listed.is_some_and(|listed| (listed.bytes, listed.sha256) == (bytes, sha256));
    let json = json!({
        "verified": false,
        "image": { "name": content.image_name(), "bytes": bytes, "sha256": sha256, "listed": its_own_list },
        "manifest": manifest,
        "metadata": claims_json(&claims),
    });
    output::print(format, &json, |_| {
        format!(
            "NOTHING HERE IS VERIFIED: this is what the archive says of itself (weir release verify FILE --root ROOT)\n\n{}\n\n{}\n\n{}",
            manifest_table(&manifest, bytes, its_own_list),
            parts_table(&claims),
            listing_table(&claims)
        )
    })
}

fn manifest_table(manifest: &ReleaseManifest, bytes: u64, its_own_list: bool) -> String {
    let interface = &manifest.interface;
    let protocols = interface.protocols.iter().map(|(name, span)| format!("{name} {}", describe::span(*span)));
    let gates = interface.gates.iter().map(|gate| gate.name.clone());
    let one = |what: &str, is: String| [what.to_owned(), is];
    let mut rows = vec![
        one("version", manifest.version.to_string()),
        one("architecture", manifest.arch.clone()),
        one("image", format!("{}, {}", output::bytes(bytes), if its_own_list { "on its own list" } else { "NOT ON ITS OWN LIST" })),
        one("bridges", joined(manifest.bridges.iter().flatten().map(ToString::to_string))),
        one("protocols", joined(protocols)),
        one("schema steps", describe::span(interface.schema)),
        one("way back", way_back(manifest)),
        one("gates", joined(gates)),
        one("notes", or_dash(Some(manifest.notes.clone()).filter(|notes| !notes.is_empty()))),
    ];
    rows.extend(manifest.fault.iter().map(|fault| one("fault", format!("{fault} (a build for tests)"))));
    rows.extend(manifest.files.iter().map(|file| one("file", format!("{} ({})", file.path, output::bytes(file.bytes)))));
    output::table(["MANIFEST", "SAYS"], rows)
}

/// Whether the database can be taken back to the oldest schema the release runs on.
fn way_back(manifest: &ReleaseManifest) -> String {
    let span = manifest.interface.schema;
    match manifest.one_way() {
        Some(step) => format!("NOT FROM STEP {step}"),
        None if span.min == span.max => "none needed: it runs on one schema only".to_owned(),
        None => format!("from step {} to step {}", span.max, span.min),
    }
}

fn joined(words: impl Iterator<Item = String>) -> String {
    let text = words.collect::<Vec<_>>().join(", ");
    or_dash(Some(text).filter(|text| !text.is_empty()))
}

fn parts_table(claims: &Claims) -> String {
    let rows = claims.parts.iter().map(|part| {
        [part.role.to_string(), part.version.to_string(), output::time(part.expires.saturating_mul(1000)), part.signatures.to_string()]
    });
    let table = output::table(["METADATA", "VERSION", "EXPIRES", "SIGNATURES"], rows);
    format!("{table}\nsigned at {}", output::time(claims.signed_at.saturating_mul(1000)))
}

fn listing_table(claims: &Claims) -> String {
    let listing = &claims.listing;
    if listing.images.is_empty() {
        return "no release is listed".to_owned();
    }
    let rows = listing.images.values().map(|listed| {
        let version = or_dash(listed.release.as_ref().map(|release| release.version));
        [listed.name.clone(), version, output::bytes(listed.bytes), listed.sha256.short()]
    });
    let table = output::table(["LISTED", "VERSION", "SIZE", "SHA-256"], rows);
    format!("{table}\nlines: {}; security floor: {}", lines(claims), or_dash(listing.floor))
}

/// The lineage as it is signed: lines, and bridges between majors.
fn lines(claims: &Claims) -> String {
    let lineage = serde_json::to_value(&claims.listing.lineage).expect("a lineage is JSON");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let lines = joined(lineage["lines"].as_array().into_iter().flatten().filter_map(text));
    let bridges = lineage["bridges"].as_object().into_iter().flatten();
    let bridges =
        bridges.map(|(to, from)| format!("; {to} is one step from {}", joined(from.as_array().into_iter().flatten().filter_map(text))));
    lines + &bridges.collect::<String>()
}

fn claims_json(claims: &Claims) -> Value {
    let parts = claims.parts.iter().map(|part| {
        let is = json!({ "version": part.version, "expires": part.expires, "signatures": part.signatures });
        (part.role.to_string(), is)
    });
    json!({
        "version": claims.timestamp,
        "signed_at": claims.signed_at,
        "parts": parts.collect::<serde_json::Map<_, _>>(),
        "lineage": claims.listing.lineage,
        "floor": claims.listing.floor,
        "images": claims.listing.images.values().map(listed_json).collect::<Vec<_>>(),
    })
}

fn listed_json(listed: &Listed) -> Value {
    json!({ "name": listed.name, "bytes": listed.bytes, "sha256": listed.sha256, "release": listed.release })
}

fn show_directory(format: Format, path: &Path) -> anyhow::Result<()> {
    let directory = open(path)?;
    let claims = directory.metadata().map_err(|error| explain(error, path))?.claims()?;
    let keys = directory.key_files().map_err(|error| explain(error, path))?;
    let waiting = directory.waiting().map_err(|error| explain(error, path))?;
    let json = json!({
        "metadata": claims_json(&claims),
        "roles": roles_json(&claims, &keys),
        "waiting": waiting.as_deref().map(lacking_json),
    });
    output::print(format, &json, |_| {
        let (parts, roles, listing) = (parts_table(&claims), roles_table(&claims, &keys), listing_table(&claims));
        format!("{parts}\n\n{roles}\n\n{listing}\n{}", waiting_text(waiting.as_deref(), path))
    })
}

fn waiting_text(waiting: Option<&[Lacking]>, path: &Path) -> String {
    match waiting {
        None => "no change waits for signatures".to_owned(),
        Some(lacking) => {
            let lacks = if lacking.is_empty() { "none of keys that are elsewhere".to_owned() } else { lacking_text(lacking) };
            format!("A CHANGE WAITS FOR SIGNATURES: {lacks}; weir release sign --directory {} --key FILE", path.display())
        }
    }
}

/// The private key of this id, when it is in the directory.
fn here<'a>(keys: &'a [KeyFile], id: &weir_release::KeyId) -> Option<&'a KeyFile> {
    keys.iter().find(|key| key.public.id() == *id)
}

fn roles_table(claims: &Claims, keys: &[KeyFile]) -> String {
    let rows = claims.roles.iter().flat_map(|role| {
        role.keys.iter().map(|id| {
            let at = here(keys, id).map(|key| key.path.display().to_string());
            [
                role.role.to_string(),
                format!("{} of {}", role.threshold, role.keys.len()),
                id.short().to_owned(),
                at.unwrap_or_else(|| "elsewhere".to_owned()),
            ]
        })
    });
    output::table(["ROLE", "SIGNATURES", "KEY", "PRIVATE KEY"], rows)
}

fn roles_json(claims: &Claims, keys: &[KeyFile]) -> Value {
    let roles = claims.roles.iter().map(|role| {
        let keys: Vec<Value> =
            role.keys.iter().map(|id| json!({ "id": id.to_string(), "file": here(keys, id).map(|key| &key.path) })).collect();
        (role.role.to_string(), json!({ "threshold": role.threshold, "keys": keys }))
    });
    Value::Object(roles.collect())
}
