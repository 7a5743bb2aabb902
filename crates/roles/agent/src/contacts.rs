//! Routers an engine holds a lifeline to, and what they said on it: for the role, and for the manager's report.

use crate::agent::{Agent, Shared};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;
use weir_device_api::RouterContact;
use weir_model::{DeviceName, Stamp};

/// A router's lifeline that is open now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contact {
    /// Sequence number of the keepalive that opened it: no two lifelines of a worker have the same.
    lifeline: u64,
    obeyed: Option<Stamp>,
}

/// Open lifelines by router.
pub(crate) type Table = BTreeMap<DeviceName, Contact>;

/// The lifelines of one agent. Clones share them.
#[derive(Clone)]
pub(crate) struct Contacts {
    table: Arc<watch::Sender<Table>>,
}

impl Default for Contacts {
    fn default() -> Self {
        Self { table: Arc::new(watch::Sender::new(Table::new())) }
    }
}

impl Contacts {
    /// A lifeline is open for as long as the answer lives.
    pub(crate) fn open(&self, router: DeviceName, lifeline: u64) -> OpenLifeline {
        self.table.send_modify(|table| {
            table.insert(router.clone(), Contact { lifeline, obeyed: None });
        });
        OpenLifeline { contacts: self.clone(), router, lifeline }
    }

    /// The routers in name order.
    pub(crate) fn list(&self) -> Vec<RouterContact> {
        listed(&self.table.borrow())
    }

    /// Waits until no lifeline is open.
    async fn none_open(&self) {
        // An error means that the sender is gone, and it is held here.
        let _ = self.table.subscribe().wait_for(Table::is_empty).await;
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Table> {
        self.table.subscribe()
    }
}

impl Agent {
    /// Waits until no lifeline of this worker is open: another worker of the device has opened its own, and routers have closed
    /// these. An agent that is not parked opens them again.
    pub async fn replaced(&self) {
        self.shared.contacts.none_open().await;
    }
}

fn listed(table: &Table) -> Vec<RouterContact> {
    table.iter().map(|(router, contact)| RouterContact { router: router.clone(), obeyed: contact.obeyed }).collect()
}

/// Whether a router obeys the offload that began with `since` and `told` does not say so. Its further words are no news: each
/// configuration makes one.
pub(crate) fn has_news(table: &Table, told: &[RouterContact], since: Stamp) -> bool {
    let obeys = |obeyed: Option<Stamp>| obeyed >= Some(since);
    let knows = |router: &DeviceName| told.iter().any(|contact| contact.router == *router && obeys(contact.obeyed));
    table.iter().any(|(router, contact)| obeys(contact.obeyed) && !knows(router))
}

/// One open lifeline.
pub(crate) struct OpenLifeline {
    contacts: Contacts,
    router: DeviceName,
    lifeline: u64,
}

impl OpenLifeline {
    /// The router says that it obeys the offload of this stamp.
    pub(crate) fn obeyed(&self, stamp: Stamp) {
        self.contacts.table.send_if_modified(|table| match table.get_mut(&self.router) {
            Some(contact) if contact.lifeline == self.lifeline => contact.obeyed.replace(stamp) != Some(stamp),
            Some(_) | None => false,
        });
    }
}

impl Drop for OpenLifeline {
    fn drop(&mut self) {
        self.contacts.table.send_if_modified(|table| {
            let is_own = table.get(&self.router).is_some_and(|contact| contact.lifeline == self.lifeline);
            is_own && table.remove(&self.router).is_some()
        });
    }
}

/// Tells the role which routers it is in contact with, at once and whenever that changes, for as long as the task lives.
pub(crate) async fn tell(shared: Arc<Shared>) {
    let Some(tell) = &shared.hooks.routers else { return };
    let mut table = shared.contacts.subscribe();
    loop {
        let list = listed(&table.borrow_and_update());
        tell(list);
        if table.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(name: &str) -> DeviceName {
        name.parse().expect("name")
    }

    fn stamp(generation: u64) -> Stamp {
        Stamp { term: 1, generation }
    }

    #[test]
    fn a_lifeline_is_listed_while_it_is_open_with_its_own_word() {
        let contacts = Contacts::default();
        let (two, one) = (contacts.open(router("router-2"), 1), contacts.open(router("router-1"), 2));
        one.obeyed(stamp(7));
        let listed = |contacts: &Contacts| -> Vec<(String, Option<u64>)> {
            contacts.list().into_iter().map(|c| (c.router.to_string(), c.obeyed.map(|s| s.generation))).collect()
        };
        assert_eq!(listed(&contacts), [("router-1".into(), Some(7)), ("router-2".into(), None)]);
        let newer = contacts.open(router("router-1"), 3);
        one.obeyed(stamp(9));
        drop(one);
        assert_eq!(listed(&contacts), [("router-1".into(), None), ("router-2".into(), None)], "of the lifeline that is open now");
        drop((newer, two));
        assert_eq!(listed(&contacts), []);
    }

    #[test]
    fn news_is_a_router_that_first_obeys_this_offload() {
        let contacts = Contacts::default();
        let news = |told: &[RouterContact]| has_news(&contacts.subscribe().borrow(), told, stamp(7));
        let lifeline = contacts.open(router("router-1"), 1);
        assert!(!news(&[]), "contact alone is not waited for");
        lifeline.obeyed(stamp(6));
        assert!(!news(&[]), "an earlier offload");
        let earlier = contacts.list();
        lifeline.obeyed(stamp(7));
        assert!(news(&[]) && news(&earlier));
        let told = contacts.list();
        assert!(!news(&told));
        lifeline.obeyed(stamp(8));
        assert!(!news(&told), "another configuration of the same offload");
        let other = contacts.open(router("router-2"), 2);
        other.obeyed(stamp(8));
        assert!(news(&told), "another router");
        drop((lifeline, other));
        assert!(!news(&told), "the end of a lifeline is not waited for");
    }
}
