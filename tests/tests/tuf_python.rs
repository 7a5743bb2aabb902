//! Our release metadata, read by python-tuf: another reading of TUF 1.0 trusts what we trust and refuses what we refuse.

use anyhow::Context;
use serde_json::Value;
use std::path::{Path, PathBuf};
use weir_release::{Expected, Invalid, METADATA_LIFE, MetadataSet, Role, Rotation, TrustStore};
use weir_tests::{
    Depot, Publisher,
    archive::Archive,
    forge::{Forge, Part, attacks, below_threshold},
    network::output,
    prerequisite,
    process::without_proxies,
};

/// The architecture of the machine.
const ARCH: &str = std::env::consts::ARCH;

/// Seconds after which a set that is signed now has expired.
const LATER: u64 = METADATA_LIFE.as_secs() + 24 * 3600;

/// python-tuf, with a folder of its own.
struct Client<'t> {
    python: &'t Path,
    folder: tempfile::TempDir,
    root: PathBuf,
}

impl<'t> Client<'t> {
    fn new(python: &'t Path, publisher: &Publisher) -> anyhow::Result<Self> {
        Self::trusting(python, &publisher.directory().root()?)
    }

    fn trusting(python: &'t Path, pinned: &[u8]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("root.json");
        std::fs::write(&root, pinned)?;
        Ok(Self { python, folder, root })
    }

    /// Follows what `depot` serves and downloads `names`.
    async fn follow(&self, depot: &Depot, names: &[&str]) -> anyhow::Result<Value> {
        self.follow_at(weir_clock::wall_seconds(), depot, names).await
    }

    async fn follow_at(&self, now: u64, depot: &Depot, names: &[&str]) -> anyhow::Result<Value> {
        let mut command = std::process::Command::new(self.python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/tuf_client.py")).arg(self.folder.path()).arg(&self.root);
        command.args([depot.url("/metadata/"), depot.url("/targets/"), now.to_string()]).args(names);
        without_proxies(&mut command);
        let output = output(command).await?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Ours, with a store of its own.
struct Ours {
    folder: tempfile::TempDir,
    store: TrustStore,
}

impl Ours {
    fn trusting(root: &[u8]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = TrustStore::pin(&folder.path().join("trust"), root)?;
        Ok(Self { folder, store })
    }

    /// Takes an archive's metadata in, and verifies the archive; the reason when either is refused.
    fn follow(&self, archive: &Archive, now: u64) -> anyhow::Result<Option<String>> {
        let path = self.folder.path().join("an.weir");
        std::fs::write(&path, archive.bytes())?;
        let archive = weir_release::Archive::open(&path)?;
        let refused = |invalid: Invalid| Some(invalid.reason().to_string());
        if let Err(error) = self.store.load(archive.content().metadata(), now) {
            return Ok(refused(error.into()));
        }
        Ok(self.store.verify(archive, &Expected::default(), now).err().and_then(refused))
    }
}

/// The version of each part of a set, as `tools/tuf_client.py` names them.
fn versions(set: &MetadataSet) -> anyhow::Result<Value> {
    let claims = set.claims()?;
    Ok(claims.parts.iter().map(|part| (part.role.to_string(), Value::from(part.version))).collect::<serde_json::Map<_, _>>().into())
}

fn four(seen: &Value) -> Value {
    ["root", "timestamp", "snapshot", "targets"]
        .map(|role| (role.to_owned(), seen[role].clone()))
        .into_iter()
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Adds a key to the targets' role, in a new root.
fn rotated(publisher: &Publisher) -> anyhow::Result<()> {
    let rotation = Rotation { role: Role::Targets, add: vec![publisher.directory().new_key("next")?], remove: vec![], threshold: None };
    publisher.directory().rotate(&[rotation], weir_clock::wall_seconds())?;
    Ok(())
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
        assert_eq!(four(&seen), versions(&set)?, "{seen}");
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

/// Two of three keys for each role: with one signature less in any part both refuse, and with all of them both follow.
#[tokio::test]
async fn two_of_three_keys_are_needed_by_both() -> anyhow::Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let publisher = Publisher::two_of_three()?;
    let now = weir_clock::wall_seconds();
    let genuine = publisher.release("1.0.0-b1", |_| {})?;
    let archive = Archive::open(&genuine)?;
    let published = versions(&publisher.directory().metadata()?)?;
    let mut shorts = Vec::new();
    for part in [Part::Targets, Part::Snapshot, Part::Timestamp] {
        shorts.push((format!("{part:?}"), below_threshold(&publisher, &genuine, Some(part))?));
    }
    // What is forged with all signatures is followed, so what is refused is refused for the one that lacks.
    let whole = Forge::of(&publisher, &genuine)?.finish();
    let root = publisher.directory().root()?;
    rotated(&publisher)?;
    let next = publisher.release("1.1.0-b1", |_| {})?;
    shorts.push(("Root".to_owned(), below_threshold(&publisher, &next, None)?));
    for (part, short) in shorts {
        let (theirs, ours) = (Client::trusting(&python, &root)?, Ours::trusting(&root)?);
        let depot = depot().await?;
        let name = serve(&depot, &archive);
        assert_eq!(ours.follow(&archive, now)?, None, "{part}");
        let seen = theirs.follow(&depot, &[&name]).await?;
        assert_eq!(four(&seen), published, "{part}: {seen}");
        assert_eq!(ours.follow(&short, now)?.as_deref(), Some("unsigned"), "{part}");
        serve(&depot, &short);
        let seen = theirs.follow(&depot, &[]).await?;
        assert_eq!(seen["error"], "UnsignedMetadataError", "{part}: {seen}");
    }
    let (theirs, ours) = (Client::trusting(&python, &root)?, Ours::trusting(&root)?);
    let depot = depot().await?;
    let next = Archive::open(&next)?;
    let name = serve(&depot, &next);
    assert_eq!(ours.follow(&next, now)?, None);
    let seen = theirs.follow(&depot, &[&name]).await?;
    assert_eq!(four(&seen), versions(&publisher.directory().metadata()?)?, "{seen}");
    assert_eq!(seen["root"], 2, "{seen}");
    assert_eq!(Ours::trusting(&root)?.follow(&whole, now)?, None);
    Ok(())
}

/// Freeze: what was genuine is served for ever, so that nobody hears of what is newer. It ends with its expiry, for both; and
/// whoever has heard of what is newer does not go back.
#[tokio::test]
async fn a_set_that_is_served_for_ever_is_refused_by_both_when_it_has_expired() -> anyhow::Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let publisher = Publisher::alone()?;
    let now = weir_clock::wall_seconds();
    let (theirs, ours) = (Client::new(&python, &publisher)?, Ours::trusting(&publisher.directory().root()?)?);
    let depot = depot().await?;
    let old = Archive::open(&publisher.release("1.0.0-b1", |_| {})?)?;
    let name = serve(&depot, &old);
    for turn in ["first", "again"] {
        assert_eq!(ours.follow(&old, now)?, None, "{turn}");
        let seen = theirs.follow(&depot, &[&name]).await?;
        assert!(seen["error"].is_null(), "{turn}: {seen}");
    }
    assert_eq!(ours.follow(&old, now + LATER)?.as_deref(), Some("expired"));
    let seen = theirs.follow_at(now + LATER, &depot, &[]).await?;
    assert_eq!(seen["error"], "ExpiredMetadataError", "{seen}");
    let new = Archive::open(&publisher.release("1.0.1-b1", |_| {})?)?;
    serve(&depot, &new);
    assert_eq!(ours.follow(&new, now)?, None);
    let seen = theirs.follow(&depot, &[]).await?;
    assert!(seen["error"].is_null(), "{seen}");
    // Not expired, and older.
    serve(&depot, &old);
    assert_eq!(ours.follow(&old, now)?.as_deref(), Some("rollback"));
    let seen = theirs.follow(&depot, &[]).await?;
    assert_eq!(seen["error"], "BadVersionNumberError", "{seen}");
    Ok(())
}
