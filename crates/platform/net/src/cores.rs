//! One thread per listening socket, each with a runtime of its own: what a core accepts it serves to the end.

use crate::http1::{Gate, Limits, Service, serve};
use std::{io, net::TcpListener, thread::JoinHandle};

/// Running data threads. Dropping it leaves them running until the gate releases them; [`Cores::join`] waits for that.
#[derive(Debug)]
pub struct Cores {
    threads: Vec<JoinHandle<io::Result<()>>>,
}

/// Starts one thread per listener, named `name-0`, `name-1`, ...; each serves clones of `service`.
///
/// Tasks the service spawns run on the thread's runtime and end with it. Fails when a runtime or thread cannot be made;
/// the gate is closed then.
pub fn spawn<S: Service>(name: &str, listeners: Vec<TcpListener>, service: &S, limits: &Limits, gate: &Gate) -> io::Result<Cores> {
    let mut threads = Vec::with_capacity(listeners.len());
    for (index, listener) in listeners.into_iter().enumerate() {
        match spawn_one(format!("{name}-{index}"), listener, service.clone(), limits.clone(), gate.clone()) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                gate.close();
                // The first failure is the one to tell.
                let _ = Cores { threads }.join();
                return Err(error);
            }
        }
    }
    Ok(Cores { threads })
}

fn spawn_one<S: Service>(
    name: String,
    listener: TcpListener,
    service: S,
    limits: Limits,
    gate: Gate,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(name).spawn(move || runtime.block_on(serve(listener, service, limits, gate)))
}

impl Cores {
    /// How many threads were started.
    pub fn len(&self) -> usize {
        self.threads.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// Waits for every thread: after [`Gate::close_listeners`] and the last connection, or [`Gate::close`]. Returns the first failure.
    pub fn join(self) -> io::Result<()> {
        let mut result = Ok(());
        for thread in self.threads {
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("data thread panicked")));
            result = result.and(ended);
        }
        result
    }
}
