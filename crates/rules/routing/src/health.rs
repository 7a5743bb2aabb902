//! Which engines are alive: a value fed with keepalives and lifelines; time is an argument.
//!
//! Absent health is not health: an engine never heard of, or silent for longer than the profile's patience, is not live.
//! The end of a lifeline says at once that a worker is gone, seconds before the silence would. Datagrams and lifelines
//! are guarded against replay apart, so that a datagram that overtakes a lifeline's frame does not shut it out; what an
//! engine says of its state counts in the order it was said.
//!
//! Server Offload is known from two sides, the configuration and the engine's own keepalive, which carries the stamp of
//! the configuration the engine runs. **The higher stamp decides**: a router cut off from the manager learns an offload,
//! and the return from it, from the engine itself; with equal stamps both say the same.

use crate::{
    network::{Engine, FixedMap, Network},
    panic::Panic,
    placement::Candidate,
    reason::DropReason,
};
use serde::{Deserialize, Serialize};
use weir_model::{
    DeviceName, Stamp,
    offload::{SHARE_FIRST, SHARE_WHOLE},
};

/// Whether an engine takes viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// It serves.
    Serving,
    /// It is about to stop: nothing new is sent to it.
    Leaving,
    /// Server Offload holds it.
    Offloading,
}

/// A keepalive whose mac was right, on whichever channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Who.
    pub engine: DeviceName,
    /// Whether it takes viewers.
    pub state: EngineState,
    /// Rises with each start of the worker.
    pub boot: u64,
    /// Rises with each keepalive of one boot, from 1.
    pub sequence: u64,
    /// The configuration it runs from.
    pub stamp: Stamp,
    /// The part of its weight it takes, in thousandths.
    pub share_permille: u16,
    /// When it arrived, monotonic milliseconds of the receiver.
    pub at_ms: u64,
}

/// The keepalive's (boot, sequence) is not above the last one accepted on its channel: repeated, reordered or recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("boot and sequence do not rise")]
pub struct Replayed;

/// A lifeline of one router process; the receiver numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LifelineId(pub u64);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Health {
    state: EngineState,
    boot: u64,
    /// The last datagram of this boot; 0 before the first.
    datagram: u64,
    /// The last lifeline frame of this boot; 0 before the first. Not kept on disk: a frame is good for one connection only.
    frame: u64,
    stamp: Stamp,
    share_permille: u16,
    /// Absent for an engine that was not up when the table was saved: its numbers still guard against replay.
    heard_ms: Option<u64>,
    lifeline: Option<LifelineId>,
    /// The boot whose lifeline ended, until that boot opens another one or a higher one is heard.
    lost_boot: Option<u64>,
}

impl Health {
    /// What is known of an engine when the first keepalive of a boot arrives: nothing an older boot said holds any longer.
    fn of_boot(beat: &Beat) -> Self {
        let Beat { state, boot, stamp, share_permille, .. } = *beat;
        Self { state, boot, datagram: 0, frame: 0, stamp, share_permille, heard_ms: None, lifeline: None, lost_boot: None }
    }

    /// Takes in what a keepalive says, unless the engine has said something newer on the other channel. Within a boot its
    /// configuration never grows older: what it says of an older one it took before the last was in force. That it is about
    /// to stop is no matter of configurations.
    fn hear(&mut self, beat: &Beat) {
        self.heard_ms = Some(beat.at_ms);
        if beat.sequence <= self.datagram.max(self.frame) {
            return;
        }
        if beat.stamp >= self.stamp {
            (self.state, self.stamp, self.share_permille) = (beat.state, beat.stamp, beat.share_permille);
        } else if beat.state == EngineState::Leaving {
            self.state = EngineState::Leaving;
        }
    }

    /// Whether its worker runs and goes on running, as far as one can hear.
    fn up(&self, now_ms: u64, patience_ms: u64) -> Result<(), DropReason> {
        let heard_ms = self.heard_ms.ok_or(DropReason::NeverHeard)?;
        // First what it said: a worker that stops in order says so and then lets go of its lifelines, which is no loss.
        if self.state == EngineState::Leaving {
            return Err(DropReason::Leaving);
        }
        if self.lost_boot.is_some() {
            return Err(DropReason::LifelineLost);
        }
        let silent_ms = now_ms.saturating_sub(heard_ms);
        if silent_ms > patience_ms { Err(DropReason::Silent { silent_ms }) } else { Ok(()) }
    }
}

/// What a reader of the table makes of an engine, to compare a copy with: one whose word differs wants to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    up: bool,
    state: EngineState,
    stamp: Stamp,
    share_permille: u16,
}

/// What is known of every engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthTable {
    engines: FixedMap<DeviceName, Health>,
    pub(crate) panic: Option<Panic>,
}

/// One engine as a router keeps it on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedHealth {
    /// Who.
    pub engine: DeviceName,
    /// What it last said.
    pub state: EngineState,
    /// Its last boot.
    pub boot: u64,
    /// The sequence of its last datagram; 0 when that boot sent none.
    pub sequence: u64,
    /// The configuration it ran from.
    pub stamp: Stamp,
    /// The part of its weight it took, in thousandths.
    #[serde(default = "whole")]
    pub share_permille: u16,
    /// Whether it was up when the table was saved.
    pub live: bool,
}

fn whole() -> u16 {
    SHARE_WHOLE
}

impl HealthTable {
    /// Takes a datagram in.
    ///
    /// # Errors
    /// [`Replayed`] when (boot, sequence) does not rise among datagrams; the table is unchanged.
    pub fn accept(&mut self, beat: &Beat) -> Result<(), Replayed> {
        let mut health = self.of_same_boot(beat)?;
        if beat.sequence <= health.datagram {
            return Err(Replayed);
        }
        health.hear(beat);
        health.datagram = beat.sequence;
        self.engines.insert(beat.engine.clone(), health);
        Ok(())
    }

    /// A lifeline opened with this keepalive, which was made for that connection; it replaces an older one of the engine.
    ///
    /// # Errors
    /// [`Replayed`] when (boot, sequence) does not rise among lifelines; the table is unchanged.
    pub fn lifeline_up(&mut self, beat: &Beat, id: LifelineId) -> Result<(), Replayed> {
        let mut health = self.of_same_boot(beat)?;
        if beat.sequence <= health.frame {
            return Err(Replayed);
        }
        health.hear(beat);
        health.frame = beat.sequence;
        (health.lifeline, health.lost_boot) = (Some(id), None);
        self.engines.insert(beat.engine.clone(), health);
        Ok(())
    }

    /// What is known of the engine in the beat's boot; an older boot's words come too late.
    fn of_same_boot(&self, beat: &Beat) -> Result<Health, Replayed> {
        match self.engines.get(&beat.engine) {
            Some(known) if known.boot > beat.boot => Err(Replayed),
            Some(known) if known.boot == beat.boot => Ok(known.clone()),
            Some(_) | None => Ok(Health::of_boot(beat)),
        }
    }

    /// A lifeline ended. True when it was the engine's current one: the engine is not live until it opens another or a
    /// higher boot is heard. The end of a lifeline that has been replaced, or of an older boot, says nothing.
    pub fn lifeline_lost(&mut self, engine: &DeviceName, id: LifelineId) -> bool {
        let current = self.engines.get_mut(engine).filter(|health| health.lifeline == Some(id));
        let Some(health) = current else { return false };
        health.lifeline = None;
        health.lost_boot = Some(health.boot);
        true
    }

    /// A lifeline ended because the network between the two fell silent, which says nothing of the worker: the datagrams
    /// decide.
    pub fn lifeline_silent(&mut self, engine: &DeviceName, id: LifelineId) {
        if let Some(health) = self.engines.get_mut(engine).filter(|health| health.lifeline == Some(id)) {
            health.lifeline = None;
        }
    }

    /// Whether this lifeline is the engine's current one.
    pub fn holds_lifeline(&self, engine: &DeviceName, id: LifelineId) -> bool {
        self.engines.get(engine).is_some_and(|health| health.lifeline == Some(id))
    }

    /// Whether new viewers may be sent to an engine of this network.
    ///
    /// # Errors
    /// The reason why not.
    pub fn admits(&self, network: &Network, engine: &Engine, now_ms: u64) -> Result<(), DropReason> {
        self.candidate(network, engine, now_ms).map(|_| ())
    }

    /// How an engine of this network stands by itself, a panic or not.
    pub(crate) fn standing(&self, network: &Network, engine: &Engine, now_ms: u64) -> Result<(), DropReason> {
        stands(network, engine, self.engines.get(&engine.name), now_ms)
    }

    /// When an engine that is gone was last known to be there, as far as one can hear.
    pub(crate) fn vanished_ms(&self, engine: &DeviceName, patience_ms: u64) -> Option<u64> {
        let health = self.engines.get(engine)?;
        let heard_ms = health.heard_ms?;
        Some(if health.lost_boot.is_some() { heard_ms } else { heard_ms + patience_ms })
    }

    /// The engine as placement takes it, with the share of its weight it last spoke of.
    pub(crate) fn candidate<'n>(&self, network: &Network, engine: &'n Engine, now_ms: u64) -> Result<Candidate<'n>, DropReason> {
        let health = self.engines.get(&engine.name);
        match stands(network, engine, health, now_ms) {
            Err(why) if !self.is_kept(&engine.name, why, now_ms) => return Err(why),
            _ => {}
        }
        let health = health.ok_or(DropReason::NeverHeard)?;
        // Only the configuration knows of its return yet: it begins as the engine itself will.
        let most = if health.state == EngineState::Offloading { SHARE_FIRST } else { SHARE_WHOLE };
        Ok(Candidate { engine, share_permille: health.share_permille.min(most) })
    }

    /// Whether an engine's worker runs and goes on running, offloaded or not: whether its own name may lead to it.
    pub fn is_up(&self, engine: &DeviceName, now_ms: u64, patience_ms: u64) -> bool {
        self.engines.get(engine).is_some_and(|health| match health.up(now_ms, patience_ms) {
            Ok(()) => true,
            Err(why) => self.is_kept(engine, why, now_ms),
        })
    }

    /// The part of its weight an engine last said it takes, in thousandths; the whole of one never heard.
    pub fn share_permille(&self, engine: &DeviceName) -> u16 {
        self.engines.get(engine).map_or(SHARE_WHOLE, |health| health.share_permille)
    }

    /// What a reader makes of an engine now; nothing of one never heard.
    pub fn word(&self, engine: &DeviceName, now_ms: u64, patience_ms: u64) -> Option<Word> {
        self.engines.get(engine).map(|health| {
            let Health { state, stamp, share_permille, .. } = *health;
            Word { up: health.up(now_ms, patience_ms).is_ok(), state, stamp, share_permille }
        })
    }

    /// The stamp of the offload this router obeys for an engine, which it tells the engine on its lifeline: the highest one
    /// that configuration or engine gave it. Nothing while it may send the engine viewers.
    pub fn obeyed(&self, network: &Network, engine: &DeviceName) -> Option<Stamp> {
        offload_stamp(network, network.engine(engine)?, self.engines.get(engine))
    }

    /// How many of a network's engines may be given viewers.
    pub fn live(&self, network: &Network, now_ms: u64) -> usize {
        network.engines().iter().filter(|engine| self.admits(network, engine, now_ms).is_ok()).count()
    }

    /// Forgets engines a network does not have, which bounds the table by the configuration's limits. Their numbers are
    /// forgotten too: one that comes back may start from any boot.
    pub fn retain(&mut self, network: &Network) {
        self.engines.retain(|name, _| network.engine(name).is_some());
    }

    /// What to keep on disk, sorted by name.
    pub fn save(&self, now_ms: u64, patience_ms: u64) -> Vec<SavedHealth> {
        let mut saved: Vec<SavedHealth> = self
            .engines
            .iter()
            .map(|(engine, health)| SavedHealth {
                engine: engine.clone(),
                state: health.state,
                boot: health.boot,
                sequence: health.datagram,
                stamp: health.stamp,
                share_permille: health.share_permille,
                live: self.is_up(engine, now_ms, patience_ms),
            })
            .collect();
        saved.sort_by(|a, b| a.engine.cmp(&b.engine));
        saved
    }

    /// The table a router starts with: what was up counts as heard now, so it serves at once and for one patience;
    /// every number still guards against replay.
    pub fn restore(saved: &[SavedHealth], now_ms: u64) -> Self {
        let health = |saved: &SavedHealth| Health {
            state: saved.state,
            boot: saved.boot,
            datagram: saved.sequence,
            frame: 0,
            stamp: saved.stamp,
            share_permille: saved.share_permille,
            heard_ms: saved.live.then_some(now_ms),
            lifeline: None,
            lost_boot: None,
        };
        Self { engines: saved.iter().map(|saved| (saved.engine.clone(), health(saved))).collect(), panic: None }
    }
}

fn stands(network: &Network, engine: &Engine, health: Option<&Health>, now_ms: u64) -> Result<(), DropReason> {
    if offload_stamp(network, engine, health).is_some() {
        return Err(DropReason::Offloaded);
    }
    health.ok_or(DropReason::NeverHeard)?.up(now_ms, network.profile().keepalive_patience_ms())
}

/// The stamp of the offload in force for an engine, if there is one: the higher stamp decides, and where configuration and
/// engine both know the offload the higher one of them is told.
fn offload_stamp(network: &Network, engine: &Engine, health: Option<&Health>) -> Option<Stamp> {
    // An engine about to stop does not say whether it is offloaded, so the configuration stands.
    let said = health.filter(|health| health.state != EngineState::Leaving && health.stamp > network.stamp());
    match said {
        Some(said) => (said.state == EngineState::Offloading).then_some(said.stamp),
        None => engine.offload.map(|_| network.stamp()),
    }
}

#[cfg(test)]
mod tests;
