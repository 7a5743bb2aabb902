//! Devices and assignments as tests make them up.

use super::record::Order;
use crate::{reports::Heard, snapshot::DeviceRecord};
use weir_device_api::{Hello, KeeperReport, Listeners, Load, Report, SlotsReport, UpdateReport, hello::PROTOCOL};
use weir_model::{Role, Stamp};
use weir_operator_api::Addresses;
use weir_rollout::update::{Leave, Proof, Stage, UpdateState};

pub(super) fn device(role: Role) -> DeviceRecord {
    DeviceRecord {
        id: 2,
        name: "east-1".parse().expect("name"),
        role,
        active: true,
        location: Some("east".parse().expect("name")),
        weight: 100,
        capacity_mbps: None,
        activated_generation: 1,
        addresses: Addresses::default(),
        public_key_sha256: String::new(),
        certificate_sha256: String::new(),
        enrolled_with: String::new(),
        enrolled_ms: 1,
        revision: 1,
    }
}

pub(crate) fn order(number: u64) -> Order {
    Order {
        number,
        term: 1,
        file: 7,
        version: "1.1.0-b1".parse().expect("version"),
        manifest: "bb".to_owned(),
        archive_sha256: "cc".to_owned(),
        archive_bytes: 1000,
        auto_reload: true,
        leave: Leave::Drained,
        reload: false,
        cancelled: false,
        overrides: false,
        at_ms: 5,
        by: "somebody".to_owned(),
        ended: None,
    }
}

/// A report that the device is at `stage` of an assignment.
pub(super) fn at(stage: Stage, order: Option<&Order>) -> UpdateReport {
    let assignment = order.map(Order::assignment);
    let state = UpdateState { stage, assignment, since_ms: 0, proof: Proof::default(), burned: Vec::new() };
    UpdateReport {
        lease: state.lease_wish(),
        state,
        for_ms: 1,
        detail: String::new(),
        fetched_bytes: None,
        archive_bytes: None,
        from: None,
        parked: false,
        slots: SlotsReport { active: "slot".to_owned(), manifest: "aa".to_owned(), ..SlotsReport::default() },
        keeper: Some(KeeperReport { version: "1.0.0-b1".to_owned(), current: true }),
    }
}

/// Heard at monotonic millisecond 1000.
pub(super) fn heard(role: Role, update: Option<UpdateReport>) -> Heard {
    let device = device(role).name;
    let report = Report {
        hello: Hello { protocol: PROTOCOL, version: "1.0.0-b1".into(), device, role, stamp: Stamp::default() },
        boot: 1,
        clock_ms: 0,
        uptime_ms: 0,
        worker_crashes: 0,
        last_exit: None,
        listeners: Listeners::default(),
        load: Load::default(),
        rejected: None,
        conditions: Vec::new(),
        drain: None,
        routers: Vec::new(),
        share_permille: None,
        update,
        answers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    };
    Heard { at_ms: 1000, received_ms: 1000, crashed_ms: None, report }
}
