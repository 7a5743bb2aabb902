//! Listeners this process held before it turned into this keeper: an update of the keeper closes no socket.

use super::RecordedListener;
use crate::device_log::DeviceLog;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    os::fd::{OwnedFd, RawFd},
};
use weir_keeper_api::ListenerSpec;
use weir_sockets::take_inherited;

/// Names the sockets the keeper before kept open, as JSON.
pub(crate) const SOCKETS_VARIABLE: &str = "WEIR_KEEPER_SOCKETS";

/// A listener as it is handed on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Handed {
    /// As it was asked for.
    pub(super) asked: RecordedListener,
    /// The address it really has.
    pub(super) address: SocketAddr,
    /// Its sockets, by their numbers.
    pub(super) numbers: Vec<RawFd>,
}

/// What was handed on and not taken yet; the rest is closed when this is dropped.
pub(super) struct Inherited(Vec<(ListenerSpec, (ListenerSpec, Vec<OwnedFd>))>);

impl Inherited {
    /// Takes what the keeper before kept open; what is not as it says is bound anew.
    pub(super) fn take(log: &DeviceLog) -> Self {
        let Ok(text) = std::env::var(SOCKETS_VARIABLE) else { return Self(Vec::new()) };
        let handed: Vec<Handed> = match serde_json::from_str(&text) {
            Ok(handed) => handed,
            Err(error) => {
                log.error("sockets of the keeper before not usable", &[("error", error.to_string().into())]);
                return Self(Vec::new());
            }
        };
        let mut taken = Vec::new();
        for Handed { asked, address, numbers } in handed {
            let sockets = numbers.iter().map(|number| take_inherited(*number, address)).collect::<Result<Vec<OwnedFd>, _>>();
            match (asked.meaning(), sockets) {
                (Some(asked), Ok(sockets)) if sockets.len() == usize::from(asked.count) => {
                    let listener = ListenerSpec { address, ..asked.clone() };
                    taken.push((asked, (listener, sockets)));
                }
                (_, Err(error)) => log.error("socket of the keeper before not taken", &[("error", error.to_string().into())]),
                _ => log.error("sockets of the keeper before not usable", &[]),
            }
        }
        Self(taken)
    }

    /// The sockets of a listener that is asked for as it was then.
    pub(super) fn of(&mut self, asked: &ListenerSpec) -> Option<(ListenerSpec, Vec<OwnedFd>)> {
        let at = self.0.iter().position(|(then, _)| then == asked)?;
        Some(self.0.swap_remove(at).1)
    }
}
