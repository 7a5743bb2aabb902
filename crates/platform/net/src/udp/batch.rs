//! One thread's batch: the buffers, a `recvmmsg` into them, and the `sendmmsg` of the answers.

use super::Traffic;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg};
use rustix::{
    io::Errno,
    net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg},
};
use std::{
    array,
    io::{IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Datagrams per call. Larger batches gain nothing measurable: the kernel's work per datagram outweighs the call by then.
const BATCH: usize = 64;
/// Longest datagram a handler sees, in bytes; a longer one is counted and dropped. A query with every option in use is a
/// quarter of it.
pub const DATAGRAM_BYTES_MAX: usize = 4096;
/// Room made for an answer beforehand, in bytes: what fits an Ethernet frame.
const ANSWER_BYTES: usize = 1500;

/// A sender's address, of the family of the socket: the kernel fills every byte of it.
pub(super) trait Peer: SockaddrLike + Copy {
    /// As the standard library knows it.
    fn address(&self) -> SocketAddr;
}

impl Peer for SockaddrIn {
    fn address(&self) -> SocketAddr {
        SocketAddr::V4(SocketAddrV4::from(*self))
    }
}

impl Peer for SockaddrIn6 {
    fn address(&self) -> SocketAddr {
        SocketAddr::V6(SocketAddrV6::from(*self))
    }
}

/// The buffers of one thread, made once.
pub(super) struct Batch<P> {
    headers: MultiHeaders<P>,
    datagrams: Box<[u8]>,
    answers: [Vec<u8>; BATCH],
    receivers: [SocketAddrAny; BATCH],
    waiting: usize,
}

impl<P: Peer> Batch<P> {
    pub(super) fn new() -> Self {
        let nobody = SocketAddrAny::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            datagrams: vec![0; BATCH * DATAGRAM_BYTES_MAX].into_boxed_slice(),
            answers: array::from_fn(|_| Vec::with_capacity(ANSWER_BYTES)),
            receivers: array::from_fn(|_| nobody.clone()),
            waiting: 0,
        }
    }

    /// Waits for a datagram, takes those that have come with it, and asks the handler for their answers.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        handler: &mut impl FnMut(&[u8], SocketAddr, &mut Vec<u8>),
    ) -> Result<Traffic, Errno> {
        let mut traffic = Traffic { batches: 1, ..Traffic::default() };
        self.waiting = 0;
        let mut chunks = self.datagrams.chunks_exact_mut(DATAGRAM_BYTES_MAX);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(chunks.next().expect("as many chunks as datagrams in a batch"))]);
        let flags = MsgFlags::MSG_WAITFORONE;
        let messages = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None).map_err(errno)?;
        for message in messages {
            traffic.received += 1;
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                traffic.oversized += 1;
                continue;
            }
            let Some(sender) = message.address.map(|peer| peer.address()) else { continue };
            let datagram = message.iovs().next().unwrap_or_default();
            let answer = &mut self.answers[self.waiting];
            answer.clear();
            if catch_unwind(AssertUnwindSafe(|| handler(datagram, sender, answer))).is_err() {
                traffic.panics += 1;
                tracing::error!(%sender, bytes = datagram.len(), "a datagram's handler panicked");
            } else if !answer.is_empty() {
                self.receivers[self.waiting] = SocketAddrAny::from(sender);
                self.waiting += 1;
            }
        }
        Ok(traffic)
    }

    /// Sends the answers of the last batch. Returns how many the kernel took, and how many it did not.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> (u64, u64) {
        let counts = send_all(self.waiting, |at| self.send_from(socket, at));
        self.waiting = 0;
        counts
    }

    fn send_from(&self, socket: &UdpSocket, at: usize) -> Result<usize, Errno> {
        let answers = &self.answers[at..self.waiting];
        let slices: [[IoSlice<'_>; 1]; BATCH] = array::from_fn(|index| [IoSlice::new(answers.get(index).map_or(&[], Vec::as_slice))]);
        let mut controls: [SendAncillaryBuffer<'_, '_, '_>; BATCH] = array::from_fn(|_| SendAncillaryBuffer::default());
        let mut controls = controls.iter_mut();
        let mut messages: [MMsgHdr<'_>; BATCH] = array::from_fn(|index| {
            let control = controls.next().expect("one control buffer per message");
            let receiver = &self.receivers[(at + index).min(BATCH - 1)];
            MMsgHdr::new_with_addr(receiver, &slices[index], control)
        });
        sendmmsg(socket, &mut messages[..answers.len()], SendFlags::empty())
    }
}

/// Sends `waiting` answers by calls that each begin at one and say how many they sent.
fn send_all(waiting: usize, mut send_from: impl FnMut(usize) -> Result<usize, Errno>) -> (u64, u64) {
    let (mut sent, mut unsent) = (0, 0);
    let mut at = 0;
    while at < waiting {
        match send_from(at) {
            Ok(count) => {
                at += count.max(1);
                sent += count as u64;
            }
            Err(Errno::INTR) => {}
            // No room for a whole wait: each of those left would wait as long, and nothing be read meanwhile.
            Err(Errno::AGAIN) => {
                unsent += (waiting - at) as u64;
                break;
            }
            // The first of those left cannot be sent: its receiver is gone, or it has no port. The others may.
            Err(error) => {
                tracing::trace!(%error, "answer not sent");
                at += 1;
                unsent += 1;
            }
        }
    }
    (sent, unsent)
}

fn errno(error: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(error as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_does_not_take() {
        for (what, results, expected, calls) in [
            ("all at once", &[Ok(5)][..], (5, 0), &[0][..]),
            ("in parts", &[Ok(2), Ok(3)], (5, 0), &[0, 2]),
            ("a signal", &[Ok(2), Err(Errno::INTR), Ok(3)], (5, 0), &[0, 2, 2]),
            ("one receiver gone", &[Ok(1), Err(Errno::CONNREFUSED), Ok(3)], (4, 1), &[0, 1, 2]),
            ("no room", &[Ok(2), Err(Errno::AGAIN)], (2, 3), &[0, 2]),
            ("no room at all", &[Err(Errno::AGAIN)], (0, 5), &[0]),
        ] {
            let (mut results, mut called) = (results.iter(), Vec::new());
            let counts = send_all(5, |at| {
                called.push(at);
                *results.next().expect("no more calls than results")
            });
            assert_eq!((counts, called.as_slice(), results.next()), (expected, calls, None), "{what}");
        }
    }
}
