//! Whether a device may be assigned a version now. Pure, but for [`Network::gather`].

use super::{
    record::{Kept, Order},
    seen::Seen,
    sources,
};
use crate::{app::App, reports::Heard, snapshot::DeviceRecord, software::record::Record};
use std::borrow::Borrow;
use weir_model::{DeviceName, DownloadMethod, Lineage, Role, Stamp, Version};
use weir_operator_api::{DeviceUpdateRequest, Problem, Reason, SoftwareRelease};
use weir_rollout::{
    order::{Member, may_run},
    update::{Leave, Stage},
};

/// What an assignment to one device is judged by: what devices said, as it was observed at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// The device's last report.
    heard: Option<Heard>,
    /// Every other device that was heard of, the primary included.
    others: Vec<(DeviceName, Role, Version)>,
    primary: Version,
    lineage: Lineage,
    /// The assignments that devices have taken up, as they last said.
    taken_up: Vec<Stamp>,
}

/// A number of an assignment above this was never given: a device that reports one is not believed.
const NUMBER_MAX: u64 = 1 << 48;

/// An assignment that may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(super) file: i64,
    pub(super) release: SoftwareRelease,
    pub(super) method: DownloadMethod,
    pub(super) auto_reload: bool,
    pub(super) leave: Leave,
    pub(super) overrides: bool,
}

impl Network {
    /// What is known now.
    pub(super) fn gather(app: &App, device: &str) -> Self {
        let network = app.network();
        let others = app.reports.with_all(|heard| {
            let others = network.devices.values().filter(|d| d.name.as_str() != device && d.name != app.name);
            let version = |d: &DeviceRecord| heard.get(&d.name)?.report.hello.version.parse::<Version>().ok();
            others.filter_map(|d| Some((d.name.clone(), d.role, version(d)?))).collect::<Vec<_>>()
        });
        let primary = Version::current();
        let own = (app.name.as_str() != device).then(|| (app.name.clone(), Role::Manager, primary));
        let heard = network.devices.get(device).and_then(|record| app.reports.get(&record.name));
        let obeyed = |heard: &Heard| Some(heard.report.update.as_ref()?.state.assignment.as_ref()?.stamp);
        let taken_up = app.reports.with_all(|heard| heard.values().filter_map(obeyed).collect());
        Self { heard, others: others.into_iter().chain(own).collect(), primary, lineage: app.software.lineage(), taken_up }
    }

    /// The greatest number of an assignment of this term that a device has taken up; 0 for none.
    pub(crate) fn greatest_number(&self, term: u64) -> u64 {
        let numbers = self.taken_up.iter().filter(|stamp| stamp.term == term).map(|stamp| stamp.generation);
        numbers.filter(|number| *number <= NUMBER_MAX).max().unwrap_or(0)
    }

    /// The device as it is judged.
    pub(crate) fn seen<'a>(&'a self, record: &'a DeviceRecord, order: Option<&'a Order>) -> Seen<'a> {
        Seen { record, order, heard: self.heard.as_ref() }
    }

    /// The version the device runs, as it last said.
    pub(super) fn running(&self) -> Option<Version> {
        self.heard.as_ref()?.report.hello.version.parse().ok()
    }

    /// The assignment a request means, if the device may have it.
    ///
    /// # Errors
    /// The first reason against it.
    pub(crate) fn admit<R: Borrow<Record>>(
        &self,
        record: &DeviceRecord,
        kept: &Kept,
        records: &[R],
        request: &DeviceUpdateRequest,
    ) -> Result<Wanted, Problem> {
        let wanted = self.wanted(record, records, request)?;
        let name = &record.name;
        if !record.active && wanted.method == DownloadMethod::PrepositionedOnly {
            let detail =
                format!("{name} is in no location, so no engine gives it software file {}, which is `prepositioned_only`", wanted.file);
            let next = format!("activate {name} into a location, or change the method of software file {}", wanted.file);
            return Err(Problem::new(Reason::NotActive, detail).next_step(next));
        }
        self.may_be_told(&self.seen(record, kept.orders.get(name)))?;
        let manifest = &wanted.release.manifest_sha256;
        let burned = self.heard.as_ref().and_then(|heard| heard.report.update.as_ref()).is_some_and(|u| u.state.burned.contains(manifest));
        if burned && !kept.unburned.get(name).is_some_and(|cleared| cleared.contains(manifest)) {
            let detail = format!("{} fell back on {name} before", wanted.release.version);
            let next = format!("find out why; `weir upgrade clear-burned {name}` lets it be tried again");
            return Err(Problem::new(Reason::DigestBurned, detail).next_step(next));
        }
        let members: Vec<_> = self.others.iter().map(|(name, role, version)| Member { name, role: *role, version: *version }).collect();
        let judged = may_run(record.role, wanted.release.version, self.running(), &members, self.primary, &self.lineage);
        judged.map_err(|refused| Problem::new(Reason::OrderRefused, refused.text).next_step(refused.next))?;
        Ok(wanted)
    }

    /// What a request means, whatever else speaks against it.
    pub(super) fn wanted<R: Borrow<Record>>(
        &self,
        record: &DeviceRecord,
        records: &[R],
        request: &DeviceUpdateRequest,
    ) -> Result<Wanted, Problem> {
        if record.role == Role::Manager {
            return Err(Problem::new(Reason::PairUpdateRequired, format!("{} is a manager", record.name)));
        }
        let (file, release) = sources::chosen(records, request)?;
        Ok(Wanted {
            file: file.id,
            release: release.clone(),
            method: file.registration.method,
            auto_reload: request.auto_reload.unwrap_or(file.registration.auto_reload),
            leave: if request.hand_over || record.role == Role::Router { Leave::HandedOver } else { Leave::Drained },
            overrides: request.overrides,
        })
    }

    /// Whether the device may be told anything now.
    fn may_be_told(&self, seen: &Seen<'_>) -> Result<(), Problem> {
        let (Some(report), name) = (seen.report(), &seen.record.name) else { return Ok(()) };
        let stage = report.state.stage;
        let under_way = |detail: String| Problem::new(Reason::UpdateUnderWay, detail);
        match stage {
            // One that needs hands is at rest too: another image may be the way out.
            _ if stage.at_rest() || stage.before_switching() || matches!(stage, Stage::Releasing { .. }) => Ok(()),
            _ => {
                let version = report.state.assignment.as_ref().map_or_else(String::new, |a| format!(" of {}", a.version));
                let next = format!("wait for its end: `weir upgrade status {name}`");
                Err(under_way(format!("{name} is past the point of no return{version}: {}", stage.words())).next_step(next))
            }
        }
    }
}

impl Wanted {
    /// Whether an assignment says the same.
    pub(crate) fn is_same(&self, order: &Order) -> bool {
        let said = (order.file, order.auto_reload, order.leave, order.overrides);
        said == (self.file, self.auto_reload, self.leave, self.overrides) && order.manifest == self.release.manifest_sha256
    }

    /// As it is kept.
    pub(crate) fn order(self, number: u64, term: u64, at_ms: u64, by: String) -> Order {
        Order {
            number,
            term,
            file: self.file,
            version: self.release.version,
            manifest: self.release.manifest_sha256,
            archive_sha256: self.release.archive_sha256,
            archive_bytes: self.release.archive_bytes,
            auto_reload: self.auto_reload,
            leave: self.leave,
            reload: false,
            cancelled: false,
            overrides: self.overrides,
            at_ms,
            by,
            ended: None,
        }
    }
}
