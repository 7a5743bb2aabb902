//! What the pages of backups ask of the manager: the same as the operator API does.

use crate::{app::App, backup, change::Caller};
use std::{sync::Arc, time::Duration};
use weir_model::AlarmReason;
use weir_operator_api::{Backup, BackupRequest, BackupSchedule, BackupUnderWay, Problem};

/// A backup that is made within this time is shown at once; another one goes on while the list shows how far it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// What there is to see.
pub(super) struct Sight {
    pub(super) backups: Vec<Backup>,
    pub(super) under_way: Option<BackupUnderWay>,
    pub(super) schedule: BackupSchedule,
    /// Fingerprint of the network key while nobody confirmed that it is kept elsewhere; empty: somebody did.
    pub(super) unescrowed: String,
    /// Why the newest backup of the schedule is not worth what it should be; empty: it is.
    pub(super) unproven: String,
}

pub(super) async fn sight(app: &Arc<App>) -> Result<Sight, Problem> {
    let (listed, schedule) = (backup::list(app).await?, backup::schedule(app).await?);
    let alarms = backup::alarms(app);
    let told = |reason: AlarmReason| alarms.iter().find(|(key, _)| key.reason == reason).map(|(_, text)| text.clone());
    let unescrowed = told(AlarmReason::KeyNotEscrowed).map(|_| app.network().seal.fingerprint().to_owned());
    Ok(Sight {
        backups: listed.items,
        under_way: listed.under_way,
        schedule,
        unescrowed: unescrowed.unwrap_or_default(),
        unproven: told(AlarmReason::BackupUnproven).unwrap_or_default(),
    })
}

/// Orders a backup; `None` when it is still being made.
pub(super) async fn make(app: &Arc<App>, caller: Caller, request: BackupRequest) -> Result<Option<Backup>, Problem> {
    match tokio::time::timeout(PATIENCE, backup::make(app, caller, request)).await {
        Ok(made) => made.map(Some),
        Err(_) => Ok(None),
    }
}

/// One backup, and whether one is being made.
pub(super) async fn one(app: &Arc<App>, name: &str) -> Result<Backup, Problem> {
    let listed = backup::list(app).await?;
    listed.items.into_iter().find(|backup| backup.name == name).ok_or_else(|| crate::domain::fields::absent("backup", name))
}
