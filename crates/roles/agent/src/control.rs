//! The worker's end of the keeper's socket, as a stream of events.

use std::os::fd::OwnedFd;
use tokio::sync::mpsc;
use weir_sockets::{Adopted, ControlSender, Event, WorkerControl};

/// Events not yet taken; the keeper says little.
const EVENTS_MAX: usize = 16;

/// A worker's connection to its keeper, with the listening sockets it was given.
pub struct Control {
    /// Says READY and answers.
    pub sender: ControlSender,
    /// What the keeper says; ends after [`Event::Closed`].
    pub events: mpsc::Receiver<Event>,
    /// The listeners.
    pub adopted: Vec<Adopted>,
}

/// Why a worker has no keeper.
#[derive(Debug, thiserror::Error)]
pub enum ControlStartError {
    /// Standard input is not a keeper's control socket, or it did not pass the listeners.
    #[error("take listeners from the keeper (a worker is started by `weir keeper --data DIR`)")]
    Keeper(#[from] weir_sockets::ControlError),
    /// No thread.
    #[error("start control thread")]
    Thread(#[from] std::io::Error),
}

impl Control {
    /// Adopts the listeners and follows the keeper, whose socket is standard input, from a thread of its own.
    ///
    /// # Errors
    /// No keeper, or no thread.
    pub fn connect() -> Result<Self, ControlStartError> {
        Self::of(WorkerControl::from_stdin()?)
    }

    /// As [`Control::connect`], over the worker's end of a control socket.
    ///
    /// # Errors
    /// No keeper at the other end, or no thread.
    pub fn over(end: OwnedFd) -> Result<Self, ControlStartError> {
        Self::of(WorkerControl::connect(end)?)
    }

    fn of((control, adopted): (WorkerControl, Vec<Adopted>)) -> Result<Self, ControlStartError> {
        let sender = control.sender();
        let (to_worker, events) = mpsc::channel(EVENTS_MAX);
        std::thread::Builder::new().name("control".into()).spawn(move || forward(control, &to_worker))?;
        Ok(Self { sender, events, adopted })
    }
}

fn forward(mut control: WorkerControl, to_worker: &mpsc::Sender<Event>) {
    loop {
        let event = match control.next(None) {
            Ok(Some(event)) => event,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(%error, "control socket failed; taking the keeper for gone");
                Event::Closed
            }
        };
        let last = matches!(event, Event::Closed);
        if to_worker.blocking_send(event).is_err() || last {
            return;
        }
    }
}
