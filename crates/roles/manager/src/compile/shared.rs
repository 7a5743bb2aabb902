//! Documents as they are sent: compiled and written once for all devices that differ in nothing but their name.
//!
//! A change wakes every device's poll. What each is sent is the same, but for its name, for all engines of a location; and the
//! addresses of all engines for all of them.

use super::{line, own_document};
use crate::{
    compressed::{Coding, Part},
    snapshot::{DeviceRecord, Snapshot},
};
use hyper::body::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;
use weir_model::{DeviceName, Line, LocationName, Role, Stamp};

/// Documents kept of one stamp; those of further locations are written for each device anew.
const KEPT_MAX: usize = 1_024;
/// Bytes of the documents kept of one stamp, in both codings. An engine's is some tens of KiB in a large network, so all of them have room; a
/// router's carries every coverage zone, some 60 MB of a million, so a few have.
const KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What decides a document beside the network and the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    role: &'static str,
    active: bool,
    location: Option<LocationName>,
    below: Option<Line>,
    /// A router out of service is told the word for itself: its document is nobody else's.
    own: Option<DeviceName>,
}

impl Kind {
    fn of(device: &DeviceRecord, below: Option<Line>) -> Self {
        let own = (device.role == Role::Router && !device.active).then(|| device.name.clone());
        Self { role: device.role.as_str(), active: device.active, location: device.location.clone(), below, own }
    }
}

/// A document, written, without the device's name.
#[derive(Debug)]
pub(crate) struct Written {
    before: Bytes,
    /// What follows the name: nearly all of it, shared.
    after: Part,
    /// Its end, when that is shared by all engines.
    end: Option<Part>,
}

impl Written {
    /// What begins the document of the device with this name.
    pub(crate) fn head(&self, device: &DeviceRecord) -> Vec<u8> {
        [&self.before, device.name.as_str().as_bytes()].concat()
    }

    /// What follows that, in order.
    pub(crate) fn rest(&self, coding: Coding) -> [Bytes; 2] {
        [self.after.encoded(coding), self.end.as_ref().map_or_else(Bytes::new, |end| end.encoded(coding))]
    }

    /// Bytes of what this document does not share with those of other kinds.
    fn bytes(&self) -> usize {
        self.before.len() + self.after.bytes()
    }
}

/// The documents of the newest stamp that was asked for.
#[derive(Default)]
pub(crate) struct Documents {
    kept: Arc<Mutex<Kept>>,
}

/// Where a document will be: all devices that wait for it are woken at once.
type Place = watch::Receiver<Option<Arc<Written>>>;

/// A document that is to be written.
struct Wanted {
    network: Arc<Snapshot>,
    device: DeviceRecord,
    below: Option<Line>,
    kind: Kind,
    place: watch::Sender<Option<Arc<Written>>>,
}

#[derive(Default)]
struct Kept {
    stamp: Stamp,
    documents: BTreeMap<Kind, Place>,
    /// What all engines' documents end with.
    end: Option<Part>,
    bytes: usize,
    /// What is still to be written, in the order it was asked for.
    wanted: VecDeque<Wanted>,
    /// Whether somebody is at it.
    is_writing: bool,
}

/// There is no document: whoever writes them has ended.
#[derive(Debug)]
pub(crate) struct Ended;

impl Kept {
    /// Begins anew with a newer stamp.
    fn at(&mut self, stamp: Stamp) {
        if self.stamp < stamp {
            *self = Self { stamp, wanted: std::mem::take(&mut self.wanted), is_writing: self.is_writing, ..Self::default() };
        }
    }

    /// Where a document is or will be; what was not asked for before is wanted from now on.
    fn place(&mut self, network: &Arc<Snapshot>, device: &DeviceRecord, below: Option<Line>) -> Place {
        let kind = Kind::of(device, below);
        self.at(network.stamp);
        // One that is left, say by a panic where it was to be written, is wanted anew.
        let there =
            self.documents.get(&kind).filter(|place| self.stamp == network.stamp && (place.borrow().is_some() || is_awaited(place)));
        if let Some(place) = there {
            return place.clone();
        }
        let (sender, place) = watch::channel(None);
        if self.stamp == network.stamp {
            self.documents.insert(kind.clone(), place.clone());
        }
        self.wanted.push_back(Wanted { network: Arc::clone(network), device: device.clone(), below, kind, place: sender });
        place
    }

    fn end(&self, stamp: Stamp) -> Option<Part> {
        self.end.clone().filter(|_| self.stamp == stamp)
    }

    /// Takes note of a document that was written, and goes on keeping it if there is room.
    fn written(&mut self, stamp: Stamp, kind: &Kind, written: &Written) {
        if self.stamp != stamp {
            return;
        }
        if self.end.is_none() {
            self.end.clone_from(&written.end);
        }
        let bytes = self.bytes.saturating_add(written.bytes());
        if self.documents.len() <= KEPT_MAX && bytes <= KEPT_BYTES_MAX {
            self.bytes = bytes;
        } else {
            self.documents.remove(kind);
        }
    }
}

/// Whether somebody is to write it.
fn is_awaited(place: &Place) -> bool {
    place.has_changed().is_ok()
}

impl Documents {
    /// The document of a device that runs this line, when it is below the network's level. One after the other is written, where that may
    /// take its time.
    ///
    /// # Errors
    /// The runtime is stopping.
    pub(crate) async fn of(&self, network: &Arc<Snapshot>, device: &DeviceRecord, below: Option<Line>) -> Result<Arc<Written>, Ended> {
        let (mut place, begins) = {
            let mut kept = lock(&self.kept);
            let place = kept.place(network, device, below);
            let begins = !kept.wanted.is_empty() && !std::mem::replace(&mut kept.is_writing, true);
            (place, begins)
        };
        if begins {
            let writing = Writing { kept: Arc::clone(&self.kept), is_done: false };
            // Whoever waits sees it end by the document, or by its place that is left.
            drop(tokio::task::spawn_blocking(move || writing.write_all()));
        }
        let written = place.wait_for(Option::is_some).await.map_err(|_| Ended)?.clone();
        written.ok_or(Ended)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who writes what is wanted, until nothing is.
struct Writing {
    kept: Arc<Mutex<Kept>>,
    is_done: bool,
}

impl Writing {
    fn write_all(mut self) {
        loop {
            let next = {
                let mut kept = lock(&self.kept);
                let wanted = kept.wanted.pop_front();
                kept.is_writing = wanted.is_some();
                wanted.map(|wanted| (kept.end(wanted.network.stamp), wanted))
            };
            let Some((end, Wanted { network, device, below, kind, place })) = next else {
                self.is_done = true;
                return;
            };
            // A newer stamp came, and whoever waited for this one has gone.
            if place.is_closed() {
                continue;
            }
            let written = write(&network, &device, below, end);
            lock(&self.kept).written(network.stamp, &kind, &written);
            place.send_replace(Some(Arc::new(written)));
        }
    }
}

impl Drop for Writing {
    /// After a panic, or when the runtime ended before it began: what is wanted is left, so that whoever waits for it learns.
    fn drop(&mut self) {
        if !self.is_done {
            let mut kept = lock(&self.kept);
            kept.wanted.clear();
            kept.is_writing = false;
        }
    }
}

fn write(network: &Snapshot, device: &DeviceRecord, below: Option<Line>, end: Option<Part>) -> Written {
    let mut text = serde_json::to_string(&own_document(network, device, below)).expect("documents are JSON");
    let end = (device.active && device.role == Role::Engine).then(|| end.unwrap_or_else(|| engines_end(network)));
    if end.is_some() {
        assert_eq!(text.pop(), Some('}'), "a document is an object");
    }
    let (key, name) = ("\"device\":\"", device.name.as_str());
    // Only the stamp's numbers stand before it.
    let at = text.find(&format!("{key}{name}\"")).expect("a document names its device") + key.len();
    let text = Bytes::from(text);
    Written { before: text.slice(..at), after: Part::of(text.slice(at + name.len()..)), end }
}

/// The last field of every engine's document, and the end of the object. One engine at least is there.
fn engines_end(network: &Snapshot) -> Part {
    let addresses = line::addresses(network);
    let field = if addresses.is_empty() {
        String::new()
    } else {
        format!(",\"engine_addresses\":{}", serde_json::to_string(&addresses).expect("addresses are JSON"))
    };
    Part::of((field + "}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of a site wait for one document, and one that was to be written and was not is wanted anew.
    #[tokio::test]
    async fn who_waits_for_a_document_that_is_left_is_told() {
        let network = Arc::new(crate::compile::tests::network());
        let device = &network.devices["east-1"];
        let documents = Documents::default();
        let left = {
            let mut kept = lock(&documents.kept);
            kept.is_writing = true;
            kept.place(&network, device, None)
        };
        let waits = documents.of(&network, device, None);
        drop(Writing { kept: Arc::clone(&documents.kept), is_done: false });
        assert!(!is_awaited(&left) && left.borrow().is_none());
        let (first, second) = tokio::join!(waits, documents.of(&network, device, None));
        assert!(Arc::ptr_eq(&first.expect("wanted anew"), &second.expect("the same")));
    }

    #[test]
    fn no_more_is_kept_than_its_bytes_allow() {
        let stamp = |generation| Stamp { term: 1, generation };
        let kind = |n: usize| {
            let location = Some(format!("l-{n}").parse().expect("name"));
            Kind { role: Role::Router.as_str(), active: true, location, below: None, own: None }
        };
        // One allocation that nobody writes to.
        let all = Bytes::from(vec![0; KEPT_BYTES_MAX / 2]);
        let of = |bytes: usize| Written { before: all.slice(..bytes), after: Part::default(), end: None };
        let put = |kept: &mut Kept, generation, n, bytes| {
            kept.at(stamp(generation));
            if kept.stamp == stamp(generation) {
                kept.documents.insert(kind(n), watch::channel(None).1);
            }
            kept.written(stamp(generation), &kind(n), &of(bytes));
        };
        let there = |kept: &Kept| (0..4).map(|n| kept.documents.contains_key(&kind(n))).collect::<Vec<_>>();
        let mut kept = Kept::default();
        put(&mut kept, 1, 0, KEPT_BYTES_MAX / 2);
        put(&mut kept, 1, 1, KEPT_BYTES_MAX / 2 - 10);
        put(&mut kept, 1, 2, 11);
        put(&mut kept, 1, 3, 10);
        assert_eq!((there(&kept), kept.bytes), (vec![true, true, false, true], KEPT_BYTES_MAX));
        put(&mut kept, 2, 2, 11);
        assert_eq!((there(&kept), kept.bytes), (vec![false, false, true, false], 11), "a newer stamp begins anew");
        put(&mut kept, 1, 0, 10);
        assert_eq!((there(&kept), kept.bytes), (vec![false, false, true, false], 11), "nothing is kept of an older one");
    }
}
