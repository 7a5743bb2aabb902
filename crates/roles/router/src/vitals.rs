//! The health table: fed by the keepalive tasks, published to the data path, kept on disk.
//!
//! Only the control runtime takes the lock. The data path reads a published copy: a change of who is live is published at
//! once, a mere renewal with the next [`Vitals::publish`], at most [`PUBLISH_MS`] later. An offload an engine speaks of is
//! written at once, and the engine is told that it is obeyed once a restart would not undo that.

use arc_swap::ArcSwap;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;
use weir_model::{DeviceName, Stamp};
use weir_routing::{
    HealthTable, Network,
    health::{Beat, EngineState, LifelineId, Replayed, SavedHealth},
};
use weir_telemetry::Chain;

/// How often renewals are published, in milliseconds: well inside the half period of grace of any profile, and it bounds
/// the copies of the table that a large network's keepalives cost.
pub(crate) const PUBLISH_MS: u64 = 50;
/// How often the table is looked at for writing, in milliseconds: a change of who is live is on disk this soon.
pub(crate) const SAVE_MS: u64 = 1_000;
/// How often it is looked whether to panic, in milliseconds: a viewer that asks within it after over half of the engines vanished
/// may be sent further away than needed, and is not refused.
pub(crate) const PANIC_LOOK_MS: u64 = 250;
/// How often mere renewals are written, in milliseconds: after a crash, replays this old at most are not known as such.
const RENEWALS_SAVE_MS: u64 = 5_000;
/// Largest health file read, in bytes: 10,000 engines need a quarter of it.
const HEALTH_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What became of a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PanicChange {
    /// Over half of the engines vanished at once.
    Began {
        /// How many.
        vanished: usize,
        /// Of how many.
        of: usize,
    },
    /// They are back, or its time has passed.
    Ended,
}

/// Who is alive, as the router knows it.
pub(crate) struct Vitals {
    /// Held while the file is written or read, so that a hand-over comes behind the last write.
    file: Mutex<HealthFile>,
    table: Mutex<Table>,
    published: ArcSwap<HealthTable>,
    /// As it was last written: what a restarted router begins with.
    durable: ArcSwap<HealthTable>,
    unsaved: Unsaved,
    save_error: Mutex<Option<String>>,
}

/// Where the table is kept, and whether this worker is the one that writes it.
struct HealthFile {
    path: PathBuf,
    is_ours: bool,
}

/// What the file does not have yet.
#[derive(Default)]
struct Unsaved {
    change: AtomicBool,
    renewal: AtomicBool,
    saved_ms: AtomicU64,
    /// There is a change an engine waits for.
    urgent: Notify,
}

impl Unsaved {
    fn is_due(&self, now_ms: u64) -> bool {
        let renewals_due = now_ms.saturating_sub(self.saved_ms.load(Ordering::Relaxed)) >= RENEWALS_SAVE_MS;
        self.change.load(Ordering::Relaxed) || (renewals_due && self.renewal.load(Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Table {
    health: HealthTable,
    lifelines: u64,
    stale: bool,
}

impl Vitals {
    /// Starts from the file; without one, or with one that cannot be read, nobody is known.
    pub(crate) fn load(file: PathBuf, now_ms: u64) -> Self {
        let health = match read(&file) {
            Ok(saved) => HealthTable::restore(&saved, now_ms),
            Err(error) if error.kind() == io::ErrorKind::NotFound => HealthTable::default(),
            Err(error) => {
                tracing::warn!(file = %file.display(), error = %Chain(&error), "health on disk not read; engines count once they are heard");
                HealthTable::default()
            }
        };
        Self {
            file: Mutex::new(HealthFile { path: file, is_ours: true }),
            published: ArcSwap::from_pointee(health.clone()),
            durable: ArcSwap::from_pointee(health.clone()),
            table: Mutex::new(Table { health, ..Table::default() }),
            unsaved: Unsaved::default(),
            save_error: Mutex::default(),
        }
    }

    /// The table the data path reads.
    pub(crate) fn published(&self) -> arc_swap::Guard<Arc<HealthTable>> {
        self.published.load()
    }

    /// A datagram whose mac was right, from an engine of the network.
    pub(crate) fn hear(&self, beat: &Beat, network: &Network) -> Result<(), Replayed> {
        let mut table = self.lock();
        let patience_ms = network.profile().keepalive_patience_ms();
        let word = |table: &Table| table.health.word(&beat.engine, beat.at_ms, patience_ms);
        let standing = |table: &Table| standing(&table.health, network, beat);
        let (said, stood) = (word(&table), standing(&table));
        table.health.accept(beat)?;
        self.unsaved.renewal.store(true, Ordering::Relaxed);
        if word(&table) != said {
            self.changed(beat);
        }
        // Stamps and shares move in every engine at once: only who may be chosen does not wait for the next publication.
        if standing(&table) == stood {
            table.stale = true;
        } else {
            self.publish_now(&mut table);
        }
        Ok(())
    }

    /// A lifeline that opened with a keepalive made for it.
    pub(crate) fn open_lifeline(&self, beat: &Beat) -> Result<LifelineId, Replayed> {
        let mut table = self.lock();
        let id = LifelineId(table.lifelines + 1);
        table.health.lifeline_up(beat, id)?;
        table.lifelines = id.0;
        self.changed(beat);
        self.publish_now(&mut table);
        Ok(id)
    }

    fn changed(&self, beat: &Beat) {
        self.unsaved.change.store(true, Ordering::Relaxed);
        if beat.state == EngineState::Offloading {
            self.unsaved.urgent.notify_one();
        }
    }

    /// The stamp of the offload an engine may be told this router obeys: the data path follows it, and would after a restart.
    pub(crate) fn obeyed(&self, network: &Network, engine: &DeviceName) -> Option<Stamp> {
        let (now, restarted) = (self.published().obeyed(network, engine)?, self.durable.load().obeyed(network, engine)?);
        Some(now.min(restarted))
    }

    /// Waits for a change that is to be written at once.
    pub(crate) async fn urgent(&self) {
        self.unsaved.urgent.notified().await;
    }

    /// A lifeline ended. Returns whether that says that the engine's worker is gone.
    pub(crate) fn lose_lifeline(&self, engine: &DeviceName, id: LifelineId) -> bool {
        let mut table = self.lock();
        let gone = table.health.lifeline_lost(engine, id);
        if gone {
            self.unsaved.change.store(true, Ordering::Relaxed);
            self.publish_now(&mut table);
        }
        gone
    }

    /// A lifeline ended because the network between fell silent, which says nothing of the engine's worker.
    pub(crate) fn silence_lifeline(&self, engine: &DeviceName, id: LifelineId) {
        // Nothing to publish: the data path does not look at lifelines that are up.
        self.lock().health.lifeline_silent(engine, id);
    }

    /// Whether no other lifeline of the engine has taken this one's place.
    pub(crate) fn holds_lifeline(&self, engine: &DeviceName, id: LifelineId) -> bool {
        self.lock().health.holds_lifeline(engine, id)
    }

    /// Forgets engines the network does not have.
    pub(crate) fn retain(&self, network: &Network) {
        let mut table = self.lock();
        table.health.retain(network);
        self.publish_now(&mut table);
    }

    /// Looks whether engines vanished by their own doing or all at once. Returns the panic that began or ended, if one did.
    pub(crate) fn look_for_panic(&self, network: &Network, now_ms: u64) -> Option<PanicChange> {
        let mut table = self.lock();
        let before = table.health.panic(now_ms).is_some();
        if !table.health.look_for_panic(network, now_ms) {
            return None;
        }
        self.publish_now(&mut table);
        match (before, table.health.panic(now_ms)) {
            (false, Some(panic)) => Some(PanicChange::Began { vanished: panic.vanished.len(), of: panic.of }),
            (true, Some(_)) => None,
            (_, None) => Some(PanicChange::Ended),
        }
    }

    /// Publishes what was renewed since the last time.
    pub(crate) fn publish(&self) {
        let mut table = self.lock();
        if table.stale {
            self.publish_now(&mut table);
        }
    }

    /// Writes the table when that is due. Blocks on the disk.
    pub(crate) fn save_when_due(&self, now_ms: u64, patience_ms: u64) {
        if self.unsaved.is_due(now_ms) {
            self.save(now_ms, patience_ms);
        }
    }

    /// Writes the table, unless another worker of this router has taken the file over. Blocks on the disk.
    pub(crate) fn save(&self, now_ms: u64, patience_ms: u64) {
        let file = self.lock_file();
        if file.is_ours {
            self.write(&file.path, now_ms, patience_ms);
        }
    }

    /// Writes the table for the last time: what another worker of this router writes from then on stands. Blocks on the disk.
    pub(crate) fn hand_over(&self, now_ms: u64, patience_ms: u64) {
        let mut file = self.lock_file();
        if file.is_ours {
            self.write(&file.path, now_ms, patience_ms);
            file.is_ours = false;
        }
    }

    /// Begins with what another worker of this router left in the file, in the place of all that is known here, and writes it from
    /// then on. Without a file that can be read it goes on with what it knows. Blocks on the disk.
    pub(crate) fn take_over(&self, now_ms: u64) {
        let mut file = self.lock_file();
        file.is_ours = true;
        let health = match read(&file.path) {
            Ok(saved) => HealthTable::restore(&saved, now_ms),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(file = %file.path.display(), error = %Chain(&error), "health of the worker before not read");
                return;
            }
        };
        let mut table = self.lock();
        table.health = health.clone();
        self.durable.store(Arc::new(health));
        self.publish_now(&mut table);
    }

    fn write(&self, file: &Path, now_ms: u64, patience_ms: u64) {
        self.unsaved.change.store(false, Ordering::Relaxed);
        self.unsaved.renewal.store(false, Ordering::Relaxed);
        self.unsaved.saved_ms.store(now_ms, Ordering::Relaxed);
        let health = self.lock().health.clone();
        let bytes = serde_json::to_vec(&health.save(now_ms, patience_ms)).expect("names and numbers are JSON");
        let failure = weir_slots::durable_write(file, &bytes).err().map(|error| Chain(&error).to_string());
        match &failure {
            None => self.durable.store(Arc::new(health)),
            Some(error) => {
                self.unsaved.change.store(true, Ordering::Relaxed);
                tracing::warn!(file = %file.display(), error, "health not written");
            }
        }
        *self.save_error.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Why the last write failed, if it did.
    pub(crate) fn save_error(&self) -> Option<String> {
        self.save_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish_now(&self, table: &mut Table) {
        table.stale = false;
        self.published.store(Arc::new(table.health.clone()));
    }

    fn lock_file(&self) -> MutexGuard<'_, HealthFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an engine takes viewers, and whether its own name may lead to it.
fn standing(health: &HealthTable, network: &Network, beat: &Beat) -> (bool, bool) {
    let takes = network.engine(&beat.engine).is_some_and(|engine| health.admits(network, engine, beat.at_ms).is_ok());
    (takes, health.is_up(&beat.engine, beat.at_ms, network.profile().keepalive_patience_ms()))
}

fn read(file: &Path) -> io::Result<Vec<SavedHealth>> {
    if std::fs::metadata(file)?.len() > HEALTH_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than any health table"));
    }
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

#[cfg(test)]
mod tests;
