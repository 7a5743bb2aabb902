//! Our release metadata, read by python-tuf: another reading of TUF 1.0 trusts what we trust and refuses what we refuse.

use anyhow::Context;
use serde_json::Value;
use std::path::{Path, PathBuf};
use weir_tests::{Depot, Publisher, archive::Archive, forge::attacks, network::output, prerequisite, process::without_proxies};

/// The architecture of the machine.
const ARCH: &str = std::env::consts::ARCH;

/// A client with a folder of its own.
struct Client<'t> {
    python: &'t Path,
    folder: tempfile::TempDir,
    root: PathBuf,
}

impl<'t> Client<'t> {
    fn new(python: &'t Path, publisher: &Publisher) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("root.json");
        std::fs::write(&root, publisher.directory().root()?)?;
        Ok(Self { python, folder, root })
    }

    /// Follows what `depot` serves and downloads `names`.
    async fn follow(&self, depot: &Depot, names: &[&str]) -> anyhow::Result<Value> {
        let mut command = std::process::Command::new(self.python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/tuf_client.py")).arg(self.folder.path()).arg(&self.root);
        command.args([depot.url("/metadata/"), depot.url("/targets/")]).args(names);
        without_proxies(&mut command);
        let output = output(command).await?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Serves an archive's metadata, and its image below its digest, as consistent snapshots ask (TUF 1.0, 6.2).
fn serve(depot: &Depot, archive: &Archive) -> String {
    let mut name = String::new();
    for (path, body) in &archive.entries {
        let answering = weir_tests::hostile::Answering::Bytes(body.clone());
        match path.strip_prefix("image/") {
            Some(image) => {
                depot.put(&format!("/targets/{}.{image}", weir_tests::sha256(body)), answering);
                name = image.to_owned();
            }
            None => drop(depot.put(&format!("/{path}"), answering)),
        }
    }
    name
}

fn python() -> Option<PathBuf> {
    prerequisite::tool("tuf", "python/bin/python")
}

async fn depot() -> anyhow::Result<Depot> {
    Depot::start("127.0.0.1".parse().expect("an address")).await
}

#[tokio::test]
async fn python_tuf_agrees_on_versions_and_digests_and_follows_a_new_root() -> anyhow::Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let publisher = Publisher::alone()?;
    let client = Client::new(&python, &publisher)?;
    let depot = depot().await?;
    for version in ["1.0.0-b1", "1.1.0-b1", "2.0.0-b1"] {
        let mut archive = Archive::open(&publisher.release(version, |_| {})?)?;
        let name = serve(&depot, &archive);
        let seen = client.follow(&depot, &[&name]).await?;
        let set = publisher.directory().metadata()?;
        let claims = set.claims()?;
        assert_eq!((&seen["root"], &seen["timestamp"]), (&claims.root.into(), &claims.timestamp.into()), "{seen}");
        let listed: serde_json::Map<String, Value> =
            claims.listing.images.values().map(|image| (image.name.clone(), image.sha256.to_string().into())).collect();
        assert_eq!(seen["listed"], Value::Object(listed), "{seen}");
        assert_eq!(seen["downloaded"][&name], weir_tests::sha256(archive.entry(".image")), "{seen}");
        // The next turn finds a root with other keys.
        let new = publisher.directory().new_key("next")?;
        let rotations =
            weir_release::Role::ALL.map(|role| weir_release::Rotation { role, add: vec![new], remove: vec![], threshold: None });
        publisher.directory().rotate(&rotations, weir_clock::wall_seconds())?;
    }
    Ok(())
}

#[tokio::test]
async fn python_tuf_refuses_a_tampered_image() -> anyhow::Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let publisher = Publisher::alone()?;
    let mut archive = Archive::open(&publisher.release("1.0.0-b1", |_| {})?)?;
    let depot = depot().await?;
    let name = serve(&depot, &archive);
    let path = format!("/targets/{}.{name}", weir_tests::sha256(archive.entry(".image")));
    let mut tampered = archive.entry(".image").clone();
    tampered[20] ^= 1;
    depot.put(&path, weir_tests::hostile::Answering::Bytes(tampered));
    let seen = Client::new(&python, &publisher)?.follow(&depot, &[&name]).await?;
    assert_eq!(seen["error"], "LengthOrHashMismatchError", "{seen}");
    Ok(())
}

#[tokio::test]
async fn python_tuf_refuses_the_attacks_we_refuse() -> anyhow::Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let publisher = Publisher::alone()?;
    let genuine = publisher.release("1.0.0-b1", |_| {})?;
    for (name, attack, _, reason) in attacks(&publisher, &genuine)? {
        let client = Client::new(&python, &publisher)?;
        let depot = depot().await?;
        serve(&depot, &Archive::open(&genuine)?);
        let seen = client.follow(&depot, &[&format!("weir-1.0.0-b1-{ARCH}.image")]).await?;
        assert!(seen["error"].is_null(), "the genuine set is trusted: {seen}");
        serve(&depot, &attack);
        let seen = client.follow(&depot, &[]).await?;
        let wanted: &[&str] = match reason {
            "unsigned" => &["UnsignedMetadataError"],
            // It does not even read a list of signatures with one key twice.
            "duplicate_signature" => &["RepositoryError", "DeserializationError"],
            "rollback" => &["BadVersionNumberError"],
            "metadata_mixed" => &["LengthOrHashMismatchError", "RepositoryError"],
            "expired" => &["ExpiredMetadataError"],
            other => anyhow::bail!("{other}"),
        };
        assert!(wanted.iter().any(|error| seen["error"] == *error), "{name}: {seen}");
        eprintln!("{name}: {}", seen["error"]);
    }
    Ok(())
}
