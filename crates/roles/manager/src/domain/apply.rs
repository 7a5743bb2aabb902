//! The network as one document: exported, and made what a document says in one change, by the rules of the single verbs.
//!
//! A delivery service that is refused is left as it is and stops nobody else. Anything else that is refused stops everything.

mod document;
mod outcome;
mod plan;
#[cfg(test)]
mod tests;

pub(crate) use document::export;

use self::{
    outcome::Done,
    plan::{Deed, Step},
};
use super::{delivery_services, devices, locations, zones};
use crate::{
    change::{Change, Refusal},
    compile,
    guard::Departure,
    snapshot::Snapshot,
    tables::parts,
};
use std::collections::BTreeMap;
use weir_operator_api::{AccessRole, ApplyChange, ApplyOutcome, NetworkDocument, Problem, Reason};

/// Whether it is done or only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything is done, or refused.
    Apply,
    /// The change is not kept; every refusal is listed.
    DryRun,
}

/// Makes the network what the document says.
///
/// # Errors
/// What the document says wrong, with its place; when it is applied also the first refusal that is not of a delivery service.
pub(crate) fn apply(change: &Change<'_>, document: &NetworkDocument, departure: &Departure, mode: Mode) -> Result<ApplyOutcome, Refusal> {
    change.access().everywhere(AccessRole::Operator)?;
    let mut run = Run { change, network: change.before.clone(), departure, changes: Vec::new() };
    let mut services = Vec::new();
    for step in plan::plan(document, change.before)? {
        if step.service().is_some() {
            services.push(step);
            continue;
        }
        run.services(std::mem::take(&mut services))?;
        match run.take(&step) {
            Err(Refusal::Problem(problem)) if mode == Mode::DryRun => run.changes.push(outcome::refused(&run.network, &step, *problem)),
            taken => taken?,
        }
    }
    run.services(services)?;
    Ok(ApplyOutcome { changes: run.changes, applied: mode == Mode::Apply, confirm: None, generation: change.generation() })
}

/// An apply under way.
struct Run<'a> {
    change: &'a Change<'a>,
    /// The network after the steps so far.
    network: Snapshot,
    departure: &'a Departure,
    changes: Vec<ApplyChange>,
}

impl Run<'_> {
    /// Makes and changes delivery services, all that the rules and the compiler let through. What is refused is said, and is as it
    /// was.
    fn services(&mut self, mut steps: Vec<Step>) -> Result<(), Refusal> {
        let mut unfit = Vec::new();
        while !steps.is_empty() {
            parts::begin(self.change.tx)?;
            let part = self.change.on(&self.network);
            let mut run = Run { change: &part, network: self.network.clone(), departure: self.departure, changes: Vec::new() };
            run.as_they_come(steps.clone())?;
            let Run { network, changes, .. } = run;
            let faults = faults(&self.network, &network);
            if faults.is_empty() {
                parts::keep(self.change.tx)?;
                self.change.absorb(part);
                self.changes.extend(changes);
                self.network = network;
                break;
            }
            parts::take_back(self.change.tx)?;
            let of = |step: &Step| faults.get(step.service()?).map(|why| unfit_service(step, why));
            unfit.extend(steps.iter().filter_map(|step| Some(outcome::refused(&self.network, step, of(step)?))));
            steps.retain(|step| of(step).is_none());
        }
        self.changes.extend(unfit);
        Ok(())
    }

    /// Takes the steps of delivery services. One whose domain another still has waits until that one was changed.
    fn as_they_come(&mut self, mut waiting: Vec<Step>) -> Result<(), Refusal> {
        while !waiting.is_empty() {
            let count = waiting.len();
            let mut again = Vec::new();
            for step in waiting {
                match self.take(&step) {
                    Ok(()) => {}
                    Err(Refusal::Problem(problem)) if problem.reason == Reason::DomainTaken => again.push((step, problem)),
                    Err(Refusal::Problem(problem)) => self.changes.push(outcome::refused(&self.network, &step, *problem)),
                    Err(error) => return Err(error),
                }
            }
            if again.len() == count {
                self.changes.extend(again.into_iter().map(|(step, problem)| outcome::refused(&self.network, &step, *problem)));
                return Ok(());
            }
            waiting = again.into_iter().map(|(step, _)| step).collect();
        }
        Ok(())
    }

    /// Takes one step.
    fn take(&mut self, step: &Step) -> Result<(), Refusal> {
        let part = self.change.on(&self.network);
        let done = self.perform(&part, &step.deed).map_err(|refusal| placed(refusal, step.place.as_deref()))?;
        self.change.absorb(part);
        self.changes.extend(outcome::note(&mut self.network, &step.deed, done));
        Ok(())
    }

    fn perform(&self, part: &Change<'_>, deed: &Deed) -> Result<Done, Refusal> {
        Ok(match deed {
            Deed::CreateLocation(request) => Done::Location(locations::create(part, request)?),
            Deed::MoveLocation(request) => Done::Location(locations::replace(part, &request.name, request)?),
            Deed::DeleteLocation(name) => {
                locations::delete(part, name)?;
                Done::Gone
            }
            Deed::Activate(name, request) => Done::Device(devices::activate(part, name, request, self.departure)?),
            Deed::Deactivate(name) => Done::Device(devices::deactivate(part, name, self.departure)?),
            Deed::CreateService(request) => Done::Service(delivery_services::create(part, request)?),
            Deed::ChangeService(request) => Done::Service(delivery_services::replace(part, &request.name, request)?),
            Deed::DeleteService(name) => {
                delivery_services::delete(part, name)?;
                Done::Gone
            }
            Deed::ReplaceZones(request) => Done::Zones(zones::replace(part, request)?),
        })
    }
}

/// What speaks against the delivery services that are new or changed, by name, in the words of what devices load them with.
fn faults(before: &Snapshot, after: &Snapshot) -> BTreeMap<String, String> {
    // A fault of the whole network is no service's own: it stops everything when the change ends.
    let faults = compile::faults(after).unwrap_or_default();
    let changed = |id: i64| after.services.iter().find(|s| s.id == id && before.services.iter().find(|b| b.id == id) != Some(*s));
    faults.into_iter().filter_map(|(id, error)| Some((changed(id)?.name.to_string(), error.to_string()))).collect()
}

fn unfit_service(step: &Step, why: &str) -> Problem {
    let problem = Problem::new(Reason::DoesNotCompile, why);
    match &step.place {
        Some(place) => problem.at(place),
        None => problem,
    }
}

/// A refusal with its place in the document: `delivery_services[3].origin`.
fn placed(refusal: Refusal, place: Option<&str>) -> Refusal {
    let Some(place) = place else { return refusal };
    match refusal {
        Refusal::Problem(mut problem) => {
            problem.field = Some(match problem.field.take() {
                // Zones are judged as a whole, and say which for themselves.
                Some(field) if place == "coverage_zones" => format!("{place}{}", field.strip_prefix("zones").unwrap_or_default()),
                Some(field) => format!("{place}.{field}"),
                None => place.to_owned(),
            });
            Refusal::Problem(problem)
        }
        database @ Refusal::Database(_) => database,
    }
}
