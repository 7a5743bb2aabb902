//! One thread per listening socket, each with a runtime of its own: what a core accepts it serves to the end.

use crate::http1::{Gate, Limits, Service, adopt, serve_socket};
use std::{
    future::{Future, pending},
    io,
    net::TcpListener,
    sync::Arc,
    thread::JoinHandle,
};
use tokio::sync::watch;

/// Running data threads. Dropping it leaves them running until the gate releases them; [`Cores::join`] waits for that.
#[derive(Debug)]
pub struct Cores {
    threads: Vec<JoinHandle<Result<(), EarlyEnd>>>,
    ended: watch::Receiver<Option<EarlyEnd>>,
}

/// A data thread that ended though the gate had not released its socket: what it served is cut, and nothing accepts from
/// its socket any longer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EarlyEnd {
    /// Its socket failed.
    #[error("data thread {thread} can no longer accept")]
    Failed {
        /// Which.
        thread: String,
        /// What the system says.
        #[source]
        error: Arc<io::Error>,
    },
    /// It panicked.
    #[error("data thread {thread} panicked")]
    Panicked {
        /// Which.
        thread: String,
    },
}

/// Starts one thread per listener, named `name-0`, `name-1`, ...; each serves clones of `service`.
///
/// Tasks the service spawns run on the thread's runtime and end with it. Fails when a runtime or thread cannot be made or
/// a socket cannot be taken over; the gate is closed then.
pub fn spawn<S: Service>(name: &str, listeners: Vec<TcpListener>, service: &S, limits: &Limits, gate: &Gate) -> io::Result<Cores> {
    let (report, ended) = watch::channel(None);
    let report = Arc::new(report);
    let mut threads = Vec::with_capacity(listeners.len());
    for (index, listener) in listeners.into_iter().enumerate() {
        let thread = Thread { name: format!("{name}-{index}"), report: report.clone() };
        match thread.start(listener, service.clone(), limits.clone(), gate.clone()) {
            Ok(handle) => threads.push(handle),
            Err(error) => {
                gate.close();
                // The first failure is the one to tell.
                let _ = Cores { threads, ended }.join();
                return Err(error);
            }
        }
    }
    Ok(Cores { threads, ended })
}

/// A data thread; it reports its own panic when it is dropped by one.
struct Thread {
    name: String,
    report: Arc<watch::Sender<Option<EarlyEnd>>>,
}

impl Thread {
    fn start<S: Service>(
        self,
        listener: TcpListener,
        service: S,
        limits: Limits,
        gate: Gate,
    ) -> io::Result<JoinHandle<Result<(), EarlyEnd>>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = {
            let _runtime = runtime.enter();
            adopt(listener)?
        };
        std::thread::Builder::new().name(self.name.clone()).spawn(move || {
            let ended = runtime.block_on(serve_socket(socket, service, limits, gate));
            ended.map_err(|error| self.report(EarlyEnd::Failed { thread: self.name.clone(), error: Arc::new(error) }))
        })
    }

    /// Tells the first end; later ones follow from it as a rule.
    fn report(&self, end: EarlyEnd) -> EarlyEnd {
        self.report.send_if_modified(|first| first.is_none() && first.replace(end.clone()).is_none());
        end
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.report(EarlyEnd::Panicked { thread: self.name.clone() });
        }
    }
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

    /// Waits for the first thread that ends early: a worker that goes on without it would leave clients in a queue nobody
    /// accepts from. Never ready when all of them end as the gate says.
    pub fn ended(&self) -> impl Future<Output = EarlyEnd> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            let first = ended.wait_for(Option::is_some).await.ok().and_then(|first| first.clone());
            match first {
                Some(first) => first,
                None => pending().await,
            }
        }
    }

    /// Waits for every thread: after [`Gate::close_listeners`] and the last connection, or [`Gate::close`]. Returns the first failure.
    pub fn join(self) -> Result<(), EarlyEnd> {
        let mut result = Ok(());
        for handle in self.threads {
            let thread = handle.thread().name().unwrap_or_default().to_owned();
            let ended = handle.join().unwrap_or(Err(EarlyEnd::Panicked { thread }));
            result = result.and(ended);
        }
        result
    }
}
