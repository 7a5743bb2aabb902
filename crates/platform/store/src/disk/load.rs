//! Back to RAM: the head first, then slice by slice through a fill, so that readers stream while it loads.

use super::{
    desk::{Disk, Job},
    format::Place,
    hash_of,
    record::{Head, SLICE_FRONT_BYTES},
    segment::ReadError,
    table::Held,
    tier::Tier,
};
use crate::{AbortReason, Appended, Fill, Object, Store};
use bytes::Bytes;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, futures::OwnedNotified, oneshot};

/// Threads that read.
pub(crate) const LOADERS: usize = 4;
/// Objects being brought back at once.
pub(crate) const LOADS_MAX: usize = 256;
/// Who comes when there are as many waits this long, and then finds nothing: the disk is too slow for what is asked of it.
const LOAD_WAIT: Duration = Duration::from_secs(1);
/// Whoever asks for an object waits this long in all, whatever the disk does, and then finds nothing.
const LOAD_TIME: Duration = Duration::from_secs(3);
/// How often a fill that passes through is asked for room, so that readers who hold others back are found.
const ROOM_EVERY: Duration = Duration::from_secs(1);

/// What is known of a key on the disk without reading.
enum Look<H> {
    /// The object has just left RAM and waits for the writer.
    Queued(Arc<Object<H>>),
    /// Another load of the key is at it.
    Wait(OwnedNotified),
    /// This load is the one.
    Lead(Lead<H>, Vec<Held>),
}

/// The one load of a key; when it is dropped the others look again.
struct Lead<H> {
    disk: Arc<Disk<H>>,
    hash: u64,
}

impl<H> Drop for Lead<H> {
    fn drop(&mut self) {
        if let Some(waiting) = self.disk.lock().loading.remove(&self.hash) {
            waiting.notify_waiters();
        }
    }
}

/// A head that was read.
struct Found<H> {
    place: Place,
    record: Head,
    head: H,
}

type Ready<H> = oneshot::Sender<Arc<Object<H>>>;

/// What belongs to a load until its object can be read.
struct Order<H> {
    lead: Lead<H>,
    ready: Ready<H>,
}

/// An object that is being brought back.
struct Begun<H> {
    order: Order<H>,
    permit: OwnedSemaphorePermit,
    place: Place,
    record: Head,
    fill: Fill<H>,
}

impl<H: Send + Sync + 'static> Store<H> {
    /// Looks on the disk for the newest variant of `key` that `wanted` accepts and brings it back to RAM; counts as a use
    /// of it. To be asked when [`Store::find`] found nothing, and before a fill of the key is begun: a fill replaces what
    /// is in RAM only.
    ///
    /// The object may still be filling when it is returned; its first slice is there. Concurrent loads of a key are one.
    /// `None`: there is none, it is damaged, too much is being loaded, or RAM has no room; then it is gone from the disk too.
    pub async fn load(&self, key: &str, wanted: impl Fn(&H) -> bool) -> Option<Arc<Object<H>>> {
        let tier = self.inner.disk.as_ref()?;
        // Here, not on the threads that read: those may all hang.
        match tokio::time::timeout(LOAD_TIME, self.look_on_disk(tier, key, wanted)).await {
            Ok(found) => found,
            Err(_) => {
                tier.disk.forget_key(&mut tier.disk.lock(), hash_of(key));
                None
            }
        }
    }

    async fn look_on_disk(&self, tier: &Tier<H>, key: &str, wanted: impl Fn(&H) -> bool) -> Option<Arc<Object<H>>> {
        let hash = hash_of(key);
        let (lead, held) = loop {
            match tier.disk.look(key, hash, &wanted)? {
                Look::Queued(object) => return Some(self.put_back(object)),
                Look::Wait(over) => over.await,
                Look::Lead(lead, held) => break (lead, held),
            }
            if let Some(object) = self.find(key, &wanted) {
                return Some(object);
            }
        };
        // Another load may have ended before this one became the one.
        if let Some(object) = self.find(key, &wanted) {
            return Some(object);
        }
        let (tell, heads) = oneshot::channel();
        let (disk, wanted_key, places) = (tier.disk.clone(), key.to_owned(), held.iter().map(|held| held.place).collect::<Vec<_>>());
        tier.spawn(async move {
            let permit = tokio::time::timeout(LOAD_WAIT, disk.loads_left.clone().acquire_owned()).await;
            if let Ok(Ok(permit)) = permit {
                tell.send((permit, disk.heads(hash, &wanted_key, held))).ok();
            }
        });
        let Ok((permit, found)) = heads.await else {
            // The disk is too slow, and which head the fill that comes next replaces was not read.
            tier.disk.forget_key(&mut tier.disk.lock(), hash);
            return None;
        };
        let Some(found) = found.into_iter().find(|found| wanted(&found.head)) else {
            tier.disk.forget_moved(hash, &places);
            return None;
        };
        let (place, (ready, is_ready)) = (found.place, oneshot::channel());
        let begun = self.bring(Order { lead, ready }, permit, found);
        let brought = if begun.is_some() { is_ready.await.ok() } else { None };
        brought.or_else(|| {
            // A fill comes next, and replaces it here only.
            tier.disk.forget(&mut tier.disk.lock(), hash, place);
            tier.disk.forget_moved(hash, &places);
            self.find(key, wanted)
        })
    }

    fn bring(&self, order: Order<H>, permit: OwnedSemaphorePermit, found: Found<H>) -> Option<()> {
        let Found { place, record, head } = found;
        let tier = self.inner.disk.as_ref()?;
        let memory_bytes = (tier.disk.codec.memory_bytes)(&head);
        let fill = self.begin_load(&record.key, head, memory_bytes, record.length, place)?;
        let (store, begun) = (self.clone(), Begun { order, permit, place, record, fill });
        tier.spawn(async move { store.pump(begun).await });
        Some(())
    }

    /// Reads an object's slices into its fill.
    async fn pump(self, begun: Begun<H>) {
        let Begun { order, permit: _permit, place, record, mut fill } = begun;
        let disk = order.lead.disk.clone();
        // The object can be read once its first slice is there, and one of a single slice when it is whole.
        let mut order = Some(order);
        for index in 0..record.slices.len() {
            let slice = match disk.slice(&record, index) {
                Ok(slice) => Bytes::from(slice).slice(SLICE_FRONT_BYTES..),
                Err(error) => {
                    disk.lost(record.hash, place, &error);
                    return fill.abort(AbortReason::Upstream);
                }
            };
            let appended = fill.append(slice);
            if appended != Appended::Stored {
                // Who needs it whole fills the key next, and replaces it here only.
                disk.forget(&mut disk.lock(), record.hash, place);
            }
            match appended {
                Appended::Stored => {}
                Appended::NoRoom => return,
                // Nobody reads it yet: it is as if it were not there.
                Appended::Passing if order.is_some() => return fill.abort(AbortReason::NoRoom),
                Appended::Passing => {
                    if let Err(reason) = has_room(&fill).await {
                        return fill.abort(reason);
                    }
                }
            }
            if index + 1 < record.slices.len()
                && let Some(order) = order.take()
            {
                let Some(ready) = self.publish(order, &record, place, fill.object()) else { return fill.abort(AbortReason::Abandoned) };
                // Who asked may have gone.
                ready.send(fill.object().clone()).ok();
            }
            tokio::task::yield_now().await;
        }
        let object = fill.object().clone();
        if fill.finish().is_ok()
            && let Some(ready) = order.and_then(|order| self.publish(order, &record, place, &object))
        {
            // Who has the object may drop the store, and means it.
            drop(self);
            ready.send(object).ok();
        }
    }

    /// Lets everybody find an object; who asked is to be told next. `None`: it is not right any more.
    fn publish(&self, order: Order<H>, record: &Head, place: Place, object: &Arc<Object<H>>) -> Option<Ready<H>> {
        let Order { lead, ready } = order;
        let mut desk = lead.disk.lock();
        // Under the lock: who removes it meanwhile finds it either on disk or in RAM.
        let is_right = desk.index.mark_used(record.hash, place);
        if is_right {
            self.link_load(object);
            lead.disk.loads.fetch_add(1, Ordering::Relaxed);
        }
        drop(desk);
        is_right.then_some(ready)
    }
}

/// Waits for room in the window of a fill that passes through.
async fn has_room<H>(fill: &Fill<H>) -> Result<(), AbortReason> {
    loop {
        if let Ok(room) = tokio::time::timeout(ROOM_EVERY, fill.room(weir_clock::monotonic())).await {
            return room;
        }
    }
}

impl<H> Disk<H> {
    fn look(self: &Arc<Self>, key: &str, hash: u64, wanted: impl Fn(&H) -> bool) -> Option<Look<H>> {
        let mut desk = self.lock();
        let queued = desk.queue.iter().rev().filter_map(Job::object).chain(&desk.writing);
        let is_it = |object: &&Arc<Object<H>>| object.key() == key && object.disk.may_be_written() && wanted(object.head());
        if let Some(object) = queued.into_iter().find(is_it) {
            return Some(Look::Queued(object.clone()));
        }
        let held = desk.index.of(hash);
        if held.is_empty() {
            // Also while something of it is being brought back: that is not right any more.
            return None;
        }
        if let Some(loading) = desk.loading.get(&hash) {
            return Some(Look::Wait(loading.clone().notified_owned()));
        }
        desk.loading.insert(hash, Arc::new(Notify::new()));
        drop(desk);
        Some(Look::Lead(Lead { disk: self.clone(), hash }, held))
    }

    /// Reads heads, in order; what cannot be read is left out.
    fn heads(&self, hash: u64, key: &str, held: Vec<Held>) -> Vec<Found<H>> {
        let read = |held: Held| match self.head(hash, &held) {
            Ok(record) if record.key != key => None,
            Ok(record) => {
                let head = (self.codec.read)(&record.head);
                if head.is_none() {
                    self.lost(hash, held.place, &ReadError::Damaged);
                }
                head.map(|head| Found { place: held.place, record, head })
            }
            Err(error) => {
                self.lost(hash, held.place, &error);
                None
            }
        };
        held.into_iter().filter_map(read).collect()
    }

    /// Forgets the heads of a key that are not where they were when they were looked up. Reclaiming copied them meanwhile,
    /// so that they were not read, and who fills the key next cannot say which of them it replaces.
    fn forget_moved(&self, hash: u64, places: &[Place]) {
        let mut desk = self.lock();
        for held in desk.index.of(hash).iter().filter(|held| !places.contains(&held.place)) {
            self.forget(&mut desk, hash, held.place);
        }
    }

    /// An object cannot be read: it is forgotten.
    fn lost(&self, hash: u64, place: Place, error: &ReadError) {
        if matches!(error, ReadError::Gone) {
            self.lock().index.remove(hash, place);
            return;
        }
        tracing::warn!(place = %place, error = %error, "an object on disk is lost");
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        self.forget(&mut self.lock(), hash, place);
    }
}
