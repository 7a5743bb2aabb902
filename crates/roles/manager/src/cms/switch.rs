//! This box becomes another version: an image of its own archives is put into a slot, its keeper starts it on trial, and the box of the
//! new version says when the trial is over.
//!
//! ```text
//! order ── box.json: from, to ── stage: archive -> slot ── SWITCH ──> the new worker: READY ── ACCEPT ── opens what belongs to it
//!                                                                       │ tend: COMMIT, BACK, or its database goes back
//! ```
//! Two managers never share a database: the worker that leaves ends before the one that comes opens anything, and what connects
//! meanwhile waits at the listening sockets, which the keeper keeps. Decision 0012.

mod order;
mod stage;
mod tend;
mod tended;

pub(super) use tend::{run as tend, together};

use super::Cms;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_device_api::SwitchStand;
use weir_model::{Stamp, Version};
use weir_slots::{BootRecord, DataDirectory, Digest, SlotRef, boot};

/// Why a version on trial is left, in the words of the update machine.
const BACK: &str = "self_test_failed";

/// What a manager asks of its keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperAsk {
    /// Start this slot on trial.
    Switch {
        /// Its version.
        version: Version,
        /// SHA-256 of its MANIFEST, hex.
        manifest: String,
        /// (term, generation) of the word.
        stamp: Stamp,
    },
    /// The slot on trial, which is this worker's, is good.
    Commit,
    /// Go back to the slot before.
    Back {
        /// Why, in the words of the update machine.
        reason: &'static str,
    },
    /// Let this digest be tried again.
    Unburn {
        /// SHA-256 of its MANIFEST, hex.
        manifest: String,
    },
}

/// How the keeper is asked; an error is a sentence. It may block for as long as the keeper does not read.
pub type AskKeeper = Arc<dyn Fn(KeeperAsk) -> Result<(), String> + Send + Sync>;

/// What of a switch is in memory.
#[derive(Default)]
pub(crate) struct Switches {
    inner: Mutex<Inner>,
    /// One order is carried out at a time.
    working: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Inner {
    /// The order that could not be carried out, and why.
    failed: Option<(String, String)>,
    /// Being carried out: what the operator reads.
    doing: Option<String>,
    /// What the boot record said last.
    record: Option<BootRecord>,
}

impl Switches {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keeper refused what it was asked.
    pub(crate) fn refused(&self, manifest: Option<String>, detail: String) {
        if let Some(manifest) = manifest {
            self.lock().failed = Some((manifest, detail));
        }
    }

    fn fail(&self, manifest: &str, detail: String) {
        tracing::error!(detail, "this box does not become another version");
        self.lock().failed = Some((manifest.to_owned(), detail));
    }
}

/// The slot whose program this process runs, as its boot record names it; `None` when it runs from nowhere below `slots/`.
fn own_slot(data: &DataDirectory, record: &BootRecord) -> Option<SlotRef> {
    let program = std::env::current_exe().ok()?;
    let slots = std::fs::canonicalize(data.slots()).ok()?;
    let name = program.strip_prefix(&slots).ok()?.components().next()?.as_os_str().to_str()?.to_owned();
    let named = [Some(&record.active), record.trial.as_ref().map(|trial| &trial.slot), record.previous.as_ref(), record.last_good.as_ref()];
    named.into_iter().flatten().find(|slot| slot.name == name).cloned()
}

/// The slot of an image.
fn slot_of(version: Version, manifest: &str) -> Option<SlotRef> {
    Some(SlotRef::of(&version.to_string(), Digest::try_from(manifest.to_owned()).ok()?))
}

impl Cms {
    fn data(&self) -> DataDirectory {
        DataDirectory::new(&self.settings().data)
    }

    /// Reads the boot record. Blocks.
    fn boot_record(&self) -> Option<BootRecord> {
        let record = boot::read(&self.data()).ok()?.record;
        self.switches.lock().record = Some(record.clone());
        Some(record)
    }

    /// In a downgrade that is taken at the managers' command lines: what comes before this box's own steps, as long as the other
    /// manager does not run what this box has become.
    pub(super) async fn first_on_the_other_box(&self) -> Option<String> {
        let note = self.box_file().switch().filter(|note| !note.way_back && note.to == Version::current())?;
        let first = format!("on the other manager's box, unless it runs that already: weir cms software switch {}", note.to);
        (!together(self).await).then_some(first)
    }

    /// Where the switch of this box stands; `None` when none was ordered, or the last one is at its end.
    pub(crate) fn switch_stand(&self) -> Option<SwitchStand> {
        let note = self.box_file().switch()?;
        let inner = self.switches.lock();
        let (state, detail) = tended::stand(&note, inner.record.as_ref(), &inner.failed, inner.doing.as_deref());
        Some(SwitchStand { version: note.to, manifest: note.manifest, state, detail })
    }
}
