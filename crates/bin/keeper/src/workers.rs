//! The workers that run: never more than two.

use crate::{
    watch::Watched,
    worker::{Stage, Worker},
};
use std::{os::fd::AsFd, time::Instant};
use weir_sockets::ControlSocket;

/// Most workers at a time: one that serves, and one that starts, is parked or ends.
pub(crate) const WORKERS_MAX: usize = 2;

/// The workers, by process id.
#[derive(Default)]
pub(crate) struct Workers {
    list: Vec<Worker>,
}

impl Workers {
    /// Adds a worker that was started. There must be room.
    pub(crate) fn add(&mut self, worker: Worker) {
        assert!(self.list.len() < WORKERS_MAX, "a third worker was started");
        self.list.push(worker);
    }

    pub(crate) fn has_room(&self) -> bool {
        self.list.len() < WORKERS_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.list.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.list.iter_mut()
    }

    pub(crate) fn get(&self, pid: u32) -> Option<&Worker> {
        self.list.iter().find(|worker| worker.pid() == pid)
    }

    pub(crate) fn get_mut(&mut self, pid: u32) -> Option<&mut Worker> {
        self.list.iter_mut().find(|worker| worker.pid() == pid)
    }

    /// The worker at this stage.
    pub(crate) fn at(&self, stage: Stage) -> Option<u32> {
        self.list.iter().find(|worker| worker.stage == stage).map(Worker::pid)
    }

    /// Those at one of these stages.
    pub(crate) fn among(&self, stages: &[Stage]) -> Vec<u32> {
        self.list.iter().filter(|worker| stages.contains(&worker.stage)).map(Worker::pid).collect()
    }

    /// The worker `run/worker.pid` names: the one that serves, or is nearest to it.
    pub(crate) fn foremost(&self) -> Option<u32> {
        let order = [Stage::Accepting, Stage::Unparking, Stage::Ready, Stage::Parking, Stage::Starting, Stage::Leaving, Stage::Parked];
        order.into_iter().find_map(|stage| self.at(stage))
    }

    pub(crate) fn control(&self, pid: u32) -> Option<&ControlSocket> {
        self.get(pid).and_then(|worker| worker.control.as_ref())
    }

    pub(crate) fn remove(&mut self, pid: u32) -> Option<Worker> {
        let at = self.list.iter().position(|worker| worker.pid() == pid)?;
        Some(self.list.remove(at))
    }

    /// What is waited for of them.
    pub(crate) fn watched(&self) -> Vec<Watched<'_>> {
        self.list
            .iter()
            .map(|worker| Watched { pid: worker.pid(), control: worker.control.as_ref().map(AsFd::as_fd), process: worker.process() })
            .collect()
    }

    /// The next moment one of them has waited or run long enough.
    pub(crate) fn next_moment(&self) -> Option<Instant> {
        self.list.iter().flat_map(|worker| [worker.end.map(|(moment, _)| moment), worker.wait]).flatten().min()
    }
}
