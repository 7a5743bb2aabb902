//! Restore: what it refuses, and how a backup takes the place of `config.db` under a term above every one this box knows.

use super::{
    file::{self, BackupFileError},
    rehearsal::{self, Checks, Facts, Scratch},
};
use crate::{
    network_key::NetworkKey,
    tables::{self, migrations},
};
use std::{net::SocketAddr, path::Path};
use weir_database::DatabaseError;
use weir_model::{DeviceName, Line, Role, Version};
use weir_operator_api::{BackupManifest, Problem, Reason};
use weir_telemetry::Chain;

/// What this box is, as far as a restore asks.
#[derive(Debug, Clone)]
pub(crate) struct Here {
    pub(crate) name: DeviceName,
    pub(crate) line: Line,
    /// Steps this build can start from, and its newest.
    pub(crate) steps: (u32, u32),
    /// Which network it is of; absent: of none, or of one that holds nothing yet.
    pub(crate) network_id: Option<String>,
    /// Fingerprint of its network key.
    pub(crate) key: Option<String>,
}

impl Here {
    /// What this build is, and what lies in the state directory.
    pub(crate) fn read(state: &Path, name: &DeviceName) -> Self {
        let span = migrations::schema().span;
        let key = NetworkKey::load(state).ok().flatten();
        Self {
            name: name.clone(),
            line: Version::current().line,
            steps: (span.min, span.max),
            network_id: network_of(state),
            key: key.map(|key| key.fingerprint()),
        }
    }
}

/// The network this box is of. A database that cannot be read says nothing; the CA certificate beside it still does.
fn network_of(state: &Path) -> Option<String> {
    if let Ok(mut connection) = weir_database::look(&state.join("config.db"))
        && let Ok((facts, blank)) = blank(&mut connection)
        && !facts.network_id.is_empty()
    {
        return (!blank).then_some(facts.network_id);
    }
    let pem = std::fs::read_to_string(state.join("ca.pem")).ok()?;
    weir_net::tls::first_certificate(&pem).map(|der| hex::encode(weir_net::identity::fingerprint_of(&der)))
}

/// Whether a database holds nothing but what a box makes of itself at its first start: no change of configuration was ever made in
/// it, and there is nothing in it that anybody would miss.
fn blank(connection: &mut rusqlite::Connection) -> rusqlite::Result<(Facts, bool)> {
    let facts = rehearsal::facts(connection)?;
    let tx = connection.transaction()?;
    let blank = facts.generation <= 1
        && tables::devices::all(&tx)?.len() <= 1
        && tables::locations::all(&tx)?.is_empty()
        && tables::delivery_services::all(&tx)?.0.is_empty()
        && tables::users::all(&tx)?.len() <= 1
        && tables::tokens::enrolment_all(&tx)?.is_empty()
        && tables::software_files::all(&tx)?.is_empty();
    Ok((facts, blank))
}

/// Whether this box's own network holds nothing yet, so that another's key may take the place of its own.
pub(crate) fn is_blank(state: &Path) -> bool {
    weir_database::look(&state.join("config.db")).is_ok_and(|mut connection| blank(&mut connection).is_ok_and(|(_, blank)| blank))
}

/// Whether what this box has on record says who the other managers of a network are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OnRecord {
    /// It does.
    Named,
    /// There is no record, or it is of another network.
    Nothing,
    /// There is one, and it cannot be read, for this reason.
    Unreadable(String),
}

/// The managers this box has on record in that network, and where each answers devices, with what such a record counts for. Blocks.
pub(crate) fn managers_here(state: &Path, network_id: &str) -> (Vec<(DeviceName, Option<SocketAddr>)>, OnRecord) {
    let read = weir_database::look(&state.join("config.db")).and_then(|mut connection| {
        if rehearsal::facts(&mut connection)?.network_id != network_id {
            return Ok(None);
        }
        Ok(Some(tables::devices::all(&connection.transaction()?)?))
    });
    match read {
        Ok(Some(devices)) => {
            let managers = devices.into_iter().filter(|device| device.role == Role::Manager);
            (managers.map(|device| (device.name, device.addresses.device)).collect(), OnRecord::Named)
        }
        Ok(None) | Err(DatabaseError::Absent { .. }) => (Vec::new(), OnRecord::Nothing),
        Err(error) => (Vec::new(), OnRecord::Unreadable(Chain(&error).to_string())),
    }
}

/// Refuses a backup that is not for this box and this build. Pure.
///
/// # Errors
/// The first reason against it.
pub(crate) fn allowed(manifest: &BackupManifest, here: &Here) -> Result<(), Problem> {
    let foreign = |detail: String| Problem::new(Reason::BackupForeign, detail);
    let version: Option<Version> = manifest.version.parse().ok();
    if version.is_none_or(|version| version.line != here.line) {
        let detail = format!("the backup was made by version {}, and this box runs line {}", manifest.version, here.line);
        return Err(foreign(detail).next_step("install a version of the backup's line on this box and restore it there"));
    }
    let (oldest, newest) = here.steps;
    if !(oldest..=newest).contains(&manifest.step) {
        let detail = format!("the backup is at schema step {}, and this build runs on steps {oldest} to {newest}", manifest.step);
        return Err(foreign(detail).next_step(format!("install version {} or a later one of its line", manifest.version)));
    }
    if here.network_id.as_ref().is_some_and(|id| *id != manifest.network_id) {
        let detail = format!("the backup is of another network, {} ({})", manifest.network, &manifest.network_id[..16]);
        return Err(foreign(detail).next_step("restore it on a manager of that network"));
    }
    if manifest.manager != here.name {
        let detail = format!("the backup was made on {}, and this box is {}", manifest.manager, here.name);
        return Err(foreign(detail).next_step(format!(
            "promote the standby instead (`weir cms role primary`), or restore it on a box that is called {}",
            manifest.manager
        )));
    }
    match &here.key {
        None => Err(Problem::new(
            Reason::KeyMissing,
            format!("the backup is sealed with key {}, and this box has none", manifest.key_fingerprint),
        )),
        Some(key) if *key != manifest.key_fingerprint => {
            let detail = format!("the backup is sealed with key {}, and this box has {key}", manifest.key_fingerprint);
            Err(Problem::new(Reason::KeyMissing, detail))
        }
        Some(_) => Ok(()),
    }
}

/// The highest term there can be: what a database holds as a number.
const TERM_MAX: u64 = i64::MAX.unsigned_abs();
/// How far above every known term a restore goes on while a manager is silent: it may have had terms that nobody here has heard of.
/// Well below what a device may say that it has heard.
const SILENT_STEPS: u64 = 100;

/// The term a restore, a promotion or an operator's decision goes on with: above every one this box knows of, and far above while a
/// manager may have had others that nobody here has heard of. Pure.
///
/// # Errors
/// There is none above them.
pub(crate) fn term_above(known: impl IntoIterator<Item = Option<u64>>, all_heard: bool) -> Result<u64, Problem> {
    let step = if all_heard { 1 } else { SILENT_STEPS };
    let highest = known.into_iter().flatten().max().unwrap_or(0);
    highest.checked_add(step).filter(|term| *term <= TERM_MAX).ok_or_else(|| {
        let detail = format!("term {highest} is known, and there is none above it");
        Problem::new(Reason::CmsState, detail).next_step("find out which manager, device or file names such a term")
    })
}

/// What another manager says when a restore asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) name: String,
    /// Its term, and whether it is the primary; absent: it is silent.
    pub(crate) hello: Option<(u64, bool)>,
}

/// Whether a restore may go on, by what the other managers say; returns whether all there may be were heard. Pure.
///
/// # Errors
/// One is the primary; or one is silent, or may be there unknown, and nobody has accepted what it may have.
pub(crate) fn may_take_over(said: &[Said], on_record: &OnRecord, accept_loss: bool) -> Result<bool, Problem> {
    if let Some(Said { name, hello: Some((term, true)) }) = said.iter().find(|said| said.hello.is_some_and(|(_, primary)| primary)) {
        let detail = format!("{name} is the primary of this network, in term {term}: a restore here would take it back behind its changes");
        let next = format!(
            "let this box follow it, and promote it if it is to be the primary (`weir cms role primary`); or stop {name} first: `weir cms disable` there"
        );
        return Err(Problem::new(Reason::CmsState, detail).next_step(next));
    }
    let silent = said.iter().find(|said| said.hello.is_none());
    let (detail, next) = match (silent, on_record) {
        _ if accept_loss => return Ok(silent.is_none() && *on_record == OnRecord::Named),
        (Some(Said { name, .. }), _) => (
            format!("{name} does not answer: if it is the primary, or becomes it, its changes since the backup would be lost"),
            "bring it up, or make sure that it is off for good and run `weir cms database restore FILE --accept-loss`",
        ),
        (None, OnRecord::Unreadable(why)) => (
            format!(
                "config.db of this box cannot be read ({why}): it may name a manager that the backup does not, and that is the primary"
            ),
            "make sure that no other manager of this network is the primary, then run `weir cms database restore FILE --accept-loss`",
        ),
        (None, OnRecord::Nothing) => return Ok(false),
        (None, OnRecord::Named) => return Ok(true),
    };
    Err(Problem::new(Reason::WouldLose, detail).next_step(next))
}

/// Takes the backup apart and proves it: it may be restored here, it is whole, this box's key opens it. Its database lies in the
/// scratch directory then. Blocks.
///
/// # Errors
/// The first reason against it; nothing of the box was touched.
pub(crate) fn proven(file: &Path, here: &Here, state: &Path, scratch: &Scratch) -> Result<BackupManifest, Problem> {
    let database = scratch.database();
    let manifest = file::unpack(file, &database).map_err(damaged)?;
    allowed(&manifest, here)?;
    let key = NetworkKey::load(state).map_err(|error| Problem::new(Reason::KeyMissing, Chain(&error).to_string()))?;
    let mut checks = Checks::default();
    if !rehearsal::sound(&database, &manifest, &mut checks) {
        let failed = checks.failed().map_or_else(String::new, |check| format!("{}: {}", check.check, check.detail));
        return Err(Problem::new(Reason::BackupDamaged, failed));
    }
    if !rehearsal::opens(&database, &manifest, key.as_ref(), &mut checks) {
        let failed = checks.failed().map_or_else(String::new, |check| check.detail.clone());
        return Err(Problem::new(Reason::KeyMissing, failed));
    }
    Ok(manifest)
}

fn damaged(error: BackupFileError) -> Problem {
    let detail = Chain(&error).to_string();
    match &error {
        BackupFileError::File { source, .. } | BackupFileError::Kept(source)
            if matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) =>
        {
            Problem::new(Reason::DiskFull, detail)
        }
        error if error.is_ours() => Problem::new(Reason::Internal, detail),
        _ => Problem::new(Reason::BackupDamaged, detail),
    }
}

#[cfg(test)]
mod tests;
