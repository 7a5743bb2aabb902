//! A backup back from an engine's vault onto this box: one that this box has deleted, or never knew.

use super::{
    directory, places,
    records::{self, ON_THE_BOX, note_copy, unkept},
    room::{self, Temporary},
    shelf::{Returned, UnderWay, Wanted},
};
use crate::app::App;
use sha2::{Digest, Sha256};
use std::{fs, path::Path};
use weir_device_api::{Ask, VAULT_BYTES_MAX};
use weir_model::{DeviceName, Role};
use weir_operator_api::{Backup, BackupCopy, Problem, Reason};

/// Gets it; what came is this box's only once it is what the record says, or is whole and of this network.
pub(super) async fn recovered(app: &App, name: &str, engine: &DeviceName, stages: &UnderWay<'_>) -> Result<Backup, Problem> {
    stages.stage(format!("engine {engine}"));
    let known = records::known(app, name).await?;
    if known.is_some() && records::file_of(app, name).await.is_ok() {
        return records::find(app, name).await;
    }
    if app.network().devices.get(engine).is_none_or(|device| device.role != Role::Engine) {
        return Err(Problem::new(Reason::WrongRole, format!("{engine} is no engine; engines keep backups")));
    }
    // Nobody knows the hash of one that is unknown here: what it is asked for by only has to be its own.
    let (sha256, bytes_max) = match &known {
        Some(backup) => (backup.sha256.clone(), backup.bytes),
        None => (hex::encode(Sha256::digest(name)), VAULT_BYTES_MAX),
    };
    let directory = directory(&app.directory);
    let place = directory.clone();
    let begun = tokio::task::spawn_blocking(move || {
        room::needed(&place, bytes_max, "the backup")?;
        Temporary::new(place.join(".recovered")).map_err(unkept)
    });
    let coming = begun.await.unwrap_or_else(|_| Err(lost()))?;
    given(app, engine, name, &sha256, Wanted { bytes_max, keep: Some(coming.path().to_owned()) }).await?;

    let (of, path, network) = (name.to_owned(), directory.join(name), hex::encode(app.authority.fingerprint()));
    let known_sha256 = known.as_ref().map(|backup| backup.sha256.clone());
    let taken = tokio::task::spawn_blocking(move || {
        let came = records::adopted(of, coming.path()).map_err(|error| {
            let detail = format!("what the engine gave is no backup: {}", weir_telemetry::Chain(&error));
            Problem::new(Reason::BackupDamaged, detail)
        })?;
        belongs(&came, known_sha256.as_deref(), &network)?;
        fs::rename(coming.path(), &path).and_then(|()| synced(&path)).map_err(unkept)?;
        Ok(came)
    });
    let mut came: Backup = taken.await.unwrap_or_else(|_| Err(lost()))?;
    note_copy(&mut came, vault(engine));
    tracing::info!(backup = name, engine = engine.as_str(), "backup back on this box");
    match known {
        None => records::insert(app, came).await,
        Some(_) => {
            let copies = came.copies;
            records::change(app, name, move |backup| copies.into_iter().for_each(|copy| note_copy(backup, copy))).await
        }
    }
}

fn lost() -> Problem {
    Problem::new(Reason::Internal, "getting the backup back failed")
}

fn vault(engine: &DeviceName) -> BackupCopy {
    BackupCopy { place: format!("engine {engine}"), elsewhere: true, proven: true, detail: None }
}

fn synced(path: &Path) -> std::io::Result<()> {
    fs::File::open(path)?.sync_all()?;
    fs::File::open(path.parent().expect("backups lie in a directory"))?.sync_all()
}

/// The one that is known, or one of this network.
fn belongs(came: &Backup, known_sha256: Option<&str>, network: &str) -> Result<(), Problem> {
    if known_sha256.is_some_and(|known| known != came.sha256) {
        let detail = format!("what the engine gave has SHA-256 {}, and not that of {}", came.sha256, came.name);
        return Err(Problem::new(Reason::BackupDamaged, detail));
    }
    if came.manifest.network_id != network {
        return Err(Problem::new(Reason::BackupForeign, format!("what the engine gave is of network {}", came.manifest.network)));
    }
    debug_assert!(came.copies.iter().any(|copy| copy.place == ON_THE_BOX), "it lies here");
    Ok(())
}

/// Asks the engine and waits until all of it came.
async fn given(app: &App, engine: &DeviceName, name: &str, sha256: &str, wanted: Wanted) -> Result<(), Problem> {
    let patience = places::patience(wanted.bytes_max);
    let wanting = app.backups.want(engine, sha256, wanted);
    let give = Ask::VaultGive { sha256: sha256.to_owned(), name: name.to_owned() };
    let refused = |why: String| Problem::new(Reason::NotFound, format!("{engine} did not give {name}: {why}"));
    places::has(app.asks.ask(engine, give, patience).await).map_err(refused)?;
    match wanting.take() {
        Some(Returned::Came { .. }) => Ok(()),
        Some(Returned::Broken(how)) => Err(refused(how)),
        None => Err(refused("it said that it gave it back, and nothing came".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::records::tests::made;

    #[test]
    fn only_what_is_known_or_of_this_network_is_taken() {
        let came = made("a", 1, "manager");
        let network = came.manifest.network_id.clone();
        assert_eq!(belongs(&came, None, &network), Ok(()));
        assert_eq!(belongs(&came, Some(&came.sha256), &network), Ok(()));
        let reason = |known, network: &str| belongs(&came, known, network).expect_err("refused").reason;
        assert_eq!(reason(Some("ff"), &network), Reason::BackupDamaged);
        assert_eq!(reason(None, "00"), Reason::BackupForeign);
    }
}
