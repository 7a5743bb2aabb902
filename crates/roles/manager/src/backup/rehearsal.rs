//! A rehearsal of a restore: everything a restore asks of a backup, tried on a scratch copy by this build.

use super::file;
use crate::{
    keep,
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
    fs, io,
    path::{Path, PathBuf},
};
use weir_database::{Database, DatabaseError, Digests, dump_sha256};
use weir_operator_api::{BackupManifest, Rehearsal, RehearsalCheck, Validation};
use weir_telemetry::Chain;

/// A directory for what is tried; gone when it is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below the state directory, on the disk that a restore would use.
    pub(crate) fn new(state: &Path) -> io::Result<Self> {
        let above = state.join("scratch");
        keep::directory(&above)?;
        let place = above.join(format!("{}-{}", weir_clock::wall_ms(), weir_clock::monotonic_ms()));
        fs::create_dir(&place)?;
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

/// Removes scratch copies of a manager that was killed.
pub(crate) fn clear(state: &Path) -> io::Result<()> {
    match fs::remove_dir_all(state.join("scratch")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
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
        term: settings::number(&tx, settings::TERM)?,
        generation: settings::number(&tx, settings::GENERATION)?,
        rev: changesets::last(&tx)?,
        primary: settings::get(&tx, settings::PRIMARY)?.unwrap_or_default(),
        network_id: der.map(|der| hex::encode(Sha256::digest(der))).unwrap_or_default(),
    })
}

impl Facts {
    /// A manifest is not sealed: what it says counts only where the database says the same.
    fn agree(&self, manifest: &BackupManifest) -> Result<String, String> {
        let pairs = [
            ("term", self.term.to_string(), manifest.term.to_string()),
            ("generation", self.generation.to_string(), manifest.generation.to_string()),
            ("rev", self.rev.to_string(), manifest.rev.to_string()),
            ("primary", self.primary.clone(), manifest.manager.to_string()),
            ("network", self.network_id.clone(), manifest.network_id.clone()),
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

/// `down`: as far back as ways lead, and up again, leaves what was there.
fn down(database: &Path, manifest: &BackupManifest, now_ms: u64, checks: &mut Checks) {
    let (oldest, newest) = span();
    let to = if manifest.step < newest { manifest.step } else { oldest };
    if to == newest {
        checks
            .note("down", Ok(format!("line {} begins at step {oldest}: there is no way back to try", weir_model::Version::current().line)));
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

/// Rehearses without a running manager: with the key in the state directory of this box's manager, if there is one.
///
/// # Errors
/// The scratch directory below `state` cannot be made.
pub fn offline(state: &Path, file: &Path) -> io::Result<(Option<BackupManifest>, Rehearsal)> {
    let scratch = Scratch::new(state)?;
    let key = NetworkKey::load(state).ok().flatten();
    Ok(rehearse(file, key.as_ref(), &scratch, weir_clock::wall_ms()))
}
