//! `weir cms database`: backups of this box's database, restore, rehearsal, validation, maintenance.

mod schedule;
mod show;

use super::{ThisBox, path};
use crate::{
    api_client::{ApiClient, escape},
    cli::{DatabaseVerb, Format},
    output,
};
use anyhow::{Context, ensure};
use std::{
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};
use weir_operator_api::{
    Backup, BackupConfirmation, BackupRecovery, BackupRequest, Backups, Maintained, MaintenanceRequest, Rehearsal, Restored, Validation,
    paths,
};

/// Patience with a backup that is made and copied, and with a restore.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

pub(super) async fn run(this: &ThisBox, format: Format, verb: DatabaseVerb) -> anyhow::Result<()> {
    let api = &this.api;
    match verb {
        DatabaseVerb::Backup { rehearse } => {
            let made: Backup = api.post_kept_back(paths::BACKUPS, &BackupRequest { rehearse }, PATIENCE).await?;
            output::print(format, &made, show::made)
        }
        DatabaseVerb::Backups => {
            let known: Backups = api.get(paths::BACKUPS).await?;
            output::print(format, &known, show::list)
        }
        DatabaseVerb::Fetch { name, from, to } => {
            if let Some(engine) = from {
                let _: Backup = api.post_kept_back(&format!("{}/recover", of(&name)), &BackupRecovery { engine }, PATIENCE).await?;
            }
            fetch(api, format, &name, &to).await
        }
        DatabaseVerb::Delete { name } => {
            api.delete(&of(&name)).await?;
            output::print(format, &serde_json::json!({ "deleted": name }), |_| format!("{name} deleted on this box; copies elsewhere stay"))
        }
        DatabaseVerb::Confirm { name, sha256 } => {
            let backup: Backup = api.post(&format!("{}/confirm", of(&name)), &BackupConfirmation { sha256 }).await?;
            output::print(format, &backup, |backup| format!("{}: proven", backup.name))
        }
        DatabaseVerb::Restore { file, accept_loss } => restore(api, format, &file, accept_loss).await,
        DatabaseVerb::Rehearse { file } => rehearse(this, format, &file).await,
        DatabaseVerb::Validate { file } => validate(this, format, file.as_deref()).await,
        DatabaseVerb::Maintenance { full } => {
            let request = MaintenanceRequest { full };
            let done: Maintained = api.post_kept_back(&path("/database/maintenance"), &request, PATIENCE).await?;
            output::print(format, &done, show::maintained)
        }
        DatabaseVerb::Schedule(arguments) => schedule::run(api, format, &arguments).await,
        DatabaseVerb::Downgrade(_) => unreachable!("`run` of the module above takes it"),
    }
}

/// Of a file, or of a backup that the box has by this name.
async fn restore(api: &ApiClient, format: Format, file: &Path, accept_loss: bool) -> anyhow::Result<()> {
    let restore = |query: String| path(&format!("/database/restore?accept_loss={accept_loss}{query}"));
    let done: Restored = match name_of(file) {
        Some(name) => api.post_kept_back(&restore(format!("&backup={}", escape(name))), &serde_json::json!({}), PATIENCE).await?,
        None => api.post_file(&restore(String::new()), file, PATIENCE).await?,
    };
    output::print(format, &done, show::restored)
}

/// What is typed is the name of a backup on the box: a bare name, and no file here has it.
fn name_of(file: &Path) -> Option<&str> {
    let name = file.to_str().filter(|name| !name.contains('/') && name.ends_with(".weirbackup"))?;
    (!file.exists()).then_some(name)
}

fn of(name: &str) -> String {
    format!("{}/{}", paths::BACKUPS, escape(name))
}

/// To a new file that its owner alone may read; what came before a break is removed.
async fn fetch(api: &ApiClient, format: Format, name: &str, to: &Path) -> anyhow::Result<()> {
    let known: Backups = api.get(paths::BACKUPS).await?;
    let backup = known.items.into_iter().find(|backup| backup.name == name).with_context(|| format!("there is no backup {name}"))?;
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(to);
    let mut file = BufWriter::new(file.with_context(|| format!("create {}", to.display()))?);
    let came = async {
        api.download(&of(name), backup.bytes, &mut file).await?;
        file.flush().context("write the file")?;
        file.get_ref().sync_all().context("write the file")?;
        let (bytes, sha256) = show::measured(to)?;
        ensure!(sha256 == backup.sha256, "what came has SHA-256 {sha256} ({bytes} bytes), and not {}", backup.sha256);
        Ok(())
    };
    if let Err(error) = came.await {
        // Half a backup is none.
        let _ = std::fs::remove_file(to);
        return Err(error);
    }
    output::print(format, &backup, |backup| {
        format!(
            "{} is whole: SHA-256 {}\ntake it to another machine, then run `weir cms database confirm {} SHA256` with what `sha256sum` says there",
            to.display(),
            backup.sha256,
            backup.name
        )
    })
}

/// With this program, whether a worker runs or not: a build that is not installed yet rehearses so.
async fn rehearse(this: &ThisBox, format: Format, file: &Path) -> anyhow::Result<()> {
    let (state, file) = (this.state(), file.to_owned());
    let tried = tokio::task::spawn_blocking(move || weir_manager::rehearse_backup(&state, &file)).await?;
    let (_, rehearsal): (_, Rehearsal) = tried.context("make a scratch copy")?;
    let passed = rehearsal.passed;
    output::print(format, &rehearsal, |rehearsal| show::checks(&rehearsal.checks))?;
    ensure!(passed, "the backup would not restore here");
    Ok(())
}

async fn validate(this: &ThisBox, format: Format, file: Option<&Path>) -> anyhow::Result<()> {
    let found: Validation = match file {
        Some(file) => this.api.post_file(&path("/database/validate"), file, PATIENCE).await?,
        None => this.api.post_kept_back(&path("/database/validate"), &serde_json::json!({}), PATIENCE).await?,
    };
    let passed = found.passed;
    output::print(format, &found, |found| show::checks(&found.checks))?;
    ensure!(passed, "not sound");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_that_is_no_file_here_is_one_on_the_box() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("demo-r1.weirbackup");
        std::fs::write(&there, "a backup").unwrap();
        assert_eq!(name_of(Path::new("demo-r2.weirbackup")), Some("demo-r2.weirbackup"));
        for file in [there.as_path(), Path::new("/backups/demo-r2.weirbackup"), Path::new("demo")] {
            assert_eq!(name_of(file), None, "{}", file.display());
        }
    }
}
