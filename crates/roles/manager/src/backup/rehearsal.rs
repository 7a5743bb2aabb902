//! A rehearsal of a restore: everything a restore asks of a backup, tried on a scratch copy by this build.

use super::file;
use crate::{
    network_key::NetworkKey,
    seal::{Seal, Settled, settled},
    tables::{
        changesets,
        migrations::{self, CONFIG},
        settings,
    },
};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use weir_database::{Database, DatabaseError, Digests, dump_sha256};
use weir_operator_api::{BackupManifest, Rehearsal, RehearsalCheck, Validation};
use weir_telemetry::Chain;

/// Databases a rehearsal needs room for: the one in the backup, the copy a step runs on, and what it was before the step.
pub(crate) const COPIES: u64 = 3;
/// What a directory of scratch copies is called in the state directory, before its number.
const SCRATCH: &str = "scratch";

/// A directory for what is tried; gone when it is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in the state directory, on the disk that a restore would use.
    pub(crate) fn new(state: &Path) -> io::Result<Self> {
        Self::below(state, SCRATCH)
    }

    /// One that leaves nothing in the state directory which its manager could not remove: there when this process is that of the
    /// manager's user, else among the temporary files.
    fn of_whoever_asks(state: &Path) -> io::Result<Self> {
        let owner = fs::metadata(state).ok().map(|about| about.uid());
        if owner == Some(rustix::process::geteuid().as_raw()) {
            Self::new(state)
        } else {
            Self::below(&std::env::temp_dir(), "weir-scratch")
        }
    }

    fn below(directory: &Path, name: &str) -> io::Result<Self> {
        let name = format!("{name}-{}-{}-{}", std::process::id(), weir_clock::wall_ms(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let place = directory.join(name);
        DirBuilder::new().mode(0o700).create(&place)?;
        Ok(Self(place))
    }

    /// Where a backup that was sent lies.
    pub(crate) fn upload(&self) -> PathBuf {
        self.0.join("sent.weirbackup")
    }

    /// Where the database is unpacked.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("config.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "a scratch copy is left behind");
        }
    }
}

/// Distinguishes the scratch copies of one process.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Removes scratch copies and planned databases of a manager that was killed. What cannot be removed is in nobody's way.
pub(crate) fn clear(state: &Path) {
    let left = |name: &str| name.starts_with(SCRATCH) || name.starts_with("config.db.plan");
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(left) {
            continue;
        }
        let path = entry.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(%error, path = %path.display(), "a scratch copy of an earlier manager is left behind");
        }
    }
}

/// Checks, in order; nothing is tried after one that failed.
#[derive(Default)]
pub(crate) struct Checks(Vec<RehearsalCheck>);

impl Checks {
    /// Notes what a check found; says whether it passed.
    pub(crate) fn note(&mut self, check: &str, found: Result<String, String>) -> bool {
        let passed = found.is_ok();
        let detail = found.unwrap_or_else(|why| why);
        self.0.push(RehearsalCheck { check: check.to_owned(), passed, detail });
        passed
    }

    fn passed(&self) -> bool {
        self.0.iter().all(|check| check.passed)
    }

    /// The first check that did not pass.
    pub(crate) fn failed(&self) -> Option<&RehearsalCheck> {
        self.0.iter().find(|check| !check.passed)
    }

    /// As a validation shows them.
    pub(crate) fn into_validation(self) -> Validation {
        Validation { passed: self.passed(), checks: self.0 }
    }

    fn into_rehearsal(self, at_ms: u64) -> Rehearsal {
        Rehearsal { version: weir_model::version().to_owned(), at_ms, passed: self.passed(), checks: self.0 }
    }
}

/// Tries a restore of the backup at `file` in the scratch directory. Blocks.
pub(crate) fn rehearse(file: &Path, key: Option<&NetworkKey>, scratch: &Scratch, now_ms: u64) -> (Option<BackupManifest>, Rehearsal) {
    let mut checks = Checks::default();
    let manifest = tried(file, key, scratch, now_ms, &mut checks);
    (manifest, checks.into_rehearsal(now_ms))
}

fn tried(file: &Path, key: Option<&NetworkKey>, scratch: &Scratch, now_ms: u64, checks: &mut Checks) -> Option<BackupManifest> {
    let database = scratch.database();
    let manifest = match file::unpack(file, &database) {
        Ok(manifest) => manifest,
        Err(error) => {
            checks.note("sha256", Err(Chain(&error).to_string()));
            return None;
        }
    };
    checks.note("sha256", Ok(format!("{} bytes, as the manifest says", manifest.database_bytes)));
    if sound(&database, &manifest, checks) && opens(&database, &manifest, key, checks) && up(&database, &manifest, now_ms, checks) {
        down(&database, &manifest, now_ms, checks);
    }
    Some(manifest)
}

/// `open`, `integrity` and `digest`: the database is whole and is what the manifest says.
pub(crate) fn sound(database: &Path, manifest: &BackupManifest, checks: &mut Checks) -> bool {
    let said = |error: &DatabaseError| Chain(error).to_string();
    let facts = weir_database::look(database).and_then(|mut connection| Ok(facts(&mut connection)?));
    let opened = match facts {
        Ok(facts) => facts.agree(manifest),
        Err(error) => Err(said(&error)),
    };
    if !checks.note("open", opened) {
        return false;
    }
    let whole = weir_database::check(database).map(|()| "every page, index and reference holds".to_owned());
    if !checks.note("integrity", whole.map_err(|error| said(&error))) {
        return false;
    }
    let counted = digest(database).map_err(|error| said(&error));
    let same = counted.and_then(|counted| match counted == manifest.digest {
        true => Ok(format!("recounted: {counted}")),
        false => Err(format!("recounted: {counted}, and the manifest says {}", manifest.digest)),
    });
    checks.note("digest", same)
}

/// The digest of all rows of a database that nobody writes to, hex.
fn digest(database: &Path) -> Result<String, DatabaseError> {
    let connection = weir_database::look(database)?;
    Ok(hex::encode(Digests::recount(&connection, &changesets::NOT_RECORDED)?.of_all()))
}

/// What a database says of itself.
pub(crate) struct Facts {
    /// Newest schema step, by its own ledger.
    pub(crate) step: u32,
    pub(crate) network: String,
    pub(crate) term: u64,
    pub(crate) generation: u64,
    pub(crate) rev: u64,
    pub(crate) primary: String,
    /// SHA-256 of the CA certificate, hex.
    pub(crate) network_id: String,
}

/// Reads them.
pub(crate) fn facts(connection: &mut Connection) -> rusqlite::Result<Facts> {
    let tx = connection.transaction()?;
    let certificate = settings::get(&tx, settings::CA_CERTIFICATE)?.unwrap_or_default();
    let der = weir_net::tls::first_certificate(&certificate);
    Ok(Facts {
        step: migrations::applied(&tx)?,
        network: settings::get(&tx, settings::NETWORK)?.unwrap_or_default(),
        term: settings::number(&tx, settings::TERM)?,
        generation: settings::number(&tx, settings::GENERATION)?,
        rev: changesets::last(&tx)?,
        primary: settings::get(&tx, settings::PRIMARY)?.unwrap_or_default(),
        network_id: der.map(|der| hex::encode(Sha256::digest(der))).unwrap_or_default(),
    })
}

impl Facts {
    /// A manifest is not sealed: what it says counts only where the database says the same. Which build wrote it the database does
    /// not say.
    fn agree(&self, manifest: &BackupManifest) -> Result<String, String> {
        let pairs = [
            ("schema step", self.step.to_string(), manifest.step.to_string()),
            ("term", self.term.to_string(), manifest.term.to_string()),
            ("generation", self.generation.to_string(), manifest.generation.to_string()),
            ("rev", self.rev.to_string(), manifest.rev.to_string()),
            ("primary", self.primary.clone(), manifest.manager.to_string()),
            ("network", self.network.clone(), manifest.network.clone()),
            ("CA certificate", self.network_id.clone(), manifest.network_id.clone()),
        ];
        match pairs.into_iter().find(|(_, database, manifest)| database != manifest) {
            None => Ok(format!("term {}, generation {}, changeset {}", self.term, self.generation, self.rev)),
            Some((what, database, manifest)) => Err(format!("its {what} is {database}, and the manifest says {manifest}")),
        }
    }
}

/// `key`: this box's key opens what is sealed.
pub(crate) fn opens(database: &Path, manifest: &BackupManifest, key: Option<&NetworkKey>, checks: &mut Checks) -> bool {
    let Some(key) = key else {
        return checks.note("key", Err(format!("there is no network key here; it is sealed with {}", manifest.key_fingerprint)));
    };
    let seal = Seal::new(key);
    let tried = weir_database::look(database).and_then(|mut connection| Ok(settled(&connection.transaction()?, &seal)?));
    let found = match tried {
        Ok(Settled::Opens) if key.fingerprint() != manifest.key_fingerprint => {
            Err(format!("key {} opens it, and the manifest names {}", key.fingerprint(), manifest.key_fingerprint))
        }
        Ok(Settled::Opens) => Ok(format!("key {} opens the CA key", key.fingerprint())),
        Ok(Settled::Nothing) => Err("nothing is sealed in it".to_owned()),
        Ok(Settled::OtherKey) => Err(format!("it is sealed with key {}, and this box has {}", manifest.key_fingerprint, key.fingerprint())),
        Err(error) => Err(Chain(&error).to_string()),
    };
    checks.note("key", found)
}

/// The steps this build can start from and its newest.
fn span() -> (u32, u32) {
    let span = migrations::schema().span;
    (span.min, span.max)
}

/// `up`: this build's steps run on it.
fn up(database: &Path, manifest: &BackupManifest, now_ms: u64, checks: &mut Checks) -> bool {
    let (_, newest) = span();
    let opened = Database::open(database, CONFIG, now_ms, weir_model::version());
    let found = match opened {
        Ok(_) if manifest.step == newest => Ok(format!("it is at step {newest}, this build's newest")),
        Ok(_) => Ok(format!("from step {} to step {newest}", manifest.step)),
        Err(error) => Err(Chain(&error).to_string()),
    };
    checks.note("up", found)
}

/// `down`: as far back as ways lead, and up again, leaves what was there. No check where no way leads back: there is nothing to try.
fn down(database: &Path, manifest: &BackupManifest, now_ms: u64, checks: &mut Checks) {
    let (oldest, newest) = span();
    let to = if manifest.step < newest { manifest.step } else { oldest };
    if to == newest {
        return;
    }
    let said = |error: DatabaseError| Chain(&error).to_string();
    let dumped = |path: &Path| weir_database::look(path).and_then(|connection| Ok(dump_sha256(&connection)?)).map_err(said);
    let tried = dumped(database).and_then(|before| {
        weir_database::downgrade(database, to).map_err(said)?;
        drop(Database::open(database, CONFIG, now_ms, weir_model::version()).map_err(said)?);
        match dumped(database)? == before {
            true => Ok(format!("to step {to} and up again: the same")),
            false => Err(format!("to step {to} and up again: not the same")),
        }
    });
    checks.note("down", tried);
}

/// Rehearses without a running manager: with the key in the state directory of this box's manager, if there is one. Leaves nothing
/// there, whoever runs it.
///
/// # Errors
/// A scratch directory cannot be made, in the state directory or among the temporary files.
pub fn offline(state: &Path, file: &Path) -> io::Result<(Option<BackupManifest>, Rehearsal)> {
    let scratch = Scratch::of_whoever_asks(state)?;
    let key = NetworkKey::load(state).ok().flatten();
    Ok(rehearse(file, key.as_ref(), &scratch, weir_clock::wall_ms()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_copies_go_and_those_that_stay_are_in_nobodys_way() {
        let dir = tempfile::tempdir().expect("dir");
        let state = dir.path();
        // As an earlier build, and one that was killed, left them.
        fs::create_dir_all(state.join("scratch/1-1")).expect("made");
        fs::write(state.join("config.db.plan"), "half").expect("written");
        fs::write(state.join("config.db"), "kept").expect("written");
        let first = Scratch::new(state).expect("made beside another one");
        let second = Scratch::new(state).expect("made");
        assert_ne!(first.database(), second.database());
        drop(first);
        clear(state);
        let left: Vec<_> = fs::read_dir(state).expect("read").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["config.db"]);
        fs::create_dir(state.join(".gone")).expect("made");
        let nowhere = Scratch::of_whoever_asks(&state.join("no-manager")).expect("made elsewhere");
        assert!(!state.join("no-manager").exists(), "{:?}", nowhere.database());
    }

    #[test]
    fn a_manifest_counts_only_where_the_database_says_the_same() {
        let manifest = file::tests::of(b"");
        let facts = || Facts {
            step: manifest.step,
            network: manifest.network.clone(),
            term: manifest.term,
            generation: manifest.generation,
            rev: manifest.rev,
            primary: manifest.manager.to_string(),
            network_id: manifest.network_id.clone(),
        };
        assert!(facts().agree(&manifest).is_ok());
        for (changed, word) in [
            (BackupManifest { step: 1, ..manifest.clone() }, "schema step"),
            (BackupManifest { network: "another".into(), ..manifest.clone() }, "network"),
            (BackupManifest { term: 9, ..manifest.clone() }, "term"),
            (BackupManifest { generation: 9, ..manifest.clone() }, "generation"),
            (BackupManifest { rev: 9, ..manifest.clone() }, "rev"),
            (BackupManifest { network_id: "00".repeat(32), ..manifest.clone() }, "CA certificate"),
        ] {
            assert!(facts().agree(&changed).expect_err("refused").contains(word), "{word}");
        }
    }
}
