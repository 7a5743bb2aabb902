//! Server Offload as a router obeys it: what it tells an engine on its lifeline, and what it reports while it is itself handed over.

use std::{
    io,
    sync::{Mutex, PoisonError},
};
use tokio::net::TcpStream;
use weir_device_api::{
    Drain,
    keepalive::{Audience, Channel, OBEYED_BYTES, Obeyed},
};
use weir_model::{DeviceName, OffloadEpoch, Stamp, configuration::KeepaliveKey};

/// What one engine has been told of its offload, on the lifeline that is open.
pub(crate) struct Acknowledgement {
    /// The key the engine's own frame named.
    key: KeepaliveKey,
    channel: Channel,
    told: Option<Stamp>,
    /// Of the last one, what the connection has not taken yet.
    unsent: Vec<u8>,
}

impl Acknowledgement {
    pub(crate) fn new(key: KeepaliveKey, channel: Channel) -> Self {
        Self { key, channel, told: None, unsent: Vec::with_capacity(OBEYED_BYTES) }
    }

    /// Tells the engine what `router` obeys, if that has risen. It never waits: what an engine that does not read leaves
    /// unsent is offered again the next time, and a newer stamp is told once that has gone.
    pub(crate) fn tell(&mut self, router: &DeviceName, obeyed: Option<Stamp>, stream: &TcpStream) -> io::Result<()> {
        self.flush(stream)?;
        if self.unsent.is_empty() && obeyed > self.told {
            let stamp = obeyed.expect("above what was told");
            let audience = Audience { router, channel: self.channel };
            self.unsent.extend_from_slice(&Obeyed { stamp }.encode(&self.key, &audience).expect("the key that verified its frame"));
            self.told = obeyed;
            self.flush(stream)?;
        }
        Ok(())
    }

    fn flush(&mut self, stream: &TcpStream) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match stream.try_write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Since when the configuration says that this router is handed over, in monotonic milliseconds.
#[derive(Default)]
pub(crate) struct Handover(Mutex<Option<u64>>);

impl Handover {
    /// Takes in what the configuration in force says.
    pub(crate) fn learn(&self, is_offloaded: bool, now_ms: u64) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *since = is_offloaded.then(|| since.unwrap_or(now_ms));
    }

    /// What to report.
    pub(crate) fn drain(&self, active_requests: u32, now_ms: u64) -> Option<Drain> {
        let since = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(Drain {
            epoch: OffloadEpoch::Clients,
            for_ms: now_ms.saturating_sub(since),
            active_requests,
            sessions: 0,
            fills_for_others: 0,
            newest: Vec::new(),
            late_sessions: 0,
            late_requests: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handover_counts_from_when_it_was_learnt() {
        let handover = Handover::default();
        assert_eq!(handover.drain(3, 50), None);
        for (is_offloaded, at_ms, now_ms, expected) in
            [(true, 100, 150, Some(50)), (true, 200, 250, Some(150)), (false, 300, 350, None), (true, 400, 400, Some(0))]
        {
            handover.learn(is_offloaded, at_ms);
            let drain = handover.drain(3, now_ms);
            assert_eq!(drain.as_ref().map(|drain| drain.for_ms), expected, "{at_ms}");
            assert!(drain.is_none_or(|drain| drain.active_requests == 3 && drain.epoch == OffloadEpoch::Clients));
        }
    }
}
