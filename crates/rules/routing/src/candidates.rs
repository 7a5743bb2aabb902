//! Who may be chosen for a service now: the one filter behind redirects, DNS answers and the preview of an offload.

use crate::{
    health::HealthTable,
    network::{Engine, LocationIndex, Network, Service},
    placement::{self, Candidate, Key},
    reason::{DropReason, Reason},
    zones::Tier,
};

/// Where steps go. Reasons are built only when somebody reads them.
pub(crate) trait Recorder {
    fn note(&mut self, reason: impl FnOnce() -> Reason);
}

pub(crate) struct Unrecorded;

impl Recorder for Unrecorded {
    fn note(&mut self, _: impl FnOnce() -> Reason) {}
}

impl Recorder for Vec<Reason> {
    fn note(&mut self, reason: impl FnOnce() -> Reason) {
        self.push(reason());
    }
}

/// A service in a network as its engines stand now.
#[derive(Clone, Copy)]
pub(crate) struct Field<'n, 'h> {
    pub(crate) network: &'n Network,
    pub(crate) health: &'h HealthTable,
    pub(crate) service: &'n Service,
    /// Monotonic milliseconds, the clock of the health table.
    pub(crate) now_ms: u64,
}

impl<'n> Field<'n, '_> {
    /// The service's engines at these locations that may be given viewers.
    pub(crate) fn at(self, locations: &[LocationIndex], recorder: &mut impl Recorder) -> impl Iterator<Item = Candidate<'n>> {
        let engines = locations.iter().flat_map(move |at| self.network.engines_of(self.service, *at));
        engines.filter_map(move |engine| {
            let location = || self.network.location(engine.location).name.clone();
            let found = self.candidate(engine);
            recorder.note(|| match found {
                Ok(_) if let Some(why) = self.kept(engine) => Reason::Kept { engine: engine.name.clone(), location: location(), why },
                Ok(Candidate { share_permille, .. }) => {
                    Reason::Candidate { engine: engine.name.clone(), location: location(), weight: engine.weight, share_permille }
                }
                Err(why) => Reason::Dropped { engine: engine.name.clone(), location: location(), why },
            });
            found.ok()
        })
    }

    /// The service's engines that may be given viewers, wherever they are.
    pub(crate) fn anywhere(self) -> impl Iterator<Item = Candidate<'n>> {
        let engines = self.service.engines_at.keys().flat_map(move |at| self.network.engines_of(self.service, *at));
        engines.filter_map(move |engine| self.candidate(engine).ok())
    }

    /// Why an engine would be passed over, were it not for a panic.
    fn kept(self, engine: &Engine) -> Option<DropReason> {
        let why = self.health.standing(self.network, engine, self.now_ms).err()?;
        self.health.is_kept(&engine.name, why, self.now_ms).then_some(why)
    }

    fn candidate(self, engine: &'n Engine) -> Result<Candidate<'n>, DropReason> {
        match engine.weight {
            0 => Err(DropReason::WeightZero),
            _ => self.health.candidate(self.network, engine, self.now_ms),
        }
    }

    /// The first engine for a key in the nearest tier that has one which may be chosen and which `keep` keeps.
    pub(crate) fn first(
        self,
        key: Key,
        tiers: &[Tier],
        keep: impl Fn(&Engine) -> bool,
        recorder: &mut impl Recorder,
    ) -> Option<&'n Engine> {
        tiers.iter().find_map(|tier| {
            recorder.note(|| Reason::locations(self.network, tier));
            placement::first(key, self.at(&tier.locations, recorder).filter(|candidate| keep(candidate.engine)))
        })
    }
}
