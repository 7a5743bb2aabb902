//! Documents as they are sent: compiled and written once for all devices that differ in nothing but their name.
//!
//! A change wakes every device's poll. What each is sent is the same, but for its name, for all engines of a location.

use super::document_for;
use crate::snapshot::{DeviceRecord, Snapshot};
use hyper::body::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::task::JoinError;
use weir_model::{DeviceName, Line, LocationName, Role, Stamp};

/// Documents kept of one stamp; those of further locations are written for each device anew.
const KEPT_MAX: usize = 1_024;
/// Bytes of the documents kept of one stamp. An engine's is some tens of KiB in a large network, so all of them have room; a
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
    pub(crate) after: Bytes,
}

impl Written {
    /// What begins the document of the device with this name.
    pub(crate) fn head(&self, device: &DeviceRecord) -> Vec<u8> {
        [&self.before, device.name.as_str().as_bytes()].concat()
    }

    fn bytes(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

/// The documents of the newest stamp that was asked for.
#[derive(Default)]
pub(crate) struct Documents {
    kept: Mutex<Kept>,
    /// Held by who writes one: the others wait for what may be theirs too.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    stamp: Stamp,
    documents: BTreeMap<Kind, Arc<Written>>,
    bytes: usize,
}

impl Kept {
    fn get(&self, stamp: Stamp, kind: &Kind) -> Option<Arc<Written>> {
        self.documents.get(kind).filter(|_| self.stamp == stamp).cloned()
    }

    fn put(&mut self, stamp: Stamp, kind: Kind, written: &Arc<Written>) {
        if self.stamp < stamp {
            *self = Self { stamp, ..Self::default() };
        }
        let bytes = self.bytes.saturating_add(written.bytes());
        if self.stamp == stamp && self.documents.len() < KEPT_MAX && bytes <= KEPT_BYTES_MAX {
            self.documents.insert(kind, Arc::clone(written));
            self.bytes = bytes;
        }
    }
}

impl Documents {
    /// The document of a device that runs this line, when it is below the network's level. Written where it may take its time.
    ///
    /// # Errors
    /// The runtime is stopping.
    pub(crate) async fn of(&self, network: &Arc<Snapshot>, device: &DeviceRecord, below: Option<Line>) -> Result<Arc<Written>, JoinError> {
        let (stamp, kind) = (network.stamp, Kind::of(device, below));
        if let Some(written) = self.kept().get(stamp, &kind) {
            return Ok(written);
        }
        let _turn = self.writing.lock().await;
        if let Some(written) = self.kept().get(stamp, &kind) {
            return Ok(written);
        }
        let (network, device) = (Arc::clone(network), device.clone());
        let written = Arc::new(tokio::task::spawn_blocking(move || write(&network, &device, below)).await?);
        self.kept().put(stamp, kind, &written);
        Ok(written)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(network: &Snapshot, device: &DeviceRecord, below: Option<Line>) -> Written {
    let text = serde_json::to_string(&document_for(network, device, below)).expect("documents are JSON");
    let (key, name) = ("\"device\":\"", device.name.as_str());
    // Only the stamp's numbers stand before it.
    let at = text.find(&format!("{key}{name}\"")).expect("a document names its device") + key.len();
    let text = Bytes::from(text);
    Written { before: text.slice(..at), after: text.slice(at + name.len()..) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_its_bytes_allow() {
        let stamp = |generation| Stamp { term: 1, generation };
        let kind = |n: usize| {
            let location = Some(format!("l-{n}").parse().expect("name"));
            Kind { role: Role::Router.as_str(), active: true, location, below: None, own: None }
        };
        // One allocation that nobody writes to.
        let all = Bytes::from(vec![0; KEPT_BYTES_MAX / 2]);
        let of = |bytes: usize| Arc::new(Written { before: all.slice(..1), after: all.slice(1..bytes) });
        let mut kept = Kept::default();
        kept.put(stamp(1), kind(0), &of(KEPT_BYTES_MAX / 2));
        kept.put(stamp(1), kind(1), &of(KEPT_BYTES_MAX / 2 - 10));
        kept.put(stamp(1), kind(2), &of(11));
        kept.put(stamp(1), kind(3), &of(10));
        let there = |kept: &Kept, at| (0..4).map(|n| kept.get(at, &kind(n)).is_some()).collect::<Vec<_>>();
        assert_eq!(there(&kept, stamp(1)), [true, true, false, true]);
        assert_eq!(kept.bytes, KEPT_BYTES_MAX);
        kept.put(stamp(2), kind(2), &of(11));
        assert_eq!((there(&kept, stamp(2)), kept.bytes), (vec![false, false, true, false], 11), "a newer stamp begins anew");
        kept.put(stamp(1), kind(0), &of(10));
        assert_eq!((there(&kept, stamp(1)), kept.bytes), (vec![false; 4], 11), "nothing is kept of an older one");
    }
}
