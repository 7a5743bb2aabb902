//! Documents as they are sent: compiled and written once for all devices that differ in nothing but their name.
//!
//! A change wakes every device's poll. What each is sent is the same, but for its name, for all engines of a location.

use super::document_for;
use crate::snapshot::{DeviceRecord, Snapshot};
use hyper::body::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use weir_model::{Line, LocationName, Stamp};

/// Documents kept of one stamp; those of further locations are written for each device anew. One is some tens of KiB in a large network.
const KEPT_MAX: usize = 1_024;

/// What decides a document beside the network and the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    role: &'static str,
    active: bool,
    location: Option<LocationName>,
    below: Option<Line>,
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
}

/// The documents of the newest stamp that was asked for.
#[derive(Default)]
pub(crate) struct Documents(Mutex<(Stamp, BTreeMap<Kind, Arc<Written>>)>);

impl Documents {
    /// The document of a device that runs this line, when it is below the network's level.
    pub(crate) fn of(&self, network: &Snapshot, device: &DeviceRecord, below: Option<Line>) -> Arc<Written> {
        let kind = Kind { role: device.role.as_str(), active: device.active, location: device.location.clone(), below };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 < network.stamp {
            *kept = (network.stamp, BTreeMap::new());
        }
        if kept.0 == network.stamp
            && let Some(written) = kept.1.get(&kind)
        {
            return Arc::clone(written);
        }
        let written = Arc::new(write(network, device, below));
        if kept.0 == network.stamp && kept.1.len() < KEPT_MAX {
            kept.1.insert(kind, Arc::clone(&written));
        }
        written
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
