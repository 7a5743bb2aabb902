//! Which engines are alive: a value fed with keepalives and lifelines; time is an argument.
//!
//! Absent health is not health: an engine never heard of, or silent for longer than the profile's patience, is not live.
//! The end of a lifeline says at once that a worker is gone, seconds before the silence would. Datagrams and lifelines
//! are guarded against replay apart, so that a datagram that overtakes a lifeline's frame does not shut it out; what an
//! engine says of its state counts in the order it was said.

use crate::{
    network::{FixedMap, Network},
    reason::DropReason,
};
use serde::{Deserialize, Serialize};
use weir_model::{DeviceName, Stamp};

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
    /// Absent for an engine that was not live when the table was saved: its numbers still guard against replay.
    heard_ms: Option<u64>,
    lifeline: Option<LifelineId>,
    /// The boot whose lifeline ended, until that boot opens another one or a higher one is heard.
    lost_boot: Option<u64>,
}

impl Health {
    /// What is known of an engine when the first keepalive of a boot arrives: nothing an older boot said holds any longer.
    fn of_boot(beat: &Beat) -> Self {
        let Beat { state, boot, stamp, .. } = *beat;
        Self { state, boot, datagram: 0, frame: 0, stamp, heard_ms: None, lifeline: None, lost_boot: None }
    }

    /// Takes in what a keepalive says, unless the engine has said something newer on the other channel.
    fn hear(&mut self, beat: &Beat) {
        self.heard_ms = Some(beat.at_ms);
        if beat.sequence > self.datagram.max(self.frame) {
            (self.state, self.stamp) = (beat.state, beat.stamp);
        }
    }
}

/// What is known of every engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthTable {
    engines: FixedMap<DeviceName, Health>,
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
    /// Whether it was live when the table was saved.
    pub live: bool,
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

    /// Whether new viewers may be sent to an engine.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check(&self, engine: &DeviceName, now_ms: u64, patience_ms: u64) -> Result<(), DropReason> {
        let health = self.engines.get(engine).ok_or(DropReason::NeverHeard)?;
        let heard_ms = health.heard_ms.ok_or(DropReason::NeverHeard)?;
        if health.lost_boot.is_some() {
            return Err(DropReason::LifelineLost);
        }
        match health.state {
            EngineState::Serving => {}
            EngineState::Leaving => return Err(DropReason::Leaving),
            EngineState::Offloading => return Err(DropReason::Offloaded),
        }
        let silent_ms = now_ms.saturating_sub(heard_ms);
        if silent_ms > patience_ms { Err(DropReason::Silent { silent_ms }) } else { Ok(()) }
    }

    /// How many of a network's engines are live.
    pub fn live(&self, network: &Network, now_ms: u64) -> usize {
        let patience_ms = network.profile().keepalive_patience_ms();
        network.engines().iter().filter(|engine| self.check(&engine.name, now_ms, patience_ms).is_ok()).count()
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
                live: self.check(engine, now_ms, patience_ms).is_ok(),
            })
            .collect();
        saved.sort_by(|a, b| a.engine.cmp(&b.engine));
        saved
    }

    /// The table a router starts with: what was live counts as heard now, so it serves at once and for one patience;
    /// every number still guards against replay.
    pub fn restore(saved: &[SavedHealth], now_ms: u64) -> Self {
        let health = |saved: &SavedHealth| Health {
            state: saved.state,
            boot: saved.boot,
            datagram: saved.sequence,
            frame: 0,
            stamp: saved.stamp,
            heard_ms: saved.live.then_some(now_ms),
            lifeline: None,
            lost_boot: None,
        };
        Self { engines: saved.iter().map(|saved| (saved.engine.clone(), health(saved))).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, beat};
    use proptest::prelude::*;

    const PATIENCE_MS: u64 = 875;

    fn check(table: &HealthTable, now_ms: u64) -> Result<(), DropReason> {
        table.check(&sample::name("east-1"), now_ms, PATIENCE_MS)
    }

    #[test]
    fn absent_health_is_not_health() {
        assert_eq!(check(&HealthTable::default(), 0), Err(DropReason::NeverHeard));
        let table = sample::heard(&["east-1"]);
        assert_eq!(check(&table, 1000 + PATIENCE_MS), Ok(()));
        assert_eq!(check(&table, 1001 + PATIENCE_MS), Err(DropReason::Silent { silent_ms: 876 }));
        assert_eq!(check(&table, 900), Ok(()), "a reader's clock may be a moment behind the receiver's");
    }

    #[test]
    fn a_replay_changes_nothing() {
        let mut table = HealthTable::default();
        table.accept(&beat("east-1", 2, 5, 1000)).expect("first");
        let before = table.clone();
        for (boot, sequence) in [(2, 5), (2, 4), (1, 99)] {
            assert_eq!(table.accept(&beat("east-1", boot, sequence, 5000)), Err(Replayed), "{boot} {sequence}");
            assert_eq!(table, before);
        }
        table.accept(&beat("east-1", 2, 6, 5000)).expect("rises");
        table.accept(&beat("east-1", 3, 1, 5001)).expect("a new boot starts again");
    }

    #[test]
    fn leaving_counts_at_once() {
        let mut table = sample::heard(&["east-1"]);
        table.accept(&Beat { state: EngineState::Leaving, ..beat("east-1", 1, 2, 1100) }).expect("rises");
        assert_eq!(check(&table, 1100), Err(DropReason::Leaving));
        table.accept(&beat("east-1", 2, 1, 1200)).expect("the next worker");
        assert_eq!(check(&table, 1200), Ok(()));
    }

    #[test]
    fn a_lost_lifeline_counts_until_a_higher_boot() {
        let (engine, id) = (sample::name("east-1"), LifelineId(7));
        let mut table = sample::heard(&["east-1"]);
        table.lifeline_up(&beat("east-1", 1, 2, 1000), id).expect("rises");
        assert_eq!(check(&table, 1000), Ok(()));
        assert!(table.lifeline_lost(&engine, id));
        assert_eq!(check(&table, 1001), Err(DropReason::LifelineLost));
        table.accept(&beat("east-1", 1, 3, 1002)).expect("was under way when the worker died");
        assert_eq!(check(&table, 1002), Err(DropReason::LifelineLost));
        table.accept(&beat("east-1", 2, 1, 1500)).expect("the next worker");
        assert_eq!(check(&table, 1500), Ok(()));
    }

    #[test]
    fn a_lifeline_opened_again_is_as_good() {
        let engine = sample::name("east-1");
        let mut table = sample::heard(&["east-1"]);
        table.lifeline_up(&beat("east-1", 1, 2, 1000), LifelineId(1)).expect("rises");
        table.lifeline_lost(&engine, LifelineId(1));
        table.lifeline_up(&beat("east-1", 1, 3, 1100), LifelineId(2)).expect("rises");
        assert_eq!(check(&table, 1100), Ok(()));
        assert!(!table.lifeline_lost(&engine, LifelineId(1)), "replaced");
        assert_eq!(check(&table, 1100), Ok(()));
    }

    #[test]
    fn the_end_of_an_older_boots_lifeline_says_nothing() {
        let engine = sample::name("east-1");
        let mut table = sample::heard(&["east-1"]);
        table.lifeline_up(&beat("east-1", 1, 2, 1000), LifelineId(1)).expect("rises");
        table.accept(&beat("east-1", 2, 1, 1100)).expect("the next worker is heard before the end of the last");
        assert!(!table.lifeline_lost(&engine, LifelineId(1)));
        assert_eq!(check(&table, 1100), Ok(()));
    }

    #[test]
    fn a_datagram_that_overtakes_a_lifelines_frame_does_not_shut_it_out() {
        let engine = sample::name("east-1");
        let mut table = sample::heard(&["east-1"]);
        let leaving = Beat { state: EngineState::Leaving, ..beat("east-1", 1, 3, 1001) };
        table.accept(&leaving).expect("rises");
        table.lifeline_up(&beat("east-1", 1, 2, 1002), LifelineId(1)).expect("the first frame");
        assert!(table.holds_lifeline(&engine, LifelineId(1)));
        assert_eq!(check(&table, 1002), Err(DropReason::Leaving), "said after the frame was made");
        table.accept(&leaving).expect_err("the frame does not lower the datagrams' floor");
        assert_eq!(table.lifeline_up(&beat("east-1", 1, 2, 1003), LifelineId(2)), Err(Replayed));
        assert_eq!(table.lifeline_up(&beat("east-1", 0, 9, 1003), LifelineId(2)), Err(Replayed), "an older boot");
        assert!(table.holds_lifeline(&engine, LifelineId(1)));
    }

    #[test]
    fn a_lifeline_whose_network_fell_silent_leaves_the_judgement_to_the_datagrams() {
        let engine = sample::name("east-1");
        let mut table = sample::heard(&["east-1"]);
        table.lifeline_up(&beat("east-1", 1, 2, 1000), LifelineId(1)).expect("rises");
        table.lifeline_silent(&engine, LifelineId(1));
        assert!(!table.holds_lifeline(&engine, LifelineId(1)));
        assert_eq!(check(&table, 1000 + PATIENCE_MS), Ok(()));
        assert!(matches!(check(&table, 1001 + PATIENCE_MS), Err(DropReason::Silent { .. })));
        assert!(!table.lifeline_lost(&engine, LifelineId(1)), "its end was told already");
    }

    #[test]
    fn a_restarted_router_serves_for_one_patience_and_still_refuses_replays() {
        let mut table = sample::heard(&["east-1", "east-2"]);
        table.accept(&Beat { state: EngineState::Leaving, ..beat("east-2", 1, 2, 1100) }).expect("rises");
        let text = serde_json::to_string(&table.save(1200, PATIENCE_MS)).expect("json");
        let saved: Vec<SavedHealth> = serde_json::from_str(&text).expect("own output");
        let mut restored = HealthTable::restore(&saved, 10);
        assert_eq!(check(&restored, 10 + PATIENCE_MS), Ok(()));
        assert!(matches!(check(&restored, 11 + PATIENCE_MS), Err(DropReason::Silent { .. })));
        assert_eq!(restored.check(&sample::name("east-2"), 10, PATIENCE_MS), Err(DropReason::NeverHeard));
        assert_eq!(restored.accept(&beat("east-1", 1, 1, 20)), Err(Replayed));
    }

    #[test]
    fn engines_that_left_the_configuration_are_forgotten() {
        let mut table = sample::heard(&["east-1", "retired"]);
        table.retain(&sample::network());
        assert_eq!(table.check(&sample::name("retired"), 1000, PATIENCE_MS), Err(DropReason::NeverHeard));
        assert_eq!(table.live(&sample::network(), 1000), 1);
    }

    proptest! {
        /// Whatever arrives in whatever order, the numbers held only rise.
        #[test]
        fn numbers_rise(beats in prop::collection::vec((0u64..4, 1u64..6), 0..40)) {
            let mut table = HealthTable::default();
            let mut highest = None;
            for (boot, sequence) in beats {
                let accepted = table.accept(&beat("east-1", boot, sequence, 0)).is_ok();
                prop_assert_eq!(accepted, highest.is_none_or(|highest| (boot, sequence) > highest));
                highest = highest.max(Some((boot, sequence)));
            }
        }
    }
}
