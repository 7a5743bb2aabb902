//! UDP in batches: one blocking thread per socket, `recvmmsg` and `sendmmsg`, nothing allocated per datagram.
//!
//! Each socket is bound to one address and answers leave from it, so `IP_PKTINFO` is not needed; a wildcard address on a box
//! with several would be. The sockets are shared with the keeper and, across a hand-over, with another worker: a thread that
//! ends stops this process's reading and nothing else, and what it has not read yet stays for the others.
//!
//! The threads follow a [`Gate`]: they read while it accepts, hold still while it holds or is stopped, and end when it
//! releases its sockets. A batch that was read is answered, whatever the gate does meanwhile.

mod batch;

use crate::http1::{Gate, Phase};
pub use batch::DATAGRAM_BYTES_MAX;
use batch::{Batch, Peer};
use nix::sys::socket::{SockaddrIn, SockaddrIn6};
use rustix::io::Errno;
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How long a thread waits for a datagram before it looks at the gate again: a stop is obeyed this soon.
const RECEIVE_WAIT: Duration = Duration::from_millis(200);
/// How long a send may wait for room in the socket's buffer, so that a stuck interface does not hold a thread.
const SEND_WAIT: Duration = Duration::from_millis(200);
/// How often a held thread looks at the gate.
const HOLD_CHECK: Duration = Duration::from_millis(20);
/// Pause after a socket error that is not a sender's doing, so that a broken socket does not take a core.
const SOCKET_RETRY: Duration = Duration::from_millis(100);

/// What became of the datagrams of one server, since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Calls that brought at least one datagram.
    pub batches: u64,
    /// Datagrams received.
    pub received: u64,
    /// Answers handed to the kernel.
    pub sent: u64,
    /// Datagrams longer than [`DATAGRAM_BYTES_MAX`], which the handler does not see.
    pub oversized: u64,
    /// Answers the kernel did not take.
    pub unsent: u64,
    /// Datagrams on which the handler panicked.
    pub panics: u64,
}

/// The counters behind [`Traffic`]; each thread adds to them once per batch.
#[derive(Debug, Default)]
pub struct Counts {
    batches: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    oversized: AtomicU64,
    unsent: AtomicU64,
    panics: AtomicU64,
}

impl Counts {
    /// The present sums.
    pub fn read(&self) -> Traffic {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            batches: value(&self.batches),
            received: value(&self.received),
            sent: value(&self.sent),
            oversized: value(&self.oversized),
            unsent: value(&self.unsent),
            panics: value(&self.panics),
        }
    }

    fn add(&self, traffic: Traffic) {
        let Traffic { batches, received, sent, oversized, unsent, panics } = traffic;
        for (counter, count) in [
            (&self.batches, batches),
            (&self.received, received),
            (&self.sent, sent),
            (&self.oversized, oversized),
            (&self.unsent, unsent),
            (&self.panics, panics),
        ] {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

/// Running threads. Dropping it ends them, within [`RECEIVE_WAIT`].
#[derive(Debug)]
pub struct Threads {
    handles: Vec<JoinHandle<()>>,
    end: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

impl Threads {
    /// How many threads were started.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// What became of the datagrams.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            // A handler's panic is caught where it happens, so a thread has nothing to say at its end.
            let _ = handle.join();
        }
    }
}

/// Starts one thread per socket, named `name-0`, `name-1`, ..., each with a clone of `handler`.
///
/// The handler gets a datagram, its sender, and an empty buffer; what it leaves there is sent back, and nothing left there is
/// no answer. A panic of it costs the one datagram.
///
/// # Errors
/// A socket whose address or options cannot be read or set, or a thread that cannot be started.
pub fn serve<H>(name: &str, sockets: Vec<UdpSocket>, gate: &Gate, handler: &H) -> io::Result<Threads>
where
    H: FnMut(&[u8], SocketAddr, &mut Vec<u8>) + Clone + Send + 'static,
{
    let mut threads = Threads { handles: Vec::with_capacity(sockets.len()), end: Arc::default(), counts: Arc::default() };
    for (index, socket) in sockets.into_iter().enumerate() {
        // The descriptor is shared with other processes, which want the same of it.
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(RECEIVE_WAIT))?;
        socket.set_write_timeout(Some(SEND_WAIT))?;
        let is_v4 = socket.local_addr()?.is_ipv4();
        let reader = Reader { socket, gate: gate.clone(), end: threads.end.clone(), counts: threads.counts.clone() };
        let handler = handler.clone();
        let thread = std::thread::Builder::new().name(format!("{name}-{index}"));
        threads.handles.push(thread.spawn(move || match is_v4 {
            true => reader.run::<SockaddrIn, H>(handler),
            false => reader.run::<SockaddrIn6, H>(handler),
        })?);
    }
    Ok(threads)
}

/// One thread's socket and what it follows.
struct Reader {
    socket: UdpSocket,
    gate: Gate,
    end: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

impl Reader {
    fn run<P: Peer, H: FnMut(&[u8], SocketAddr, &mut Vec<u8>)>(self, mut handler: H) {
        let mut batch = Batch::<P>::new();
        while !self.end.load(Ordering::Relaxed) {
            match self.gate.phase() {
                Phase::Hold | Phase::Stop => std::thread::park_timeout(HOLD_CHECK),
                Phase::Accept => self.turn(&mut batch, &mut handler),
                Phase::Release | Phase::Closed => return,
            }
        }
    }

    /// One batch, or one wait for it.
    fn turn<P: Peer>(&self, batch: &mut Batch<P>, handler: &mut impl FnMut(&[u8], SocketAddr, &mut Vec<u8>)) {
        match batch.receive(&self.socket, handler) {
            Ok(traffic) => {
                let (sent, unsent) = batch.send(&self.socket);
                self.counts.add(Traffic { sent, unsent, ..traffic });
            }
            // Nothing came, or a signal did. That an earlier answer's client is gone, a socket that is not connected does not say.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => {
                tracing::debug!(%error, "datagrams not received");
                std::thread::park_timeout(SOCKET_RETRY);
            }
        }
    }
}

#[cfg(test)]
mod tests;
