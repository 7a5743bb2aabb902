//! An order to become another version, carried out.

use super::{KeeperAsk, slot_of, stage};
use crate::cms::{Cms, SwitchNote};
use std::{path::PathBuf, sync::Arc};
use weir_device_api::SwitchOrder;
use weir_operator_api::{Problem, Reason};

impl Cms {
    /// Begins to become what is ordered; that it runs already, or is on its way there, is fine. `way_back`: its database may go back
    /// without an operator. Returns once the order is noted; the rest is done beside.
    ///
    /// # Errors
    /// Another order is being carried out; this box has no keeper; the disk.
    pub(crate) async fn become_version(self: &Arc<Self>, order: SwitchOrder, way_back: bool) -> Result<(), Problem> {
        let refused = |detail: String| Problem::new(Reason::SwitchRefused, detail);
        let Some(keeper) = self.settings().keeper.clone() else {
            return Err(refused("this manager runs without a keeper, which is what starts another version".to_owned()));
        };
        let Some(target) = slot_of(order.version, &order.manifest) else {
            return Err(refused(format!("{:?} is no digest of a MANIFEST", order.manifest)));
        };
        let Ok(turn) = Arc::clone(&self.switches.working).try_lock_owned() else { return Ok(()) };
        let of_box = Arc::clone(self);
        let record = tokio::task::spawn_blocking(move || of_box.boot_record()).await.ok().flatten();
        let record = record.ok_or_else(|| refused("the boot record of this box cannot be read".to_owned()))?;
        if *record.to_start() == target {
            return Ok(());
        }
        if record.trial.is_some() && record.active == target {
            // It is where the trial came from.
            let asked = tokio::task::spawn_blocking(move || keeper(KeeperAsk::Back { reason: super::BACK })).await;
            return asked.unwrap_or_else(|error| Err(error.to_string())).map_err(refused);
        }
        if let Some(trial) = &record.trial {
            return Err(refused(format!("{} is on trial on this box", trial.slot.version)));
        }
        if order.again {
            self.switches.lock().failed = None;
            if record.burned.contains(&target.manifest) {
                let (asks, manifest) = (Arc::clone(&keeper), order.manifest.clone());
                let asked = tokio::task::spawn_blocking(move || asks(KeeperAsk::Unburn { manifest })).await;
                asked.unwrap_or_else(|error| Err(error.to_string())).map_err(refused)?;
            }
        } else if self.switches.lock().failed.as_ref().is_some_and(|(manifest, _)| *manifest == order.manifest) {
            return Ok(());
        } else if record.burned.contains(&target.manifest) {
            return Err(refused(format!("{} fell back on this box before", order.version)));
        }
        let from = weir_model::version().parse().map_err(|_| refused("this build has no version".to_owned()))?;
        let note = SwitchNote { stamp: order.stamp, from, to: order.version, manifest: order.manifest.clone(), way_back };
        let file = Arc::clone(self.box_file());
        let written = tokio::task::spawn_blocking(move || file.set_switch(note)).await;
        let written = written.unwrap_or_else(|_| Err(std::io::ErrorKind::Interrupted.into()));
        written.map_err(|error| Problem::new(Reason::Internal, format!("box.json cannot be written: {error}")))?;
        tracing::info!(to = %order.version, stamp = ?order.stamp, "this box becomes another version");
        self.switches.lock().doing = Some(format!("its image of {} is made ready", order.version));
        let of_box = Arc::clone(self);
        self.tasks.spawn("switch", async move {
            let _turn = turn;
            let (of_task, wanted) = (Arc::clone(&of_box), order.clone());
            let begun = tokio::task::spawn_blocking(move || {
                let now_s = weir_clock::wall_seconds();
                stage::into_slot(&of_task.data(), of_task.state_directory(), &record, &wanted, now_s)?;
                keeper(KeeperAsk::Switch { version: wanted.version, manifest: wanted.manifest, stamp: wanted.stamp })
            });
            let begun = begun.await.unwrap_or_else(|error| Err(error.to_string()));
            of_box.switches.lock().doing = None;
            if let Err(why) = begun {
                of_box.switches.fail(&order.manifest, why);
            }
        });
        Ok(())
    }

    /// Puts an image into a slot beside the one that runs, and says where its program is.
    ///
    /// # Errors
    /// Why it is not there.
    pub(crate) async fn stage_version(self: &Arc<Self>, order: SwitchOrder) -> Result<PathBuf, Problem> {
        let _turn = self.switches.working.lock().await;
        let of_box = Arc::clone(self);
        let staged = tokio::task::spawn_blocking(move || {
            let record = of_box.boot_record().ok_or_else(|| "the boot record of this box cannot be read".to_owned())?;
            let data = of_box.data();
            let slot = stage::into_slot(&data, of_box.state_directory(), &record, &order, weir_clock::wall_seconds())?;
            Ok(data.slot(&slot.name).join(weir_slots::PROGRAM))
        });
        let staged: Result<PathBuf, String> = staged.await.unwrap_or_else(|error| Err(error.to_string()));
        staged.map_err(|why| Problem::new(Reason::SwitchRefused, format!("its image cannot be made ready on this box: {why}")))
    }
}
