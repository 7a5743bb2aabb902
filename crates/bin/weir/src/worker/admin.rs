//! The admin listener of a worker: when it answers, and what it says of the worker.
//!
//! Two workers of a device share its sockets during a hand-over, and each would answer for itself: the one that serves, and
//! nobody else, accepts from them.

use std::{net::TcpListener, sync::Arc};
use tokio::sync::watch;
use weir_agent::{
    Agent,
    admin::{Admin, Health, WorkerState},
};
use weir_model::{DeviceName, Role, version};
use weir_net::http1::{Gate, Limits, serve as serve_http};
use weir_slots::{DataDirectory, boot};
use weir_telemetry::{Metrics, Tasks};

/// The worker's state, shared with `/health`.
#[derive(Clone)]
pub(super) struct State(Arc<watch::Sender<WorkerState>>);

impl Default for State {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(WorkerState::Starting)))
    }
}

impl State {
    /// What the worker does.
    pub(super) fn now(&self) -> WorkerState {
        *self.0.borrow()
    }

    /// Says what the worker does from now on.
    pub(super) fn is(&self, state: WorkerState) {
        self.0.send_replace(state);
    }
}

/// Whether a slot is on trial on this device, so that the worker of the slot before may serve beside this one.
pub(super) fn is_on_trial(data: &DataDirectory) -> bool {
    // A worker that was started without a keeper's record is nobody's trial.
    boot::read(data).is_ok_and(|found| found.record.trial.is_some())
}

/// The gate of the admin listener: a worker on trial answers once it serves, any other from its start.
pub(super) fn gate(is_on_trial: bool) -> Gate {
    let gate = Gate::new();
    if !is_on_trial {
        gate.accept();
    }
    gate
}

/// Serves `/metrics` and `/health` on the admin sockets while `gate` accepts.
pub(super) fn serve(
    sockets: Vec<TcpListener>,
    metrics: &Metrics,
    who: (DeviceName, Role),
    state: &State,
    stamp: impl Fn() -> (u64, u64) + Send + Sync + 'static,
    (gate, tasks): (&Gate, &Tasks),
) {
    let state = state.clone();
    let (device, role) = (who.0.to_string(), who.1.to_string());
    let health = Arc::new(move || {
        let (term, generation) = stamp();
        Health { state: state.now(), device: device.clone(), role: role.clone(), version: version(), term, generation }
    });
    let service = Admin::new(metrics.clone(), health);
    for listener in sockets {
        let (service, gate) = (service.clone(), gate.clone());
        tasks.spawn("admin", async move {
            if let Err(error) = serve_http(listener, service, Limits::admin(), gate).await {
                tracing::error!(%error, "admin listener ends");
            }
        });
    }
}

/// The stamp an agent runs, for `/health`.
pub(super) fn stamp_of(agent: &Agent) -> impl Fn() -> (u64, u64) + Send + Sync + 'static {
    let agent = agent.clone();
    move || agent.configuration().map_or((0, 0), |c| (c.stamp.term, c.stamp.generation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::SocketAddr, pin::pin, task::Poll, time::Duration};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };
    use weir_slots::{FileSystem, SlotRef, digest_of_bytes};

    /// Nothing here takes longer than a scheduling delay.
    const DEADLINE: Duration = Duration::from_secs(10);

    async fn health(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answer");
        answer
    }

    /// A worker's admin listener on sockets it shares.
    fn worker(listener: &TcpListener, is_on_trial: bool, device: &str) -> (Gate, State, Tasks) {
        let (gate, state, tasks) = (gate(is_on_trial), State::default(), Tasks::new());
        let sockets = vec![listener.try_clone().expect("shared")];
        let who = (device.parse().expect("name"), Role::Engine);
        serve(sockets, &Metrics::new("1.0.0-b1", "engine", device), who, &state, || (1, 7), (&gate, &tasks));
        (gate, state, tasks)
    }

    #[tokio::test]
    async fn only_the_worker_that_serves_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let (old, old_state, _old_tasks) = worker(&listener, false, "old-1");
        old_state.is(WorkerState::Serving);
        let (new, new_state, _new_tasks) = worker(&listener, true, "new-1");
        for _ in 0..20 {
            let answer = tokio::time::timeout(DEADLINE, health(address)).await.expect("in time");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("old-1"), "{answer}");
        }
        old.stop();
        old_state.is(WorkerState::Parked);
        let mut waiting = pin!(health(address));
        let early = std::future::poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_ready())).await;
        assert!(!early, "nobody serves");
        new.accept();
        new_state.is(WorkerState::Serving);
        let answer = tokio::time::timeout(DEADLINE, waiting).await.expect("what waited is answered");
        assert!(answer.contains("new-1"), "{answer}");
    }

    #[test]
    fn a_trial_is_what_the_boot_record_says() {
        let dir = tempfile::tempdir().expect("dir");
        let data = DataDirectory::new(dir.path());
        assert!(!is_on_trial(&data), "no record");
        std::fs::create_dir_all(data.boot()).expect("dir");
        let slot = |version: &str| SlotRef::of(version, digest_of_bytes(version.as_bytes()));
        let mut record = boot::BootRecord::first(slot("1.0.0-b1"));
        for trial in [false, true] {
            record.trial = trial.then(|| boot::Trial { slot: slot("1.1.0-b1"), tries: 1, deadline_ms: 1000 });
            boot::write(&mut FileSystem, &data, &record).expect("written");
            assert_eq!(is_on_trial(&data), trial);
        }
    }
}
